"""What a fit says about itself."""

from __future__ import annotations

import ast
from pathlib import Path

import jax
import pandas as pd
import pytest

import hitlbayes as hb
from hitlbayes.errors import SpecError

from . import small_fits as fits


def test_period_effects_say_their_units_and_where_treatment_starts():
    effects = fits.ordinal().period_effects()
    assert effects.dims == ("chain", "draw", "period")
    assert effects.attrs == {"units": "logit", "period": "period", "start": fits.START.isoformat()}
    assert fits.gaussian().period_effects().attrs["units"] == "outcome units"
    with pytest.raises(SpecError, match="no period effects"):
        fits.mixed().period_effects()


def test_worker_effects_are_those_of_treated_units():
    effects = fits.gaussian().worker_effects()
    assert effects.dims == ("chain", "draw", "unit")
    assert effects["unit"].to_numpy().tolist() == [f"agent-{i:02d}" for i in range(1, 12, 2)]
    assert effects.attrs == {"units": "outcome units", "unit": "unit"}


def test_a_fit_says_what_was_asked_and_what_made_it():
    fit = fits.gaussian()
    assert fit.spec["columns"] == {"unit": "agent", "period": "day", "treated": "arm", "post": "after"}
    assert fit.spec["treated_level"] == "ai"
    assert fit.spec["device"] is None
    assert fit.versions["jax"] == jax.__version__


def test_a_device_that_is_not_there_is_answered_with_those_that_are():
    asked = {"outcome": "score", "family": "gaussian", "progress": False, **fits.COLUMNS}
    absent = "cpu" if jax.default_backend() == "gpu" else "gpu"
    if absent == "gpu":
        with pytest.raises(SpecError, match="'gpu' is not on this machine; it has: cpu"):
            hb.fit_did(fits.chats(), device="gpu", **asked)
    with pytest.raises(SpecError, match="'abacus' is not on this machine"):
        hb.fit_did(fits.chats(), device="abacus", **asked)


def test_type_checkers_see_every_public_name():
    tree = ast.parse(Path(hb.__file__).read_text())
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    told = {alias.asname for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert told == set(hb.__all__) - {"__version__"}
    for name in told:
        assert getattr(hb, name) is not None


def test_the_start_is_a_number_where_periods_are_and_nothing_where_they_are_texts():
    asked = {"outcome": "score", "family": "gaussian", "progress": False, "draws": 100, **fits.COLUMNS}
    number = fits.chats().assign(day=fits.chats()["day"].dt.day)
    assert hb.fit_did(number, **asked).period_effects().attrs["start"] == 4
    words = number.assign(day=pd.Categorical("day " + number["day"].astype(str)))
    assert "start" not in hb.fit_did(words, **asked).period_effects().attrs

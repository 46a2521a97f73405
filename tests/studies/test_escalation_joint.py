"""Several outcomes of matched chats in one model: recovery, agreement, and what is refused."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest

import hitlbayes as hb
from hitlbayes.errors import DesignError, SpecError
from tests.studies.matched_types import matched_types

EFFECTS = {"technical": 0.3, "emotional": 0.9, "none": -0.9}
SIZES = {"technical": 120, "emotional": 60, "none": 90}
FAMILIES = {"y": "gaussian", "again": "bernoulli", "stars": "ordinal"}
ASKED = {"outcomes": list(FAMILIES), "families": FAMILIES, "formula": "~ x", "progress": False}
CLOSE = 4.0  # posterior SDs; one in 15,000 by chance
ALIKE = 1.0  # posterior SDs between two models of the same chats with other priors


@cache
def fitted() -> hb.JointEscalation:
    return hb.fit_escalation_jointly(matched_types(EFFECTS, seed=6, sizes=SIZES), **ASKED, draws=300)


def test_recovers_effects_on_every_outcome() -> None:
    table = fitted().summary().set_index(["outcome", "type"])
    for name, truth in EFFECTS.items():
        row = table.loc[("y", name)]
        assert abs(row["mean"] - truth) < CLOSE * row["sd"]
        for outcome in ("again", "stars"):  # on other scales: the sign, where the effect is large
            if abs(truth) > 0.5:
                assert np.sign(table.loc[(outcome, name), "mean"]) == np.sign(truth)
    assert table["units"].unique().tolist() == ["outcome units", "percentage points", "points"]


def test_agrees_with_the_model_of_one_outcome() -> None:
    alone = hb.fit_escalation(
        matched_types(EFFECTS, seed=6, sizes=SIZES), outcome="y", family="gaussian", formula="~ x", draws=250,
        progress=False,
    )  # fmt: skip
    one = alone.effects(pool=False)
    two = fitted().effects("y")
    for name in EFFECTS:
        gap = float(one.sel(type=name).mean() - two.sel(type=name).mean())
        assert abs(gap) < ALIKE * float(one.sel(type=name).std())


def test_says_what_it_rests_on() -> None:
    fit = fitted()
    assert "under principal ignorability" in repr(fit)
    assert "SYNTHETIC" in repr(fit)
    assert (fit.draws["loading"].sel(outcome="y") > 0).all()
    assert fit.effects().dims == ("chain", "draw", "type", "outcome")
    with pytest.raises(SpecError, match="no outcome 'mood'"):
        fit.effects("mood")


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"outcomes": ["y", "again"]}, SpecError, "at least 3"),
        ({"families": {"y": "gaussian", "again": "bernoulli"}}, SpecError, "stars: none"),
        ({"outcomes": ["y", "again", "mood"], "families": FAMILIES | {"mood": "ordinal"}}, SpecError, "mood"),
    ],
)  # fmt: skip
def test_bad_requests_are_refused(options, error, words: str) -> None:
    with pytest.raises(error, match=words):
        hb.fit_escalation_jointly(matched_types(EFFECTS, seed=6, sizes=SIZES), **{**ASKED, **options})


def test_a_type_without_known_outcomes_is_refused() -> None:
    matched = matched_types(EFFECTS, seed=6, sizes=SIZES)
    matched.pool["stars"] = pd.Series(matched.pool["stars"], dtype=float).where(
        matched.pool["escalation"] != "emotional"
    )
    with pytest.raises(DesignError, match=r"emotional \(0\)"):
        hb.fit_escalation_jointly(matched, **ASKED)

"""What a difference-in-differences refuses, and what it says."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import hitlbayes as hb
from hitlbayes.errors import DesignError, SchemaError, SpecError


def frame() -> pd.DataFrame:
    made = pd.DataFrame([(i, t) for i in range(8) for t in range(4)], columns=["id", "week"])
    made["arm"], made["after"] = made["id"] % 2, (made["week"] >= 2).astype(int)
    made["y"] = np.sin(np.arange(len(made))) + made["arm"]
    made["rating"], made["hit"], made["calls"] = 1 + made.index % 5, made.index % 2, made.index % 7
    return made


def fit(data: pd.DataFrame, **changes):
    roles = {"unit": "id", "time": "week", "treated": "arm", "post": "after"}
    arguments = {"outcome": "y", "family": "gaussian", **roles}
    return hb.fit_did(data, **(arguments | changes))


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (lambda f: f.drop(columns="arm"), SchemaError, "arm"),
        (lambda f: f.drop(columns="y"), SchemaError, "y"),
        (lambda f: f.iloc[:0], SchemaError, "no rows"),
        (lambda f: f.assign(y=np.where(f.index == 3, np.inf, f["y"])), SchemaError, "index 3"),
        (lambda f: f.assign(id=np.where(f.index == 3, np.nan, f["id"])), SchemaError, "index 3"),
        (lambda f: f.assign(arm=f["week"] % 2), DesignError, "both arms"),
        (lambda f: f[f["arm"] == 1], DesignError, "0 control"),
        (lambda f: f[f["id"].isin([0, 2, 4, 5])], DesignError, "1 treated"),
        (lambda f: f[f["after"] == 1], DesignError, "before"),
        (lambda f: f[f["after"] == 0], DesignError, "after"),
        (lambda f: f[f["week"] == 2], DesignError, "one period"),
        (lambda f: f.assign(y=f["y"].where(f["arm"] == 1)), DesignError, "control"),
        (lambda f: f.assign(y=1.0), SpecError, "the same"),
        (lambda f: f.assign(after=2 * f["after"]), DesignError, "expected 0 or 1"),
    ],
)
def test_a_frame_that_cannot_identify_an_effect_is_refused(change, error, words):
    with pytest.raises(error, match=words):
        fit(change(frame()))


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"outcome": "rating", "family": "ordinal", "values": 3.5}, SchemaError, "whole number"),
        ({"outcome": "hit", "family": "bernoulli", "values": 2}, SchemaError, "successes"),
        ({"outcome": "calls", "family": "count", "values": -1}, SchemaError, "count"),
    ],
)
def test_values_outside_a_familys_range_are_named_by_row(changes, error, words):
    changes = dict(changes)
    value, data = changes.pop("values"), frame()
    data[changes["outcome"]] = data[changes["outcome"]].astype(float)
    data.loc[5, changes["outcome"]] = value
    with pytest.raises(error, match=words) as raised:
        fit(data, **changes)
    assert "index 5" in str(raised.value)


@pytest.mark.parametrize(
    ("outcome", "family"), [("hit", "bernoulli"), ("rating", "ordinal"), ("calls", "count")]
)
def test_an_outcome_that_never_varies_is_refused(outcome, family):
    with pytest.raises(SpecError, match="the same in all 32 observations"):
        fit(frame().assign(**{outcome: 1}), outcome=outcome, family=family)


def test_a_misspelt_prior_is_answered_with_the_right_name():
    with pytest.raises(SpecError, match="did you mean 'sd_effect'"):
        fit(frame(), priors={"sd_efect": hb.half_normal(1)})


def test_the_users_frame_is_not_changed():
    data = frame()
    before = data.copy()
    fit(data, draws=50)
    pd.testing.assert_frame_equal(data, before)

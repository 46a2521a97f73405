"""What is asked of a panel or a frame: units, columns, and what cannot be asked."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

import hitlbayes as hb
from hitlbayes.errors import DesignError, SchemaError, SpecError
from hitlbayes.studies.did import did_model
from hitlbayes.studies.frames import units_of

ARMS = {"unit": "id", "time": "week", "treated": "arm", "post": "after"}


def chats() -> pd.DataFrame:
    """Synthetic chats: 6 workers, 6 days, 2 a day, ratings but for controls after the start."""
    rng = np.random.default_rng(8)
    grid = [(i, t) for i in range(6) for t in range(6) for _ in range(2)]
    log = pd.DataFrame(grid, columns=["worker_id", "day"])
    log["start_time"] = pd.Timestamp("2024-08-01 10:00") + pd.to_timedelta(log["day"], unit="D")
    log["treated"], log["post"] = log["worker_id"] % 2, (log["day"] >= 3).astype(int)
    log["duration"], log["avg_delay"] = rng.uniform(60, 600, 72), rng.uniform(5, 50, 72)
    log["away_share"], log["concurrency"] = rng.uniform(0, 1, 72), rng.integers(0, 5, 72)
    log["retrial"], log["rounds"] = rng.integers(0, 2, 72), rng.integers(1, 9, 72)
    log["rating"] = rng.integers(1, 6, 72).astype(float)
    log.loc[(log["treated"] == 0) & (log["post"] == 1), "rating"] = np.nan
    return log


@pytest.fixture(scope="module")
def panel() -> hb.Panel:
    return hb.panel(hb.read_chats(chats(), synthetic=True))


def frame(**columns) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    rows = pd.DataFrame([(i, t) for i in range(6) for t in range(4)], columns=["id", "week"])
    rows["arm"], rows["after"], rows["y"] = (
        rows["id"] % 2,
        (rows["week"] > 1).astype(int),
        rng.normal(size=24),
    )
    return rows.assign(**columns)


def asked(rows: pd.DataFrame, **options):
    return did_model(rows, **({"outcome": "y", "family": "gaussian"} | ARMS | options))


@pytest.mark.parametrize(
    ("outcome", "likelihood", "units"),
    [
        ("log_duration", "cells", "percent"),
        ("log_mean_duration", "means", "percent"),
        ("duration", "cells", "seconds"),
        ("avg_delay", "cells", "seconds"),
        ("concurrency", "cells", "chats"),
        ("away_share", "cells", "percentage points"),
        ("retrial", "cells", "percentage points"),
        ("retrial", "means", "percentage points"),
        ("responded", "means", "percentage points"),
        ("rounds", "means", "count per chat"),
    ],
)
def test_effects_come_in_the_units_of_the_schema(panel, outcome, likelihood, units):
    study = did_model(panel, outcome=outcome, likelihood=likelihood)
    assert study.units == units
    assert study.synthetic
    assert study.name == f"{outcome}, all chats"


def test_other_outcomes_have_no_units_of_their_own():
    assert units_of("duration", family="gaussian") == "outcome units"
    assert units_of("revenue", family="gaussian", panel=True) == "outcome units"
    assert units_of("log_revenue", family="gaussian", panel=True) == "outcome units"
    assert units_of("rating", family="ordinal") == "rating points"
    assert units_of("empathy", family="ordinal", panel=True) == "points"
    assert units_of("y", family="count") == "count"
    assert asked(frame()).units == "outcome units"


def test_an_outcome_that_the_panel_left_out_is_answered_with_the_reason(panel):
    with pytest.raises(DesignError, match="'rating' out: it is never observed among control workers after"):
        did_model(panel, outcome="rating")
    with pytest.raises(DesignError, match="'rating' out"):
        did_model(panel, outcome="rating", likelihood="means")
    with pytest.raises(SpecError, match=r"no outcome 'ratings'; it has: .*avg_delay"):
        did_model(panel, outcome="ratings")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"controls": "laged"}, "controls is 'laged'"),
        ({"likelihood": "mean"}, "likelihood is 'mean'"),
        ({"treated": "arm", "post": "late"}, "treated, post given with a panel"),
        ({"time": "week"}, "time given with a panel"),
        ({"family": "bernoulli"}, "'duration' is gaussian in this panel"),
        ({"likelihood": "means", "family": "count"}, "likelihood='means' is Gaussian"),
    ],
)
def test_what_a_panel_cannot_be_asked(panel, options, words):
    with pytest.raises(SpecError, match=words):
        did_model(panel, outcome="duration", **options)


def test_lagged_controls_leave_out_first_periods_and_count_them(panel):
    with pytest.raises(SpecError, match="no lag_customer_tenure, lag_vip: its chats lack"):
        did_model(panel, outcome="duration", controls="lagged")
    rng = np.random.default_rng(2)
    log = chats().assign(customer_tenure=rng.uniform(0, 9, 72), vip=rng.integers(0, 2, 72))
    study = did_model(hb.panel(log), outcome="duration", likelihood="means", controls="lagged")
    assert study.model.cells.drops == {"cells without a previous period": 6}
    assert study.spec["formula"] == "~ 1 + lag_customer_tenure + lag_vip + lag_concurrency + lag_volume"
    assert list(study.means.columns[4:]) == [
        "lag_customer_tenure",
        "lag_vip",
        "lag_concurrency",
        "lag_volume",
    ]


@pytest.mark.parametrize(
    ("change", "options", "error", "words"),
    [
        ({}, {"outcome": None}, SpecError, "needs outcome= and family="),
        ({}, {"outcome": "z"}, SchemaError, "no column 'z'; the frame has: id, week"),
        ({}, {"unit": "worker"}, SchemaError, "unit='worker'; the frame has"),
        ({}, {"post": None}, SpecError, "needs treated= and post="),
        ({}, {"treatment": "arm"}, SpecError, "either treatment="),
        ({}, {"treated_level": "ai"}, SchemaError, "'arm' is never 'ai'; it is: 0, 1"),
        ({}, {"likelihood": "means"}, SpecError, "needs a panel"),
        ({}, {"controls": "lagged"}, SpecError, "needs a panel"),
        ({"n": 1.0}, {"formula": "~ n"}, SpecError, "'n': this name has a meaning of its own"),
        ({"period": 3}, {"formula": "~ period"}, SpecError, "'period': this name has a meaning"),
        ({"level": "a"}, {"groups": ["level"]}, SpecError, "'level' cannot name a group"),
        ({"a/b": "a"}, {"groups": ["a/b"]}, SpecError, "'a/b' cannot name a group"),
        ({}, {"groups": "week"}, SpecError, "expected a list of column names"),
    ],
)
def test_what_a_frame_cannot_be_asked(change, options, error, words):
    with pytest.raises(error, match=words):
        asked(frame(**change), **options)


def test_a_frame_is_not_changed_and_its_label_is_kept():
    rows = frame(arm=np.where(np.arange(24) // 4 % 2, "ai", "human"))
    rows.attrs["synthetic"] = True
    before = rows.copy()
    study = asked(rows, treated_level="ai")
    pd.testing.assert_frame_equal(rows, before)
    assert study.synthetic
    assert study.spec["columns"] == {"unit": "id", "period": "week", "treated": "arm", "post": "after"}
    assert study.model.cells.keys["treated"].tolist() == [0, 0, 0, 0, 1, 1, 1, 1] * 3


def test_columns_of_a_role_may_also_be_controls():
    names = asked(frame(), formula="~ week", priors=None).model.design.names
    assert "week" in names
    assert dataclasses.is_dataclass(asked(frame()))

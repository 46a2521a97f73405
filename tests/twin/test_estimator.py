from __future__ import annotations

import numpy as np
import pandas as pd
import pyfixest
import pytest

from hitlbayes.errors import DesignError
from hitlbayes.twin import simulate
from hitlbayes.twin.estimator import index_periods, period_means, two_way
from hitlbayes.twin.matched import match, matched_effects

EXACT = 1e-8
"""Two solvers of one least-squares problem."""


@pytest.fixture(scope="module")
def chats() -> pd.DataFrame:
    return simulate(seed=7, workers=60).chats


@pytest.mark.parametrize(("scope", "period"), [("all", "day"), ("eligible", "day"), ("all", "hour")])
def test_two_way_equals_pyfixest(chats, scope, period):
    index = index_periods(chats, period=period)
    part = np.ones(len(chats), dtype=bool) if scope == "all" else chats["eligible"].to_numpy() == 1
    y = period_means(np.log(chats["duration"].to_numpy()), index=index, part=part)
    found = two_way(y, index=index)
    frame = pd.DataFrame({"y": y, "d": index.treated, "worker": index.worker, "day": index.day})
    frame[["c0", "c1", "c2", "c3"]] = index.controls
    fit = pyfixest.feols(
        "y ~ d + c0 + c1 + c2 + c3 | worker + day", data=frame.dropna(), vcov={"CRV1": "worker"}
    )
    assert found.estimate == pytest.approx(fit.coef()["d"], rel=EXACT)
    assert found.se == pytest.approx(fit.se()["d"], rel=EXACT)
    assert (found.n, found.r2) == (fit._N, pytest.approx(fit._r2, rel=EXACT))


def test_lagged_controls_come_from_the_previous_worked_day():
    days = pd.to_datetime(["2024-08-01 09:00", "2024-08-01 10:00", "2024-08-04 09:00", "2024-08-02 09:00"])
    small = pd.DataFrame(
        {
            "worker_id": [1, 1, 1, 2],
            "start_time": days,
            "treated": 1,
            "post": 0,
            "customer_tenure": [2.0, 4.0, 9.0, 1.0],
            "vip": [0, 1, 0, 0],
            "concurrency": [1, 3, 2, 2],
        }
    )
    index = index_periods(small)
    assert np.isnan(index.controls[[0, 2]]).all()
    assert index.controls[1].tolist() == [3.0, 0.5, 2.0, 2.0]


def test_treatment_that_never_varies_is_refused(chats):
    never = index_periods(chats.assign(treated=0))
    y = period_means(np.log(chats["duration"].to_numpy()), index=never, part=np.ones(len(chats), dtype=bool))
    with pytest.raises(DesignError, match="vary"):
        two_way(y, index=never)


def test_matching_is_greedy_from_the_largest_score_without_replacement():
    score = np.array([0.9, 0.5, 0.52, 0.88, 0.51, 0.1])
    treated = np.array([True, True, True, False, False, False])
    pairs = match(score, treated=treated, caliper=10.0)
    assert pairs.tolist() == [[0, 3], [2, 4], [1, 5]]


def test_caliper_leaves_out_what_has_no_neighbour():
    score = np.array([0.9, 0.5, 0.51, 0.1])
    treated = np.array([True, True, False, False])
    assert match(score, treated=treated, caliper=0.2).tolist() == [[1, 2]]


def test_matched_effects_recover_the_types():
    twin = simulate(seed=9)
    truth = twin.truth.types.set_index(["escalation", "outcome"])["att"]
    for name, row in matched_effects(twin.chats).items():
        # four standard errors: twelve comparisons, one seed
        for outcome, found in row.items():
            assert abs(found.estimate - truth[name, outcome]) < 4.0 * found.se, (name, outcome)

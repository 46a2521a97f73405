"""Posterior predictive checks: moments by hand, good models pass, wrong ones are told."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import hitlbayes as hb
from hitlbayes.errors import SpecError
from hitlbayes.studies.moments import Sample, lag_correlation, moments, neighbours, plan_moments
from hitlbayes.studies.structure import did_structure

from ..small_fits import mixed
from .test_leave_one_out import cells, fitted


def test_moments_are_those_computed_by_hand() -> None:
    keys = pd.DataFrame({"unit": [1, 1, 2, 2], "period": [0, 1, 0, 1], "treated": [0, 0, 1, 1]})
    keys["post"] = keys["period"]

    class Frame:
        pass

    holder = Frame()
    holder.keys = keys
    structure = did_structure(holder, shock=False, by_phase=False)
    sample = Sample("bernoulli", np.full(4, 10.0), np.array([[1.0], [3.0], [5.0], [9.0]]), ())
    found = moments(sample, plan_moments(keys, structure, structure.exposure))
    assert found["treated, after", "mean"] == pytest.approx(0.9)
    assert found["units", "variance of means"] == pytest.approx(np.var([0.2, 0.7], ddof=1))
    # Left over after units and periods: -+.05 crosswise.
    assert found["unit-periods", "variance"] == pytest.approx(0.05**2)


def test_correlation_skips_periods_that_are_not_there() -> None:
    value = np.array([1.0, 2.0, 9.0, 1.0, 3.0, 2.5])
    unit, period = np.array([0, 0, 0, 1, 1, 1]), np.array([0, 1, 3, 0, 1, 2])
    pairs = np.array([[1.0, 2.0], [1.0, 3.0], [3.0, 2.5]])
    assert lag_correlation(value, neighbours(unit, period)) == pytest.approx(np.corrcoef(pairs.T)[0, 1])
    assert np.isnan(lag_correlation(value[:2], neighbours(unit[:2], period[:2])))


@pytest.mark.parametrize("family", ["gaussian", "bernoulli", "ordinal"])
def test_a_model_passes_on_its_own_data(family: str) -> None:
    told = hb.posterior_predictive(fitted(family), seed=1)
    assert len(told.extreme) <= 1  # of some fifteen statistics at one in a hundred each
    again = hb.posterior_predictive(fitted(family), seed=1)
    pd.testing.assert_frame_equal(told.replicated, again.replicated)
    if family == "gaussian":  # few ratings leave units' own effects about as uncertain as new ones
        same = hb.posterior_predictive(fitted(family), units="same", seed=1)
        key = ("units", "variance of means")
        assert same.replicated[key].std() < told.replicated[key].std()
    if family == "ordinal":
        shares = [c for c in told.observed.index if c[0] == "control, after" and c[1].startswith("share")]
        assert told.observed[shares].sum() == pytest.approx(1.0)
        assert np.allclose(told.replicated[shares].sum(axis=1), 1.0)


def test_days_that_follow_one_another_are_told() -> None:
    """Shocks that last (autocorrelation .9) are not what the model makes."""
    rng = np.random.default_rng(3)
    frame = pd.DataFrame([(i, t) for i in range(40) for t in range(14)], columns=["unit", "period"])
    shock = np.zeros((40, 14))
    for t in range(1, 14):
        shock[:, t] = 0.9 * shock[:, t - 1] + 0.3 * rng.normal(size=40)
    frame["treated"], frame["post"] = frame["unit"] % 2, (frame["period"] >= 7).astype(int)
    frame["y"] = shock.ravel() + 0.1 * rng.normal(size=len(frame))
    fit = hb.fit_did(
        frame, outcome="y", treated="treated", post="post", family="gaussian", draws=100, progress=False
    )
    told = hb.posterior_predictive(fit)
    assert hb.posterior_predictive(fit, draws=100).extreme.empty  # too few to say one in a hundred
    assert ("unit-periods", "correlation with the previous") in told.extreme.index
    assert "correlation with the previous" in told.plot().caption


def test_counts_and_mixed_models_are_replicated_too() -> None:
    counts = hb.fit_did(
        hb.simulate_cells(seed=4, family="count", workers=16, periods=6, start=3, level=1.0),
        outcome="y",
        draws=100,
        progress=False,
    )
    assert len(hb.posterior_predictive(counts).extreme) <= 1
    told = hb.posterior_predictive(mixed(), draws=50)
    assert ("all", "mean") in told.observed.index


def test_what_does_not_exist_is_refused() -> None:
    with pytest.raises(SpecError, match="'new' or 'same'"):
        hb.posterior_predictive(fitted("gaussian"), units="old")
    study = hb.fit_event_study(cells("gaussian"), outcome="y", draws=100, progress=False)
    with pytest.raises(SpecError, match="fit_did and fit_mixed"):
        hb.posterior_predictive(study.fit)

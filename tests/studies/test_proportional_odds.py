"""The check of proportional odds: exact derivatives, known truth, and its rate of false alarms.

`HITLBAYES_ODDS` sets the number of simulated experiments of the slow study (200 by default).
"""

from __future__ import annotations

import os
from functools import cache

import numpy as np
import pandas as pd
import pytest

import hitlbayes as hb
from hitlbayes.errors import SpecError
from hitlbayes.fitting.relaxed import fit_relaxed, relaxed_precision, relaxed_rows
from hitlbayes.studies.did import did_model
from hitlbayes.studies.proportional_odds import outside

from .test_coverage import wilson

EXPERIMENTS = int(os.environ.get("HITLBAYES_ODDS", "200"))
CUTPOINTS = np.array([-1.0, -0.8, -0.6, -0.3])
ALIKE = np.full(4, 0.4)
APART = np.array([0.2, 0.25, 0.4, 0.65])
ROLES = {"outcome": "y", "treated": "treated", "post": "post", "family": "ordinal", "progress": False}
SCALES = {"sd_level": 0.3, "sd_drift": 0.1, "sd_effect": 0.1, "rho_drift": 0.2, "rho_effect": -0.3}
SCALES |= {"sd_period": 0.1, "sd_shock": 0.1}


def experiment(seed: int, effects: np.ndarray, *, workers: int = 40, chats: int = 8) -> pd.DataFrame:
    """Synthetic ratings, 1 to 5; the treatment adds `effects` (4,) to the log odds above each category."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame([(i, t) for i in range(workers) for t in range(8)], columns=["unit", "period"])
    frame["treated"], frame["post"] = frame["unit"] % 2, (frame["period"] >= 4).astype(int)
    drift = 0.1 * rng.normal(size=workers)[frame["unit"]] * frame["post"]
    eta = 0.3 * rng.normal(size=workers)[frame["unit"]] + drift + 0.1 * rng.normal(size=8)[frame["period"]]
    eta = np.repeat((eta + 0.1 * rng.normal(size=len(frame))).to_numpy(), chats)
    frame = frame.loc[frame.index.repeat(chats)].reset_index(drop=True)
    now = (frame["treated"] * frame["post"]).to_numpy()
    latent = eta + rng.logistic(size=len(frame))
    above = latent[:, None] + np.outer(now, effects) > CUTPOINTS
    return frame.assign(y=1 + above.sum(axis=1))


@cache
def model():
    """A model of one experiment, laid out."""
    roles = {name: value for name, value in ROLES.items() if name != "progress"}
    return did_model(experiment(1, APART, workers=12), **roles).model


def test_the_mode_is_where_an_independent_optimiser_finds_it() -> None:
    from scipy.optimize import minimize
    from scipy.special import expit

    rows = relaxed_rows(model())
    precision, shock = relaxed_precision(model(), SCALES)
    fitted = fit_relaxed(rows, precision, float(shock))
    m, inner, by_shock = len(fitted.mode), rows.inner.toarray(), rows.shock.toarray()

    def minus(x: np.ndarray) -> float:
        theta, own = x[:m], x[m:]
        u = theta[:4] - np.outer(rows.treated, theta[4:8]) - (inner @ theta[8:] + by_shock @ own)[:, None]
        p = np.diff(np.column_stack([np.zeros(len(u)), expit(u), np.ones(len(u))]), axis=1)
        prior = theta @ precision @ theta + float(shock) * own @ own
        return float(-np.sum(rows.counts * np.log(np.maximum(p, 1e-300))) + 0.5 * prior)

    start = np.concatenate([fitted.mode + 0.05, np.zeros(by_shock.shape[1])])
    start[:4] = np.sort(start[:4])
    found = minimize(minus, start, method="BFGS", options={"gtol": 1e-4})
    assert np.abs(found.x[:m] - fitted.mode).max() < 2e-3  # numerical gradients of 160 parameters
    # The precision left when shocks are eliminated: curvature of the profile along each effect.
    h = 0.05
    cov = np.linalg.inv(fitted.low @ fitted.low.T)
    for j in (4, 7):
        held = np.setdiff1d(np.arange(len(start)), [j])
        values = []
        for move in (-h, h):
            x = found.x.copy()
            x[j] += move

            def along(free: np.ndarray, x: np.ndarray = x, held: np.ndarray = held) -> float:
                return minus(np.put_along_axis(x, held, free, axis=0) or x)

            values.append(minimize(along, x[held], method="BFGS", options={"gtol": 1e-4}).fun)
        curvature = (values[0] + values[1] - 2 * found.fun) / h**2
        assert abs(curvature * cov[j, j] - 1) < 0.02  # a step of h is not infinitely small


def test_probability_outside_is_a_chi_square_of_the_differences() -> None:
    z = np.random.default_rng(0).normal(size=(4000, 3))
    assert abs(outside(z) - 1.0) < 0.02  # mean differences of 4,000 draws
    one = z[:, :2] * [0.5, 0.0] + [1.0, 0.0]  # the difference is normal(-1, .5): two SDs
    assert abs(outside(one) - 0.0455) < 0.01


def test_effects_apart_are_flagged_and_found() -> None:
    found = hb.check_proportional_odds(experiment(7, APART), draws=100, chains=2, **ROLES)
    assert found.flagged
    effects = found.effects
    score = (effects.mean("draw") - APART) / effects.std("draw")
    assert np.abs(score).max() < 3  # posterior SDs
    assert np.abs(found.shares.sum("category")).max() < 1e-8
    table = found.summary()
    assert list(table.index) == ["above 1", "above 2", "above 3", "above 4", "all alike"]
    assert "differ" in found.plot().caption.lower()


def test_what_is_not_ordinal_is_refused() -> None:
    frame = experiment(1, ALIKE, workers=12)
    with pytest.raises(SpecError, match="three or more"):
        hb.check_proportional_odds(frame.assign(y=(frame["y"] > 3).astype(int)), **ROLES)
    with pytest.raises(SpecError, match="level is 5"):
        hb.check_proportional_odds(frame, level=5, **ROLES)


@pytest.mark.slow
@pytest.mark.parametrize("effects", [ALIKE, APART], ids=["alike", "apart"])
def test_false_alarms_come_at_the_nominal_rate_and_true_effects_are_covered(effects: np.ndarray) -> None:
    flags, covered, sums = 0, np.zeros(4), np.zeros(4)
    for seed in range(EXPERIMENTS):
        found = hb.check_proportional_odds(
            experiment(1000 + seed, effects), draws=100, chains=2, seed=seed, **ROLES
        )
        flags += found.flagged
        lower, upper = found.effects.quantile([0.025, 0.975], dim="draw").to_numpy()
        covered += (lower <= effects) & (effects <= upper)
        sums += found.effects.mean("draw").to_numpy()
        if seed % 20 == 19:
            print(f"{seed + 1}: flagged {flags}, covered {covered.tolist()}, mean {sums / (seed + 1)}")
    low, high = wilson(flags, EXPERIMENTS)
    print(f"flagged {flags} of {EXPERIMENTS}, Wilson {low:.3f} to {high:.3f}; covered {covered}")
    if effects is ALIKE:
        assert low <= 0.05  # not flagged at more than the nominal rate
    else:
        assert flags > 0.9 * EXPERIMENTS
    for hits in covered:
        assert wilson(int(hits), EXPERIMENTS)[1] >= 0.95  # intervals cover at the nominal rate or above
    # Shrinkage by the prior (SD one) and its Monte Carlo error.
    assert np.abs(sums / EXPERIMENTS - effects).max() < 0.05

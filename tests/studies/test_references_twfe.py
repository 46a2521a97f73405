"""With near-flat unit and period scales the Gaussian model is two-way fixed effects: against pyfixest."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyfixest as pf
import pytest

import hitlbayes as hb

from .public import castle

FLAT = 1e4  # SD of units and periods: some ten thousand times that of the outcome
TOLERANCE = 1e-4  # what is left of the flat scales, relative to the outcome's SD of about one
SPREAD = (
    0.05  # posterior SD of 4,000 draws (1.1 %) against an SE whose sigma is an estimate, not integrated over
)
PRIORS = {
    "sd_level": hb.fixed(FLAT),
    "sd_period": hb.fixed(FLAT),
    "sd_drift": hb.fixed(0.0),
    "sd_effect": hb.fixed(0.0),
    "treatment": hb.normal(0.0, FLAT),
    "coef": hb.normal(0.0, FLAT),
}
STAGGERED = {name: prior for name, prior in PRIORS.items() if name != "sd_drift"}

# pyfixest 0.60 and the published analysis: l_homicide ~ post | sid + year, clustered by state
CASTLE = {None: (0.06939843, 0.05585964), "population": (0.07553324, 0.03319361)}


def panel(kind: str) -> pd.DataFrame:
    """Synthetic unit-period means: 14 units of two arms, 9 periods, an effect that differs by unit."""
    rng = np.random.default_rng(11)
    frame = pd.DataFrame([(i, t) for i in range(14) for t in range(9)], columns=["unit", "period"])
    start = np.where(frame["unit"] % 2, 4, 99)
    if kind == "staggered":
        start = np.where(frame["unit"] % 3, 3 + frame["unit"] % 5, 99)
    frame["arm"], frame["after"] = frame["unit"] % 2, (frame["period"] >= 4).astype(int)
    frame["now"] = (frame["period"] >= start).astype(int)
    level, day = rng.normal(0, 1, 14)[frame["unit"]], rng.normal(0, 0.5, 9)[frame["period"]]
    frame["y"] = (
        3.0 + level + day + 0.4 * frame["now"] * (1 + frame["unit"] / 14) + rng.normal(0, 0.7, len(frame))
    )
    if kind == "balanced":
        return frame
    return frame[rng.random(len(frame)) > 0.25 * (1 + frame["now"]) / 1.5].reset_index(drop=True)


def fixed_effects(
    frame: pd.DataFrame, *, outcome: str = "y", treatment: str = "now", weights: str | None = None
):
    """pyfixest's two-way fixed effects: estimate, and standard error for independent errors."""
    unit, period = ("state", "year") if treatment == "treatment" else ("unit", "period")
    fit = pf.feols(f"{outcome} ~ {treatment} | {unit} + {period}", data=frame, vcov="iid", weights=weights)
    return float(fit.coef()[treatment]), float(fit.se()[treatment])


def treatment_draws(fit: hb.Fit) -> np.ndarray:
    return fit.hyperparameters()["treatment"]


def exact_mean(fit: hb.Fit) -> float:
    """Posterior mean of the treatment coefficient, averaged over draws of its exact conditional mean."""
    coef = fit.posterior["sample_stats"]["coef_mean"]
    names = list(fit.posterior["posterior"]["term"].to_numpy())
    return float(coef.mean(("chain", "draw"))[names.index("treatment")])


@pytest.mark.parametrize("kind", ["balanced", "unbalanced"])
def test_flat_scales_give_two_way_fixed_effects_of_two_arms(kind: str) -> None:
    frame = panel(kind)
    fit = hb.fit_did(
        frame, outcome="y", treated="arm", post="after", family="gaussian", priors=PRIORS, progress=False
    )
    estimate, se = fixed_effects(frame)
    assert abs(exact_mean(fit) - estimate) < TOLERANCE
    assert abs(np.std(treatment_draws(fit)) / se - 1) < SPREAD
    assert abs(fit.frequentist.estimate - estimate) < 1e-8  # the twin is the same estimator


def test_flat_scales_give_two_way_fixed_effects_of_staggered_starts() -> None:
    frame = panel("staggered")
    fit = hb.fit_did(frame, outcome="y", treatment="now", family="gaussian", priors=STAGGERED, progress=False)
    assert abs(exact_mean(fit) - fixed_effects(frame)[0]) < TOLERANCE


@pytest.mark.parametrize("weights", [None, "population"])
def test_flat_scales_give_the_published_castle_estimate(weights: str | None) -> None:
    frame = castle()
    fit = hb.fit_did(
        frame,
        outcome="log_homicide",
        unit="state",
        time="year",
        treatment="treatment",
        family="gaussian",
        precision=weights,
        priors=STAGGERED,
        progress=False,
    )
    estimate, clustered = CASTLE[weights]
    assert abs(exact_mean(fit) - estimate) < TOLERANCE
    assert abs(np.std(treatment_draws(fit)) / fixed_effects(
        frame, outcome="log_homicide", treatment="treatment", weights=weights)[1] - 1) < SPREAD  # fmt: skip
    assert abs(fit.frequentist.estimate - estimate) < 1e-6
    assert abs(fit.frequentist.se - clustered) < 1e-6
    assert fit.frequentist.clusters == 50

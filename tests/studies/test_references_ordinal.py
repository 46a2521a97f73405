"""Ordinal mixed models against R's ordinal::clmm, which fits the same likelihood by maximum.

Posterior and maximum differ even where both are right: priors pull, skewed posteriors have their mean off
their mode, and clmm's likelihood is a Laplace approximation. So priors are made wide, and tolerances are
shares of a standard error and of an SD, not digits.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import hitlbayes as hb

from .public import teaching, wine

WIDE = {"coef": hb.normal(0.0, 10.0)}
# Of standard error and SD. The uniform prior of the category probabilities at mean covariates still pulls:
# by a quarter of a standard error in 72 ratings (more for the outer cutpoints), by nothing in 3,822.
WINE_SHARE_OF_SE = 0.35
# Nine judges leave the posterior of their SD skewed; its median lies between mode and mean.
WINE_SHARE_OF_SD = 0.20
TEACHING_SHARE_OF_SE = 0.15
# Fewer than two ratings a student: the Laplace approximation is low there, and the posterior skewed.
# PyMC's NUTS, 2 x 1,500 draws, has medians .450 and .849 (posterior SDs .087 and .108).
TEACHING_SHARE_OF_SD = {"sd_s": 0.20, "sd_d": 0.10}
TEACHING_ESS = 100  # Monte Carlo error of sd_s, the worst parameter, is then a sixth of its tolerance
# Four standard errors of the difference of two Monte Carlo means, effective sizes 4,300 and 1,700 or more.
SHARE_OF_POSTERIOR_SD = 0.115
RATIO_OF_POSTERIOR_SDS = 0.12  # likewise, for SDs with somewhat heavy tails

# R 4.2.2, ordinal 2022.11-16: clmm(rating ~ temp + contact + (1 | judge), data = wine, nAGQ = 10)
WINE_COEF = {"temp[T.warm]": (3.061890993, 0.5950763341), "contact[T.yes]": (1.833433365, 0.5121712435)}
WINE_SD = 1.134783298  # 1.131132578 by Laplace

# PyMC 5.28, NUTS, 4 x 5,000 draws of the same posterior: normal(0, 10) coefficients of standardised columns,
# half-normal(5) SD of judges, uniform category probabilities at mean covariates. Posterior mean and SD.
WINE_POSTERIOR = {
    "temp[T.warm]": (2.90252, 0.56511),
    "contact[T.yes]": (1.73981, 0.49395),
    "sd_judge": (1.35683, 0.55085),
    "cutpoint[1]": (-1.56225, 0.69442),
    "cutpoint[2]": (1.39413, 0.61996),
    "cutpoint[3]": (3.92375, 0.77680),
    "cutpoint[4]": (5.72762, 0.92203),
}

# clmm(factor(y) ~ service + (1 | s) + (1 | d), data = subset(InstEval, dept == "2")), Laplace; 3,822 rows
TEACHING_COEF = {
    "service": (-0.3034061433, 0.0944950313),
    "cutpoint[1]": (-2.1423784658, 0.1502012566),
    "cutpoint[2]": (-0.9740475573, 0.1453238790),
    "cutpoint[3]": (0.1553004940, 0.1441318336),
    "cutpoint[4]": (1.3279478500, 0.1466300734),
}
TEACHING_SD = {"sd_s": 0.399519573, "sd_d": 0.8081289814}


def distances(fit: hb.Fit, expected: dict[str, tuple[float, float]]) -> dict[str, float]:
    """How far each posterior mean lies from the estimate, in its standard errors."""
    mean = fit.tidy().set_index("term")["mean"]
    return {name: abs(mean[name] - estimate) / se for name, (estimate, se) in expected.items()}


def median(fit: hb.Fit, name: str) -> float:
    return float(np.median(fit.hyperparameters()[name]))


@pytest.fixture(scope="module")
def wine_fit() -> hb.Fit:
    return hb.fit_mixed(
        wine(),
        outcome="rating",
        family="ordinal",
        formula="~ temp + contact",
        groups=["judge"],
        priors=WIDE | {"sd_judge": hb.half_normal(5.0)},
        progress=False,
    )


def test_wine_agrees_with_clmm(wine_fit: hb.Fit) -> None:
    assert wine_fit.check().ok, wine_fit.check()
    far = distances(wine_fit, WINE_COEF)
    assert max(far.values()) < WINE_SHARE_OF_SE, far
    assert abs(median(wine_fit, "sd_judge") / WINE_SD - 1) < WINE_SHARE_OF_SD


def test_wine_has_the_posterior_that_pymc_draws(wine_fit: hb.Fit) -> None:
    far = distances(wine_fit, WINE_POSTERIOR)
    assert max(far.values()) < SHARE_OF_POSTERIOR_SD, far
    ratio = wine_fit.tidy().set_index("term")["sd"] / pd.Series(
        {k: sd for k, (_, sd) in WINE_POSTERIOR.items()}
    )
    assert (ratio - 1).abs().max() < RATIO_OF_POSTERIOR_SDS, ratio


@pytest.mark.slow
def test_teaching_agrees_with_clmm_on_crossed_effects() -> None:
    fit = hb.fit_mixed(
        teaching(2),
        outcome="y",
        family="ordinal",
        formula="~ service",
        groups=["s", "d"],
        priors=WIDE | {"sd_s": hb.half_normal(5.0), "sd_d": hb.half_normal(5.0)},
        draws=400,
        progress=False,
    )
    assert fit.check().ess_bulk > TEACHING_ESS, fit.check()
    far = distances(fit, TEACHING_COEF)
    assert max(far.values()) < TEACHING_SHARE_OF_SE, far
    for name, expected in TEACHING_SD.items():
        assert abs(median(fit, name) / expected - 1) < TEACHING_SHARE_OF_SD[name], name

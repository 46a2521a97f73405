"""Small synthetic experiments as sufficient statistics: the cheap ground on which coverage is studied."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pandas as pd
from numpy.random import Generator
from scipy.special import expit

from hitlbayes.errors import SpecError
from hitlbayes.twin.workers import Floats, Ints

FAMILIES = ("gaussian", "bernoulli", "ordinal", "count")
CUTPOINTS = (-1.0, -0.8, -0.6, -0.3)
"""Bimodal ratings, like the published ones."""
FIRST_PERIOD = "2024-08-01"


@dataclasses.dataclass(frozen=True, slots=True)
class Cells:
    """Cells of sufficient statistics with the truth; the layout is that of a panel.

    Attributes
    ----------
    cells : DataFrame
        One row per unit and period: `unit`, `period`, `treated`, `post`, `n`, and by outcome y and family:
        gaussian and count ``y:n``, ``y:mean``, ``y:ss``; bernoulli ``y:n``, ``y:successes``; ordinal ``y:1``
        ... ``y:K``.
    outcomes : dict
        Outcome -> family.
    categories : dict
        Ordinal outcome -> its categories.
    histograms : dict
        Count outcome -> DataFrame (`cell`, `value`, `n`).
    truth : dict
        Parameters, realised effects (`att_chat`, `att_cell` on the outcome's own scale, `link_chat`,
        `link_cell` on the link's) and the units' and periods' terms.
    synthetic : bool
        Always true.
    """

    cells: pd.DataFrame
    outcomes: dict[str, str]
    categories: dict[str, tuple[int, ...]]
    histograms: dict[str, pd.DataFrame]
    truth: dict[str, Any]
    scope: str = "all"
    synthetic: bool = True


def simulate_cells(
    *,
    seed: int,
    family: str = "gaussian",
    workers: int = 60,
    periods: int = 10,
    start: int = 5,
    effect: float = 0.2,
    sd_level: float = 0.3,
    sd_drift: float = 0.0,
    sd_effect: float = 0.0,
    sd_shock: float = 0.1,
    sd_period: float = 0.05,
    level: float = 0.0,
    sigma: float = 0.7,
    cutpoints: tuple[float, ...] = CUTPOINTS,
    dispersion: float = 5.0,
    chats_per_cell: float = 20.0,
    treated_share: float = 0.5,
    attendance: float = 1.0,
    outcome: str = "y",
) -> Cells:
    """One small experiment: units in two arms over periods, treatment from period `start` on, one outcome.

    Parameters
    ----------
    seed : int
        Same seed and arguments, same cells.
    family : {"gaussian", "bernoulli", "ordinal", "count"}
        Identity, logit, cumulative logit or log link (negative binomial).
    workers, periods, start : int
        Units, periods, and the index of the first treated period (0 < start < periods).
    effect : float
        Average effect on the link's scale; a unit's own is normal about it with `sd_effect`.
    sd_level, sd_drift, sd_effect, sd_shock, sd_period : float
        SDs on the link's scale of units, their change from before to after (both arms), treated units' own
        effects, unit-periods, and periods.
    level : float
        Average of the linear predictor.
    sigma : float
        Gaussian residual SD of a chat.
    cutpoints : tuple of float
        Of the cumulative logit, increasing.
    dispersion : float
        Shape of the negative binomial; its variance is mean + mean^2 / dispersion.
    chats_per_cell : float
        Mean of the (Poisson, at least one) number of chats.
    treated_share, attendance : float
        Share of treated units; probability that a unit appears in a period.
    outcome : str
        Name of the outcome in the cells.

    Returns
    -------
    Cells

    Raises
    ------
    SpecError
        A design without both arms or both spans, an unknown family, a negative SD, cutpoints out of order, or
        by chance no treated unit that appears after the start.

    Examples
    --------
    >>> small = simulate_cells(seed=1, family="bernoulli", workers=6, periods=4, start=2)
    >>> list(small.cells.columns)
    ['unit', 'period', 'treated', 'post', 'n', 'y:n', 'y:successes']
    """
    sds = {"level": sd_level, "drift": sd_drift, "effect": sd_effect, "shock": sd_shock, "period": sd_period}
    _check(family=family, periods=periods, start=start, sds=sds | {"sigma": sigma}, cutpoints=cutpoints)
    rng = np.random.default_rng(seed)
    arm = _arms(workers, treated_share=treated_share, rng=rng)
    unit, period = np.nonzero(rng.random((workers, periods)) < attendance)
    n = np.maximum(1, rng.poisson(chats_per_cell, unit.size))
    treated, post = arm[unit], (period >= start).astype(np.int64)
    terms = _terms(sds, effect=effect, workers=workers, periods=periods, rng=rng)
    shock = sd_shock * rng.standard_normal(unit.size)
    base = level + terms["level"][unit] + terms["drift"][unit] * post + terms["period"][period] + shock
    shift = terms["effect"][unit] * treated * post
    columns, histogram = _observe(
        base + shift, n=n, family=family, sigma=sigma, cutpoints=cutpoints, dispersion=dispersion, rng=rng
    )
    frame = _frame(unit=unit, period=period, treated=treated, post=post, n=n)
    for name, values in columns.items():
        frame[f"{outcome}:{name}"] = values
    used = (treated * post) == 1
    if not used.any():
        raise SpecError(
            f"no treated unit appears after the start with seed={seed}, workers={workers} and "
            f"attendance={attendance}: take more workers, a higher attendance or another seed."
        )
    realised = realised_effects(base[used], shift=shift[used], n=n[used], family=family, cutpoints=cutpoints)
    truth = {
        "effect": effect,
        **{f"sd_{name}": value for name, value in sds.items()},
        **realised,
        "terms": terms,
    }
    categories = {outcome: tuple(range(1, len(cutpoints) + 2))} if family == "ordinal" else {}
    histograms = {} if histogram is None else {outcome: histogram}
    return Cells(frame, {outcome: family}, categories, histograms, truth)


def _terms(
    sds: dict[str, float], *, effect: float, workers: int, periods: int, rng: Generator
) -> dict[str, Floats]:
    """Units' levels, drifts and effects, and periods' effects."""
    return {
        "level": sds["level"] * rng.standard_normal(workers),
        "drift": sds["drift"] * rng.standard_normal(workers),
        "effect": effect + sds["effect"] * rng.standard_normal(workers),
        "period": sds["period"] * rng.standard_normal(periods),
    }


def _frame(*, unit: Ints, period: Ints, treated: Ints, post: Ints, n: Ints) -> pd.DataFrame:
    """Cells without an outcome."""
    return pd.DataFrame(
        {
            "unit": unit + 1,
            "period": pd.Timestamp(FIRST_PERIOD) + pd.to_timedelta(period, unit="D"),
            "treated": treated.astype(np.int8),
            "post": post.astype(np.int8),
            "n": n,
        }
    )


def realised_effects(
    base: Floats, *, shift: Floats, n: Ints, family: str, cutpoints: tuple[float, ...]
) -> dict[str, float]:
    """Average effect on treated cells, by chat and by cell, on the outcome's and the link's scale."""
    if family == "gaussian":
        effect = shift
    elif family == "bernoulli":
        effect = expit(base + shift) - expit(base)
    elif family == "ordinal":
        effect = sum(
            (expit(base + shift - c) - expit(base - c) for c in cutpoints), start=np.zeros_like(base)
        )
    else:
        effect = np.exp(base + shift) - np.exp(base)
    return {
        "att_chat": float(np.average(effect, weights=n)),
        "att_cell": float(effect.mean()),
        "link_chat": float(np.average(shift, weights=n)),
        "link_cell": float(shift.mean()),
    }


def ordinal_probabilities(predictor: Floats, *, cutpoints: tuple[float, ...]) -> Floats:
    """Cumulative-logit category probabilities, shape (rows, K)."""
    above = expit(predictor[:, None] - np.asarray(cutpoints)[None, :])
    edges = np.hstack([np.ones((predictor.size, 1)), above, np.zeros((predictor.size, 1))])
    return edges[:, :-1] - edges[:, 1:]


def _observe(
    eta: Floats,
    *,
    n: Ints,
    family: str,
    sigma: float,
    cutpoints: tuple[float, ...],
    dispersion: float,
    rng: Generator,
) -> tuple[dict[str, Any], pd.DataFrame | None]:
    """Sufficient statistics of `n` chats with linear predictor `eta`, and the histogram of counts."""
    if family == "gaussian":
        mean = eta + sigma * rng.standard_normal(eta.size) / np.sqrt(n)
        return {"n": n, "mean": mean, "ss": sigma**2 * chi_square(n - 1, rng=rng)}, None
    if family == "bernoulli":
        return {"n": n, "successes": rng.binomial(n, expit(eta))}, None
    if family == "ordinal":
        counts = rng.multinomial(n, ordinal_probabilities(eta, cutpoints=cutpoints))
        return {str(k + 1): counts[:, k] for k in range(counts.shape[1])}, None
    cell = np.repeat(np.arange(eta.size), n)
    value = rng.poisson(np.exp(eta)[cell] * rng.gamma(dispersion, 1 / dispersion, cell.size))
    mean = np.bincount(cell, value) / n
    squares = np.bincount(cell, (value - mean[cell]) ** 2)
    histogram = (
        pd.DataFrame({"cell": cell, "value": value}).value_counts(sort=False).rename("n").reset_index()
    )
    return {"n": n, "mean": mean, "ss": squares}, histogram.sort_values(["cell", "value"], ignore_index=True)


def chi_square(freedom: Ints, *, rng: Generator) -> Floats:
    """Chi-square draws; zero where there is no degree of freedom."""
    return np.where(freedom > 0, rng.chisquare(np.maximum(freedom, 1)), 0.0)


def _arms(workers: int, *, treated_share: float, rng: Generator) -> Ints:
    count = round(workers * treated_share)
    if not 0 < count < workers:
        found = f"{workers} workers with treated_share {treated_share} give {count} treated"
        raise SpecError(f"{found}; expected units in both arms")
    return rng.permutation(np.repeat([1, 0], [count, workers - count]))


def _check(
    *, family: str, periods: int, start: int, sds: dict[str, float], cutpoints: tuple[float, ...]
) -> None:
    if family not in FAMILIES:
        raise SpecError(f"family is {family!r}; expected one of {FAMILIES}")
    if not 0 < start < periods:
        raise SpecError(f"start is {start} of {periods} periods; expected periods before and after the start")
    if negative := [name for name, value in sds.items() if value < 0]:
        raise SpecError(f"standard deviations below zero: {negative}")
    if np.any(np.diff(cutpoints) <= 0):
        raise SpecError(f"cutpoints {cutpoints} are not increasing")

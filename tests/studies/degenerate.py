"""Synthetic experiments of any size, with effects that may be absent, for the tests of degenerate data."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.special import logit

import hitlbayes as hb

ROLES = {"unit": "id", "time": "day", "treated": "arm", "post": "after"}
SCALES = {"level": 0.5, "drift": 0.2, "effect": 0.2, "period": 0.2, "shock": 0.2}
STILL = dict.fromkeys(SCALES, 0.0)


def experiment(
    seed: int,
    *,
    family: str,
    units: int = 8,
    days: int = 3,
    chats: int = 5,
    effect: float = 0.6,
    scales: dict[str, float] = SCALES,
    categories: int = 5,
) -> pd.DataFrame:
    """Rows (`id`, `day`, `arm`, `after`, `y`), `chats` to each unit and day, treatment on the last days."""
    rng = np.random.default_rng(seed)
    grid = pd.DataFrame([(i, t) for i in range(units) for t in range(days)], columns=["id", "day"])
    grid["arm"], grid["after"] = grid["id"] % 2, (grid["day"] >= (days + 1) // 2).astype(int)
    level, drift, own = (scales[name] * rng.normal(size=units) for name in ("level", "drift", "effect"))
    i, t, after = (grid[name].to_numpy() for name in ("id", "day", "after"))
    eta = level[i] + drift[i] * after + (effect + own[i]) * grid["arm"].to_numpy() * after
    eta = eta + scales["period"] * rng.normal(size=days)[t] + scales["shock"] * rng.normal(size=len(grid))
    rows = grid.loc[grid.index.repeat(chats)].reset_index(drop=True)
    rows["y"] = _outcomes(family, np.repeat(eta, chats), categories, rng)
    return rows


def _outcomes(family: str, eta: np.ndarray, categories: int, rng: np.random.Generator):
    if family == "gaussian":
        return rng.normal(eta, 1.0)
    if family == "count":
        return rng.poisson(np.exp(eta))
    logistic = rng.logistic(size=len(eta))
    if family == "bernoulli":
        return (logistic < eta).astype(int)
    cut = logit(np.arange(1, categories) / categories)
    return rated(1 + np.searchsorted(cut, eta + logistic), categories=categories)


def rated(values: np.ndarray, *, categories: int) -> pd.Categorical:
    """Ratings 1 .. categories, whether or not each is used."""
    return pd.Categorical(values, categories=range(1, categories + 1), ordered=True)


def fit(rows: pd.DataFrame, *, family: str, draws: int = 500, **options) -> hb.Fit:
    return hb.fit_did(
        rows, outcome="y", family=family, draws=draws, seed=1, progress=False, **ROLES, **options
    )


def assert_sound(made: hb.Fit) -> None:
    """Every draw is finite and the checks pass."""
    for group in ("posterior", "effects"):
        for name, values in made.posterior[group].to_dataset().data_vars.items():
            assert np.isfinite(values.to_numpy()).all(), name
    assert made.check().ok, str(made.check())

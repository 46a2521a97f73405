"""Draws of effects from estimates and standard errors, labelled."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from hitlbayes.published.shrinkage import covariance, draw_hierarchy, normal_hierarchy
from hitlbayes.published.tables import table

TYPES = ("technical", "human", "emotional", "none")
NORMAL_95 = 1.959963984540054


def published_means() -> pd.DataFrame:
    """Means of Table 6, one row per type and measure: outcome, group, estimate, se, units, n.

    The standard error is the printed interval's half-width over 1.96.
    """
    printed = table("6")
    out = pd.DataFrame(
        {
            "outcome": printed["column"],
            "group": printed["row"],
            "estimate": printed["value"],
            "se": (printed["upper"] - printed["lower"]) / 2 / NORMAL_95,
            "units": printed["units"],
            "n": printed["n"],
        }
    )
    return out.sort_values("group", key=lambda g: g.map(TYPES.index), kind="stable").reset_index(drop=True)


def posterior_draws(
    frame: pd.DataFrame,
    *,
    scales: Mapping[str, float],
    correlation: float,
    draws: int,
    seed: int,
    means: bool,
) -> xr.Dataset:
    """Draws of every outcome's effects, as a labelled Dataset."""
    rng = np.random.default_rng(seed)
    outcomes = list(frame["outcome"].unique())
    groups = sorted(
        frame["group"].unique(), key=lambda g: TYPES.index(g) if g in TYPES else len(TYPES)
    )  # sorted is stable
    effect = np.full((1, draws, len(outcomes), len(groups)), np.nan)
    mu = np.full((1, draws, len(outcomes)), np.nan)
    tau = np.full((1, draws, len(outcomes)), np.nan)
    for i, outcome in enumerate(outcomes):
        rows = frame[frame["outcome"] == outcome].set_index("group")
        at = [j for j, g in enumerate(groups) if g in rows.index]
        rows = rows.loc[[groups[j] for j in at]]
        y, cov = rows["estimate"].to_numpy(), covariance(rows["se"].to_numpy(), correlation)
        if scales:
            fit = normal_hierarchy(y, cov=cov, tau_scale=scales[outcome])
            effect[0][:, i, at], mu[0, :, i], tau[0, :, i] = draw_hierarchy(fit, draws=draws, rng=rng)
        else:
            effect[0][:, i, at] = rng.multivariate_normal(y, cov, size=draws, method="cholesky")
    return _label(frame, outcomes, groups, effect=effect, mu=mu, tau=tau, pooled=bool(scales), means=means)


def _label(
    frame: pd.DataFrame,
    outcomes: list[str],
    groups: list[str],
    *,
    effect: np.ndarray,
    mu: np.ndarray,
    tau: np.ndarray,
    pooled: bool,
    means: bool,
) -> xr.Dataset:
    wide = {
        v: frame.pivot(index="outcome", columns="group", values=v)
        .reindex(index=outcomes, columns=groups)
        .to_numpy(dtype="float64", na_value=np.nan)
        for v in ("estimate", "se", "n")
    }
    units = frame.drop_duplicates("outcome").set_index("outcome")["units"].loc[outcomes]
    full, short, flat = (
        ("chain", "draw", "outcome", "group"),
        ("chain", "draw", "outcome"),
        ("outcome", "group"),
    )
    data = xr.Dataset(
        {"mean" if means else "effect": (full, effect)} | {v: (flat, w) for v, w in wide.items()},
        coords={
            "outcome": outcomes,
            "group": groups,
            "chain": [0],
            "draw": np.arange(effect.shape[1]),
            "units": ("outcome", [str(u) for u in units]),
        },
    )
    if means:
        data["sd"] = data["se"] * np.sqrt(data["n"])
    if pooled:
        data["population_mean"], data["tau"] = (short, mu), (short, tau)
    logs = [o for o in outcomes if units[o] == "log points"]
    if logs:
        percent: Any = 100 * np.expm1(data["effect"].sel(outcome=logs))
        data["percent"] = percent.reindex(outcome=outcomes)
    return data


def group_contrasts(effect: xr.DataArray) -> xr.DataArray:
    """Differences between groups, the later minus the earlier."""
    pairs = [(b, a) for a, b in combinations([str(g) for g in effect["group"].values], 2)]
    parts = [effect.sel(group=b, drop=True) - effect.sel(group=a, drop=True) for b, a in pairs]
    out = xr.concat(parts, dim="pair").assign_coords(
        pair=[f"{b} - {a}" for b, a in pairs],
        minuend=("pair", [b for b, _ in pairs]),
        subtrahend=("pair", [a for _, a in pairs]),
    )
    return out.transpose("chain", "draw", "outcome", "pair")

"""Whether the draws can be trusted: r_hat, effective sample sizes, divergences, importance weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from hitlbayes.slices import by_units

R_HAT_LIMIT = 1.01  # Vehtari et al. 2021, doi:10.1214/20-BA1221
ESS_LIMIT = 400.0  # the same: enough for stable tails and for the diagnostics themselves
K_HAT_LIMIT = 0.7  # Vehtari et al. 2024
DIVERGENCE_SHARE = 0.01  # angles are jittered, so a rejected blow-up is tried again in shorter steps


@dataclass(frozen=True, slots=True)
class Check:
    """The verdict on a fit's draws; the numbers are the worst over hyperparameters and reported effects."""

    ok: bool
    problems: tuple[str, ...]
    r_hat: float
    ess_bulk: float
    ess_tail: float
    divergences: int
    k_hat: float | None

    def __str__(self) -> str:
        if self.ok:
            ess = min(self.ess_bulk, self.ess_tail)
            return f"checks passed: r_hat at most {self.r_hat:.3f}, ESS at least {ess:,.0f}"
        return "CHECKS FAILED: " + "; ".join(self.problems)


def split_r_hat(draws: np.ndarray) -> np.ndarray:
    """Rank-normalised split r_hat of parameters: (chains, draws, ...) to (...)."""
    from arviz_stats.base import array_stats

    return np.asarray(array_stats.rhat(draws, chain_axis=0, draw_axis=1))


def effective_sizes(draws: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bulk and tail effective sample sizes of parameters: (chains, draws, ...) to (...)."""
    from arviz_stats.base import array_stats

    bulk = array_stats.ess(draws, chain_axis=0, draw_axis=1, method="bulk")
    tail = array_stats.ess(draws, chain_axis=0, draw_axis=1, method="tail", prob=(0.05, 0.95))
    return np.asarray(bulk), np.asarray(tail)


def diagnose(parameters: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """r_hat and effective sizes by name; parameters are (chains, draws) each. Constants get NaN.

    A parameter of which any draw is not finite has an infinite r_hat and no effective draws.
    """
    rows = []
    for name, draws in parameters.items():
        if not np.all(np.isfinite(draws)):
            rows.append((name, np.inf, 0.0, 0.0))
            continue
        if not np.ptp(draws) > 0:
            rows.append((name, np.nan, np.nan, np.nan))
            continue
        bulk, tail = effective_sizes(draws)
        rows.append((name, float(split_r_hat(draws)), float(bulk), float(tail)))
    return pd.DataFrame(rows, columns=["term", "r_hat", "ess_bulk", "ess_tail"]).set_index("term")


def diagnose_units(draws: xr.DataArray) -> pd.DataFrame:
    """r_hat and effective sizes of every unit of draws (chain, draw, unit), read some units at a time."""
    tables = []
    for part in by_units(draws):
        values = part.to_numpy()
        varies = np.ptp(values, axis=(0, 1)) > 0
        table = np.full((3, values.shape[-1]), np.nan)
        if varies.any():
            table[0, varies] = split_r_hat(values[..., varies])
            table[1:, varies] = effective_sizes(values[..., varies])
        tables.append(table)
    index = pd.Index(draws[draws.dims[-1]].to_numpy(), name="unit")
    return pd.DataFrame(np.concatenate(tables, axis=1).T, index, ["r_hat", "ess_bulk", "ess_tail"])


def judge(table: pd.DataFrame, *, stats: xr.Dataset, k_hat: float, effective: float) -> Check:
    """The verdict on `diagnose`'s table, with divergences and the importance weights."""
    problems = []
    r_hat, bulk, tail = table["r_hat"].max(), table["ess_bulk"].min(), table["ess_tail"].min()
    if np.isinf(r_hat):
        problems.append(f"draws of {table['r_hat'].idxmax()} are not finite")
    elif r_hat > R_HAT_LIMIT:
        problems.append(f"r_hat is {r_hat:.3f} for {table['r_hat'].idxmax()} (limit {R_HAT_LIMIT})")
    if bulk < ESS_LIMIT:
        problems.append(f"bulk ESS is {bulk:,.0f} for {table['ess_bulk'].idxmin()} (limit {ESS_LIMIT:.0f})")
    if tail < ESS_LIMIT:
        problems.append(f"tail ESS is {tail:,.0f} for {table['ess_tail'].idxmin()} (limit {ESS_LIMIT:.0f})")
    if effective < ESS_LIMIT:
        problems.append(
            f"the importance weights leave {effective:,.0f} effective draws (limit {ESS_LIMIT:.0f})"
        )
    if effective == effective:
        bulk = min(bulk, effective)
    diverging = int(np.sum(stats["diverging"].to_numpy())) if "diverging" in stats else 0
    if "diverging" in stats and diverging > DIVERGENCE_SHARE * stats["diverging"].size:
        problems.append(f"{diverging} of {stats['diverging'].size} trajectories diverged")
    if k_hat == k_hat and k_hat > K_HAT_LIMIT and "acceptance" not in stats and effective == effective:
        problems.append(
            f"k-hat is {k_hat:.2f} (limit {K_HAT_LIMIT}): the importance weights cannot be trusted"
        )
    k = float(k_hat) if k_hat == k_hat else None
    return Check(not problems, tuple(problems), float(r_hat), float(bulk), float(tail), diverging, k)

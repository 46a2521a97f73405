"""Whether the draws can be trusted: r_hat, effective sample sizes, divergences, importance weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr
from scipy.special import ndtri

from hitlbayes.slices import by_units

R_HAT_LIMIT = 1.01  # Vehtari et al. 2021, doi:10.1214/20-BA1221
ESS_LIMIT = 400.0  # the same: enough for stable tails and for the diagnostics themselves
K_HAT_LIMIT = 0.7  # Vehtari et al. 2024
AT_ONCE = 256  # parameters whose ranks are taken together
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
    """Rank-normalised split r_hat of parameters: (chains, draws, ...) to (...).

    The larger of those of ranks and of ranks of distances from the median (Vehtari et al. 2021,
    doi:10.1214/20-BA1221), as ArviZ has it but for many parameters at once: of a model's thousands of latent
    effects a loop over parameters takes longer than sampling them. As there, NaN of a parameter with any draw
    that is NaN, of a constant, of a single chain, and of fewer than four draws.
    """
    half, shape = draws.shape[1] // 2, draws.shape[2:]
    split = np.concatenate([draws[:, :half], draws[:, -half:]]).reshape(2 * len(draws), half, -1)
    made = np.full(split.shape[2], np.nan)
    if len(draws) < 2 or half < 2:
        return made.reshape(shape)
    for start in range(0, len(made), AT_ONCE):
        part = np.ascontiguousarray(np.moveaxis(split[..., start : start + AT_ONCE], 2, 0))
        folded = np.abs(part - np.median(part, axis=(1, 2), keepdims=True))
        made[start : start + AT_ONCE] = np.maximum(*(_r_hat(normal_scores(a)) for a in (part, folded)))
    # A NaN has a rank like any other draw, but says nothing.
    return np.where(np.isnan(draws).any(axis=(0, 1)), np.nan, made.reshape(shape))


def normal_scores(draws: np.ndarray) -> np.ndarray:
    """Normal scores of the ranks of each parameter's draws (parameters, chains, draws), ties averaged.

    Examples
    --------
    >>> normal_scores(np.array([[[3.0, 1.0, 1.0, 9.0]]])).round(2).tolist()
    [[[0.3, -0.63, -0.63, 1.05]]]
    """
    flat = draws.reshape(len(draws), -1)
    size, order = flat.shape[1], np.argsort(flat, axis=1)
    ordered, place = np.take_along_axis(flat, order, axis=1), np.arange(size)
    same = ordered[:, 1:] == ordered[:, :-1]
    ends = np.pad(same, ((0, 0), (1, 0))), np.pad(same, ((0, 0), (0, 1)))
    first = np.maximum.accumulate(np.where(ends[0], 0, place), axis=1)
    last = np.minimum.accumulate(np.where(ends[1], size, place)[:, ::-1], axis=1)[:, ::-1]
    # Mean ranks are whole or half numbers, so that their scores are few.
    scores = ndtri((0.5 * np.arange(2 * size - 1) + 1 - 3 / 8) / (size + 1 / 4))
    made = np.empty(flat.shape)
    np.put_along_axis(made, order, scores[first + last], axis=1)
    return made.reshape(draws.shape)


def _r_hat(draws: np.ndarray) -> np.ndarray:
    """r_hat of each parameter's draws (parameters, chains, draws)."""
    n = draws.shape[2]
    within = np.mean(np.var(draws, axis=2, ddof=1), axis=1)
    between = np.var(np.mean(draws, axis=2), axis=1, ddof=1)
    return np.sqrt((n - 1) / n + between / within)


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

"""Draws as reported numbers: an effect in its units, an interval, a table of means and diagnostics."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr

from hitlbayes.diagnostics import diagnose
from hitlbayes.errors import SpecError


def on_scale(linear: xr.DataArray, units: str) -> xr.DataArray:
    """An effect in its units: log points to percent, shares to percentage points, others as they are."""
    if units == "percent":
        return 100.0 * xr.apply_ufunc(np.expm1, linear)
    return 100.0 * linear if units == "percentage points" else linear


def summarise(named: Mapping[str, np.ndarray], *, prob: float, kind: str) -> pd.DataFrame:
    """Mean, SD, interval and diagnostics of draws (chains, draws) by name."""
    rows = {}
    for name, draws in named.items():
        lower, upper = interval(draws, prob=prob, kind=kind)
        rows[name] = (float(np.mean(draws)), float(np.std(draws)), lower, upper)
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["mean", "sd", "lower", "upper"])
    return table.join(diagnose(named)[["ess_bulk", "ess_tail", "r_hat"]]) if rows else table


def interval(draws: np.ndarray, *, prob: float = 0.95, kind: str = "eti") -> tuple[float, float]:
    """Equal-tailed or highest-density interval of draws."""
    if not 0 < prob < 1:
        raise SpecError(f"prob is {prob}; expected a probability between 0 and 1.")
    flat = np.sort(np.ravel(draws))
    if kind == "eti":
        lower, upper = np.quantile(flat, [(1 - prob) / 2, (1 + prob) / 2])
        return float(lower), float(upper)
    if kind != "hdi":
        raise SpecError(f"kind is {kind!r}; expected 'eti' or 'hdi'.")
    inside = int(np.ceil(prob * len(flat)))
    start = int(np.argmin(flat[inside - 1 :] - flat[: len(flat) - inside + 1]))
    return float(flat[start]), float(flat[start + inside - 1])

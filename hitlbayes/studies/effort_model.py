"""Arrays of the joint model of effort, from checked takeovers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from hitlbayes.errors import DesignError
from hitlbayes.fitting.factor import COUNTS, Data, Layout, Scales
from hitlbayes.fitting.factor_effects import Focus, short_of
from hitlbayes.studies.effort_columns import Roles
from hitlbayes.studies.effort_frame import Measure, Takeovers

INTERCEPT_SD = 2.5
LOG_SCALE = 0.5  # a direct effect of this size on a log scale is as large as one of 1 on a logit scale


def default_scales() -> Scales:
    """Scales of the priors: normal(0, 1) loadings, half-normal scales, on the links' scales."""
    return Scales(loading=1.0, sigma=1.0, over=1.0, unit=0.5, period=0.25, tau=0.5)  # type: ignore[arg-type]


def layout_and_data(
    takeovers: Takeovers, *, roles: Roles, measures: Sequence[Measure], adjust: str
) -> tuple[Layout, Data]:
    """The model of one set of covariates; sizes are the same for every set."""
    frame = takeovers.frame
    raw = np.array([pd.to_numeric(frame[m.column]).astype(float).to_numpy() for m in measures])
    seen = np.isfinite(raw)
    y, offset, families, floor = np.where(seen, raw, 1.0), np.zeros_like(raw), [], []
    names = [m.column for m in measures]
    for j, measure in enumerate(measures):
        family, whole = measure.family, False
        if measure.per is not None:
            base = names.index(measure.per)
            seen[j] &= seen[base]
            offset[j] = np.log(np.maximum(y[base], 1e-9))
            whole = bool(np.all(raw[j][seen[j]] >= raw[base][seen[j]]))
            y[j] -= whole * y[base]
        elif family == "count" and raw[j][seen[j]].min() > 0:
            family = "truncated count"
        if family == "lognormal":
            y[j] = np.log(y[j])
        elif family == "ordinal":
            y[j] -= 1
        families.append(family)
        floor.append(whole)
    y = np.where(seen, y, 0.0)
    unit, units = pd.factorize(frame[roles.unit], sort=True)
    period, periods = pd.factorize(_days(frame[roles.time]), sort=True)
    group = takeovers.columns.group
    counted = [m for m, f in enumerate(families) if f in COUNTS]
    layout = Layout(
        families=tuple(families),
        categories=tuple(
            int(y[m][seen[m]].max()) + 1 if f == "ordinal" else 0 for m, f in enumerate(families)
        ),
        columns=len(group),
        units=len(units),
        periods=len(periods),
        chats=len(frame),
        taus=2,
        per=tuple(names.index(m.per) if m.per else -1 for m in measures),
        floor=tuple(floor),
        share_of=next((m for m in counted if measures[m].per is None), -1),
    )
    logs = np.array([f in ("lognormal", *COUNTS) for f in families])
    coded = np.array([m.coded for m in measures], float)
    text = np.array([g == "text" for g in group])
    own = np.where(text[:, None], coded, np.where(logs, LOG_SCALE, 1.0))
    data = Data(
        y=y,
        seen=seen.astype(float),
        offset=np.where(seen, offset, 0.0),
        X=takeovers.columns.masked(adjust),
        unit=unit,
        period=period,
        common=np.where(text, 0.0, 1.0),
        own=own,
        tau_of=np.where(text, 2, np.where([g == "type" for g in group], 0, 1)),
        centre=np.array([_centre(y[m], seen[m], offset[m], f) for m, f in enumerate(families)]),
        spread=np.full(len(families), INTERCEPT_SD),
        tallies=tuple(_tally(y[m], seen[m]) for m in counted),
        scales=default_scales(),
    )
    return layout, data


def focus_of(takeovers: Takeovers, *, roles: Roles, overlap: int) -> Focus:
    """The takeovers over which each contrast is averaged: its type's, where sentiments overlap.

    Raises
    ------
    DesignError
        A type shares no level of sentiment with the reference.
    """
    inside = shared_levels(takeovers, overlap=overlap)
    kind = takeovers.frame["type"].to_numpy()
    rows, column, types = [], [], takeovers.types
    for j, name in enumerate(types[1:]):
        here = np.flatnonzero((kind == name) & inside[takeovers.level, j])
        if not len(here):
            raise DesignError(
                f"no level of sentiment has {overlap} takeovers of type {name!r} and {overlap} of type "
                f"{types[0]!r}: there is nothing to compare at equal sentiment. The counts are\n"
                f"{takeovers.overlap.to_string(index=False)}\nLower overlap= or leave the type out (types=)."
            )
        rows.append(here)
        column.append(np.full(len(here), j))
    row, col = np.concatenate(rows), np.concatenate(column)
    weights = np.array([(col == j) / np.sum(col == j) for j in range(len(types) - 1)])
    ai = pd.to_numeric(takeovers.frame[roles.ai_rounds]).astype(float)
    return Focus(row, col, weights, short_of(ai.fillna(ai.mean()).to_numpy()[row]))  # type: ignore[arg-type]


def shared_levels(takeovers: Takeovers, *, overlap: int) -> np.ndarray:
    """Whether each level of sentiment (L, S) has enough takeovers of a type and of the reference."""
    counts = takeovers.overlap[list(takeovers.types)].to_numpy()
    return (counts[:, 1:] >= overlap) & (counts[:, :1] >= overlap)


def _days(time: pd.Series) -> pd.Series:
    return time.dt.floor("D") if pd.api.types.is_datetime64_any_dtype(time) else time


def _centre(y: np.ndarray, seen: np.ndarray, offset: np.ndarray, family: str) -> float:
    """Centre of the intercept's prior: zero on logit scales, else the log of what is typical."""
    if family == "lognormal":
        return float(y[seen].mean())
    if family in COUNTS:
        return float(np.log(max(y[seen].mean(), 0.1) / np.exp(offset[seen]).mean()))
    return 0.0


def _tally(y: np.ndarray, seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    values, times = np.unique(y[seen], return_counts=True)
    return values, times.astype(float)

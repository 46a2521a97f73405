"""Discrete covariates that split the cells, and the refusal of those that would undo the collapse."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

import ibis
import ibis.expr.types as ir
import numpy as np

from hitlbayes.chatlog.collapse import Period, keyed
from hitlbayes.chatlog.outcomes import RESERVED
from hitlbayes.chatlog.schema import without_nan
from hitlbayes.errors import DataWarning, SchemaError, SpecError

By = str | Sequence[str] | Mapping[str, Sequence[float] | None]
MANY_LEVELS = 50  # of one numeric covariate: more look continuous
LEAST_COMPRESSION = 2.0  # chats per cell below which cells save nothing over chats


def covariates(table: ir.Table, *, by: By, period: Period) -> dict[str, ir.Column]:
    """The columns that split cells, binned where edges are given, without gaps or too many levels."""
    names = {by: None} if isinstance(by, str) else dict(by) if isinstance(by, Mapping) else dict.fromkeys(by)
    columns = {name: _column(table, name=name, edges=edges) for name, edges in names.items()}
    if columns:
        _check_levels(table, columns=columns, period=period)
    return columns


def _column(table: ir.Table, *, name: str, edges: Sequence[float] | None) -> ir.Column:
    if name in RESERVED or ":" in name:
        raise SpecError(f"by={name!r}: the panel uses that name itself; rename the column.")
    if name in table.columns:
        raw = table[name]
    elif name == "hour":
        raw = table.start_time.hour().cast("int64")
    else:
        raise SchemaError(f"by={name!r} is not a column.\n  found: {', '.join(table.columns)}, and 'hour'.")
    if edges is not None:
        return _binned(raw, name=name, edges=edges)
    if raw.type().is_floating():
        return without_nan(raw)
    if raw.type().is_nested():
        raise SpecError(
            f"by={name!r} is of type {raw.type()}.\n  expected: text, whole numbers, booleans or dates."
        )
    return raw.cast("int64") if raw.type().is_integer() else raw


def _binned(raw: ir.Column, *, name: str, edges: Sequence[float]) -> ir.Column:
    """Half-open intervals [a, b) as text; the last is [b, inf), and below the first edge is a level too."""
    points = list(edges)
    if not raw.type().is_numeric() or not points or np.any(np.diff(points) <= 0):
        raise SpecError(
            f"by={name!r}: bins need a numeric column and ascending edges, got {points!r} on {raw.type()}."
        )
    labels = [f"[{a:g}, {b:g})" for a, b in zip(points, [*points[1:], np.inf], strict=True)]
    cuts = [(raw >= low, label) for low, label in zip(points[::-1], labels[::-1], strict=True)]
    return ibis.cases((raw.isnull(), ibis.null("string")), *cuts, else_=f"(-inf, {points[0]:g})")


def _check_levels(table: ir.Table, *, columns: Mapping[str, ir.Column], period: Period) -> None:
    chats = keyed(table, period=period, columns=columns)
    aggregates = {f"{name}:levels": chats[name].nunique() for name in columns}
    aggregates |= {f"{name}:missing": chats.count(where=chats[name].isnull()) for name in columns}
    counts = chats.aggregate(rows=chats.count(), **aggregates).to_pandas().iloc[0]
    gaps = {name: int(counts[f"{name}:missing"]) for name in columns if counts[f"{name}:missing"]}
    if gaps:
        found = ", ".join(
            f"{name!r} in {count:,} of {int(counts['rows']):,} chats" for name, count in gaps.items()
        )
        raise SchemaError(
            f"by= covariates are missing: {found}.\n  expected: a level for every chat in the scope\n"
            "  to do: give missing values a level of their own (for instance 'unknown') before reading, or "
            "leave it out."
        )
    many = [
        name for name in columns if chats[name].type().is_numeric() and counts[f"{name}:levels"] > MANY_LEVELS
    ]
    if many:
        _refuse_many(chats, many=many, by=list(columns), counts={n: int(counts[f"{n}:levels"]) for n in many})


def _refuse_many(
    chats: ir.Table, *, many: Sequence[str], by: Sequence[str], counts: Mapping[str, int]
) -> None:
    cells = chats.select("unit", "period", *by).distinct().count()
    sizes = chats.aggregate(rows=chats.count()).to_pandas().iloc[0]
    n_cells = int(cells.to_pandas())
    ratio = int(sizes["rows"]) / n_cells
    edges = _quartiles(chats, name=many[0])
    levels = ", ".join(f"{name!r} has {counts[name]:,} levels" for name in many)
    message = (
        f"{levels}: {int(sizes['rows']):,} chats make {n_cells:,} cells, a compression of {ratio:.2f} chats "
        "a cell.\n"
        f"  to do: bin it, for instance by={{{many[0]!r}: {edges}}}, or model chats one by one "
        "(fit_mixed)."
    )
    if ratio < LEAST_COMPRESSION:
        raise SpecError(f"{message}\n  expected: at least {LEAST_COMPRESSION:g} chats a cell.")
    warnings.warn(message, DataWarning, stacklevel=5)


def _quartiles(chats: ir.Table, *, name: str) -> list[float]:
    """Edges that split the chats in four, to three digits, as a suggestion."""
    cuts = chats.aggregate(**{f"q{k}": chats[name].quantile(k / 4) for k in range(4)}).to_pandas().iloc[0]
    return sorted({float(f"{cut:.3g}") for cut in cuts})

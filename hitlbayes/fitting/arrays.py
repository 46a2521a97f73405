"""A model's cells, columns and groups as the arrays that the samplers are given."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from hitlbayes.errors import SpecError
from hitlbayes.fitting.slots import Slots, make_slots
from hitlbayes.fitting.structure import Structure
from hitlbayes.inference.columns import make_columns
from hitlbayes.inference.effects import Focus, focus_on
from hitlbayes.inference.marginal import Means
from hitlbayes.inference.problem import Layout, Problem
from hitlbayes.inference.runtime import bucket
from hitlbayes.inference.unit_sums import Part, in_parts
from hitlbayes.spec.cells import Cells, category_values
from hitlbayes.spec.families import ordinal_statistics
from hitlbayes.spec.predictor import Design

USUAL_SHARE = 0.6  # of a unit's periods: room for its treated ones, few of which some scopes have


def lay_out(
    cells: Cells, design: Design, structure: Structure, *, centre: float, scale: float
) -> tuple[Layout, Problem | Means, Focus]:
    """Sizes, data and treated rows of a model; a Gaussian outcome is centred and divided by its scale.

    Raises
    ------
    SpecError
        A crossed group varies within unit-periods, whose means stand for their rows.
    """
    code, own = shock_codes(structure)
    gaussian = cells.family == "gaussian"
    if gaussian and not own:
        _refuse_varying_groups(structure, code)
    slots = _slots(structure, code, may_align=gaussian or own, may_fold=not gaussian)
    layout = _layout(cells, design, structure, slots)
    place = slots.position[code]
    order = np.argsort(place, kind="stable")
    data: Means | Problem
    if gaussian:
        data = _means(cells, design, structure, slots, code, centre=centre, scale=scale)
    else:
        data = _problem(cells, design, structure, slots, code, order=None if own else order)
    return layout, data, _focus(cells, structure, layout, place if own else np.argsort(order))


def shock_codes(structure: Structure) -> tuple[np.ndarray, bool]:
    """Shock of each row, numbered in order of unit and period; whether every row is its own shock."""
    rows = len(structure.unit.codes)
    if structure.period is None:
        return np.arange(rows), True
    pair = structure.unit.codes.astype(np.int64) * (structure.period.max() + 1) + structure.period
    codes = np.unique(pair, return_inverse=True)[1]
    own = codes.max() + 1 == rows
    return (np.arange(rows), True) if own else (codes, False)


def first_rows(code: np.ndarray) -> np.ndarray:
    """First row of each shock (D',), by the shocks' codes (R,)."""
    return np.unique(code, return_index=True)[1]


def _slots(structure: Structure, code: np.ndarray, *, may_align: bool, may_fold: bool) -> Slots:
    first, unit = first_rows(code), structure.unit
    groups = [g.codes[first] for g in structure.groups]
    sizes = [len(g.labels) for g in structure.groups]
    return make_slots(
        unit.codes[first],
        groups,
        sizes,
        n_units=len(unit.labels),
        may_align=may_align,
        may_fold=may_fold,
    )


def _layout(cells: Cells, design: Design, structure: Structure, slots: Slots) -> Layout:
    return Layout(
        cells.family,
        structure.block,
        len(design.names),
        len(cells.labels) - 1 if cells.family == "ordinal" else 0,
        tuple(len(g.labels) for g in structure.groups),
        slots.aligned,
        slots.n_units,
        slots.columns,
        slots.slots,
        structure.period is not None,
        len(structure.phase_labels) if cells.family == "gaussian" else 0,
        _middle(cells) if cells.family == "ordinal" else 0,
    )


def _middle(cells: Cells) -> int:
    """The cutpoint with most observations on its lesser side: an empty category moves no other cutpoint."""
    below = np.cumsum(cells.stats.sum(axis=0))
    return int(np.argmax(np.minimum(below, below[-1] - below)[:-1]))


def _refuse_varying_groups(structure: Structure, code: np.ndarray) -> None:
    """Unit-period means stand for their rows only where crossed groups do not vary within them."""
    first = first_rows(code)
    for g in structure.groups:
        if np.any(g.codes != g.codes[first][code]):
            raise SpecError(
                f"group {g.name!r} varies within unit-periods, which share one shock in a Gaussian model; "
                f"hold the shock at zero with priors={{'sd_shock': hb.fixed(0)}} or leave the group out."
            )


def _problem(
    cells: Cells,
    design: Design,
    structure: Structure,
    slots: Slots,
    code: np.ndarray,
    *,
    order: np.ndarray | None,
) -> Problem:
    """Rows on the grid of slots and columns or, where several share a shock, in `order` (R,), padded."""
    stats = (
        ordinal_statistics(cells.stats).T
        if cells.family == "ordinal"
        else np.column_stack([cells.n, cells.stats])
    )
    first = first_rows(code)
    put: Callable[[np.ndarray], np.ndarray]
    if order is None:
        put, shock = slots.put, np.zeros(0, np.int32)
        groups = _put_groups(structure, slots, first)
    else:
        put, stored = partial(_in_order, order=order), slots.position[code][order]
        pad = bucket(len(order)) - len(order)
        shock = np.concatenate([stored, np.full(pad, slots.size - 1)]).astype(np.int32)
        groups = tuple(put(g.codes).astype(np.int32) for g in structure.groups)
    return Problem(
        put(stats.astype(float)),
        put(np.zeros(len(code))),
        put(design.X),
        groups,
        shock,
        slots.put(structure.basis[first].astype(float)),
        slots.column,
        _class(structure, slots),
        cells.stats.sum(axis=0) if cells.family == "ordinal" else np.zeros(0),
        above(cells.values),
    )


def _in_order(rows: np.ndarray, *, order: np.ndarray) -> np.ndarray:
    """Rows (R, ...) in an order, padded with zeros, along the last axis (..., R')."""
    made = np.zeros((*rows.shape[1:], bucket(len(order))), rows.dtype)
    made[..., : len(order)] = rows[order].T
    return made


def above(values: np.ndarray) -> np.ndarray:
    """How many values lie above 0, 1, ..., from their histogram (V, 2); padded with zeros."""
    if not len(values):
        return np.zeros(0)
    counts = np.bincount(values[:, 0].astype(int), values[:, 1])
    more = counts[::-1].cumsum()[::-1][1:]
    return np.concatenate([more, np.zeros(bucket(len(more) + 1) - len(more))])


def _put_groups(structure: Structure, slots: Slots, first: np.ndarray) -> tuple[np.ndarray, ...]:
    made = []
    for g, aligned in zip(structure.groups, slots.aligned, strict=True):
        level = np.indices((slots.slots, slots.columns))[0] if aligned else slots.put(g.codes[first])
        made.append(level.astype(np.int32))
    return tuple(made)


def _class(structure: Structure, slots: Slots) -> np.ndarray:
    made = np.zeros(slots.n_units, np.int32)
    made[: len(structure.unit_class)] = structure.unit_class
    return made


def _means(
    cells: Cells,
    design: Design,
    structure: Structure,
    slots: Slots,
    code: np.ndarray,
    *,
    centre: float,
    scale: float,
) -> Means:
    """Rows summed to unit-periods; what varies within them goes into the scatter by residual SD."""
    y, ss = (cells.stats[:, 0] - centre) / scale, cells.stats[:, 1] / scale**2
    first = first_rows(code)
    size, n = len(first), cells.n
    total = np.bincount(code, n, size)
    rows = np.column_stack([design.X, y])
    mean = (
        np.stack([np.bincount(code, n * rows[:, j], size) for j in range(rows.shape[1])], axis=1)
        / total[:, None]
    )
    moved = rows - mean[code]
    phases = len(structure.phase_labels)
    within = np.stack([(n * (structure.phase == g) * moved.T) @ moved for g in range(phases)])
    within[:, -1, -1] += np.bincount(structure.phase, ss, phases)
    basis = structure.basis[first].astype(float)
    columns = make_columns(
        mean[:, :-1],
        basis=basis,
        unit=structure.unit.codes[first],
        groups=[g.codes[first] for g in structure.groups],
        sizes=[len(g.labels) for g in structure.groups],
        n_units=slots.n_units,
        put=slots.put,
    )
    observations = np.ones_like(n) if cells.is_precision else n
    counts = np.bincount(structure.phase, observations, phases)
    part = Part(
        slots.put(total),
        slots.put(mean[:, -1]),
        columns.own,
        np.moveaxis(columns.rest, 0, 1),
        _put_groups(structure, slots, first),
        slots.put(basis),
        _class(structure, slots),
        slots.put(np.eye(phases)[structure.phase[first]]),
    )
    return Means(
        in_parts(part, n_outer=sum(columns.level.shape)), columns.level, columns.share, within, counts
    )


def _focus(cells: Cells, structure: Structure, layout: Layout, place: np.ndarray) -> Focus:
    """Treated rows and their weights, by slot and unit; `place` (R,) says where each row is stored."""
    treated = np.flatnonzero(structure.exposure > 0)
    steps = np.diff(category_values(cells.labels)) if cells.family == "ordinal" else np.ones(1)
    usual = int(USUAL_SHARE * layout.slots) if treated.size and any(layout.aligned) else 1
    return focus_on(place[treated], structure.unit.codes[treated], cells.n[treated], steps=steps, usual=usual)

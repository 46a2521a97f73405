"""A model as arrays: cells, columns, groups and priors laid out for the samplers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import logit

from hitlbayes.errors import SpecError
from hitlbayes.fitting.slots import Slots, bucket, make_slots
from hitlbayes.inference.blocks import BLOCKS
from hitlbayes.inference.effects import Focus
from hitlbayes.inference.marginal import Means
from hitlbayes.inference.problem import Beliefs, Layout, Problem
from hitlbayes.spec.cells import Cells, category_values
from hitlbayes.spec.families import ordinal_statistics
from hitlbayes.spec.predictor import Design
from hitlbayes.spec.priors import Prior, default_priors, override

BEND = 0.1  # of the outcome's SD, a logit or a log point: scales below it may as well be zero


@dataclass(frozen=True, slots=True, eq=False)
class Grouping:
    """A grouping factor: the level of each cell (R,), and the levels' labels."""

    name: str
    codes: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class Structure:
    """How units, periods and treatment enter a model.

    block : name of the unit's block (`hitlbayes.inference.blocks`)
    unit, groups : the primary grouping and the crossed ones
    basis : (R, q) of the block; exposure : (R,) treated now; unit_class : (N,) factor of each unit's block
    period : (R,) codes that separate a unit's shocks, or None for no shocks
    phase, phase_labels : which residual SD applies (Gaussian)
    """

    block: str
    unit: Grouping
    groups: tuple[Grouping, ...]
    basis: np.ndarray
    exposure: np.ndarray
    unit_class: np.ndarray
    period: np.ndarray | None
    phase: np.ndarray
    phase_labels: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """What the samplers are given, and what its parts are called.

    centre, scale : what was taken off a Gaussian outcome and divided by (0 and 1 otherwise)
    start : (k,) hyperparameters from which the search for the mode begins
    outer : (m,) outer parameters likewise
    """

    cells: Cells
    design: Design
    structure: Structure
    layout: Layout
    data: Problem | Means
    beliefs: Beliefs
    focus: Focus
    priors: dict[str, Prior]
    start: np.ndarray
    outer: np.ndarray
    centre: float
    scale: float


def above(values: np.ndarray) -> np.ndarray:
    """How many values lie above 0, 1, ..., from their histogram (V, 2); padded with zeros."""
    if not len(values):
        return np.zeros(0)
    counts = np.bincount(values[:, 0].astype(int), values[:, 1])
    more = counts[::-1].cumsum()[::-1][1:]
    return np.concatenate([more, np.zeros(bucket(len(more) + 1) - len(more))])


def scale_names(cells: Cells, structure: Structure) -> list[str]:
    """Signed scales of a model: the block's, the crossed groups', the shock's, the overdispersion."""
    single = structure.block == "level" and structure.unit.name != "unit"
    block = [f"sd_{structure.unit.name}"] if single else [f"sd_{s}" for s in BLOCKS[structure.block].scales]
    return (
        block
        + [f"sd_{g.name}" for g in structure.groups]
        + (["sd_shock"] if structure.period is not None else [])
        + (["overdispersion"] if cells.family == "count" else [])
    )


def correlation_names(structure: Structure) -> list[str]:
    """Correlations of a structure's unit block."""
    return [f"rho_{name}" for name in BLOCKS[structure.block].correlations]


def build_model(
    cells: Cells, design: Design, structure: Structure, *, priors: Mapping[str, Prior] | None = None
) -> Model:
    """Lay out cells, columns and groups for the samplers, with the priors as numbers."""
    refuse_constant(cells)
    gaussian = cells.family == "gaussian"
    mean = cells.mean()
    location, spread = (
        (float(np.average(mean, weights=cells.n)), outcome_scale(cells)) if gaussian else (0.0, 1.0)
    )
    chosen = _priors(cells, design, structure, location=location, scale=spread, priors=priors)
    layout, slots, shock, row_order = _layout(cells, design, structure)
    beliefs = _beliefs(cells, design, structure, layout, chosen, centre=location, scale=spread)
    make = _means if gaussian else _problem
    data = make(cells, design, structure, slots, shock, row_order, centre=location, scale=spread)
    focus = _focus(cells, structure, layout, row_order, slots if not len(shock) else None)
    start, outer = _starts(cells, structure, layout, spread)
    return Model(
        cells, design, structure, layout, data, beliefs, focus, chosen, start, outer, location, spread
    )


def outcome_scale(cells: Cells) -> float:
    """SD of a Gaussian outcome's cell means."""
    return float(np.std(cells.mean()))


def refuse_constant(cells: Cells) -> None:
    """Refuse an outcome that never varies.

    Raises
    ------
    SpecError
        The outcome is the same in every observation: there is nothing to estimate.
    """
    if cells.family == "ordinal":
        constant = np.count_nonzero(cells.stats.sum(axis=0)) < 2
    elif cells.family == "bernoulli":
        constant = cells.stats.sum() in (0.0, cells.n.sum())
    elif cells.family == "count":
        constant = len(cells.values) < 2
    else:
        constant = not np.std(cells.mean()) > 0
    if constant:
        raise SpecError(
            f"the outcome is the same in all {int(cells.n.sum()):,} observations: nothing to estimate. "
            f"Check that the right column was named."
        )


def _priors(cells, design: Design, structure, *, location: float, scale: float, priors) -> dict[str, Prior]:
    aux = {"gaussian": ["sigma"], "ordinal": ["cutpoints"]}.get(cells.family, [])
    if cells.family in ("bernoulli", "count"):
        rate = float(np.clip(cells.stats.sum() / cells.n.sum(), 1e-6, None))
        location = float(logit(min(rate, 1 - 1e-6))) if cells.family == "bernoulli" else float(np.log(rate))
    defaults = default_priors(
        scale=scale, location=location, coefs=design.names, scales=scale_names(cells, structure), aux=aux
    )
    return override(defaults, priors)


def _layout(
    cells: Cells, design: Design, structure: Structure
) -> tuple[Layout, Slots, np.ndarray, np.ndarray]:
    """Layout, slots, shock of each row (empty where rows are shocks), and the rows' order or positions.

    `row_order` holds, where rows are shocks, each row's slot; else the order in which rows are stored.
    """
    unit, n_units = structure.unit.codes, len(structure.unit.labels)
    groups = [g.codes for g in structure.groups]
    sizes = [len(g.labels) for g in structure.groups]
    shock_code, own = _shock_codes(structure)
    first = np.unique(shock_code, return_index=True)[1]
    if cells.family == "gaussian" and not own:
        _refuse_varying_groups(structure, shock_code, first)
    collapse = cells.family == "gaussian" or own
    slots = make_slots(unit[first], [g[first] for g in groups], sizes, n_units=n_units, may_align=collapse)
    shock = np.zeros(0, np.int64) if own else slots.position[shock_code]
    row_order = slots.position if own else np.argsort(shock, kind="stable")
    n_cut = len(cells.labels) - 1 if cells.family == "ordinal" else 0
    n_aux = len(structure.phase_labels) if cells.family == "gaussian" else 0
    layout = Layout(
        cells.family,
        structure.block,
        len(design.names),
        n_cut,
        tuple(sizes),
        slots.aligned,
        slots.n_units,
        slots.slots,
        structure.period is not None,
        n_aux,
    )
    return layout, slots, shock, row_order


def _shock_codes(structure: Structure) -> tuple[np.ndarray, bool]:
    """Shock of each row, numbered in order of unit and period; whether every row is its own shock."""
    rows = len(structure.unit.codes)
    if structure.period is None:
        return np.arange(rows), True
    pair = structure.unit.codes.astype(np.int64) * (structure.period.max() + 1) + structure.period
    codes = np.unique(pair, return_inverse=True)[1]
    own = codes.max() + 1 == rows
    return (np.arange(rows), True) if own else (codes, False)


def _refuse_varying_groups(structure: Structure, code: np.ndarray, first: np.ndarray) -> None:
    """Unit-period means stand for their rows only where crossed groups do not vary within them."""
    for g in structure.groups:
        if np.any(g.codes != g.codes[first][code]):
            raise SpecError(
                f"group {g.name!r} varies within unit-periods, which share one shock in a Gaussian model; "
                f"hold the shock at zero with priors={{'sd_shock': hb.fixed(0)}} or leave the group out."
            )


def _beliefs(
    cells, design: Design, structure, layout: Layout, chosen, *, centre: float, scale: float
) -> Beliefs:
    coefs = [chosen[name] for name in design.names]
    loc = np.array(
        [
            p.loc - (centre if name == "intercept" else 0.0)
            for name, p in zip(design.names, coefs, strict=True)
        ]
    )
    names = scale_names(cells, structure)
    fixed = np.full(layout.n_hyper, np.nan)
    for j, name in enumerate(names):
        if chosen[name].kind == "fixed":
            fixed[j] = chosen[name].loc / scale
    for j, name in enumerate(BLOCKS[structure.block].correlations):
        # A correlation with an effect that is left out has nothing to learn from.
        if 0.0 in (fixed[0], fixed[BLOCKS[structure.block].scales.index(name)]):
            fixed[layout.n_scales + j] = 0.0
    scale_sd = np.array([1.0 if chosen[n].kind == "fixed" else chosen[n].scale / scale for n in names])
    aux_sd = np.full(layout.n_aux, chosen["sigma"].scale / scale if layout.n_aux else 1.0)
    concentration = np.full(layout.n_cut + 1, chosen["cutpoints"].scale if layout.n_cut else 1.0)
    coef_sd = np.array([p.scale / scale for p in coefs])
    return Beliefs(
        loc / scale,
        coef_sd,
        scale_sd,
        np.array(chosen["rho"].scale),
        aux_sd,
        concentration,
        fixed,
        np.full(layout.n_scales, BEND),
        np.zeros(len(BLOCKS[structure.block].correlations)),
        np.zeros(len(BLOCKS[structure.block].correlations)),
    )


def _put_groups(structure: Structure, slots: Slots, first: np.ndarray) -> tuple[np.ndarray, ...]:
    made = []
    for g, aligned in zip(structure.groups, slots.aligned, strict=True):
        level = np.indices((slots.slots, slots.n_units))[0] if aligned else slots.put(g.codes[first])
        made.append(level.astype(np.int32))
    return tuple(made)


def _basis(structure: Structure, slots: Slots, first: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return slots.put(structure.basis[first].astype(float)), _class(structure, slots)


def _problem(
    cells, design, structure, slots: Slots, shock, row_order, *, centre: float, scale: float
) -> Problem:
    stats = (
        ordinal_statistics(cells.stats).T
        if cells.family == "ordinal"
        else np.column_stack([cells.n, cells.stats])
    )
    categories = cells.stats.sum(axis=0) if cells.family == "ordinal" else np.zeros(0)
    if not len(shock):
        first = np.arange(len(cells.n))
        basis, unit_class = _basis(structure, slots, first)
        groups = _put_groups(structure, slots, first)
        return Problem(
            slots.put(stats.astype(float)),
            np.zeros((slots.slots, slots.n_units)),
            slots.put(design.X),
            groups,
            np.zeros(0, np.int32),
            basis,
            unit_class,
            categories,
            above(cells.values),
        )
    first = row_order[np.unique(shock[row_order], return_index=True)[1]]
    basis = np.zeros((structure.basis.shape[1], slots.size))
    basis[:, shock[first]] = structure.basis[first].T
    unit_class = _class(structure, slots)
    pad = bucket(len(row_order)) - len(row_order)

    def rows(a: np.ndarray) -> np.ndarray:
        return np.concatenate([a[row_order], np.zeros((pad, *a.shape[1:]), a.dtype)])

    last = np.concatenate([shock[row_order], np.full(pad, slots.size - 1)]).astype(np.int32)
    groups = tuple(rows(g.codes).astype(np.int32) for g in structure.groups)
    return Problem(
        columns(rows(stats.astype(float))),
        np.zeros(len(last)),
        columns(rows(design.X)),
        groups,
        last,
        basis.reshape(-1, slots.slots, slots.n_units),
        unit_class,
        categories,
        above(cells.values),
    )


def columns(rows: np.ndarray) -> np.ndarray:
    """Rows (R, P) stored by column (P, R)."""
    return np.ascontiguousarray(rows.T)


def _class(structure: Structure, slots: Slots) -> np.ndarray:
    made = np.zeros(slots.n_units, np.int32)
    made[: len(structure.unit_class)] = structure.unit_class
    return made


def _means(cells, design, structure, slots: Slots, shock, row_order, *, centre: float, scale: float) -> Means:
    """Rows summed to unit-periods; what varies within them goes into the scatter by residual SD."""
    y, ss = (cells.stats[:, 0] - centre) / scale, cells.stats[:, 1] / scale**2
    code = _shock_codes(structure)[0]
    first = np.unique(code, return_index=True)[1]
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
    observations = np.ones_like(n) if cells.is_precision else n
    counts = np.bincount(structure.phase, observations, phases)
    basis, unit_class = _basis(structure, slots, first)
    return Means(
        slots.put(total),
        slots.put(mean[:, -1]),
        slots.put(mean[:, :-1]),
        _put_groups(structure, slots, first),
        basis,
        unit_class,
        slots.put(structure.phase[first].astype(np.int32)),
        within,
        counts,
    )


def _focus(cells: Cells, structure: Structure, layout: Layout, row_order, slots: Slots | None) -> Focus:
    """Treated rows and their weights; positions are slots, or places in the stored order of rows."""
    treated = np.flatnonzero(structure.exposure > 0)
    if slots is not None:
        place = row_order
    else:
        place = np.empty(len(row_order), np.int64)
        place[row_order] = np.arange(len(row_order))
    unit, n = structure.unit.codes[treated], cells.n[treated]
    by_unit = np.bincount(unit, n, layout.n_units)
    # Half the slots whatever the scope, so that scopes share programs; none where nothing is treated.
    room = layout.n_shocks // 2 if len(treated) else 1
    pad = (room if room >= len(treated) else bucket(len(treated))) - len(treated)

    def padded(a: np.ndarray) -> np.ndarray:
        return np.concatenate([a, np.zeros(pad, a.dtype)])

    steps = np.diff(category_values(cells.labels)) if cells.family == "ordinal" else np.ones(1)
    return Focus(
        padded(place[treated]).astype(np.int32),
        padded(unit).astype(np.int32),
        padded(n / max(n.sum(), 1e-300)),
        padded(np.full(len(treated), 1.0 / max(len(treated), 1))),
        padded(n / by_unit[unit]),
        steps,
    )


def _starts(
    cells: Cells, structure: Structure, layout: Layout, spread: float
) -> tuple[np.ndarray, np.ndarray]:
    """Rough hyperparameters and outer parameters: tenths for scales, the data's shares for cutpoints."""
    psi = np.zeros(layout.n_hyper)
    psi[: layout.n_scales] = np.arcsinh(0.2 / BEND)
    outer = np.zeros(layout.n_outer)
    if cells.family == "gaussian":
        within = np.sum(cells.stats[:, 1]) / spread**2 / max(np.sum(cells.n) - len(cells.n), 1.0)
        psi[layout.n_hyper - layout.n_aux :] = 0.5 * np.log(within if within > 0 else 0.3)
    if cells.family == "ordinal":
        share = (cells.stats.sum(axis=0) + 0.5) / (cells.stats.sum() + 0.5 * len(cells.labels))
        cut = logit(np.cumsum(share)[:-1])
        outer[layout.n_outer - layout.n_cut :] = np.concatenate([cut[:1], np.log(np.diff(cut))])
    return psi, outer


def encode(values: pd.Series, *, name: str) -> Grouping:
    """A column as a grouping factor, its levels in sorted order."""
    codes, labels = pd.factorize(values, sort=True)
    return Grouping(name, codes.astype(np.int64), np.asarray(labels))


def crossed(keys: pd.DataFrame, names: Sequence[str]) -> tuple[Grouping, ...]:
    """Grouping factors of several columns."""
    return tuple(encode(keys[name], name=str(name)) for name in names)

"""A model: what is believed, where to begin, and the arrays that the samplers are given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import logit

from hitlbayes.errors import SpecError
from hitlbayes.fitting.arrays import lay_out
from hitlbayes.fitting.structure import Structure
from hitlbayes.inference.blocks import BLOCKS
from hitlbayes.inference.effects import Focus
from hitlbayes.inference.marginal import Means
from hitlbayes.inference.problem import Beliefs, Layout, Problem
from hitlbayes.spec.cells import Cells
from hitlbayes.spec.predictor import Design
from hitlbayes.spec.priors import Prior, default_priors, override

BEND = 0.1  # of the outcome's SD, a logit or a log point: scales below it may as well be zero


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
    layout, data, focus = lay_out(cells, design, structure, centre=location, scale=spread)
    beliefs = _beliefs(cells, design, structure, layout, chosen, centre=location, scale=spread)
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
        constant = int(np.count_nonzero(cells.stats.sum(axis=0))) < 2
    elif cells.family == "bernoulli":
        constant = float(cells.stats.sum()) in (0.0, float(cells.n.sum()))
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
        np.zeros(()),
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
        outer[layout.n_outer - layout.n_cut :] = np.append(cut[layout.middle], np.log(np.diff(cut)))
    return psi, outer

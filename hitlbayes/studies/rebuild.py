"""The model behind a fit, made again from what the fit keeps: cells, columns, structure."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import jax
import numpy as np
import pandas as pd

from hitlbayes.errors import SpecError
from hitlbayes.fitting.arrays import first_rows, shock_codes
from hitlbayes.fitting.structure import Structure
from hitlbayes.fitting.unit_likelihood import UnitData
from hitlbayes.inference.blocks import BLOCKS
from hitlbayes.inference.runtime import session
from hitlbayes.result import Fit
from hitlbayes.spec.cells import Cells
from hitlbayes.spec.predictor import Design, did_design, mixed_design
from hitlbayes.studies.mixed import crossed_levels
from hitlbayes.studies.structure import did_structure, ever_treated


@dataclass(frozen=True, slots=True, eq=False)
class Rebuilt:
    """Cells, columns and structure of a fit."""

    cells: Cells
    design: Design
    structure: Structure

    def raw_columns(self) -> np.ndarray:
        """Columns (R, P) on the scale of the data, to be multiplied by the draws of `coef`."""
        return self.design.X * self.design.scale + self.design.centre


def rebuild(fit: Fit) -> Rebuilt:
    """Cells, columns and structure of a fit of `fit_did` or `fit_mixed`.

    Raises
    ------
    SpecError
        The fit is of another study.
    """
    told = fit.spec
    if told["study"] not in ("did", "mixed"):
        raise SpecError(f"{fit.name} is a {told['study']}; this is for fits of fit_did and fit_mixed.")
    names = [c for c in fit.cells if str(c).startswith("statistic_")]
    precision = told.get("precision") is not None or (fit.means is not None and "precision" in fit.means)
    cells = Cells(
        fit.cells.drop(columns=[*names, "unit_code", "exposure", "n"]).reset_index(drop=True),
        fit.family,
        fit.cells["n"].to_numpy(float),
        fit.cells[names].to_numpy(float),
        tuple(fit.labels),
        is_precision=bool(precision),
    )
    if told["study"] == "mixed":
        structure = crossed_levels(cells, groups=told["groups"])
        return Rebuilt(cells, mixed_design(cells, formula=told["formula"]), structure)
    posterior = fit.posterior["posterior"]
    structure = did_structure(
        cells,
        groups=told["groups"],
        shock="sd_shock" in posterior,
        by_phase="sigma" in posterior and posterior["sigma"].sizes["phase"] > 1,
    )
    design = did_design(
        cells,
        exposure=structure.exposure,
        treated=ever_treated(structure),
        unit=structure.unit.codes,
        period=structure.groups[0].codes,
        formula=told["formula"],
    )
    if list(design.names) != list(told["coef"]):
        raise SpecError(f"the columns of {fit.name} cannot be made again from its cells: it was changed.")
    return Rebuilt(cells, design, structure)


def unit_data(made: Rebuilt) -> UnitData:
    """The cells by row, shock and unit."""
    cells, structure = made.cells, made.structure
    code = shock_codes(structure)[0]
    first = first_rows(code)
    stats = cells.stats.T if cells.family == "ordinal" else np.vstack([cells.n, cells.stats.T])
    return UnitData(
        stats.astype(float),
        code,
        structure.unit.codes[first],
        structure.basis[first].astype(float),
        structure.unit_class,
        structure.phase,
    )


@dataclass(frozen=True, slots=True, eq=False)
class Shared:
    """Draws (B, ...) of what units share.

    outer : (B, R) their part of the linear predictor; factor : (B, classes, q, q) of the unit's block
    sigma : (B, phases); cut : (B, K - 1); shock : (B,) SD of shocks
    """

    outer: np.ndarray
    factor: np.ndarray
    sigma: np.ndarray
    cut: np.ndarray
    shock: np.ndarray


def shared_draws(fit: Fit, made: Rebuilt, picked: np.ndarray) -> Shared:
    """Draws of what units share, at positions `picked` (B,) of the chains one after the other."""
    posterior, structure = fit.posterior["posterior"], made.structure

    def of(name: str) -> np.ndarray:
        values = posterior[name].to_numpy()
        return values.reshape(-1, *values.shape[2:])[picked]

    outer = of("coef") @ made.raw_columns().T
    for group in structure.groups:
        outer += of(group.name)[:, group.codes]
    block = BLOCKS[structure.block]
    single = structure.block == "level" and structure.unit.name != "unit"
    names = [f"sd_{structure.unit.name}"] if single else [f"sd_{s}" for s in block.scales]
    scales = np.stack([of(name) for name in names], axis=1)
    rho = [of(f"rho_{name}") for name in block.correlations]
    correlations = np.stack(rho, axis=1) if rho else np.zeros((len(picked), 0))
    with session():
        factor = np.asarray(_factors(scales, correlations, block=structure.block))
    none = np.zeros((len(picked), 0))
    return Shared(
        outer,
        factor,
        of("sigma") if "sigma" in posterior else none,
        of("cutpoints") if "cutpoints" in posterior else none,
        of("sd_shock") if "sd_shock" in posterior else np.zeros(len(picked)),
    )


@partial(jax.jit, static_argnames="block")
def _factors(scales: jax.Array, rho: jax.Array, *, block: str) -> jax.Array:
    return jax.vmap(BLOCKS[block].factor)(scales, rho)


def keys_of(fit: Fit) -> pd.Index:
    """Labels of the units (N,), in the order of the draws."""
    return pd.Index(fit.posterior["posterior"][f"{fit.unit_name}_level"][fit.unit_name].to_numpy())

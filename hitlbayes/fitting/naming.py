"""Draws of the samplers' arrays as named variables on the scale of the data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from hitlbayes.fitting.model import Model, correlation_names, scale_names
from hitlbayes.inference.blocks import BLOCKS
from hitlbayes.inference.hyper import natural
from hitlbayes.inference.problem import Beliefs, cutpoints

AVERAGE = "unit_average"


def unit_dims(model: Model) -> dict[str, str]:
    """Name of each variable of the size of the units, and of its last dimension."""
    level = model.structure.unit.name
    names = {f"{level}_level": level}
    names |= {f"{level}_change": level} if model.layout.width > 1 else {}
    if model.structure.exposure.any():
        names |= {f"{level}_effect": level}
        names |= {AVERAGE: "unit"} if model.cells.family != "gaussian" else {}
    return names


def unit_draws(
    model: Model, unit: np.ndarray, own: np.ndarray, average: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """Draws (..., N) of the units' variables, from blocks (..., N', q), effects and averages (..., N')."""
    n, level, scale = len(model.structure.unit.labels), model.structure.unit.name, model.scale
    found = {f"{level}_level": unit[..., :n, 0] * scale}
    if model.layout.width > 1:
        found[f"{level}_change"] = unit[..., :n, 1] * scale
    if model.structure.exposure.any():
        found[f"{level}_effect"] = own[..., :n] * scale
        if average is not None:
            found[AVERAGE] = average[..., :n]
    return found


def dataset_of_units(model: Model, draws: Mapping[str, np.ndarray]) -> xr.Dataset:
    """The units' variables, arrays (chains, draws, N) by name, with their dimensions."""
    dims = unit_dims(model)
    return xr.Dataset({name: (("chain", "draw", dims[name]), values) for name, values in draws.items()})


def posterior_of(
    model: Model, psi: np.ndarray, outer: np.ndarray, units: xr.Dataset, *, beliefs: Beliefs
) -> xr.Dataset:
    """Draws (chain, draw, ...) of every parameter under its name; `units` may be read lazily."""
    structure, design, scale = model.structure, model.design, model.scale
    coef = outer[..., : model.layout.n_coef] / design.scale
    shift = np.sum(coef * design.centre, axis=-1)
    coef = coef * scale
    if "intercept" in design.names:
        coef[..., design.names.index("intercept")] += model.centre - shift * scale
    data: dict[str, Any] = {"coef": (("chain", "draw", "term"), coef)}
    data |= _hyper(model, psi, beliefs) | _outer(model, outer, shift)
    data |= {str(name): values.variable for name, values in units.data_vars.items() if name != AVERAGE}
    coords: dict[str, Any] = {f"{g.name}_level": plain_labels(g.labels) for g in structure.groups}
    coords |= {structure.unit.name: plain_labels(structure.unit.labels), "term": list(design.names)}
    coords |= {"phase": list(structure.phase_labels)} if model.layout.n_aux else {}
    return xr.Dataset(data, coords=coords)


def _outer(model: Model, outer: np.ndarray, shift: np.ndarray) -> dict[str, Any]:
    """Levels of the crossed groups, and cutpoints at uncentred covariates."""
    layout, data = model.layout, {}
    start = layout.n_coef
    for group, size in zip(model.structure.groups, layout.n_levels, strict=True):
        levels = outer[..., start : start + size] * model.scale
        data[group.name] = (("chain", "draw", f"{group.name}_level"), levels)
        start += size
    if layout.n_cut:
        cut = cutpoints(outer[..., start:], layout.middle, xp=np)
        data["cutpoints"] = (("chain", "draw", "cutpoint"), cut + shift[..., None])
    return data


def _hyper(model: Model, psi: np.ndarray, beliefs: Beliefs) -> dict[str, Any]:
    """Scales without their sign, correlations with it, and residual SDs."""
    layout, structure, dims = model.layout, model.structure, ("chain", "draw")
    block, beliefs = BLOCKS[layout.block], Beliefs(*map(np.asarray, beliefs))
    scale, atanh, log_sigma, _ = natural(psi, layout, beliefs, xp=np)
    names = scale_names(model.cells, structure)
    data: dict[str, Any] = {name: (dims, np.abs(scale[..., j]) * model.scale) for j, name in enumerate(names)}
    for j, (name, partner) in enumerate(zip(correlation_names(structure), block.correlations, strict=True)):
        sign = np.sign(scale[..., 0] * scale[..., block.scales.index(partner)])
        data[name] = (dims, np.tanh(atanh[..., j]) * np.where(sign == 0, 1.0, sign))
    if layout.n_aux:
        data["sigma"] = ((*dims, "phase"), np.exp(log_sigma) * model.scale)
    return data


def plain_labels(labels: np.ndarray) -> np.ndarray:
    """Labels as a plain numpy array that netCDF and zarr can hold."""
    labels = np.asarray(labels)
    if labels.dtype.kind in "iufbM":
        return labels
    return np.array([str(v) for v in labels])

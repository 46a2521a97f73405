"""Run the sampler that a model calls for, and give its draws their names.

Gaussian models are integrated (`hitlbayes.inference.gaussian`); where the importance weights cannot be
trusted, No-U-Turn draws of the hyperparameters take their place. The others are sampled in Laplace
coordinates (`hitlbayes.inference.sampler`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from hitlbayes.errors import SpecError
from hitlbayes.fitting.model import Model, correlation_names, scale_names
from hitlbayes.inference.blocks import BLOCKS
from hitlbayes.inference.gaussian import sample_means
from hitlbayes.inference.laplace import State
from hitlbayes.inference.nuts import sample_means_by_nuts
from hitlbayes.inference.problem import Beliefs, natural
from hitlbayes.inference.psis import TRUSTED_K
from hitlbayes.inference.runtime import Progress, session, silent
from hitlbayes.inference.sampler import sample


@dataclass(frozen=True, slots=True, eq=False)
class Draws:
    """Draws by name, and how they were made.

    posterior, effects, sample_stats : datasets with dimensions chain and draw
    sampler : in words
    k_hat, effective : of the importance weights, NaN where there are none
    """

    posterior: xr.Dataset
    effects: xr.Dataset
    sample_stats: xr.Dataset
    sampler: str
    k_hat: float
    effective: float


def run(
    model: Model,
    *,
    draws: int,
    chains: int,
    seed: int,
    device: str | None = None,
    progress: Progress = silent,
) -> Draws:
    """Draws of the posterior of a model, `draws` in each of `chains` chains.

    Raises
    ------
    SpecError
        The device is not on this machine; it says which are.
    """
    with session(), on_device(device):
        if model.cells.family == "gaussian":
            return _run_gaussian(model, draws=draws, chains=chains, seed=seed, progress=progress)
        return _run_hmc(model, draws=draws, chains=chains, seed=seed, progress=progress)


@contextmanager
def on_device(name: str | None) -> Iterator[None]:
    """Compute on the first device of a kind; None leaves the choice to JAX."""
    if name is None:
        yield
        return
    found = {"cpu"} | {d.platform for d in jax.devices()}
    if name not in found:
        raise SpecError(f"device {name!r} is not on this machine; it has: {', '.join(sorted(found))}.")
    with jax.default_device(jax.devices(name)[0]):
        yield


def _run_gaussian(model: Model, *, draws: int, chains: int, seed: int, progress: Progress) -> Draws:
    sampled = sample_means(
        model.start,
        model.data,
        model.beliefs,
        layout=model.layout,
        draws=draws * chains,
        seed=seed,
        progress=progress,
    )
    sampler, diverging = "exact marginal, importance sampling", np.zeros((chains, draws), bool)
    if not sampled.k_hat < TRUSTED_K:
        sampler = f"exact marginal, NUTS (the importance weights had k-hat {sampled.k_hat:.2f})"
        sampled, diverging = sample_means_by_nuts(
            sampled.psi.mean(axis=0),
            model.data,
            sampled.beliefs,
            layout=model.layout,
            draws=draws,
            chains=chains,
            seed=seed,
            progress=progress,
        )

    def shaped(a: np.ndarray) -> np.ndarray:
        return np.asarray(a).reshape(chains, draws, *np.shape(a)[1:])

    drawn = map(shaped, (sampled.psi, sampled.outer, sampled.unit, sampled.own))
    posterior = _posterior(model, *drawn, beliefs=sampled.beliefs)
    stats = xr.Dataset({"diverging": (("chain", "draw"), diverging)})
    exact = shaped(sampled.outer_mean)[..., : model.layout.n_coef] * model.scale / model.design.scale
    stats["coef_mean"] = (("chain", "draw", "term"), exact)
    return Draws(posterior, xr.Dataset(), stats, sampler, sampled.k_hat, sampled.effective)


def _run_hmc(model: Model, *, draws: int, chains: int, seed: int, progress: Progress) -> Draws:
    layout = model.layout
    state = State(
        jnp.asarray(model.start),
        jnp.asarray(model.outer),
        jnp.zeros((layout.n_units, layout.width)),
        jnp.zeros((layout.slots, layout.n_units)),
    )
    sampled = sample(
        state,
        model.data,
        model.beliefs,
        model.focus,
        layout=layout,
        draws=draws,
        chains=chains,
        seed=seed,
        progress=progress,
    )
    r = jax.tree.map(np.asarray, sampled.record)
    psi, outer, unit, drawn = r.kept
    posterior = _posterior(model, psi, outer, unit, drawn.own, beliefs=sampled.beliefs)
    n = len(model.structure.unit.labels)
    effects = xr.Dataset()
    if model.structure.exposure.any():
        effects["average"] = (("chain", "draw", "weight", "step"), drawn.average)
        effects["unit_average"] = (("chain", "draw", "unit"), drawn.unit[..., :n])
        effects = effects.assign_coords(weight=["chat", "cell"])
    stats = xr.Dataset(
        {
            "diverging": (("chain", "draw"), r.diverged),
            "acceptance": (("chain", "draw"), r.acceptance),
            "angle": sampled.angle,
        }
    )
    return Draws(
        posterior, effects, stats, "split Hamiltonian in Laplace coordinates", float("nan"), float("nan")
    )


def _posterior(
    model: Model, psi: np.ndarray, outer: np.ndarray, unit: np.ndarray, own: np.ndarray, *, beliefs: Beliefs
) -> xr.Dataset:
    """Draws (chain, draw, ...) of every parameter on the scale of the data, under its name."""
    layout, structure, design = model.layout, model.structure, model.design
    n, scale = len(structure.unit.labels), model.scale
    coef = outer[..., : layout.n_coef] / design.scale
    shift = np.sum(coef * design.centre, axis=-1)
    data: dict[str, Any] = {}
    coef = coef * scale
    if "intercept" in design.names:
        coef[..., design.names.index("intercept")] += model.centre - shift * scale
    data["coef"] = (("chain", "draw", "term"), coef)
    data |= _hyper(model, psi, beliefs)
    start = layout.n_coef
    for group, size in zip(structure.groups, layout.n_levels, strict=True):
        data[group.name] = (
            ("chain", "draw", f"{group.name}_level"),
            outer[..., start : start + size] * scale,
        )
        start += size
    if layout.n_cut:
        free = outer[..., start:]
        cut = np.concatenate(
            [free[..., :1], free[..., :1] + np.cumsum(np.exp(free[..., 1:]), axis=-1)], axis=-1
        )
        data["cutpoints"] = (("chain", "draw", "cutpoint"), cut + shift[..., None])
    level, treated = structure.unit.name, structure.exposure.any()
    data[f"{level}_level"] = (("chain", "draw", level), unit[..., :n, 0] * scale)
    if layout.width > 1:
        data[f"{level}_change"] = (("chain", "draw", level), unit[..., :n, 1] * scale)
    if treated:
        data[f"{level}_effect"] = (("chain", "draw", level), own[..., :n] * scale)
    coords: dict[str, Any] = {f"{g.name}_level": plain_labels(g.labels) for g in structure.groups}
    coords |= {level: plain_labels(structure.unit.labels), "term": list(design.names)}
    coords |= {"phase": list(structure.phase_labels)} if layout.n_aux else {}
    return xr.Dataset(data, coords=coords)


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

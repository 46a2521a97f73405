"""Run the sampler that a model calls for, and give its draws their names.

Gaussian models are integrated (`hitlbayes.inference.gaussian`); where the importance weights cannot be
trusted, No-U-Turn draws of the hyperparameters take their place. The others are sampled in Laplace
coordinates (`hitlbayes.inference.sampler`), by No-U-Turn draws where split trajectories diverge.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
import xarray as xr

from hitlbayes.diagnostics import DIVERGENCE_SHARE
from hitlbayes.fitting.blocks import Store, begin, begun, lazy_units, small_draws
from hitlbayes.fitting.model import Model
from hitlbayes.fitting.naming import AVERAGE, dataset_of_units, posterior_of, unit_draws
from hitlbayes.fitting.stored import keep_effects, open_run, small_of, storage_of
from hitlbayes.inference.devices import choose_device
from hitlbayes.inference.expansion import State
from hitlbayes.inference.gaussian import BATCH, Weighed, effect_batches, sample_hyper
from hitlbayes.inference.hmc import Target
from hitlbayes.inference.marginal import Means
from hitlbayes.inference.problem import Beliefs, Problem
from hitlbayes.inference.psis import TRUSTED_K
from hitlbayes.inference.runtime import Progress, session, silent
from hitlbayes.inference.sampler import sample
from hitlbayes.inference.surrogate import flat


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
    store: str | Path | None = None,
    progress: Progress = silent,
) -> Draws:
    """Draws of the posterior of a model, `draws` in each of `chains` chains.

    Parameters
    ----------
    store : folder to keep the draws in, and to go on from; in memory by default

    Raises
    ------
    SpecError
        The device is not on this machine, or the folder is of another run.
    """
    gaussian = model.cells.family == "gaussian"
    name, why = choose_device(device, rows=len(model.cells.n), gradients=not gaussian, found=platforms())
    with session(), on_device(name):
        kept = None if store is None else open_run(store, model, draws=draws, chains=chains, seed=seed)
        task = _run_gaussian if gaussian else _run_hmc
        made = task(model, draws=draws, chains=chains, seed=seed, store=kept, progress=progress)
    return replace(made, sampler=f"{made.sampler} ({why})") if why else made


def platforms() -> set[str]:
    """Kinds of devices that JAX finds on this machine."""
    return {"cpu"} | {device.platform for device in jax.devices()}


@contextmanager
def on_device(name: str | None) -> Iterator[None]:
    """Compute on the first device of a kind; None leaves the choice to JAX."""
    if name is None:
        yield
        return
    with jax.default_device(jax.devices(name)[0]):
        yield


def _run_gaussian(
    model: Model, *, draws: int, chains: int, seed: int, store: Store | None, progress: Progress
) -> Draws:
    data = jax.device_put(model.data)
    weighed, diverging = _hyper_draws(model, data, draws, chains, seed=seed, store=store, progress=progress)
    psi, beliefs, k_hat, effective, _ = weighed

    def shaped(a: np.ndarray) -> np.ndarray:
        return np.asarray(a).reshape(chains, draws, *np.shape(a)[1:])

    progress("drawing effects", 0.7)
    if store is None:
        outer, mean, drawn = _effects_in_memory(model, weighed, data, seed=seed)
        outer, mean = shaped(outer), shaped(mean)
        units = dataset_of_units(model, {name: shaped(values) for name, values in drawn.items()})
    else:
        keep_effects(store, model, weighed, data, seed=seed, progress=progress)
        small, units = small_draws(store), lazy_units(store)
        outer, mean = small["outer"], small["outer_mean"]
    posterior = posterior_of(model, shaped(psi), outer, units, beliefs=beliefs)
    stats = xr.Dataset({"diverging": (("chain", "draw"), diverging)})
    exact = mean[..., : model.layout.n_coef] * model.scale / model.design.scale
    stats["coef_mean"] = (("chain", "draw", "term"), exact)
    if k_hat < TRUSTED_K:
        return Draws(posterior, xr.Dataset(), stats, "exact marginal, importance sampling", k_hat, effective)
    sampler = f"exact marginal, NUTS (the importance weights had k-hat {k_hat:.2f})"
    return Draws(posterior, xr.Dataset(), stats, sampler, float("nan"), float("nan"))


def _effects_in_memory(
    model: Model, weighed: Weighed, data: Means, *, seed: int
) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Outer parameters (n, m), their conditional means, and the units' variables (n, N) by name."""
    n, layout = len(weighed.psi), model.layout
    outer, mean = np.empty((n, layout.n_outer)), np.empty((n, layout.n_outer))
    blank = np.zeros((0, layout.n_units, layout.width))
    units = {
        name: np.empty((n, *values.shape[1:]))
        for name, values in unit_draws(model, blank, blank[..., 0]).items()
    }

    def keep(rows: slice, arrays: tuple[np.ndarray, ...]) -> None:
        outer[rows], mean[rows], unit, own = arrays
        for name, values in unit_draws(model, unit, own).items():
            units[name][rows] = values

    batches = range(-(-n // BATCH))
    effect_batches(weighed, data, layout=layout, seed=seed, batches=batches, keep=keep)
    return outer, mean, units


def _hyper_draws(
    model: Model, data: Means, draws: int, chains: int, *, seed: int, store: Store | None, progress: Progress
) -> tuple[Weighed, np.ndarray]:
    """Hyperparameters by importance sampling, by NUTS where its k-hat is too large, and what diverged."""
    saved = None if store is None else begun(store)
    if saved is not None:
        psi, diverging, k_hat, effective, *beliefs = saved
        return Weighed(psi, Beliefs(*jax.device_put(beliefs)), float(k_hat), float(effective)), diverging
    options: dict[str, Any] = {"layout": model.layout, "seed": seed, "progress": progress}
    weighed = sample_hyper(model.start, data, model.beliefs, draws=draws * chains, **options)
    diverging = np.zeros((chains, draws), bool)
    if not weighed.k_hat < TRUSTED_K:
        from hitlbayes.inference.nuts import sample_hyper_by_nuts  # starts NumPyro, which is seldom needed

        start = weighed.psi.mean(axis=0)
        made, diverging = sample_hyper_by_nuts(
            start, data, weighed.beliefs, draws=draws, chains=chains, **options
        )
        weighed = weighed._replace(psi=made, sums=None)
    if store is not None:
        parts = (weighed.psi, diverging, weighed.k_hat, weighed.effective, *weighed.beliefs)
        begin(store, [np.asarray(part) for part in parts])
    return weighed, diverging


def _run_hmc(
    model: Model, *, draws: int, chains: int, seed: int, store: Store | None, progress: Progress
) -> Draws:
    layout = model.layout
    state = State(
        model.start,
        model.outer,
        np.zeros((layout.n_units, layout.width)),
        np.zeros((layout.slots, layout.columns)),
    )
    assert isinstance(model.data, Problem)
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
        storage=None if store is None else storage_of(store, model),
    )
    record, sampler = sampled.record, "split Hamiltonian in Laplace coordinates"
    diverged = 0.0 if record is None else float(np.mean(record.diverged))
    if diverged > DIVERGENCE_SHARE:
        from hitlbayes.inference.nuts import sample_latent_by_nuts  # starts NumPyro, which is seldom needed

        progress("sampling again, with NUTS", 0.1)
        target = Target(sampled.anchor, jax.device_put(model.data), sampled.beliefs, flat(layout.n_hyper))
        record = sample_latent_by_nuts(
            target, jax.device_put(model.focus), layout=layout, draws=draws, chains=chains, seed=seed
        )
        sampler = f"NUTS in Laplace coordinates ({diverged:.0%} of split trajectories diverged)"
    if record is not None:
        r = jax.tree.map(np.asarray, record)
        drawn = unit_draws(model, r.kept.unit, r.kept.drawn.own, r.kept.drawn.unit)
        small, units = small_of(r), dataset_of_units(model, drawn)
    else:
        assert store is not None
        small, units = small_draws(store), lazy_units(store)
    posterior = posterior_of(model, small["psi"], small["outer"], units, beliefs=sampled.beliefs)
    effects = xr.Dataset()
    if model.structure.exposure.any():
        effects["average"] = (("chain", "draw", "weight", "step"), small["average"])
        effects[AVERAGE] = units[AVERAGE].variable
        effects = effects.assign_coords(weight=["chat", "cell"])
    stats = xr.Dataset(
        {
            "diverging": (("chain", "draw"), small["diverged"]),
            "acceptance": (("chain", "draw"), small["acceptance"]),
            "angle": sampled.angle,
        }
    )
    return Draws(posterior, effects, stats, sampler, float("nan"), float("nan"))

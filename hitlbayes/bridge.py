"""Bring your own: a PyMC model, sampled by the library's means, with the library's checks.

The models in `models/` say each study in plain PyMC, a row per chat. Copy one, change it, and hand it to
`sample`: its density is translated to JAX, with the data as arguments of the compiled program, and drawn by
NumPyro's No-U-Turn sampler (`hitlbayes.inference.general`).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np
import xarray as xr

from hitlbayes.diagnostics import R_HAT_LIMIT, Check, diagnose, judge, split_r_hat
from hitlbayes.errors import ConvergenceWarning, FitError, SpecError
from hitlbayes.fitting.naming import plain_labels
from hitlbayes.fitting.progress import follow
from hitlbayes.fitting.run import on_device, platforms
from hitlbayes.inference import general
from hitlbayes.inference.devices import known_device
from hitlbayes.inference.runtime import session
from hitlbayes.studies.mixed import SEED, Device, Sampling
from hitlbayes.translate import Translation, translate
from hitlbayes.versions import versions

if TYPE_CHECKING:
    from pymc import Model

TUNE = 500
LATENT = 64  # elements from which on a variable's r_hat is judged by how many exceed the limit
LATENT_SHARE, LATENT_R_HAT = 0.01, 1.03  # of thousands of perfect draws a few exceed 1.01 by chance


def sample(
    model: Model,
    *,
    draws: int = 1000,
    chains: int = 4,
    tune: int = TUNE,
    seed: int = SEED,
    target_accept: float = 0.9,
    var_names: Sequence[str] | None = None,
    device: Device | None = None,
    progress: bool | None = None,
) -> xr.DataTree:
    """Draws of a PyMC model's posterior.

    Parameters
    ----------
    model : pymc.Model
        With observed variables (or potentials) and continuous free variables. It is not changed.
    draws, chains, seed : int
        Draws of each chain; the same seed gives the same draws.
    tune : int
        Steps of warm-up of each chain, which are not kept.
    target_accept : float
        Acceptance that the step size is tuned to; nearer to one where trajectories diverge.
    var_names : sequence of str, optional
        Variables to keep; by default all free and deterministic ones.
    device : {"cpu", "gpu"}, optional
        Where to compute; JAX's default device by default.
    progress : bool, optional
        Show a progress bar; by default where the output is a terminal.

    Returns
    -------
    xarray.DataTree
        Groups `posterior` (chain, draw, the model's dims), `sample_stats`, `observed_data`; attributes say
        how it was made. `hitlbayes.bridge.check` judges it.

    Raises
    ------
    SpecError
        Nothing is observed, or free variables are discrete: which ones.
    FitError
        The density is not finite where the model starts, or has a part that JAX cannot compute.

    Warns
    -----
    ConvergenceWarning
        The draws fail a check.

    Examples
    --------
    >>> import pymc as pm, hitlbayes as hb
    >>> with pm.Model() as model:
    ...     mean = pm.Normal("mean", 0, 1)
    ...     _ = pm.Normal("y", mean, 1, observed=[0.8, 1.2, 1.0])
    >>> tree = hb.sample(model, progress=False)
    >>> abs(float(tree["posterior"]["mean"].mean()) - 0.75) < 0.1
    True
    """
    began = perf_counter()
    sampling = Sampling(draws, chains, seed, progress, device)
    check_model(model)
    if not (tune >= 1 and 0 < target_accept < 1):
        raise SpecError(
            f"tune={tune}, target_accept={target_accept}; expected at least 1, and between 0 and 1."
        )
    known = None if device is None else known_device(device, found=platforms())
    with session(), on_device(known), follow("sampling", show=progress) as report:
        report("translating", 0.0)
        translation = translate(model, names=_names(model, var_names))
        drawn = _draw(model, translation, sampling, tune=tune, target_accept=target_accept, report=report)
    tree = _tree(model, translation, drawn)
    verdict = check(tree)
    tree.attrs = {
        "sampler": "NUTS (NumPyro), dense over small variables",
        "seed": seed,
        "tune": tune,
        "target_accept": target_accept,
        "check": str(verdict),
        "seconds": perf_counter() - began,
        **{f"version_{name}": version for name, version in versions().items()},
    }
    if not verdict.ok:
        warnings.warn(str(verdict), ConvergenceWarning, stacklevel=2)
    return tree


def check(tree: xr.DataTree) -> Check:
    """Whether the draws of `sample` can be trusted (r_hat, bulk and tail ESS, divergences).

    Variables of up to 64 elements meet the limits element by element; of the elements of larger ones at most
    one in a hundred may exceed the limit of r_hat, and none 1.03.
    """
    posterior, stats = (tree[name].to_dataset() for name in ("posterior", "sample_stats"))
    named: dict[str, np.ndarray] = {}
    problems: list[str] = []
    for name, variable in posterior.data_vars.items():
        flat = variable.to_numpy().reshape(*variable.shape[:2], -1)
        if flat.shape[2] > LATENT:
            problems += _latent_problems(str(name), flat)
            continue
        labels = [str(name)] if variable.ndim == 2 else [f"{name}[{j}]" for j in range(flat.shape[2])]
        named |= {label: flat[..., j] for j, label in enumerate(labels)}
    verdict = judge(diagnose(named), stats=stats, k_hat=float("nan"), effective=float("nan"))
    problems = [*verdict.problems, *problems]
    return replace(verdict, ok=not problems, problems=tuple(problems))


def _latent_problems(name: str, draws: np.ndarray) -> list[str]:
    r_hat = split_r_hat(draws[..., np.ptp(draws, axis=(0, 1)) > 0])
    share, worst = np.mean(r_hat > R_HAT_LIMIT), np.max(r_hat, initial=1.0)
    if share <= LATENT_SHARE and worst <= LATENT_R_HAT:
        return []
    return [f"r_hat of {name} is up to {worst:.3f}, above {R_HAT_LIMIT} in {share:.1%} of its elements"]


def check_model(model: Model) -> None:
    """Refuse models that there is nothing to sample from, or that this sampler cannot.

    Raises
    ------
    SpecError
        What was found, and what to do.
    """
    import pymc as pm

    if not isinstance(model, pm.Model):
        found = type(model).__name__
        raise SpecError(f"expected a pymc.Model, found {found}; fit_did takes data and needs no model.")
    if not model.free_RVs:
        raise SpecError("the model has no free variables: there is nothing to sample.")
    if not model.observed_RVs and not model.potentials:
        raise SpecError(
            "the model has no observed variables, so its posterior is its prior; give the outcome's "
            "distribution observed=..., or draw with pymc.sample_prior_predictive."
        )
    discrete = [model.values_to_rvs[value].name for value in model.discrete_value_vars]
    if discrete:
        raise SpecError(
            f"free variables {', '.join(map(repr, discrete))} are discrete, and gradients need continuous "
            f"ones; sum them out (a mixture, pymc.Mixture) or sample the model with pymc.sample."
        )


def _names(model: Model, asked: Sequence[str] | None) -> list[str]:
    known = [v.name for v in (*model.free_RVs, *model.deterministics)]
    if asked is None:
        return known
    missing = [name for name in asked if name not in known]
    if missing:
        raise SpecError(f"var_names has {', '.join(map(repr, missing))}; the model has: {', '.join(known)}.")
    return list(asked)


def _draw(
    model: Model,
    translation: Translation,
    sampling: Sampling,
    *,
    tune: int,
    target_accept: float,
    report: Any,
) -> general.Trajectories:
    """Find a start, refuse one without a density, sample from it."""
    data = [jnp.asarray(a) for a in translation.data]
    if not np.isfinite(translation.log_density(jnp.asarray(translation.start), data)):
        terms = {k: v for k, v in model.point_logps().items() if not np.isfinite(v)}
        raise FitError(
            f"the density is not finite at the model's initial point; its terms there: {terms}. Check the "
            "observed values against their distribution, or give initval=."
        )
    report("finding the mode", 0.0)
    density = translation.log_density
    start = general.climb(translation.start, data, log_density=density, free=~translation.held)
    return general.sample(
        start,
        data,
        log_density=density,
        record=translation.values,
        n_dense=translation.n_dense,
        draws=sampling.draws,
        chains=sampling.chains,
        tune=tune,
        seed=sampling.seed,
        target_accept=target_accept,
        progress=report,
    )


def _tree(model: Model, translation: Translation, drawn: general.Trajectories) -> xr.DataTree:
    """Draws, what trajectories tell, and the observations, under the model's names and dims."""
    stats = {
        "diverging": drawn.diverging,
        "n_steps": drawn.steps,
        "acceptance_rate": drawn.acceptance,
        "lp": drawn.log_density,
    }
    sampled = {name: (("chain", "draw"), values) for name, values in stats.items()}
    posterior = dict(zip(translation.names, drawn.record, strict=True))
    observed = {
        variable.name: np.asarray(model.rvs_to_values[variable].eval()) for variable in model.observed_RVs
    }
    return xr.DataTree.from_dict(
        {
            "posterior": _dataset(model, posterior, lead=("chain", "draw")),
            "sample_stats": xr.Dataset({**sampled, "step_size": ("chain", drawn.step_size)}),
            "observed_data": _dataset(model, observed, lead=()),
        }
    )


def _dataset(model: Model, values: dict[str, np.ndarray], *, lead: tuple[str, ...]) -> xr.Dataset:
    """Arrays with the model's dims and coordinates, numbered dims where it names none."""
    data, coords = {}, {}
    for name, a in values.items():
        named = model.named_vars_to_dims.get(name) or ()
        extra = a.ndim - len(lead)
        dims = [named[j] if j < len(named) and named[j] else f"{name}_dim_{j}" for j in range(extra)]
        data[name] = ((*lead, *dims), a)
        for dim in dims:
            labels = model.coords.get(dim)
            if labels is not None:
                coords[dim] = plain_labels(np.asarray(labels))
    return xr.Dataset(data, coords=coords)

"""The reference models' densities, and the map from the engine's variables to theirs.

The engine samples coordinates z; `models/` has one row per chat and variables of its own. `pymc_values`
maps one to the other by the models' definitions alone, so that

    engine(z) = pymc(values(z)) + log |det d values / d z| + constant

tests the collapsed likelihood, every prior, the map and its Jacobian at once.
"""

from __future__ import annotations

import runpy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pymc as pm
from jax.flatten_util import ravel_pytree
from pymc.model.transform.conditioning import remove_value_transforms

from hitlbayes.inference.laplace import State
from hitlbayes.inference.problem import Beliefs, Layout, cutpoints, split_outer, unpack_hyper

from .cells import OUTCOMES

MODELS = Path(__file__).parents[2] / "models"
SCALES = {"level": 0.5, "drift": 0.25, "effect": 0.3, "period": 0.2, "shock": 0.35}
LKJ = 3.0
CONCENTRATION = np.array([1.0, 2.0, 1.5, 0.8, 3.0])
DISPERSION_SCALE = 0.7
SIGMA_SCALE = 0.9
EFFECTS = ("coef", "period_effect", "level", "own_change", "shock")


@cache
def build(model: str) -> Callable[..., pm.Model]:
    """The function `build` of models/<model>.py, run as a file that somebody copied out."""
    return runpy.run_path(str(MODELS / f"{model}.py"))["build"]


def unlike_priors(layout: Layout, *, seed: int = 1) -> Beliefs:
    """Priors unlike each other, so that no two can be swapped unseen."""
    rng = np.random.default_rng(seed)
    return Beliefs(
        coef_loc=rng.normal(size=layout.n_coef),
        coef_sd=rng.uniform(0.5, 2.0, layout.n_coef),
        scale_sd=np.array(list(SCALES.values())),
        lkj=np.array(LKJ),
        aux_sd=np.full(layout.n_aux, SIGMA_SCALE if layout.family == "gaussian" else DISPERSION_SCALE),
        concentration=CONCENTRATION,
        fixed=np.full(layout.n_hyper, np.nan),
    )


def pymc_model(chats: pd.DataFrame, *, family: str, controls: Sequence[str], priors: Beliefs) -> pm.Model:
    """The reference model on chat rows with the same priors, its variables on their natural scales."""
    known = {f"{name}_scale": scale for name, scale in SCALES.items()}
    known |= {"outcome": OUTCOMES[family], "controls": controls, "lkj": LKJ, "centered": True}
    loc, sd = np.asarray(priors.coef_loc), np.asarray(priors.coef_sd)
    if family == "ordinal":
        known |= {"coef_prior": (loc, sd), "concentration": CONCENTRATION}
    else:
        known |= {"intercept_prior": (loc[0], sd[0]), "coef_prior": (loc[1:], sd[1:])}
    if family == "gaussian":
        known["sigma_scale"] = SIGMA_SCALE
    if family in ("count", "poisson"):
        known |= {"dispersion_scale": DISPERSION_SCALE if family == "count" else None}
    name = "did_count" if family == "poisson" else f"did_{family}"
    return remove_value_transforms(build(name)(chats, **known))


def pymc_scales(psi: jax.Array, priors: Beliefs, *, layout: Layout) -> dict[str, jax.Array]:
    """The reference model's scales and correlations at the engine's hyperparameters.

    The engine's scales carry a sign; a negative one turns round the correlations that it enters.
    """
    hyper = unpack_hyper(psi, layout, priors)
    level, drift, effect = jnp.abs(hyper.block)
    rho = hyper.rho * jnp.sign(hyper.block[0] * hyper.block[1:])
    values = {
        "sd_level": level,
        "sd_drift": drift,
        "sd_effect": effect,
        "sd_period": jnp.abs(hyper.groups[0]),
        "sd_shock": jnp.abs(hyper.shock),
        "rho_drift_beta": (rho[0] + 1) / 2,
        "rho_effect_beta": (rho[1] + 1) / 2,
    }
    if layout.family == "gaussian":
        values["sigma"] = jnp.exp(hyper.aux)
    if layout.family == "count":
        values["inverse_sqrt_phi"] = jnp.exp(-0.5 * hyper.aux[0])
    return values


def foretold_change(scales: dict[str, jax.Array], treated: np.ndarray) -> jax.Array:
    """Change that a level of one foretells, for each worker: `slope_a` of the models' docstrings."""
    rho_drift, rho_effect = 2 * scales["rho_drift_beta"] - 1, 2 * scales["rho_effect_beta"] - 1
    return (rho_drift * scales["sd_drift"] + treated * rho_effect * scales["sd_effect"]) / scales["sd_level"]


def pymc_values(
    state: State, seen: np.ndarray, treated: np.ndarray, priors: Beliefs, *, layout: Layout
) -> dict[str, jax.Array]:
    """The reference model's variables at an engine state, from the definitions in models/ alone.

    The engine has a shock for every worker and day; those without chats (not `seen`) are standard normal,
    in units of their SD.
    """
    scales = pymc_scales(state.psi, priors, layout=layout)
    coef, (period,), free = split_outer(state.outer, layout)
    level, change = state.unit.T
    values = scales | {
        "coef": coef,
        "level": level,
        "own_change": change - foretold_change(scales, treated) * level,
        "period_effect": period,
        "shock": state.shock[seen],
        "unseen": state.shock[~seen] / unpack_hyper(state.psi, layout, priors).shock,
    }
    if layout.family == "ordinal":
        values["probability"] = jnp.diff(jax.nn.sigmoid(cutpoints(free)), prepend=0.0)  # the last one follows
    return values


def log_jacobian(values: Callable[[jax.Array], dict[str, jax.Array]], z: jax.Array) -> jax.Array:
    """log |det d values / d z|, by differentiating the whole map."""
    matrix = jax.jacfwd(lambda z: ravel_pytree(values(z))[0])(z)
    return jnp.linalg.slogdet(matrix)[1]


def pymc_density(model: pm.Model) -> Callable[[dict[str, np.ndarray]], float]:
    """Log density of a reference model at its natural values."""
    logp = model.compile_logp(jacobian=False, mode="FAST_COMPILE")  # 50 points do not repay a C compiler

    def at(values: dict[str, np.ndarray]) -> float:
        point = {name: np.asarray(value, float) for name, value in values.items()}
        unseen = point.pop("unseen")
        if "probability" in point:
            point["probability"] = np.append(point["probability"], 1.0 - point["probability"].sum())
        return float(logp(point)) - 0.5 * np.sum(unseen**2)

    return at


@dataclass(frozen=True, slots=True)
class Conditional:
    """Effects of a Gaussian model given its scales: log density of these, mean and precision of those."""

    log_marginal: float
    mean: np.ndarray
    precision: np.ndarray


def pymc_conditional(model: pm.Model) -> Callable[[dict[str, np.ndarray]], Conditional]:
    """Effects of a Gaussian reference model integrated out at given scales, from its density alone.

    The density is quadratic in the effects x, so that differences of its gradient are its precision H, and
    its integral is density(0) exp(g' H^-1 g / 2) / sqrt(det H) up to a constant, g the gradient at zero.
    """
    effects = [model.named_vars[name] for name in EFFECTS]
    logp = model.compile_logp(jacobian=False, mode="FAST_COMPILE")
    dlogp = model.compile_dlogp(vars=effects, jacobian=False, mode="FAST_COMPILE")
    shapes = {name: value.shape for name, value in model.initial_point().items() if name in EFFECTS}
    edges = np.cumsum([0, *(np.prod(shapes[name], dtype=int) for name in EFFECTS)])

    def at(scales: dict[str, np.ndarray]) -> Conditional:
        def point(x: np.ndarray) -> dict[str, np.ndarray]:
            parts = (x[a:b] for a, b in pairwise(edges))
            return scales | dict(zip(EFFECTS, parts, strict=True))

        zero = np.zeros(edges[-1])
        slope = dlogp(point(zero))
        H = np.stack([slope - dlogp(point(e)) for e in np.eye(edges[-1])])
        mean = np.linalg.solve(H, slope)
        value = logp(point(zero)) + 0.5 * slope @ mean - 0.5 * np.linalg.slogdet(H)[1]
        return Conditional(float(value), mean, H)

    return at

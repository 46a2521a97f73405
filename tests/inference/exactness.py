"""The reference models' densities, and the map from the engine's variables to theirs.

The engine samples coordinates z; `models/` has one row per chat and variables of its own. `pymc_values`
maps one to the other by the models' definitions alone, so that

    engine(z) = pymc(values(z)) + log |det d values / d z| + constant

tests the collapsed likelihood, every prior, the map and its Jacobian at once. Variables that the engine
has and the models have not (shocks of empty slots, hyperparameters that are held) are standard normal
noise; they are compared as that.
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

from hitlbayes.fitting.model import Model
from hitlbayes.inference.expansion import State
from hitlbayes.inference.hyper import unpack_hyper
from hitlbayes.inference.problem import Problem, cutpoints, split_outer

from .chats import OUTCOMES, with_columns

MODELS = Path(__file__).parents[2] / "models"
EFFECTS = ("coef", "period_effect", "level", "own_change", "shock")
NOISE = "noise"


@cache
def build(model: str) -> Callable[..., pm.Model]:
    """The function `build` of models/<model>.py, run as a file that somebody copied out."""
    return runpy.run_path(str(MODELS / f"{model}.py"))["build"]


def pymc_model(chats: pd.DataFrame, model: Model) -> pm.Model:
    """The reference model of the same chats and priors, its variables on their natural scales."""
    return remove_value_transforms(reference_model(chats, model, centered=True))


def reference_model(chats: pd.DataFrame, model: Model, *, centered: bool) -> pm.Model:
    """The reference model of the same chats and priors, as models/ has it."""
    chats, controls = with_columns(chats, model)
    family, priors = model.cells.family, model.priors
    known = {
        f"{name}_scale": priors[f"sd_{name}"].scale
        for name in ("level", "drift", "effect", "period", "shock")
    }
    known |= {
        "outcome": OUTCOMES[family],
        "controls": controls,
        "lkj": priors["rho"].scale,
        "centered": centered,
    }
    coefs = [priors[name] for name in reference_order(model) if name != "intercept"]
    known["coef_prior"] = (np.array([p.loc for p in coefs]), np.array([p.scale for p in coefs]))
    if family == "ordinal":
        known["concentration"] = priors["cutpoints"].scale
    else:
        known["intercept_prior"] = (priors["intercept"].loc, priors["intercept"].scale)
    if family == "gaussian":
        known["sigma_scale"] = priors["sigma"].scale
    if family == "count":
        over = priors["overdispersion"]
        known["dispersion_scale"] = None if over.kind == "fixed" else over.scale
    return build(f"did_{family}")(chats, **known)


def reference_order(model: Model) -> list[str]:
    """Names of the coefficients in the order of the reference models' columns."""
    first = [name for name in ("intercept", "treatment", "treated") if name in model.design.names]
    return first + [name for name in model.design.names if name not in first]


def pymc_scales(psi: jax.Array, model: Model) -> dict[str, jax.Array]:
    """The reference model's scales and correlations at the engine's hyperparameters.

    The engine's scales carry a sign; a negative one turns round the correlations that it enters.
    """
    hyper = unpack_hyper(psi, model.layout, model.beliefs)
    level, drift, effect = jnp.abs(hyper.block) * model.scale
    rho = hyper.rho * jnp.sign(hyper.block[0] * hyper.block[1:])
    values = {
        "sd_level": level,
        "sd_drift": drift,
        "sd_effect": effect,
        "sd_period": jnp.abs(hyper.groups[0]) * model.scale,
        "sd_shock": jnp.abs(hyper.shock) * model.scale,
        "rho_drift_beta": (rho[0] + 1) / 2,
        "rho_effect_beta": (rho[1] + 1) / 2,
    }
    if model.cells.family == "gaussian":
        values["sigma"] = jnp.exp(hyper.log_sigma) * model.scale
    if model.cells.family == "count" and model.priors["overdispersion"].kind != "fixed":
        values["inverse_sqrt_phi"] = jnp.abs(hyper.over)
    return values


def pymc_coefs(coef: jax.Array, model: Model) -> jax.Array:
    """The engine's coefficients (..., P) in the reference model's order and the outcome's unit."""
    order = [model.design.names.index(name) for name in reference_order(model)]
    shift = np.array([model.centre if name == "intercept" else 0.0 for name in reference_order(model)])
    return coef[..., order] * model.scale + shift


def foretold_change(scales: dict[str, jax.Array], treated: np.ndarray) -> jax.Array:
    """Change that a level of one foretells, for each worker: `slope_a` of the models' docstrings."""
    rho_drift, rho_effect = 2 * scales["rho_drift_beta"] - 1, 2 * scales["rho_effect_beta"] - 1
    return (rho_drift * scales["sd_drift"] + treated * rho_effect * scales["sd_effect"]) / scales["sd_level"]


def slots_with_chats(problem: Problem) -> np.ndarray:
    """Which of the engine's shocks (units, slots) data touch; the others pad its layout."""
    rows = np.any(np.asarray(problem.stats) != 0, axis=0)
    if not len(problem.shock):
        return rows.T
    places = np.arange(problem.basis[0].size).reshape(problem.basis.shape[1:])
    return np.isin(places, np.asarray(problem.shock)[rows]).T


def pymc_values(state: State, seen: np.ndarray, model: Model) -> dict[str, jax.Array]:
    """The reference model's variables at an engine state, from the definitions in models/ alone."""
    layout, beliefs = model.layout, model.beliefs
    scales = pymc_scales(state.psi, model)
    coef, (period,), free = split_outer(state.outer, layout)
    level, change = state.unit.T
    held = np.isfinite(np.asarray(beliefs.fixed))
    unseen = state.shock.T[~seen] / unpack_hyper(state.psi, layout, beliefs).shock
    values = scales | {
        "coef": pymc_coefs(coef, model),
        "level": level,
        "own_change": change - foretold_change(scales, model.structure.unit_class) * level,
        "period_effect": period,
        "shock": state.shock.T[seen],
        NOISE: jnp.concatenate([unseen, state.psi[held]]),
    }
    if layout.n_cut:
        cut = cutpoints(free, layout.middle)
        values["probability"] = jnp.diff(jax.nn.sigmoid(cut), prepend=0.0)  # the last one follows
    return values


def log_jacobian(values: Callable[[jax.Array], dict[str, jax.Array]], z: jax.Array) -> jax.Array:
    """log |det d values / d z|, by differentiating the whole map."""
    matrix = jax.jacrev(lambda z: ravel_pytree(values(z))[0])(z)
    return jnp.linalg.slogdet(matrix)[1]


def pymc_density(model: pm.Model) -> Callable[[dict[str, np.ndarray]], float]:
    """Log density of a reference model at its natural values, and of the noise."""
    logp = model.compile_logp(jacobian=False, mode="FAST_COMPILE")  # 50 points do not repay a C compiler

    def at(values: dict[str, np.ndarray]) -> float:
        point = {name: np.asarray(value, float) for name, value in values.items()}
        noise = point.pop(NOISE)
        if "probability" in point:
            point["probability"] = np.append(point["probability"], 1.0 - point["probability"].sum())
        return float(logp(point)) - 0.5 * np.sum(noise**2)

    return at


@dataclass(frozen=True, slots=True)
class Conditional:
    """Effects of a Gaussian model given its scales: log density of these, mean and precision of those."""

    log_marginal: float
    mean: np.ndarray
    precision: np.ndarray


def pymc_conditional(
    model: pm.Model, *, names: Sequence[str] = EFFECTS
) -> Callable[[dict[str, np.ndarray]], Conditional]:
    """Effects of a Gaussian reference model integrated out at given scales, from its density alone.

    The density is quadratic in the effects x, so that differences of its gradient are its precision H, and
    its integral is density(0) exp(g' H^-1 g / 2) / sqrt(det H) up to a constant, g the gradient at zero.
    """
    effects = [model.named_vars[name] for name in names]
    logp = model.compile_logp(jacobian=False, mode="FAST_COMPILE")
    dlogp = model.compile_dlogp(vars=effects, jacobian=False, mode="FAST_COMPILE")
    sizes = [model.initial_point()[name].size for name in names]
    edges = np.cumsum([0, *sizes])

    def at(scales: dict[str, np.ndarray]) -> Conditional:
        def point(x: np.ndarray) -> dict[str, np.ndarray]:
            return scales | dict(zip(names, (x[a:b] for a, b in pairwise(edges)), strict=True))

        zero = np.zeros(edges[-1])
        slope = dlogp(point(zero))
        H = np.stack([slope - dlogp(point(e)) for e in np.eye(edges[-1])])
        mean = np.linalg.solve(H, slope)
        value = logp(point(zero)) + 0.5 * slope @ mean - 0.5 * np.linalg.slogdet(H)[1]
        return Conditional(float(value), mean, H)

    return at

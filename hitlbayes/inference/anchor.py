"""Where to make the map: the mode of the effects, at scales that are themselves nearly most probable.

Newton steps on all effects at given hyperparameters are the map itself, at z = 0, made again at each new
state. Between them, a quasi-Newton search moves the hyperparameters along the Laplace approximation that
the map carries. A handful of rounds is enough: the map need only be good, never right.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import minimize

from hitlbayes.inference.expansion import Anchor, State, make_anchor, predictor
from hitlbayes.inference.hyper import turned
from hitlbayes.inference.laplace import log_density, place
from hitlbayes.inference.problem import Beliefs, Layout, Problem
from hitlbayes.inference.runtime import SELDOM, quick_jit

LARGEST_STEP = 4.0  # in the linear predictor; a logit moves across its whole range in two such steps
ROUNDS = 6
SETTLED = 0.02  # in the hyperparameters' coordinates, whose posterior spread is about one
NEWTON_STEPS = 12
OFF_ZERO = (0.2, 0.5, 1.0)  # coordinates of scales


anchor_at = quick_jit(make_anchor, static_argnames="layout", options=SELDOM)
place_at = quick_jit(place, static_argnames="layout", options=SELDOM)


@partial(quick_jit, static_argnames="layout", options=SELDOM)
def step_towards(
    goal: State, state: State, problem: Problem, eta: jax.Array, *, layout: Layout
) -> tuple[State, jax.Array]:
    """A step from a state with predictor eta (R,) to a goal, not too far; the predictor's largest move."""
    move = jnp.max(jnp.abs(predictor(goal, problem, layout) - eta))
    part = jnp.minimum(1.0, LARGEST_STEP / move)
    return jax.tree.map(lambda old, new: old + part * (new - old), state, goal), move


@partial(quick_jit, static_argnames="layout", options=SELDOM)
def hyper_density(
    psi: jax.Array, anchor: Anchor, problem: Problem, beliefs: Beliefs, *, layout: Layout
) -> tuple[jax.Array, jax.Array]:
    """Laplace approximation of the hyperparameters' log density at psi (k,), and its gradient."""

    def value(psi: jax.Array) -> jax.Array:
        z = jnp.concatenate([psi - anchor.psi, jnp.zeros(layout.n_latent - layout.n_hyper)])
        return log_density(z, anchor._replace(root=jnp.eye(layout.n_hyper)), problem, beliefs, layout=layout)

    return jax.value_and_grad(value)(psi)


def find_anchor(state: State, problem: Problem, beliefs: Beliefs, *, layout: Layout) -> Anchor:
    """The anchor at (nearly) the mode, with the hyperparameters' spread as its root."""
    anchor = _settle(state, problem, beliefs, layout=layout)
    for _ in range(ROUNDS):
        psi = _climb(anchor, problem, beliefs, layout=layout)
        change = float(np.max(np.abs(psi - np.asarray(anchor.psi)), initial=0.0))
        anchor = settle_at(anchor, psi, problem, beliefs, layout=layout)
        if change < SETTLED:
            break
    root = spread_root(anchor, problem, beliefs, layout=layout)
    return anchor._replace(root=jax.device_put(root))


def settle_at(
    anchor: Anchor, psi: np.ndarray, problem: Problem, beliefs: Beliefs, *, layout: Layout
) -> Anchor:
    """The anchor made again at other hyperparameters psi (k,), at the mode of the effects there."""
    z = np.zeros(layout.n_latent)
    z[: layout.n_hyper] = psi - np.asarray(anchor.psi)
    plain = anchor._replace(root=np.eye(layout.n_hyper))
    return _settle(place_at(z, plain, problem, beliefs, layout=layout), problem, beliefs, layout=layout)


def _settle(state: State, problem: Problem, beliefs: Beliefs, *, layout: Layout) -> Anchor:
    """Newton steps until the linear predictor moves by less than a hundredth."""
    for _ in range(NEWTON_STEPS):
        anchor = anchor_at(state, problem, beliefs, layout=layout)
        goal = place_at(np.zeros(layout.n_latent), anchor, problem, beliefs, layout=layout)
        state, move = step_towards(goal, state, problem, anchor.eta, layout=layout)
        if float(move) < 0.01:
            break
    return anchor


def _climb(anchor: Anchor, problem: Problem, beliefs: Beliefs, *, layout: Layout) -> np.ndarray:
    """Hyperparameters of highest approximate density near the anchor's, free scales positive."""
    free = np.isnan(np.asarray(beliefs.fixed))
    centre = np.asarray(anchor.psi)
    if not free.any():
        return centre
    centre = _off_zero(
        lambda psi: float(hyper_density(psi, anchor, problem, beliefs, layout=layout)[0]),
        centre,
        np.flatnonzero(free[: layout.n_scales]),
    )

    def negative(move: np.ndarray) -> tuple[float, np.ndarray]:
        psi = centre.copy()
        psi[free] += move
        found = hyper_density(psi, anchor, problem, beliefs, layout=layout)
        value, slope = float(found[0]), np.asarray(found[1])[free]
        if not (np.isfinite(value) and np.all(np.isfinite(slope))):
            return 1e300, np.zeros_like(move)
        return -value, -slope

    best = minimize(
        negative,
        np.zeros(free.sum()),
        jac=True,
        method="L-BFGS-B",
        bounds=[(-1.5, 1.5)] * free.sum(),
        options={"maxiter": 25, "ftol": 1e-7},
    )
    psi = centre.copy()
    psi[free] += best.x
    below = free[: layout.n_scales] & (psi[: layout.n_scales] < 0)
    return psi * turned(np.where(below, -1.0, 1.0), layout)


def _off_zero(density: Callable[[np.ndarray], float], psi: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """psi with each scale that is nearly zero moved off it where the density is higher there.

    Its sign is seen by nobody, so that the slope vanishes at zero whatever the data say: a search that came
    there on its way, from a poor map, would stay.
    """
    best, value = psi.copy(), density(psi)
    for j in scales:
        if abs(psi[j]) > OFF_ZERO[0]:
            continue
        for size in OFF_ZERO:
            trial = best.copy()
            trial[j] = size
            found = density(trial)
            if found > value:
                best, value = trial, found
    return best


def spread_root(anchor: Anchor, problem: Problem, beliefs: Beliefs, *, layout: Layout) -> np.ndarray:
    """Factor C (k, k) such that psi* + C z has about unit spread in every direction of z.

    Directions come from the curvature (differences of gradients, no Hessian compiled); along each, the
    spread is the distance at which the density has fallen by one half, which also serves where the
    curvature is nearly zero or negative, as at a scale of zero.
    """
    k = layout.n_hyper
    free = np.flatnonzero(np.isnan(np.asarray(beliefs.fixed)))
    root, centre, h = np.eye(k), np.asarray(anchor.psi), 0.005

    def at(psi: np.ndarray) -> tuple[float, np.ndarray]:
        value, slope = hyper_density(psi, anchor, problem, beliefs, layout=layout)
        return float(value), np.asarray(slope)

    step = np.eye(k)[free] * h
    H = (
        np.stack([(at(centre + s)[1] - at(centre - s)[1])[free] / (2 * h) for s in step])
        if len(free)
        else np.zeros((0, 0))
    )
    values, vectors = np.linalg.eigh(-(H + H.T) / 2)
    top = at(centre)[0]
    for j, curvature in enumerate(values):
        direction = np.zeros(k)
        direction[free] = vectors[:, j]
        guess = min(1.0 / np.sqrt(max(curvature, 1e-2)), 3.0)
        width = np.mean([_half_width(at, centre, sign * direction, top, guess) for sign in (-1.0, 1.0)])
        root[np.ix_(free, [free[j]])] = width * vectors[:, [j]]
    return root


def _half_width(at, centre: np.ndarray, direction: np.ndarray, top: float, guess: float) -> float:
    """Distance along direction at which the log density is about half below its top."""
    width = guess
    for _ in range(6):
        fall = top - at(centre + width * direction)[0]
        if not np.isfinite(fall) or fall > 4.0:
            width *= 0.4
        elif fall < 0.05:
            width *= 2.0
        else:
            return float(width * np.clip(np.sqrt(0.5 / fall), 0.4, 2.5))
    return float(width)

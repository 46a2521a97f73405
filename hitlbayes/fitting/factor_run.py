"""Draws of the model of `hitlbayes.fitting.factor`: mode, pilot, map made again, sampling.

The search for the mode holds the scales and loadings, whose joint mode with the effects is elsewhere. A short
pilot then shows where scales and loadings are and how they covary; the expansion is made once more there.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import minimize

from hitlbayes.fitting.factor import (
    COUNTS,
    SIGNED,
    Data,
    Layout,
    Psi,
    State,
    coefficients,
    split_outer,
    split_psi,
)
from hitlbayes.fitting.factor_density import log_density
from hitlbayes.fitting.factor_effects import Averages, Focus, averages
from hitlbayes.fitting.factor_expansion import Anchor, expand
from hitlbayes.fitting.factor_map import mapped_density, place, single
from hitlbayes.inference import rotation
from hitlbayes.inference.problem import Array
from hitlbayes.inference.runtime import SELDOM, Progress, quick_jit, silent
from hitlbayes.inference.surrogate import flat
from hitlbayes.inference.trajectory import SHORT_TURN, settle

# Draws of each, and radians of its trajectories: the first map is rough, and steps in it are short. The map
# is made again after each.
PILOTS = ((100, SHORT_TURN), (150, np.array(rotation.TURN)))
SETTLE = 100
CLIMB_STEPS = 150
SHRINK = 0.5  # how many draws a parameter the diagonal counts for in the pilot's covariance
TYPICAL = 7500.0  # chats at which the first spreads of psi below are about right
FIRST_SPREAD = 0.04
WATCHED = 64  # chats whose own factor is kept, to check that it mixes


class Kept(NamedTuple):
    """What is kept of each draw, loadings' signs as sampled.

    psi : scales and loadings; intercept (M,), slopes (P, M), kappa (P,) on the links' scales
    unit, period : (N, 1 + M), (T, 1 + M) scaled effects, the factor's part first; chat : (WATCHED,)
    averages : expected measures by contrast
    """

    psi: Psi
    intercept: jax.Array
    slopes: jax.Array
    kappa: jax.Array
    unit: jax.Array
    period: jax.Array
    chat: jax.Array
    averages: Averages


@dataclass(frozen=True, slots=True, eq=False)
class Sampled:
    """Draws, arrays lead with (chains, draws), and how they were made; `angle` in radians."""

    kept: Kept
    diverging: np.ndarray
    acceptance: np.ndarray
    angle: float


def sample_factor(
    data: Data,
    focus: Focus,
    *,
    layout: Layout,
    anchor_measure: int,
    draws: int,
    chains: int,
    seed: int,
    progress: Progress = silent,
) -> Sampled:
    """Draws of the posterior; the loading of `anchor_measure` is positive in all of them."""
    data, focus = jax.device_put((data, focus))
    advance, sizes = _program(layout), (layout.sizes[0], layout.size - layout.sizes[0])
    progress("finding the mode", 0.0)
    psi = first_psi(data, layout, anchor_measure=anchor_measure)
    state = climb(State(psi, *_nothing(layout)), data, layout)
    root = np.eye(layout.sizes[0]) * FIRST_SPREAD * np.sqrt(TYPICAL / layout.chats)
    anchor = expand(state, root, data, layout)
    near = rotation.Near((single(anchor, data), focus), flat(layout.sizes[0]))
    walkers = rotation.start(sizes, chains=chains, seed=seed)
    progress("compiling", 0.02)
    advance = rotation.compiled(advance, walkers[0], near)
    for number, (length, turn) in enumerate(PILOTS):
        progress("pilot", 0.1 * (1 + number))
        walkers, _, turns = rotation.learn(advance, walkers, near._replace(turn=turn), draws=length)
        anchor = recentre(state, turns.record.psi, data, layout)
        near = near._replace(data=(single(anchor, data), focus))
        walkers = rotation.start(sizes, chains=chains, seed=seed + 1 + number, like=walkers)
    progress("adapting", 0.3)
    walkers, near, _ = rotation.learn(advance, walkers, near, draws=SETTLE)
    walkers = settle(walkers)
    walkers, turns = rotation.run(
        advance,
        walkers,
        near,
        draws=draws,
        adapt=False,
        progress=lambda what, done: progress(what, 0.4 + 0.6 * done),
    )
    kept = turn_signs(turns.record, anchor_measure=anchor_measure)
    angle = float(np.exp(walkers[0].log_angle))
    return Sampled(kept, turns.diverging, turns.acceptance, angle)


def first_psi(data: Data, layout: Layout, *, anchor_measure: int) -> Psi:
    """Rough scales and loadings: signs from correlations with the anchor measure, moments for the rest."""
    y, seen = np.asarray(data.y), np.asarray(data.seen) > 0
    signs, sigma, over, gaps = [], [], [], []
    for m, family in enumerate(layout.families):
        both = seen[m] & seen[anchor_measure]
        tie = np.corrcoef(y[m][both], y[anchor_measure][both])[0, 1]
        signs.append(-1.0 if tie < 0 else 1.0)
        values = y[m][seen[m]]
        if family == "lognormal":
            sigma.append(np.log(values.std()))
        elif family in COUNTS:
            more = max(values.var() - values.mean(), 0.05 * values.mean()) / values.mean() ** 2
            over.append(np.sqrt(more))
        elif family == "ordinal":
            share = np.bincount(values.astype(int), minlength=layout.categories[m]) + 0.5
            below = np.cumsum(share / share.sum())[:-1]
            gaps += list(np.log(np.diff(np.log(below / (1 - below)))))
    m, logs = layout.measures, np.array([f in ("lognormal", *COUNTS) for f in layout.families])
    size = np.where(logs, 0.35, 0.7)
    return Psi(
        *map(
            jnp.asarray,
            (
                np.array(signs) * size,
                np.array(sigma),
                np.array(over),
                np.array(gaps),
                np.full(1 + m, 0.15),
                np.full(1 + m, 0.08),
                np.full(layout.taus, 0.2),
            ),
        )
    )


def climb(state: State, data: Data, layout: Layout) -> State:
    """The state with its effects moved to where the density is about highest, psi held."""
    psi = state.psi
    start = np.concatenate([np.ravel(a) for a in state[1:]])

    def negative(flat: np.ndarray) -> tuple[float, np.ndarray]:
        value, slope = _effects_density(flat, psi, data, layout=layout)
        return -float(value), -np.asarray(slope)

    best = minimize(negative, start, jac=True, method="L-BFGS-B", options={"maxiter": CLIMB_STEPS})
    return _state(jnp.asarray(best.x), psi, layout)


def recentre(state: State, seen: Psi, data: Data, layout: Layout) -> Anchor:
    """The expansion at the pilot's mean psi, with the pilot's covariance, pulled a little to a diagonal."""
    half = np.shape(seen.loading)[1] // 2
    draws = np.concatenate([np.asarray(a)[:, half:] for a in unsigned(seen)], axis=2)
    draws = draws.reshape(-1, draws.shape[2])  # whole, since a model without counts has no scales of theirs
    centre, spread = draws.mean(axis=0), np.atleast_2d(np.cov(draws.T))
    size = np.sqrt(np.diag(spread)) + 1e-6
    kept = len(draws) / (len(draws) + SHRINK * len(centre))
    spread = kept * spread + (1 - kept) * np.diag(size**2)
    psi = split_psi(jnp.asarray(centre), layout)
    state = climb(state._replace(psi=psi), data, layout)
    return expand(state, np.linalg.cholesky(spread), data, layout)


def turn_signs(kept: Kept, *, anchor_measure: int) -> Kept:
    """Draws with the anchor measure's loading positive, and scales without their signs."""
    sign = np.sign(kept.psi.loading[..., anchor_measure])

    def turned(part: Array) -> Array:
        return np.concatenate([part[..., :1] * sign[..., None, None], part[..., 1:]], axis=-1)

    psi = unsigned(kept.psi._replace(loading=kept.psi.loading * sign[..., None]))
    return kept._replace(
        psi=psi,
        kappa=kept.kappa * sign[..., None],
        unit=turned(kept.unit),
        period=turned(kept.period),
        chat=kept.chat * sign[..., None],
    )


def unsigned(psi: Psi) -> Psi:
    """Draws of psi without the signs of scales."""
    return psi._replace(**{name: np.abs(getattr(psi, name)) for name in SIGNED})


def watched(layout: Layout) -> np.ndarray:
    """Positions of the chats whose factor is kept."""
    return np.linspace(0, layout.chats - 1, min(WATCHED, layout.chats)).astype(int)


@lru_cache(maxsize=8)
def _program(layout: Layout) -> rotation.Advance:
    def record(z: jax.Array, given: Any) -> Kept:
        (anchor, data), focus = given
        state, eta, _ = place(z, anchor, data, layout)
        psi = state.psi
        intercept, slopes = coefficients(state, data)
        return Kept(
            psi,
            intercept,
            slopes,
            data.common * state.common,
            state.unit * psi.unit,
            state.period * psi.period,
            state.chat[watched(layout)],
            averages(eta, state, data, focus, layout),
        )

    def density(z: jax.Array, given: Any) -> jax.Array:
        return mapped_density(z, given[0], layout)

    return rotation.program(density, record, few=layout.sizes[0])


def _nothing(layout: Layout) -> list[jax.Array]:
    m, p = layout.measures, layout.columns
    shapes = [(m,), (p,), (p, m), (layout.periods, 1 + m), (layout.units, 1 + m), (layout.chats,)]
    return [jnp.zeros(shape) for shape in shapes]


def _state(flat: jax.Array, psi: Psi, layout: Layout) -> State:
    _, outer, periods, units, _ = layout.sizes
    m = layout.measures
    first = split_outer(flat[:outer], layout)
    at = outer + periods
    period = flat[outer:at].reshape(-1, 1 + m)
    unit = flat[at : at + units].reshape(-1, 1 + m)
    return State(psi, *first, period, unit, flat[at + units :])


@partial(quick_jit, static_argnames="layout", options=SELDOM)
def _effects_density(flat: jax.Array, psi: Psi, data: Data, *, layout: Layout) -> tuple[jax.Array, jax.Array]:
    def value(flat: jax.Array) -> jax.Array:
        return log_density(_state(flat, psi, layout), data, layout)[0]

    return jax.value_and_grad(value)(flat)

"""Matched pairs in the model of escalation types: which chats form one, and draws of the model with them.

The likelihood is `hitlbayes.fitting.pairs`; its few scales are drawn by importance sampling as in
`hitlbayes.inference.gaussian`, effects exactly given them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import pandas as pd
import xarray as xr

from hitlbayes.design.matched_types import CONTROL, MatchedTypes
from hitlbayes.fitting.model import Model
from hitlbayes.fitting.pairs import Pairs, Scales, Solved, draw_outer, solve, sum_pairs
from hitlbayes.fitting.run import Draws
from hitlbayes.inference import psis
from hitlbayes.inference.importance import pilot, weigh
from hitlbayes.inference.proposal import match_moments
from hitlbayes.inference.runtime import in_threads
from hitlbayes.spec.priors import Prior, half_normal

SD_PAIR = "sd_pair"
SCALES = (SD_PAIR, "sd_type", "sd_worker", "sd_shock")
PILOT, PROPOSED, ENOUGH = 400, 1200, 480.0


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """What a point of the sampler means, outcome in its SDs.

    data : the rows summed; order : type codes of the model, controls last
    loc, prior : (f,) of coefficients and types; sd_type, the last K + 1 of them
    held : (4,) values of scales that are held, NaN of free ones; wide : (4,) of their half-normal priors
    sigma : of the residual SDs' half-normal prior
    """

    data: Pairs
    order: np.ndarray
    loc: np.ndarray
    prior: np.ndarray
    held: np.ndarray
    wide: np.ndarray
    sigma: float


def pair_codes(matched: MatchedTypes, chats: pd.DataFrame) -> np.ndarray:
    """The pair of each of the chats (n,), at most one of each arm in any; a chat without a mate has its own.

    A control that serves several types belongs to the nearest of those it serves.
    """
    pairs = matched.pairs()
    known = pairs["treated"].isin(chats.index) & pairs["control"].isin(chats.index)
    nearest = pairs[known].sort_values("gap", kind="stable")
    nearest = nearest.drop_duplicates("control").drop_duplicates("pair")
    codes = pd.Series(np.arange(len(chats)), index=chats.index)
    codes.loc[nearest["control"]] = codes.loc[nearest["treated"]].to_numpy()
    return codes.to_numpy()


def with_pair_prior(model: Model, given: Prior | None) -> Model:
    """The model with the prior of the pairs' SD among its priors."""
    return replace(model, priors=model.priors | {SD_PAIR: given or half_normal(model.scale / 2)})


def sample_with_pairs(model: Model, pair: np.ndarray, *, draws: int, chains: int, seed: int) -> Draws:
    """Draws of the Gaussian model of types with an effect of each pair; `pair` (R,) codes its cells."""
    layout = _lay_out(model, pair)
    points, outer, weighed = _weigh(layout, size=draws * chains, rng=np.random.default_rng(seed))
    return _named(model, layout, points, outer, shape=(chains, draws), weighed=weighed)


def _weigh(
    layout: Layout, *, size: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, psis.Smoothed]:
    """Draws of the scales (size, n) and of the outer effects (size, f), and the weights they come from."""
    free = np.isnan(layout.held)
    n_scales, sigmas = int(free.sum()), len(layout.order)
    signs = np.array([[*s, *np.ones(sigmas)] for s in product((1.0, -1.0), repeat=n_scales)])
    start = np.concatenate([np.full(n_scales, 0.3), np.full(sigmas, -0.1)])
    proposal = match_moments(*pilot(_density(layout, {}), start, signs, size=PILOT, rng=rng))
    solved: dict[bytes, Solved] = {}
    points, weighed = weigh(proposal, _density(layout, solved), signs, first=PROPOSED, enough=ENOUGH, rng=rng)
    chosen = psis.resample(weighed.log_weights, size, rng=rng)
    rng.shuffle(chosen)
    outer = np.array([draw_outer(solved[points[i].tobytes()], rng=rng) for i in chosen])
    return points[chosen], outer, weighed


def _lay_out(model: Model, pair: np.ndarray) -> Layout:
    design, structure, unit = model.design, model.structure, model.scale
    (types,) = structure.groups
    labels = [str(label) for label in types.labels]
    order = np.array([*(j for j, t in enumerate(labels) if t != CONTROL), labels.index(CONTROL)])
    kind = np.argsort(order)[types.codes]
    coefs = [model.priors[name] for name in design.names]
    moved = [model.centre if name == "intercept" else 0.0 for name in design.names]
    loc = np.array([(p.loc - m) / unit for p, m in zip(coefs, moved, strict=True)] + [0.0] * len(order))
    X = np.column_stack([design.X, np.eye(len(order))[kind]])
    y = (model.cells.stats[:, 0] - model.centre) / unit
    data = sum_pairs(y - X @ loc, X, kind=kind, worker=structure.unit.codes, pair=pair, kinds=len(order) - 1)
    priors = [model.priors[name] for name in SCALES]
    fixed = [p.kind == "fixed" for p in priors]
    held = np.array([p.loc / unit if f else np.nan for p, f in zip(priors, fixed, strict=True)])
    wide = np.array([1.0 if f else p.scale / unit for p, f in zip(priors, fixed, strict=True)])
    prior = np.array([p.scale / unit for p in coefs])
    return Layout(data, order, loc, prior, held, wide, model.priors["sigma"].scale / unit)


def _scales(point: np.ndarray, layout: Layout) -> Scales:
    free = np.isnan(layout.held)
    sd = layout.held.copy()
    sd[free] = np.abs(point[: free.sum()])
    pair, kind, worker, response = sd
    types = np.full(len(layout.order), max(kind, 1e-6))
    return Scales(pair, worker, response, np.exp(point[free.sum() :]), np.append(layout.prior, types))


def _density(layout: Layout, solved: dict[bytes, Solved]) -> Callable[[np.ndarray], np.ndarray]:
    """Log posterior density, up to a constant, of points (n, free scales and log residual SDs).

    What is solved on the way is kept by point.
    """
    free = np.isnan(layout.held)
    n = int(free.sum())

    def one(point: np.ndarray) -> float:
        log_sigma = point[n:]
        prior = -0.5 * np.sum((point[:n] / layout.wide[free]) ** 2)
        prior += np.sum(log_sigma - 0.5 * (np.exp(log_sigma) / layout.sigma) ** 2)
        solved[point.tobytes()] = found = solve(layout.data, _scales(point, layout))
        return found.value + float(prior)

    return lambda points: np.array(in_threads(lambda i: one(points[i]), len(points)))


def _named(
    model: Model,
    layout: Layout,
    points: np.ndarray,
    outer: np.ndarray,
    *,
    shape: tuple[int, int],
    weighed: psis.Smoothed,
) -> Draws:
    """Draws by name, on the scale of the data, as `hitlbayes.fitting.run` gives them."""
    design, unit, lead = model.design, model.scale, ("chain", "draw")
    n = len(design.names)
    outer = outer + layout.loc
    coef = outer[:, :n] / design.scale
    shift = coef @ design.centre
    coef = coef * unit
    if "intercept" in design.names:
        coef[:, design.names.index("intercept")] += model.centre - shift * unit
    free = np.isnan(layout.held)
    scales = np.tile(layout.held, (len(points), 1))
    scales[:, free] = np.abs(points[:, : free.sum()])
    back = np.argsort(layout.order)  # from controls last to the model's order of types
    types, sigma = outer[:, n:][:, back], np.exp(points[:, free.sum() :])[:, back]
    (group,) = model.structure.groups
    data = {
        "coef": ((*lead, "term"), coef.reshape(*shape, n)),
        "type": ((*lead, "type_level"), (types * unit).reshape(*shape, -1)),
        "sigma": ((*lead, "phase"), (sigma * unit).reshape(*shape, -1)),
        **{s: (lead, (scales[:, j] * unit).reshape(shape)) for j, s in enumerate(SCALES)},
    }
    coords = {
        "term": list(design.names),
        "type_level": [str(label) for label in group.labels],
        "phase": list(model.structure.phase_labels),
    }
    stats = xr.Dataset({"diverging": (lead, np.zeros(shape, bool))})
    words = "exact marginal with pairs, importance sampling"
    return Draws(
        xr.Dataset(data, coords=coords), xr.Dataset(), stats, words, weighed.k_hat, weighed.effective
    )

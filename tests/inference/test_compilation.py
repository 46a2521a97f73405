"""What is compiled a second time, and what single precision costs: neither may be noticed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from jax.flatten_util import ravel_pytree

import hitlbayes as hb
from hitlbayes.inference import hmc
from hitlbayes.inference.anchor import find_anchor
from hitlbayes.inference.expansion import State
from hitlbayes.inference.laplace import by_role
from hitlbayes.inference.runtime import session
from hitlbayes.inference.surrogate import flat

from .chats import chat_log, engine_model, unlike_priors

TRACED, COMPILED = "/jax/core/compile/jaxpr_trace_duration", "/jax/core/compile/backend_compile_duration"
ROLES = {"unit": "worker_id", "time": "day", "treated": "treated", "post": "post"}
FAMILIES = ["gaussian", "bernoulli", *(pytest.param(f, marks=pytest.mark.slow) for f in ("ordinal", "count"))]
MOVE = 0.01  # of a posterior SD: how far single precision may move a posterior mean
POINTS = 24

_open: list[Counter] = []


def _count(event: str, duration: float, **_: object) -> None:
    for counter in _open:
        counter[event] += 1


jax.monitoring.register_event_duration_secs_listener(_count)


@contextmanager
def events() -> Iterator[Counter]:
    """How often JAX reports each event meanwhile, programs that a cache on disk holds included."""
    _open.append(Counter())
    try:
        yield _open[-1]
    finally:
        _open.pop()


def outcomes(seed: int, *, workers: int, keep: float) -> pd.DataFrame:
    """Chats with two outcomes a family; a share of them, as a scope has."""
    chats = chat_log(seed, workers=workers, days=6, start=3)
    rng = np.random.default_rng(seed)
    chats = chats[rng.uniform(size=len(chats)) < keep].reset_index(drop=True)
    other = {"gaussian": rng.gamma(2.0, size=len(chats)), "bernoulli": rng.integers(0, 2, len(chats))}
    other |= {"count": rng.poisson(6.0, len(chats)), "ordinal": rng.permutation(chats["rating"])}
    # A histogram's length is part of a program, up to a bucket: outcomes of like size have like maxima.
    chats["switch_aways"], other["count"] = (
        np.r_[12, np.minimum(counts[1:], 12)] for counts in (chats["switch_aways"], other["count"])
    )
    named = {"log_duration": "gaussian", "retrial": "bernoulli", "rating": "ordinal", "switch_aways": "count"}
    return chats.rename(columns=named).assign(**{f"other {name}": values for name, values in other.items()})


def fit(chats: pd.DataFrame, *, outcome: str, family: str, seed: int) -> hb.Fit:
    return hb.fit_did(chats, outcome=outcome, family=family, draws=100, seed=seed, progress=False, **ROLES)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_second_fit_of_like_size_traces_and_compiles_nothing(family):
    every, scope = outcomes(3, workers=30, keep=1.0), outcomes(4, workers=30, keep=0.8)
    with events() as first:
        fit(every, outcome=family, family=family, seed=1)
    assert first[TRACED] > 0  # or nothing is counted
    for chats, outcome, seed in ((every, family, 2), (every, f"other {family}", 1), (scope, family, 1)):
        with events() as again:
            fit(chats, outcome=outcome, family=family, seed=seed)
        assert (again[TRACED], again[COMPILED]) == (0, 0), (outcome, len(chats))


@pytest.mark.parametrize(
    "family", ["ordinal", *(pytest.param(f, marks=pytest.mark.slow) for f in ("bernoulli", "count"))]
)
def test_single_precision_moves_the_posterior_by_far_less_than_a_posterior_sd(family):
    """Draws are of the density in single precision; that in double precision weighs them almost equally.

    Weights between 1 - e and 1 + e move no posterior mean by more than e posterior SDs.
    """
    model = engine_model(
        chat_log(5, workers=25, days=8, start=4), family=family, formula=None, priors=unlike_priors(family)
    )
    layout = model.layout
    with session():
        problem, beliefs = jax.tree.map(jnp.asarray, (model.data, model.beliefs))
        state = State(
            jnp.asarray(model.start),
            jnp.asarray(model.outer),
            jnp.zeros((layout.n_units, layout.width)),
            jnp.zeros((layout.slots, layout.columns)),
        )
        anchor = find_anchor(state, problem, beliefs, layout=layout)
        target = hmc.Target(anchor, problem, beliefs, flat(layout.n_hyper))
        z = np.random.default_rng(1).normal(size=(POINTS, layout.n_latent)).astype(np.float32)
        at = jax.jit(partial(hmc.density_and_slope, layout=layout))
        exact, low = (
            [at(by_role(jnp.asarray(one, kind), layout), t) for one in z]
            for kind, t in ((np.float64, target), (np.float32, hmc.single(target)))
        )
    values = [np.array([float(a[0][0]) for a in made]) for made in (exact, low)]
    slopes = [np.stack([np.asarray(ravel_pytree(a[1])[0]) for a in made]) for made in (exact, low)]
    weight = np.exp(values[0] - values[1])
    apart, kick = np.abs(weight / weight.mean() - 1).max(), np.abs(slopes[0] - slopes[1]).max()
    print(
        f"{family}: weights apart by {apart:.1e}, slopes by {kick:.1e} of up to {np.abs(slopes[0]).max():.1f}"
    )
    assert 0.0 < apart < MOVE
    assert 0.0 < kick < MOVE

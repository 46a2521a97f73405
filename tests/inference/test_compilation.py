"""What is compiled a second time, and what single precision costs: neither may be noticed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import jax
import numpy as np
import pandas as pd
import pytest

import hitlbayes as hb
from hitlbayes.fitting.run import run
from hitlbayes.inference import hmc

from .chats import chat_log, engine_model, unlike_priors

TRACED, COMPILED = "/jax/core/compile/jaxpr_trace_duration", "/jax/core/compile/backend_compile_duration"
ROLES = {"unit": "worker_id", "time": "day", "treated": "treated", "post": "post"}
FAMILIES = ["gaussian", "bernoulli", *(pytest.param(f, marks=pytest.mark.slow) for f in ("ordinal", "count"))]
MOVE = 0.01  # of a posterior SD: what single precision may do to a mean

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


@pytest.mark.slow
@pytest.mark.parametrize("family", ["bernoulli", "ordinal", "count"])
def test_gradients_in_single_precision_leave_the_posterior_where_it_is(family, monkeypatch):
    """The same random numbers with gradients in either precision: chains stay together, so do their means."""
    chats = chat_log(5, workers=25, days=8, start=4)
    model = engine_model(chats, family=family, formula=None, priors=unlike_priors(family))
    single = run(model, draws=1000, chains=4, seed=1).posterior
    monkeypatch.setattr(hmc, "single", lambda target: target)
    double = run(model, draws=1000, chains=4, seed=1).posterior
    moves = {}
    for name, exact in double.data_vars.items():
        a, b = single[name].to_numpy(), exact.to_numpy()
        moves[name] = np.max(np.abs(a.mean((0, 1)) - b.mean((0, 1))) / b.std((0, 1)))
    assert not single.identical(double)
    assert max(moves.values()) < MOVE, moves

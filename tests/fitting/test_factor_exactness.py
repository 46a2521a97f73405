"""The joint model of effort and `models/effort.py`, a row per takeover in plain PyMC, have one density.

    engine(z) = pymc(values(z)) + log |det d values / d z| + constant

tests the likelihood, every prior, the map and its Jacobian at once.
"""

from __future__ import annotations

import runpy
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from pymc.model.transform.conditioning import remove_value_transforms

from hitlbayes.fitting import factor_expansion, factor_map, factor_run
from hitlbayes.fitting.factor import Layout, State
from hitlbayes.fitting.factor_density import cutpoints
from hitlbayes.inference.runtime import session
from hitlbayes.studies.effort_columns import Roles
from hitlbayes.studies.effort_frame import MEASURES, prepare
from hitlbayes.studies.effort_model import layout_and_data

DIGITS = 1e-8  # two double-precision sums of some hundred terms, and a determinant of 400 columns
POINTS = 3
NOISE = "noise"  # the factor's part of the text column is held at zero and stays standard normal
ROLES = Roles(
    "escalation",
    "technical",
    "worker_id",
    "start_time",
    "ai_rounds",
    "takeover_seconds",
    "takeover_sentiment",
    "human_messages",
)
BUILD = runpy.run_path(str(Path(__file__).parents[2] / "models" / "effort.py"))["build"]


def takeovers(n: int = 24, *, seed: int = 5) -> pd.DataFrame:
    """Synthetic takeovers of two workers on two days."""
    rng = np.random.default_rng(seed)
    rounds = rng.integers(1, 9, n)
    return pd.DataFrame(
        {
            "worker_id": rng.integers(0, 2, n),
            "start_time": pd.Timestamp("2024-08-15 09:00") + pd.to_timedelta(rng.integers(0, 2, n), unit="D"),
            "escalation": np.array(["technical", "emotional", "human"])[np.arange(n) % 3],
            "ai_rounds": rng.integers(1, 20, n),
            "takeover_seconds": rng.gamma(2.0, 60.0, n),
            "takeover_sentiment": rng.integers(1, 6, n),
            "human_delay": rng.lognormal(2.7, 0.5, n),
            "human_rounds": rounds,
            "human_messages": rounds + rng.integers(0, 7, n),
            **{code: 1 + rng.integers(0, 3, n) for code in ("empathy", "information_seeking")},
            "solution_provision": 1 + rng.integers(0, 3, n),
            "proactivity": rng.integers(0, 2, n),
        }
    )


def values(state: State, layout: Layout, data) -> dict[str, jax.Array]:
    """The reference model's variables at an engine state, from the docstring of models/effort.py alone."""
    psi = state.psi
    text = np.flatnonzero(np.asarray(data.common) == 0)
    columns = np.flatnonzero(np.asarray(data.common) != 0)
    found = {
        "loading_rounds": psi.loading[1],
        "loading_others": jnp.delete(psi.loading, 1),
        "kappa": state.common[columns],
        "sd_direct": psi.tau,
        "own_z": state.own[columns],
        "sd_worker": psi.unit,
        "worker_z": state.unit,
        "sd_day": psi.period,
        "day_z": state.period,
        "effort": state.chat,
        "text": state.own[text[0]],
        "intercept": (data.centre + data.spread * state.intercept)[np.array([0, 1, 2, 6])],
        "sigma": jnp.exp(psi.log_sigma[0]),
        "over": psi.over,
    }
    for j, code in enumerate(("empathy", "information_seeking", "solution_provision")):
        cut = cutpoints(data.spread[3 + j] * state.intercept[3 + j], psi.log_gap[j : j + 1])
        below = jax.nn.sigmoid(cut)
        found[f"{code}_share"] = jnp.array([below[0], below[1] - below[0], 1 - below[1]])
    return found


def noise(state: State, data) -> jax.Array:
    """Variables that the engine has and the model has not."""
    return state.common[np.flatnonzero(np.asarray(data.common) == 0)]


@pytest.fixture(scope="module")
def engine():
    frame = takeovers()
    ready = prepare(frame, roles=ROLES, measures=MEASURES, types=None, formula=None, missing="refuse")
    with session():
        layout, data = layout_and_data(ready, roles=ROLES, measures=MEASURES, adjust="sentiment")
        data = jax.tree.map(jnp.asarray, data)
        psi = factor_run.first_psi(data, layout, anchor_measure=1)
        rest = [jnp.zeros(s) for s in state_shapes(layout)]
        state = factor_run.climb(State(psi, *rest), data, layout)
        # small, so that no scale turns negative at the points: the reference has no negative ones
        root = 0.02 * np.eye(layout.sizes[0]) + 0.002
        anchor = factor_expansion.expand(state, root, data, layout)
    return ready, layout, data, anchor


def state_shapes(layout: Layout) -> list[tuple[int, ...]]:
    m, p = layout.measures, layout.columns
    return [(m,), (p,), (p, m), (layout.periods, 1 + m), (layout.units, 1 + m), (layout.chats,)]


def test_engine_and_pymc_have_one_density(engine):
    ready, layout, data, anchor = engine
    names = list(ready.columns.X)
    frame = ready.frame.assign(**{f"x{j}": ready.columns.X[c] for j, c in enumerate(names)})
    kinds = np.array(ready.columns.group)
    centre = np.asarray(data.centre)
    model = remove_value_transforms(
        BUILD(
            frame,
            types=[f"x{j}" for j in np.flatnonzero(kinds == "type")],
            covariates=[f"x{j}" for j in np.flatnonzero(~np.isin(kinds, ("type", "text")))],
            text=f"x{np.flatnonzero(kinds == 'text')[0]}",
            intercept_prior=(centre[[0, 1, 2, 6]], 2.5),
        )
    )
    logp = model.compile_logp(jacobian=False, mode="FAST_COMPILE")
    with session():

        def flat(z: jax.Array) -> jax.Array:
            state = factor_map.place(z, anchor, data, layout).state
            found = values(state, layout, data) | {NOISE: noise(state, data)}
            return jnp.concatenate(
                [jnp.ravel(v)[: v.size - name.endswith("_share")] for name, v in found.items()]
            )

        differences = []
        for point in range(POINTS):
            z = 0.7 * jax.random.normal(jax.random.key(point), (layout.size,))
            state = factor_map.place(z, anchor, data, layout).state
            sign, volume = np.linalg.slogdet(np.asarray(jax.jacrev(flat)(z)))
            assert sign != 0
            reference = float(logp({k: np.asarray(v) for k, v in values(state, layout, data).items()}))
            engine_value = float(factor_map.mapped_density(z, (anchor, data), layout))
            reference -= 0.5 * float(jnp.sum(noise(state, data) ** 2))
            differences.append(engine_value - reference - volume)
    size = max(abs(reference), 1.0)
    assert np.ptp(differences) < DIGITS * size


def test_map_is_exact_where_the_likelihood_is_normal(engine):
    """At the mode the expansion's coordinates are at their centre: the gradient of the density vanishes."""
    _, layout, data, anchor = engine
    with session():
        slope = jax.grad(lambda z: factor_map.mapped_density(z, (anchor, data), layout))
        found = np.asarray(slope(jnp.zeros(layout.size)))[layout.sizes[0] :]
    assert np.abs(found).max() < 0.6  # standard deviations; the Jacobian of psi alone moves it from zero

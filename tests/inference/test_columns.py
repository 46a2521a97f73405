"""Columns by what they are made of are the columns, and units in parts are the units."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hitlbayes.inference.columns import make_columns, parts_to_outer
from hitlbayes.inference.gaussian import Weighed, effect_batches, narrow_where_safe, sample_hyper
from hitlbayes.inference.marginal import Means, draw_effects, log_posterior, sums_at
from hitlbayes.inference.unit_sums import Part

from .chats import chat_log, engine_model, unlike_priors

ROUNDING = 1e-12  # columns of size one, through one small inverse
SUMS = 1e-10  # relative to the log density: the same sums in another order
MOVE = 0.01  # of a posterior SD: how far single precision may move a conditional mean
UNITS, SLOTS = 12, 7


def panel(seed: int) -> dict[str, np.ndarray]:
    """Unit-periods of an unbalanced panel: their units, periods and bases (1, post)."""
    rng = np.random.default_rng(seed)
    unit, period = (a.ravel() for a in np.meshgrid(np.arange(UNITS), np.arange(SLOTS), indexing="ij"))
    kept = rng.random(unit.size) < 0.8
    unit, period = unit[kept], period[kept]
    return {"unit": unit, "period": period, "basis": np.column_stack([np.ones(len(unit)), period > 3])}


def columns_of(X: np.ndarray, rows: dict[str, np.ndarray]):
    return make_columns(
        X,
        basis=rows["basis"],
        unit=rows["unit"],
        groups=[rows["period"]],
        sizes=[SLOTS],
        n_units=UNITS + 2,
        put=lambda values: values.T,
    )


def test_columns_are_found_again_and_only_what_varies_freely_is_kept() -> None:
    rows, rng = panel(1), np.random.default_rng(2)
    unit, period, basis = rows["unit"], rows["period"], rows["basis"]
    arm, free = unit % 2, rng.normal(size=len(unit))
    by_period = rng.normal(size=SLOTS)[period]
    X = np.column_stack([np.ones(len(unit)), arm, (arm * basis[:, 1] - 0.3) / 0.5, by_period, free])
    made = columns_of(X, rows)
    assert made.rest.shape[0] == 1  # the last column alone
    parts = [
        sum(w[:, unit] * a for w, a in zip(made.own, basis.T, strict=True)).T,
        np.eye(SLOTS)[period],
        made.rest.T,
    ]
    with jax.enable_x64(True):
        to_outer = np.asarray(parts_to_outer(jnp.asarray(made.level), jnp.asarray(made.share)))
    design = np.hstack(parts) @ to_outer.T
    np.testing.assert_allclose(design, np.hstack([X, np.eye(SLOTS)[period]]), atol=ROUNDING)


@pytest.mark.parametrize("size", [0.0, 1e-9, 1e-3])
def test_a_column_that_is_almost_made_of_others_is_kept_whole(size: float) -> None:
    rows = panel(3)
    X = (rows["unit"] % 2 + size * np.random.default_rng(4).normal(size=len(rows["unit"])))[:, None]
    assert columns_of(X, rows).rest.shape[0] == (size > 0)


def in_parts_of(data: Means, count: int) -> Means:
    """The same units in `count` parts."""

    def cut(a: np.ndarray) -> np.ndarray:
        whole = np.concatenate(list(np.asarray(a)), axis=-1)
        return np.moveaxis(whole.reshape(*whole.shape[:-1], count, whole.shape[-1] // count), -2, 0)

    parts = (tuple(map(cut, a)) if isinstance(a, tuple) else cut(a) for a in data.parts)
    return data._replace(parts=Part(*parts))


@pytest.mark.parametrize("formula", [None, "~ C(urgency) + vip"], ids=["worker-days", "covariates"])
def test_parts_change_nothing_and_single_precision_next_to_nothing(formula: str | None) -> None:
    model = engine_model(
        chat_log(22, workers=8), family="gaussian", formula=formula, priors=unlike_priors("gaussian")
    )
    layout, key = model.layout, jax.random.key(3)
    psi = model.start + 0.1 * np.random.default_rng(5).normal(size=(16, layout.n_hyper))
    with jax.enable_x64(True):
        made = []
        for count in (1, 2):
            data, beliefs = jax.tree.map(jnp.asarray, (in_parts_of(model.data, count), model.beliefs))
            drawn = draw_effects(
                psi, sums_at(psi, data, beliefs, layout=layout), key, data, beliefs, layout=layout
            )
            made.append((log_posterior(psi, data, beliefs, layout=layout), drawn.outer_mean, drawn.outer))
        single = narrow_where_safe(data, beliefs, layout)
        assert single.parts.y.dtype == jnp.float32
        near = draw_effects(
            psi, sums_at(psi, single, beliefs, layout=layout), key, single, beliefs, layout=layout
        )
        made = jax.tree.map(np.asarray, made)
    (whole, mean, outer), (parted, mean_of_parts, _) = made
    np.testing.assert_allclose(parted, whole, rtol=SUMS)
    np.testing.assert_allclose(mean_of_parts, mean, atol=SUMS * np.abs(mean).max())
    spread = (outer - mean).std(axis=0)
    moved = np.abs(np.asarray(near.outer_mean) - mean_of_parts) / spread
    print(f"single precision moves conditional means by at most {moved.max():.1e} posterior SDs")
    assert 0.0 < moved.max() < MOVE


def test_effects_are_the_same_from_sums_that_were_kept_and_from_sums_made_again() -> None:
    model = engine_model(
        chat_log(22, workers=8), family="gaussian", formula=None, priors=unlike_priors("gaussian")
    )

    def drawn(weighed: Weighed) -> list[tuple[np.ndarray, ...]]:
        options = {"layout": model.layout, "seed": 1, "batches": range(2)}
        return effect_batches(weighed, model.data, keep=lambda _, arrays: arrays, **options)

    with jax.enable_x64(True):
        weighed = sample_hyper(model.start, model.data, model.beliefs, layout=model.layout, draws=100, seed=2)
        assert weighed.sums is not None
        for kept, again in zip(drawn(weighed), drawn(weighed._replace(sums=None)), strict=True):
            for one, other in zip(kept, again, strict=True):
                np.testing.assert_array_equal(one, other)

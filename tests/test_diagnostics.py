"""What the checks say of draws that are good, few, stuck, constant or not finite."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from arviz_stats.base import array_stats

from hitlbayes.diagnostics import AT_ONCE, diagnose, judge, split_r_hat

DRAWS = (4, 500)
ROUNDING = 1e-12  # the same sums in another order


def verdict(
    parameters: dict[str, np.ndarray],
    *,
    diverging: int = 0,
    k_hat: float = np.nan,
    effective: float = np.nan,
):
    flags = np.zeros(DRAWS, bool)
    flags.flat[:diverging] = True
    stats = xr.Dataset({"diverging": (("chain", "draw"), flags)})
    return judge(diagnose(parameters), stats=stats, k_hat=k_hat, effective=effective)


def good(seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=DRAWS)


def test_independent_draws_and_held_parameters_pass():
    check = verdict({"a": good(), "held": np.full(DRAWS, 0.3)})
    assert check.ok
    assert str(check).startswith("checks passed")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_draw_that_is_not_finite_fails(value):
    broken = good()
    broken[2, 7] = value
    check = verdict({"a": good(), "b": broken})
    assert not check.ok
    assert check.problems[0] == "draws of b are not finite"
    assert (check.ess_bulk, check.ess_tail) == (0.0, 0.0)


def test_draws_that_are_all_missing_do_not_pass_for_a_constant():
    assert not verdict({"a": np.full(DRAWS, np.nan)}).ok


def test_chains_that_disagree_fail():
    apart = good() + np.arange(4)[:, None]
    assert any("r_hat" in text and "for b" in text for text in verdict({"a": good(), "b": apart}).problems)


def test_draws_that_hardly_move_fail():
    slow = np.cumsum(good(2), axis=1) * 0.05
    assert any(text.startswith("bulk ESS") for text in verdict({"slow": slow}).problems)


def test_divergences_and_importance_weights_count():
    assert verdict({"a": good()}, diverging=20).ok  # one in a hundred
    assert "21 of 2000 trajectories diverged" in verdict({"a": good()}, diverging=21).problems
    assert any(
        "k-hat is 0.80" in text for text in verdict({"a": good()}, k_hat=0.8, effective=900.0).problems
    )


def test_few_effective_weights_fail_though_resampled_draws_look_independent():
    check = verdict({"a": good()}, k_hat=0.5, effective=58.0)
    assert check.problems == ("the importance weights leave 58 effective draws (limit 400)",)
    assert check.ess_bulk == 58.0


@pytest.mark.parametrize("shape", [(4, 500, 3), (2, 101, AT_ONCE + 5), (4, 60), (3, 41, 2, 4)])
def test_split_r_hat_of_many_is_that_of_arviz_ties_and_odd_numbers_included(shape):
    rng = np.random.default_rng(3)
    draws = rng.normal(size=shape).round(1) + 0.3 * rng.normal(size=(shape[0], 1, *shape[2:]))
    draws[:, 1::3] = draws[:, :-1:3][:, : draws[:, 1::3].shape[1]]  # rejected proposals
    expected = array_stats.rhat(draws, chain_axis=0, draw_axis=1)
    np.testing.assert_allclose(split_r_hat(draws), expected, rtol=ROUNDING)


@pytest.mark.filterwarnings("ignore")  # ArviZ warns of what is not valid
@pytest.mark.parametrize("kind", ["NaN", "infinite", "constant", "one chain", "three draws"])
def test_split_r_hat_of_draws_that_say_nothing_is_that_of_arviz(kind):
    draws = np.random.default_rng(4).normal(size=(4, 100, 2))
    if kind in ("NaN", "infinite"):
        draws[1, 3, 0] = np.nan if kind == "NaN" else np.inf
    elif kind == "constant":
        draws[..., 0] = 2.0
    else:
        draws = draws[:1] if kind == "one chain" else draws[:, :3]
    expected = array_stats.rhat(draws, chain_axis=0, draw_axis=1)
    assert np.isnan(expected).any() == (kind != "infinite")
    np.testing.assert_allclose(split_r_hat(draws), expected, rtol=ROUNDING)

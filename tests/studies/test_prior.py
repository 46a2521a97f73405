"""Prior predictive draws: against closed forms where the priors leave one."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

import hitlbayes as hb
from hitlbayes.errors import SpecError

DRAWS = 4000
LIMIT = 4.0  # standard errors of a Monte Carlo estimate
SURE = 1e-9  # SD of a prior that holds a coefficient
CLOSE = 1e-6
ARMS = {"unit": "id", "time": "week", "treated": "arm", "post": "after"}
STILL = {f"sd_{name}": hb.fixed(0.0) for name in ("level", "drift", "effect", "period", "shock")}


def frame() -> pd.DataFrame:
    """Synthetic rows, three to each of 8 units in 4 weeks."""
    rng = np.random.default_rng(4)
    rows = pd.DataFrame(
        [(i, t) for i in range(8) for t in range(4) for _ in range(3)], columns=["id", "week"]
    )
    rows["arm"], rows["after"] = rows["id"] % 2, (rows["week"] >= 2).astype(int)
    rows["y"], rows["back"] = rng.normal(5.0, 2.0, len(rows)), rng.integers(0, 2, len(rows))
    rows["stars"], rows["switches"] = rng.integers(1, 5, len(rows)), rng.poisson(3.0, len(rows))
    return rows


def told(outcome: str, family: str, priors: dict, **options) -> hb.studies.PriorPredictive:
    return hb.prior_predictive(frame(), outcome=outcome, family=family, priors=priors, **ARMS, **options)


@pytest.mark.parametrize(
    ("outcome", "family", "response", "factor"),
    [
        ("y", "gaussian", lambda eta: eta, 1.0),
        ("back", "bernoulli", expit, 100.0),
        ("switches", "count", np.exp, 1.0),
    ],
)
def test_held_parameters_give_the_effect_in_closed_form(outcome, family, response, factor):
    held = STILL | {
        "coef": hb.normal(0.0, SURE),
        "intercept": hb.normal(-0.4, SURE),
        "treatment": hb.normal(0.7, SURE),
        "treated": hb.normal(0.2, SURE),
    }
    made = told(outcome, family, held, draws=5)
    expected = factor * (response(-0.4 + 0.2 + 0.7) - response(-0.4 + 0.2))
    np.testing.assert_allclose(made.implied["att"], expected, atol=CLOSE)
    cells = [response(x) for x in (-0.4, -0.4, -0.2, 0.5)]  # a quarter of the rows each
    np.testing.assert_allclose(made.implied["mean"], np.mean(cells), atol=CLOSE)


def test_a_dirichlet_gives_each_category_its_share():
    held = STILL | {"treatment": hb.normal(0, SURE), "coef": hb.normal(0, SURE)}
    made = told("stars", "ordinal", held, draws=DRAWS)
    share = made.implied["share"].to_numpy()
    np.testing.assert_allclose(share.sum(axis=1), 1.0, atol=CLOSE)
    np.testing.assert_allclose(made.implied["mean"], share @ np.arange(1.0, 5.0), atol=CLOSE)
    # Dirichlet(1, 1, 1, 1): every share has mean 1/4 and variance 3/80
    assert np.all(np.abs(share.mean(axis=0) - 0.25) < LIMIT * np.sqrt(3 / 80 / DRAWS))
    even = told("stars", "ordinal", held | {"cutpoints": hb.dirichlet(1e9)}, draws=3)
    np.testing.assert_allclose(even.implied["share"], 0.25, atol=1e-3)


def test_parameters_have_their_priors():
    made = told("y", "gaussian", {"sd_level": hb.half_normal(0.5)}, draws=DRAWS).parameters
    level, rho = made["sd_level"].to_numpy(), made["rho_effect"].to_numpy()
    root_mean_square = np.sqrt(np.mean(level**2))
    assert abs(root_mean_square - 0.5) < LIMIT * 0.5 / np.sqrt(2 * DRAWS)
    assert level.min() >= 0
    assert abs(np.var(rho) - 0.2) < LIMIT * 0.17 / np.sqrt(DRAWS)  # LKJ(2): variance 1/5
    spread = frame().groupby(["id", "week"])["y"].mean().std(ddof=0)
    assert abs(made["treatment"].std() - spread) < LIMIT * spread / np.sqrt(2 * DRAWS)


def test_unit_effects_average_out_of_the_effect_and_shocks_into_the_mean():
    wide = STILL | {"treatment": hb.normal(0, SURE), "sd_effect": hb.half_normal(1.0)}
    att = told("y", "gaussian", wide, draws=DRAWS).implied["att"]
    assert abs(att.var() - 1 / 4) < LIMIT * (1 / 4) * np.sqrt(8 / DRAWS)  # four treated units; heavy tails
    loud = STILL | {"treatment": hb.normal(0, SURE), "coef": hb.normal(0, SURE)}
    loud |= {"intercept": hb.normal(0, SURE), "sd_shock": hb.half_normal(1.0)}
    mean = told("y", "gaussian", loud, draws=DRAWS).implied["mean"]
    assert abs(mean.var() - 1 / 32) < LIMIT * (1 / 32) * np.sqrt(
        8 / DRAWS
    )  # a shock to each of 32 unit-weeks


def test_the_same_seed_gives_the_same_draws_and_the_table_says_what_is_what():
    once, again = (told("stars", "ordinal", {}, draws=50, seed=3) for _ in range(2))
    pd.testing.assert_frame_equal(once.summary(), again.summary())
    table = once.summary(prob=0.8)
    assert table.index[:3].tolist() == ["ATT", "mean stars", "P(stars = 1)"]
    assert table.loc["ATT", "prior"] == "implied, points"
    assert table.loc["treatment", "prior"] == "normal(0, 1)"
    assert table.loc["mean stars", "observed"] == pytest.approx(frame()["stars"].mean())
    assert table.loc["P(stars = 2)", "observed"] == pytest.approx((frame()["stars"] == 2).mean())
    assert "sd_level" in table.index
    assert "Before any outcome is seen: stars; 50 draws, seed 3" in repr(once)


def test_staggered_starts_and_controls_are_drawn_too():
    rows = frame()
    rows["now"] = ((rows["week"] > rows["id"] % 3) & (rows["id"] > 2)).astype(int)
    made = hb.prior_predictive(
        rows,
        outcome="back",
        unit="id",
        time="week",
        treatment="now",
        family="bernoulli",
        formula="~ y",
        draws=20,
    )
    assert {"y", "y, unit mean", "treatment, unit mean", "sd_effect"} <= set(made.parameters)
    assert "sd_drift" not in made.parameters
    assert np.all(np.abs(made.implied["att"]) <= 100)


def test_what_fit_did_refuses_is_refused():
    with pytest.raises(SpecError, match="did you mean 'sd_level'"):
        told("y", "gaussian", {"sd_levle": hb.fixed(0)})
    with pytest.raises(TypeError, match="formla"):
        told("y", "gaussian", {}, formla="~ y")
    with pytest.raises(SpecError, match="at least one"):
        told("y", "gaussian", {}, draws=0)

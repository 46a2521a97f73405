"""Data with next to nothing in them: absent effects, empty categories, lone chats, separation, few days."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

import hitlbayes as hb
from hitlbayes.diagnostics import effective_sizes
from hitlbayes.errors import HitlbayesError

from .degenerate import SCALES, STILL, assert_sound, experiment, fit, rated

CHANCE = 4.5  # standard errors of a mean that a right answer exceeds once in 150,000 tries
SAMPLED = [pytest.param("gaussian")] + [
    pytest.param(family, marks=pytest.mark.slow) for family in ("bernoulli", "ordinal", "count")
]  # the others compile for seconds, shape by shape
SHARES = 1e-4  # percentage points: shares are kept in single precision
NEAR_ZERO = 0.1  # of the outcome's SD, a logit or a log point
ENOUGH = {
    "gaussian": 500,
    "bernoulli": 1000,
    "ordinal": 1000,
    "count": 2000,
}  # draws a chain, small data mix less
HELD = {f"sd_{name}": hb.fixed(0.0) for name in STILL}


@pytest.mark.parametrize("family", SAMPLED)
def test_three_days_and_eight_workers(family):
    made = fit(experiment(2, family=family), family=family, draws=ENOUGH[family])
    assert_sound(made)
    row = made.tidy().set_index("term").loc["treatment"]
    assert row["lower"] < 0.6 < row["upper"]
    assert 0.1 < row["sd"] < 1.0  # the prior's SD is one logit, log point or outcome SD


@pytest.mark.parametrize("family", SAMPLED)
def test_scales_whose_truth_is_zero_are_drawn_to_zero(family):
    made = fit(
        experiment(1, family=family, units=24, days=8, scales=STILL), family=family, draws=ENOUGH[family]
    )
    assert_sound(made)
    s = made.cells["statistic_0"].std() if family == "gaussian" else 1.0
    draws = made.hyperparameters()
    for name in HELD:
        assert np.quantile(draws[name], 0.05) < NEAR_ZERO * s, name
    row = made.tidy().set_index("term").loc["treatment"]
    assert row["lower"] < 0.6 < row["upper"]


@pytest.mark.slow
@pytest.mark.parametrize("empty", [1, 3, 5], ids=["lowest", "middle", "highest"])
def test_a_category_that_is_never_used_has_hardly_any_probability(empty):
    rows = experiment(4, family="ordinal", units=12, days=4)
    values = rows["y"].to_numpy().astype(int)
    rows["y"] = rated(np.where(values == empty, 2 if empty < 5 else 4, values), categories=5)
    made = fit(rows, family="ordinal", draws=2000)
    assert_sound(made)
    cut = made.posterior["posterior"]["cutpoints"].to_numpy()
    share = np.diff(expit(cut), prepend=0.0, append=1.0)[..., empty - 1]
    # A flat Dirichlet and no such rating among n: Beta(1, n + 4) where effects are small.
    assert 0.2 / len(rows) < share.mean() < 4.0 / len(rows)
    change = made.effects()["att_probability"].sel(category=empty)
    assert abs(change).mean() < 1.0  # percentage points


@pytest.mark.slow
def test_ten_categories_from_eight_workers_and_three_days():
    made = fit(experiment(6, family="ordinal", categories=10), family="ordinal", draws=1000)
    assert_sound(made)
    assert np.all(np.diff(made.posterior["posterior"]["cutpoints"].to_numpy(), axis=-1) > 0)
    assert made.effects()["att_probability"].sizes["category"] == 10
    total = made.effects()["att_probability"].sum("category")
    np.testing.assert_allclose(total, 0.0, atol=SHARES)


@pytest.mark.parametrize("family", SAMPLED)
def test_a_worker_with_one_chat_is_known_less_than_others_and_than_with_all_its_chats(family):
    rows = experiment(7, family=family, units=12, days=4)
    lone = rows[(rows["id"] == 3) & (rows["after"] == 1)].iloc[:1]
    made = fit(pd.concat([rows[rows["id"] != 3], lone]), family=family, draws=ENOUGH[family])
    assert_sound(made)
    # A level far from zero is known badly too, for how far levels spread is: so typical ones, and its own.
    spread, whole = (
        f.posterior["posterior"]["unit_level"].std(("chain", "draw")).to_series()
        for f in (made, fit(rows, family=family, draws=ENOUGH[family]))
    )
    assert spread[3] > spread.drop(3).median()
    assert spread[3] > whole[3]
    assert made.cells["n"].sum() == len(rows) - 5 * 4 + 1


@pytest.mark.parametrize("family", SAMPLED)
def test_a_day_with_one_worker_is_known_less_than_the_others(family):
    rows = experiment(8, family=family, units=12, days=4, scales=SCALES | {"period": 0.6})
    made = fit(rows[(rows["day"] != 1) | (rows["id"] == 3)], family=family, draws=ENOUGH[family])
    assert_sound(made)
    day = made.period_effects()
    # Differences within a phase: what days share is left to the intercept.
    before, after = (day.sel(period=b) - day.sel(period=a) for a, b in ((0, 1), (2, 3)))
    assert before.std() > 1.2 * after.std()


def separated() -> pd.DataFrame:
    """Every treated worker's chats succeed after the start, and no other chat does."""
    rows = experiment(9, family="bernoulli")
    return rows.assign(y=rows["arm"] * rows["after"])


def test_complete_separation_gives_the_posterior_that_the_priors_bound():
    coefs = {"intercept": (0.0, 2.0), "treated": (0.0, 1.0), "treatment": (0.0, 1.0)}
    priors = HELD | {name: hb.normal(*prior) for name, prior in coefs.items()}
    priors |= {"treatment, period mean": hb.normal(0.0, 1e-3), "sd_shock": hb.half_normal(1e-3)}
    rows = separated()
    made = fit(rows, family="bernoulli", priors=priors)
    assert_sound(made)
    exact = on_a_grid(rows, sds=[sd for _, sd in coefs.values()])
    draws = made.hyperparameters() | {"ATT": made.effects()["att"].to_numpy()}
    for name, (mean, sd) in exact.items():
        ess = float(effective_sizes(draws[name])[0])
        assert abs(draws[name].mean() - mean) < CHANCE * sd / np.sqrt(ess), name
        assert draws[name].std() == pytest.approx(sd, rel=CHANCE / np.sqrt(2 * 400)), name


def on_a_grid(rows: pd.DataFrame, *, sds: list[float]) -> dict[str, tuple[float, float]]:
    """Exact means and SDs of a logistic regression on arm and treatment with normal priors about zero."""
    axes = [np.linspace(-7 * sd, 7 * sd, 161) for sd in sds]
    a, g, b = np.meshgrid(*axes, indexing="ij", sparse=True)
    log = sum(-0.5 * (x / sd) ** 2 for x, sd in zip((a, g, b), sds, strict=True))
    cells = rows.groupby(["arm", "after"])["y"].agg(["sum", "size"])
    for (arm, after), (hits, n) in cells.iterrows():
        eta = a + arm * g + arm * after * b
        log = log + hits * eta - n * np.logaddexp(0, eta)
    weight = np.exp(log - log.max())
    weight /= weight.sum()
    values = {"intercept": a, "treated": g, "treatment": b, "ATT": 100 * (expit(a + g + b) - expit(a + g))}
    means = {name: float(np.sum(weight * x)) for name, x in values.items()}
    return {
        name: (means[name], float(np.sqrt(np.sum(weight * (x - means[name]) ** 2))))
        for name, x in values.items()
    }


def test_complete_separation_with_free_scales_converges():
    made = fit(separated(), family="bernoulli", draws=1000)
    assert_sound(made)
    assert made.effects()["att"].quantile(0.025) > 0.0


def test_separation_by_worker_converges():
    rows = experiment(9, family="bernoulli")
    made = fit(rows.assign(y=(rows["id"] % 4 < 2).astype(int)), family="bernoulli", draws=1000)
    assert_sound(made)
    effect = made.effects()["att"]
    assert effect.quantile(0.025) < 0.0 < effect.quantile(0.975)
    level = made.posterior["posterior"]["unit_level"].mean(("chain", "draw")).to_numpy()
    always = np.arange(8) % 4 < 2
    assert level[always].min() > 0.0 > level[~always].max()


@pytest.mark.slow
def test_an_outcome_without_noise_never_passes():
    rows = experiment(9, family="gaussian")
    try:
        made = fit(rows.assign(y=1.0 + 0.5 * rows["arm"] * rows["after"]), family="gaussian")
    except HitlbayesError:
        return
    assert not made.check().ok  # the density has no bound as the residual SD goes to zero


def test_few_draws_fail_the_checks_and_the_summary_says_so():
    made = fit(experiment(2, family="gaussian"), family="gaussian", draws=50)
    assert not made.check().ok
    assert any("ESS" in problem for problem in made.check().problems)
    assert "FAILED" in repr(made)


@pytest.mark.slow
def test_mixed_model_of_two_judges_of_one_rating_each():
    rng = np.random.default_rng(11)
    frame = pd.DataFrame({"judge": np.r_[np.repeat(np.arange(6), 8), 6, 7]})
    frame["y"] = rng.normal(size=8)[frame["judge"]] + rng.normal(size=len(frame))
    made = hb.fit_mixed(frame, outcome="y", family="gaussian", groups=["judge"], draws=500, progress=False)
    assert_sound(made)
    spread = made.posterior["posterior"]["judge_level"].std(("chain", "draw")).to_numpy()
    assert spread[6:].min() > spread[:6].max()

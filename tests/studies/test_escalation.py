"""Effects by escalation type: identities, recovery, anchoring, and what is refused."""

from __future__ import annotations

import pickle
from functools import cache

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import hitlbayes as hb
from hitlbayes.errors import DesignError, SchemaError, SpecError
from hitlbayes.studies.escalation_anchor import anchor_types
from tests.studies.matched_types import SIZES, TYPES, matched_types

EFFECTS = {"technical": 0.2, "emotional": 0.8, "human": -0.3, "none": -0.9}
QUIET = {"formula": "~ x", "draws": 250, "progress": False}
SAME = 1e-10  # the same arithmetic on the same draws
SUM = 1e-9


@cache
def gaussian() -> hb.EscalationFit:
    return hb.fit_escalation(matched_types(EFFECTS, seed=1), outcome="y", family="gaussian", **QUIET)


@cache
def ordinal() -> hb.EscalationFit:
    return hb.fit_escalation(matched_types(EFFECTS, seed=2), outcome="stars", family="ordinal", **QUIET)


def test_a_control_that_serves_several_types_counts_once() -> None:
    matched = matched_types(EFFECTS, seed=1)
    served = matched.pairs()
    assert len(gaussian().pooled.cells) == served["treated"].nunique() + served["control"].nunique()
    assert len(gaussian().pooled.cells) < 2 * len(served)
    assert gaussian().draws["size"].to_numpy().tolist() == list(SIZES.values())


def test_recovers_the_order_and_size_of_effects() -> None:
    fit = gaussian()
    table = fit.summary().query("pooling == 'partial'").set_index("type")
    z = (table["mean"] - pd.Series(EFFECTS)) / table["sd"]
    assert z.abs().max() < 4  # posterior SDs; one type in 15,000 by chance
    assert fit.worst().idxmax() == "emotional"
    assert fit.worst("lower").idxmax() == "none"
    assert fit.worst().sum() == pytest.approx(1.0)
    assert (fit.summary()["assumption"] == "under principal ignorability given the matching variables").all()
    assert "under principal ignorability" in repr(fit)
    assert "SYNTHETIC" in repr(fit)


def test_pooling_draws_types_together() -> None:
    table = gaussian().summary().pivot(index="type", columns="pooling", values="mean")
    assert np.ptp(table["partial"]) < np.ptp(table["none"])


def test_contrasts_are_differences_of_effects() -> None:
    fit = gaussian()
    table = fit.contrasts([("emotional", "technical")]).iloc[0]
    effect = fit.effects()
    difference = effect.sel(type="emotional") - effect.sel(type="technical")
    assert table["mean"] == pytest.approx(float(difference.mean()), abs=SAME)
    assert len(fit.contrasts()) == 6


def test_unpooled_without_workers_or_pooling_is_least_squares() -> None:
    # One type: with flat priors and no worker effects the posterior mean is OLS on the matched chats.
    matched = matched_types({"technical": 0.5}, seed=3, sizes={"technical": 80}, sd_worker=0.0)
    held = {"sd_worker": hb.fixed(0), "sd_shock": hb.fixed(0), "treatment": hb.normal(0, 100)}
    fit = hb.fit_escalation(matched, outcome="y", family="gaussian", priors=held, **QUIET)
    found = fit.draws["unpooled_linear"].sel(type="technical")
    twin = fit.twin.loc["technical"]
    # the two residual SDs, by arm, make it weighted least squares: within a tenth of a standard error
    assert float(found.mean()) == pytest.approx(twin["estimate"], abs=0.15 * twin["se"])


def test_response_effects_of_ratings_are_differences_of_expected_categories() -> None:
    fit = ordinal()
    effect, linear = fit.effects(), fit.draws["pooled_linear"]
    # stars have a logistic latent variable: signs agree draw by draw, and a logit is under a star
    assert (np.sign(effect) == np.sign(linear)).all()
    assert (np.abs(effect) < np.abs(linear)).all()
    assert fit.units == "points"


def test_gaussian_effect_is_the_linear_one() -> None:
    fit = gaussian()
    xr.testing.assert_allclose(fit.draws["pooled"], fit.draws["pooled_linear"])


def test_checks_cover_both_models_and_every_effect() -> None:
    fit = gaussian()
    check = fit.check()
    worst = min(fit.pooled.effective, fit.unpooled.effective)
    assert check.ess_bulk <= worst
    assert check.r_hat < 1.02  # 250 draws of 4 chains


def test_result_pickles() -> None:
    again = pickle.loads(pickle.dumps(gaussian()))
    xr.testing.assert_identical(again.draws, gaussian().draws)


def test_same_seed_same_draws() -> None:
    matched = matched_types(EFFECTS, seed=1)
    again = hb.fit_escalation(matched, outcome="y", family="gaussian", **QUIET)
    xr.testing.assert_identical(again.draws, gaussian().draws)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"outcome": "mood", "family": "gaussian"}, SpecError, "no outcome 'mood'"),
        ({"outcome": "y"}, SpecError, "expected gaussian, bernoulli or ordinal"),
        ({"outcome": "again", "family": "count"}, SpecError, "expected gaussian, bernoulli or ordinal"),
        ({"outcome": "y", "family": "gaussian", "formula": "~ gap"}, SpecError, "names gap"),
        (
            {"outcome": "y", "family": "gaussian", "priors": {"sd_tipe": hb.half_normal(1)}},
            SpecError,
            "sd_type",
        ),
    ],
)
def test_bad_requests_are_refused(options, error, words: str) -> None:
    with pytest.raises(error, match=words):
        hb.fit_escalation(matched_types(EFFECTS, seed=1), **{**QUIET, **options})


def test_a_type_without_known_outcomes_is_refused_with_its_count() -> None:
    matched = matched_types(EFFECTS, seed=1)
    matched.pool["y"] = matched.pool["y"].where(matched.pool["escalation"] != "human")
    with pytest.raises(DesignError, match=r"human \(0\)"):
        hb.fit_escalation(matched, outcome="y", family="gaussian", **QUIET)


def test_missing_covariates_are_refused_with_counts() -> None:
    matched = matched_types(EFFECTS, seed=1)
    matched.pool.loc[:4, "x"] = np.nan
    with pytest.raises(SchemaError, match=r"x \(5\)"):
        hb.fit_escalation(matched, outcome="y", family="gaussian", **QUIET)


def test_a_constant_outcome_is_refused() -> None:
    matched = matched_types(EFFECTS, seed=1)
    matched.pool["again"] = 1
    with pytest.raises(SpecError, match="same in all"):
        hb.fit_escalation(matched, outcome="again", family="bernoulli", **QUIET)


def test_anchored_effects_add_up_to_the_average_draw_by_draw() -> None:
    rng = np.random.default_rng(5)
    cov = np.array([[0.04, 0.01, 0.0], [0.01, 0.09, 0.02], [0.0, 0.02, 0.16]])
    free = xr.DataArray(
        rng.multivariate_normal([0.1, -0.9, -0.5], cov, size=(2, 4000)),
        dims=("chain", "draw", "type"),
        coords={"type": ["technical", "emotional", "human"]},
    )
    average = rng.normal(-0.6, 0.05, 1000)
    made = anchor_types(free, average, sizes=[500, 100, 200], units="points")
    total = made.draws["anchored"] @ made.draws["weight"]
    np.testing.assert_allclose(total, made.draws["average"], atol=SUM)
    # the normal posterior given w'tau = A, by hand
    w = np.array([5.0, 1.0, 2.0]) / 8
    mean = np.array([0.1, -0.9, -0.5])
    given = mean + cov @ w * (-0.6 - w @ mean) / (w @ cov @ w)
    assert made.draws["anchored"].mean(("chain", "draw")).to_numpy() == pytest.approx(given, abs=0.02)


def test_room_is_the_gap_over_the_weight() -> None:
    made = hb.anchor_published("rating")
    low, high = np.quantile(made.draws["gap"], [0.025, 0.975])
    room = made.room().set_index("moves")
    assert room.loc["emotional alone", ["lower", "upper"]].tolist() == pytest.approx(
        [low / (446 / 3739), high / (446 / 3739)], rel=1e-6
    )
    assert room.loc["technical alone", "upper"] == pytest.approx(-low / (1667 / 3739), rel=1e-6)
    assert np.isinf(room.iloc[-1]["upper"])


def test_published_tables_are_anchored_as_printed() -> None:
    made = hb.anchor_published("log_duration")
    table = made.summary().set_index("quantity")
    # size-weighted Table 5 by hand: (.191 x 9758 + .408 x 1908 + .095 x 2724 - .646 x 7748) / 22138
    assert table.loc["weighted sum, free", "mean"] == pytest.approx(-0.095, abs=2e-3)
    assert table.loc["weighted sum, anchored", "mean"] == pytest.approx(-0.168, abs=3e-3)
    assert made.source == "published"
    assert any("weights worker-days" in note for note in made.notes)


def test_anchoring_refuses_what_does_not_belong_together() -> None:
    fit = gaussian()
    with pytest.raises(SpecError, match="expected the same outcome"):
        hb.anchor_escalation(fit, _did("other"))
    made = hb.anchor_escalation(fit, _did("y"))
    np.testing.assert_allclose(made.draws["anchored"] @ made.draws["weight"], made.draws["average"], atol=SUM)


@cache
def _did(outcome: str) -> hb.Fit:
    rng = np.random.default_rng(4)
    grid = [(i, t) for i in range(20) for t in range(6)]
    frame = pd.DataFrame(grid, columns=["id", "week"]).assign(arm=lambda f: f["id"] % 2)
    frame["after"] = (frame["week"] >= 3).astype(int)
    frame[outcome] = rng.normal(size=len(frame)) - 0.3 * frame["arm"] * frame["after"]
    frame.attrs["synthetic"] = True
    return hb.fit_did(
        frame, outcome=outcome, unit="id", time="week", treated="arm", post="after", family="gaussian",
        draws=250, progress=False,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("outcome", ["y", "again", "stars"])
def test_pooling_lowers_the_error_and_keeps_coverage(outcome: str) -> None:
    """Simulated experiments whose type effects are exchangeable: lower error pooled, nominal coverage."""
    rng = np.random.default_rng(11)
    errors: dict[str, list[float]] = {"pooled": [], "unpooled": []}
    covered: dict[str, list[bool]] = {"pooled": [], "unpooled": []}
    for k in range(EXPERIMENTS):
        effects = dict(zip(TYPES, rng.normal(-0.2, 0.3, len(TYPES)), strict=True))
        matched = matched_types(effects, seed=1000 + k)
        fit = hb.fit_escalation(matched, outcome=outcome, family=FAMILY[outcome], **QUIET)
        truth = np.array([effects[t] for t in fit.types])
        for name in errors:  # on the linear predictor, where the truth is
            draws = fit.draws[f"{name}_linear"].stack(sample=("chain", "draw")).transpose("type", "sample")
            errors[name] += ((draws.to_numpy().mean(axis=1) - truth) ** 2).tolist()
            low, high = np.quantile(draws.to_numpy(), [0.025, 0.975], axis=1)
            covered[name] += ((low <= truth) & (truth <= high)).tolist()
        if k % 20 == 19:
            mse = {name: round(float(np.mean(values)), 4) for name, values in errors.items()}
            share = {name: round(float(np.mean(values)), 3) for name, values in covered.items()}
            print(f"{outcome}, {k + 1} experiments: MSE {mse}, coverage {share}", flush=True)
    gain = np.array(errors["unpooled"]) - np.array(errors["pooled"])
    by_experiment = gain.reshape(EXPERIMENTS, -1).mean(axis=1)
    assert by_experiment.mean() > 2 * by_experiment.std(ddof=1) / np.sqrt(EXPERIMENTS)
    low, high = wilson(sum(covered["pooled"]), len(covered["pooled"]), design=DESIGN)
    print(f"{outcome}: coverage {np.mean(covered['pooled']):.3f}, Wilson interval {low:.3f} to {high:.3f}")
    assert low <= 0.95 <= high


FAMILY = {"y": "gaussian", "again": "bernoulli", "stars": "ordinal"}
EXPERIMENTS = 200
DESIGN = 1.5  # the four effects of one experiment share workers and controls


def wilson(hits: int, n: int, *, design: float, z: float = 1.96) -> tuple[float, float]:
    """Wilson's interval of a share, with the sample size divided by a design effect."""
    n, p = n / design, hits / n
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    return centre - half, centre + half

"""Predictions: exact where nothing is new, drawn from the population where something is."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest

import hitlbayes as hb
from hitlbayes.errors import SchemaError, SpecError
from hitlbayes.fitting.population import category_shares, correlated, mean_response
from hitlbayes.studies.did import did_model

from . import small_fits as fits

EXACT = 1e-9  # two ways through the same draws differ by rounding alone
LIMIT = 4.0  # standard errors of a mean of independent draws
SHARED = 0.05  # stars: shocks drawn anew against realised ones, in posterior SDs and Monte Carlo error


def one_row_each() -> pd.DataFrame:
    """Synthetic means of 10 shops over 7 weeks with a gap: no shock can be told from the noise."""
    rng = np.random.default_rng(2)
    frame = pd.DataFrame([(i, t) for i in range(10) for t in range(7)], columns=["shop", "week"])
    frame["arm"], frame["late"] = frame["shop"] % 2, (frame["week"] > 3).astype(int)
    frame["now"] = (frame["week"] > 1 + frame["shop"] % 5).astype(int) * (frame["shop"] > 3)
    frame["size"], frame["kind"] = rng.normal(3.0, 2.0, 70), np.array(["p", "q", "r"])[rng.integers(0, 3, 70)]
    frame["y"] = 2.0 + 0.4 * frame["arm"] * frame["late"] + 0.2 * frame["size"] + rng.normal(size=70)
    return frame.drop(index=[5, 17]).reset_index(drop=True)


ARMS = {"treated": "arm", "post": "late"}
STAGGERED = {"treatment": "now"}
ASKED = {"outcome": "y", "unit": "shop", "time": "week", "family": "gaussian", "formula": "~ size * kind"}


@cache
def fit_of(staggered: bool) -> hb.Fit:
    return hb.fit_did(
        one_row_each(), **ASKED, **(STAGGERED if staggered else ARMS), draws=100, progress=False
    )


def by_hand(fit: hb.Fit, staggered: bool) -> np.ndarray:
    """The linear predictor of the fitted rows from the model's own columns, unit changes as a whole."""
    model = did_model(one_row_each(), **ASKED, **(STAGGERED if staggered else ARMS)).model
    design, posterior = model.design, fit.posterior["posterior"]
    X = design.X * design.scale + design.centre
    eta = posterior["coef"].to_numpy() @ X.T
    unit, period = model.structure.unit.codes, model.structure.groups[0].codes
    eta += posterior["unit_level"].to_numpy()[..., unit] + posterior["period"].to_numpy()[..., period]
    return eta + posterior["unit_change"].to_numpy()[..., unit] * model.structure.basis[:, 1]


@pytest.mark.parametrize("staggered", [False, True])
def test_fitted_rows_get_their_linear_predictor(staggered):
    fit = fit_of(staggered)
    rows = one_row_each()
    order = rows.sort_values(["shop", "week"]).index  # cells are sorted by unit and period
    predicted = fit.predict(rows.loc[order])
    np.testing.assert_allclose(predicted, by_hand(fit, staggered), atol=EXACT)
    shuffled = fit.predict(rows.loc[order[::-1]])
    np.testing.assert_allclose(shuffled[..., ::-1], predicted, atol=EXACT)


@pytest.mark.parametrize("staggered", [False, True])
def test_with_less_without_treatment_is_the_average_effect(staggered):
    fit = fit_of(staggered)
    rows = one_row_each()
    treated = rows[(rows["now"] == 1) if staggered else (rows["arm"] * rows["late"] == 1)]
    change = fit.predict(treated, treatment=1) - fit.predict(treated, treatment=0)
    np.testing.assert_allclose(change.mean("row"), fit.effects()["att"], atol=EXACT)


def test_chats_of_treated_cells_give_the_effect_weighted_by_chat():
    fit, chats = fits.gaussian(), fits.chats()
    treated = chats[(chats["arm"] == "ai") & (chats["after"] == 1)]
    change = fit.predict(treated, treatment=1) - fit.predict(treated, treatment=0)
    np.testing.assert_allclose(change.mean("row"), fit.effects()["att"], atol=EXACT)


def test_ordinal_effects_agree_up_to_the_shocks():
    fit, chats = fits.ordinal(), fits.chats()
    treated = chats[(chats["arm"] == "ai") & (chats["after"] == 1)]
    change = fit.predict(treated, treatment=1) - fit.predict(treated, treatment=0)
    att = fit.effects()["att"]
    assert abs(float(change.mean() - att.mean())) < SHARED
    assert np.corrcoef(change.mean("row").to_numpy().ravel(), att.to_numpy().ravel())[0, 1] > 0.9
    everybody = fit.predict(chats)
    assert everybody.min() > 1
    assert everybody.max() < 4
    assert abs(float(everybody.mean()) - chats["stars"].mean()) < 3 * SHARED


def test_new_units_and_periods_come_from_their_populations():
    fit = fit_of(False)
    row = one_row_each().iloc[[0]]
    new = pd.concat([row.assign(shop=100 + i, arm=1) for i in range(4)])
    predicted = fit.predict(new, treatment=0).to_numpy()
    # Differences of two new units at one week, before the start: level differences alone, sd sqrt(2).
    apart = predicted[..., 1:] - predicted[..., :1]
    levels = apart / fit.hyperparameters()["sd_level"][..., None] / np.sqrt(2)
    assert abs(levels.mean()) < LIMIT / np.sqrt(levels.size / 2)
    assert abs(levels.std() - 1) < LIMIT / np.sqrt(levels.size / 2)
    later = pd.concat([row.assign(week=50), row])
    change = fit.predict(later).diff("row").to_numpy()[..., 0] / fit.hyperparameters()["sd_period"]
    assert np.ptp(change) > 0
    pd.testing.assert_frame_equal(row, one_row_each().iloc[[0]])  # the user's rows are not changed


def test_a_control_unit_can_be_asked_what_if():
    fit = fit_of(False)
    row = one_row_each().query("arm == 0 and late == 1").iloc[[0]]
    change = (fit.predict(row, treatment=1) - fit.predict(row, treatment=0)).to_numpy()[..., 0]
    beta, sd = (fit.hyperparameters()[name] for name in ("treatment", "sd_effect"))
    z = (change - beta) / sd  # standard normal: a unit's own effect, given its level, over all levels
    assert abs(z.std() - 1) < 0.25
    np.testing.assert_array_equal(fit.predict(row), fit.predict(row, treatment=0))


def test_shocks_are_shared_within_a_unit_period_and_the_same_each_time():
    fit, chats = fits.gaussian(), fits.chats()
    pair = chats[chats.duplicated(["agent", "day"], keep=False)].iloc[:2].assign(vip=1, issue="bill")
    predicted = fit.predict(pair.astype({"issue": chats["issue"].dtype}))
    np.testing.assert_allclose(predicted[..., 0], predicted[..., 1], atol=EXACT)
    np.testing.assert_array_equal(predicted, fit.predict(pair.astype({"issue": "str"})))
    assert predicted.dims == ("chain", "draw", "row")
    assert predicted.attrs == {"outcome": "score", "synthetic": 0}


def test_mixed_models_predict_known_and_new_levels():
    fit, chats = fits.mixed(), fits.chats()
    row = chats.iloc[[0]]
    posterior = fit.posterior["posterior"]
    by_hand = posterior["coef"].sel(term="intercept") + posterior["coef"].sel(term="vip") * row["vip"].iloc[0]
    by_hand = by_hand + posterior["agent_level"].sel(agent=row["agent"].iloc[0])
    by_hand = by_hand + posterior["issue"].sel(issue_level=row["issue"].iloc[0])
    np.testing.assert_allclose(fit.predict(row)[..., 0], by_hand, atol=EXACT)
    new = fit.predict(row.assign(agent="somebody"))[..., 0] - fit.predict(row)[..., 0]
    new = new + posterior["agent_level"].sel(agent=row["agent"].iloc[0])
    z = (new / posterior["sd_agent"]).to_numpy()
    assert abs(z.mean()) < LIMIT / np.sqrt(z.size)
    with pytest.raises(SpecError, match="no treatment"):
        fit.predict(row, treatment=1)


def test_a_fit_from_a_file_predicts_the_same(tmp_path):
    fit = fits.gaussian()
    rows = fits.chats().iloc[::20].assign(agent="new one")
    again = hb.load(fit.save(tmp_path / "fit.zarr"))
    np.testing.assert_array_equal(fit.predict(rows), again.predict(rows))


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (lambda f: f.drop(columns="kind"), SpecError, "needs kind, which the new rows have not"),
        (lambda f: f.drop(columns="week"), SchemaError, "period='week'"),
        (lambda f: f.assign(kind="new"), SpecError, "keep to the categories and ranges"),
        (lambda f: f.assign(size=np.nan), SchemaError, "missing values in 'size': 68 of 68 rows"),
        (lambda f: f.assign(shop=f["shop"].astype(str)), SchemaError, "'unit' holds text, and numbers where"),
        (lambda f: f.assign(arm=1 - f["arm"]), SpecError, "68 rows give fitted units another arm"),
        (lambda f: f.assign(late=2), SchemaError, "'late' is not 0 or 1"),
    ],
)
def test_rows_that_cannot_be_predicted_are_refused(change, error, words):
    with pytest.raises(error, match=words):
        fit_of(False).predict(change(one_row_each()))


def test_treatment_is_nought_or_one():
    with pytest.raises(SpecError, match="expected 0, 1 or None"):
        fit_of(False).predict(one_row_each(), treatment=0.5)


def test_the_mean_of_a_category_is_the_sum_over_its_shares():
    eta, cut = np.linspace(-3, 3, 7), np.array([-1.0, 0.2, 2.5])
    shares = category_shares(eta, cut)
    np.testing.assert_allclose(shares.sum(axis=-1), 1.0, atol=EXACT)
    values = np.array([1.0, 2.0, 4.0, 9.0])
    mean = mean_response("ordinal", eta, cutpoints=cut, labels=tuple(values))
    np.testing.assert_allclose(mean, shares @ values, atol=EXACT)
    assert mean_response("bernoulli", np.array(0.0)) == 0.5
    assert mean_response("count", np.array(0.0)) == 1.0


def test_a_correlated_part_has_its_correlation():
    z = np.random.default_rng(1).standard_normal((2, 40_000))
    part = correlated(np.array(0.5), np.array(-0.7), z[0], z[1])
    assert abs(np.corrcoef(part, z[0])[0, 1] + 0.7) < LIMIT * 0.51 / 200  # SE is (1 - rho^2) / sqrt(n)
    assert abs(part.std() - 0.5) < LIMIT * 0.5 / np.sqrt(2 * 40_000)

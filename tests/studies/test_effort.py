"""Effort after a takeover: the mechanical part found and taken out, and what is refused."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import hitlbayes as hb
from hitlbayes.errors import DataWarning, DesignError, SchemaError, SpecError
from tests.studies.effort_twins import LESS, QUIET, fitted, takeovers

SAME = 1e-10  # the same arithmetic on the same draws
CLOSE = 4.0  # posterior SDs; one in 15,000 by chance


def test_emotional_takeovers_of_the_twin_come_after_more_ai_rounds() -> None:
    rounds = takeovers().groupby("escalation")["ai_rounds"].mean()
    assert rounds["emotional"] > 1.5 * rounds["technical"]


@pytest.mark.slow
@pytest.mark.parametrize("law", ["none", "less"])
def test_raw_is_fooled_where_the_adjusted_is_not_and_both_find_a_true_effect(law: str) -> None:
    """The same two twins are in notebooks/02_escalation_and_effort.ipynb, smaller."""
    fit = hb.fit_effort(takeovers(law, scale=16.0), **{**QUIET, "draws": 500, "chains": 4})
    effect = {a: fit.effects(a).sel(contrast="emotional") for a in ("raw", "clock")}
    raw, clock = (effect[a].sel(outcome="effort").to_numpy().ravel() for a in ("raw", "clock"))
    truth = LESS if law == "less" else 0.0
    assert np.quantile(raw, 0.975) < 0
    assert abs(clock.mean() - truth) < CLOSE * clock.std()
    assert raw.mean() < clock.mean()  # raw adds the arithmetic to the effect
    if law == "none":
        for outcome in ("effort", "human_rounds", "human_share"):
            draws = effect["clock"].sel(outcome=outcome)
            assert np.quantile(effect["raw"].sel(outcome=outcome), 0.975) < 0
            assert np.quantile(draws, 0.025) < 0 < np.quantile(draws, 0.975)
        assert fit.survival().set_index("outcome").loc["effort", "verdict"] == "gone"
    else:
        assert np.quantile(clock, 0.975) < 0


def test_effects_are_on_their_measures_own_scales() -> None:
    fit = fitted()
    effects = fit.effects("raw").sel(contrast="emotional").mean(("chain", "draw"))
    observed = fit.observed.pivot(index="outcome", columns="type", values="mean")
    gap = observed["emotional"] - observed["technical"]
    se = fit.observed.assign(v=lambda t: t["se"] ** 2).groupby("outcome")["v"].sum() ** 0.5
    for outcome in gap.index:
        # raw effects are model-based means over the type's chats; observed means have their own noise
        assert abs(float(effects.sel(outcome=outcome)) - gap[outcome]) < CLOSE * se[outcome]
    share = takeovers().assign(s=lambda f: f["human_rounds"] / (f["human_rounds"] + f["ai_rounds"]))
    assert observed.loc["human_share", "technical"] == pytest.approx(
        share[share["escalation"] == "technical"]["s"].mean()
    )


def test_summary_says_what_the_draws_say() -> None:
    fit = fitted()
    table = fit.summary().set_index(["adjust", "outcome"])
    draws = fit.effects("clock").sel(contrast="emotional", outcome="human_rounds")
    assert table.loc[("clock", "human_rounds"), "mean"] == pytest.approx(float(draws.mean()), abs=SAME)
    assert set(table.index.get_level_values("adjust")) == {"raw", "clock", "sentiment"}
    assert "SYNTHETIC" in repr(fit)


def test_surface_is_blank_where_there_are_no_takeovers() -> None:
    fit = fitted()
    found = fit.surface(least=10)
    assert np.isnan(found.mean[found.n < 10]).all()
    assert np.isfinite(found.mean[found.n >= 10]).all()
    assert found.n.sum() == len(takeovers())
    cells = found.to_frame()
    assert (cells["n"] >= 10).all()


@pytest.mark.parametrize("kind", ["effects", "surface", "overlap"])
def test_plots_say_that_they_are_synthetic(kind: str) -> None:
    figure = fitted().plot(kind)
    assert figure.caption
    assert any("SYNTHETIC" in text.get_text().upper() for text in figure.texts)


def test_result_pickles_and_the_frame_is_not_changed() -> None:
    before = takeovers().copy()
    again = pickle.loads(pickle.dumps(fitted()))
    xr.testing.assert_identical(again.effects("raw"), fitted().effects("raw"))
    pd.testing.assert_frame_equal(before, takeovers())


def _constant(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(empathy=frame["empathy"].where(frame["escalation"] != "emotional", 2))


@pytest.mark.parametrize(
    ("change", "options", "error", "words"),
    [
        (_constant, {}, DesignError, "'empathy' is 2 in all .* of type 'emotional'"),
        (lambda f: f, {"types": ["emotional", "human"]}, DesignError, "no takeovers of type 'human'"),
        (lambda f: f, {"reference": "human"}, DesignError, "no takeovers of type 'human'"),
        (
            lambda f: f[f["escalation"] == "technical"],
            {},
            DesignError,
            "all takeovers are of type 'technical'",
        ),
        (
            lambda f: f.assign(takeover_sentiment=f["takeover_sentiment"].where(f.index % 9 > 0)),
            {},
            SchemaError,
            r"takeover_sentiment is missing in \d+ of .* missing='indicator'",
        ),
        (lambda f: f.assign(ai_rounds=0), {}, SchemaError, "not above zero"),
        (lambda f: f.assign(empathy=1.5), {}, SchemaError, "whole numbers from 1"),
        (lambda f: f.assign(proactivity=2), {}, SchemaError, "0 or 1"),
        (lambda f: f.drop(columns="human_delay"), {}, SchemaError, "no such column: human_delay"),
        (lambda f: f.assign(worker_id=None), {}, SchemaError, "missing values in 'worker_id'"),
        (
            lambda f: f.assign(takeover_sentiment=np.where(f["escalation"] == "emotional", 5, 1)),
            {},
            DesignError,
            "nothing to compare at equal sentiment",
        ),
        (lambda f: f, {"adjust": ["progress"]}, SpecError, "expected some of 'raw', 'clock', 'sentiment'"),
        (lambda f: f, {"missing": "drop"}, SpecError, "'refuse' or 'indicator'"),
    ],
)
def test_bad_input_is_refused_with_what_was_found(change, options, error, words: str) -> None:
    with pytest.raises(error, match=words):
        hb.fit_effort(change(takeovers().copy()), **{**QUIET, **options})


def test_missing_covariates_get_an_indicator_where_asked() -> None:
    from hitlbayes.studies.effort_columns import Roles
    from hitlbayes.studies.effort_frame import MEASURES, prepare

    roles = Roles(
        "escalation", "technical", "worker_id", "start_time", "ai_rounds", "takeover_seconds",
        "takeover_sentiment", "human_messages",
    )  # fmt: skip
    frame = takeovers().copy()
    gone = np.arange(len(frame)) % 9 == 0
    frame["takeover_sentiment"] = frame["takeover_sentiment"].astype(float).mask(gone)
    made = prepare(frame, roles=roles, measures=MEASURES, types=None, formula=None, missing="indicator")
    flag = made.columns.X["takeover_sentiment missing"]
    assert (flag > 0).sum() == gone.sum()
    assert f"takeover_sentiment is missing in {gone.sum():,} of" in " ".join(made.notes)


def test_missing_measures_are_said_and_kept() -> None:
    from hitlbayes.studies.effort_columns import Roles
    from hitlbayes.studies.effort_frame import MEASURES, prepare
    from hitlbayes.studies.effort_model import layout_and_data

    roles = Roles(
        "escalation", "technical", "worker_id", "start_time", "ai_rounds", "takeover_seconds",
        "takeover_sentiment", "human_messages",
    )  # fmt: skip
    frame = takeovers().copy()
    frame["empathy"] = frame["empathy"].astype(float).mask(np.arange(len(frame)) % 7 == 0)
    with pytest.warns(DataWarning, match="empathy is missing in"):
        made = prepare(frame, roles=roles, measures=MEASURES, types=None, formula=None, missing="refuse")
    _, data = layout_and_data(made, roles=roles, measures=MEASURES, adjust="raw")
    assert data.seen[3].sum() == frame["empathy"].notna().sum()
    assert data.seen[4].all()

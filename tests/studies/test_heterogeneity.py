"""Effects by group, workers and levels: identities, known truth, and what is refused."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest

import hitlbayes as hb
from hitlbayes.errors import DesignError, SchemaError, SpecError
from hitlbayes.studies.moderators import group_of

SAME = 1e-10  # identities of arithmetic
GROUPS = {"low": 0.2, "middle": 0.6, "high": 1.0}


@cache
def grouped_frame() -> pd.DataFrame:
    """Synthetic: 48 units in three groups whose effects are .2, .6 and 1, and whose own trends differ."""
    rng = np.random.default_rng(8)
    frame = pd.DataFrame([(i, t) for i in range(48) for t in range(8)], columns=["unit", "period"])
    frame["arm"], frame["after"] = frame["unit"] % 2, (frame["period"] >= 4).astype(int)
    number = frame["unit"].to_numpy() // 2 % 3
    frame["kind"] = pd.Categorical(np.array(list(GROUPS))[number], categories=list(GROUPS), ordered=True)
    effect = np.array(list(GROUPS.values()))[number] * frame["arm"] * frame["after"]
    trend = np.array([0.0, 0.5, -0.5])[number] * frame["after"]
    frame["y"] = rng.normal(0, 0.5, 48)[frame["unit"]] + trend + effect + rng.normal(0, 0.3, len(frame))
    return frame


def fit(by: str | pd.Series = "kind", **options) -> hb.Heterogeneity:
    arguments = {"outcome": "y", "treated": "arm", "post": "after", "family": "gaussian", "draws": 250}
    return hb.fit_heterogeneity(grouped_frame(), by=by, progress=False, **arguments | options)


def group_difference(kind: str) -> float:
    """Difference in differences of means within a group."""
    frame = grouped_frame()
    means = frame[frame["kind"] == kind].groupby(["arm", "after"])["y"].mean()
    return float(means[1, 1] - means[1, 0] - means[0, 1] + means[0, 0])


def test_flat_scales_give_each_groups_own_difference_in_differences() -> None:
    flat = {"sd_level": hb.fixed(1e4), "sd_drift": hb.fixed(0), "sd_effect": hb.fixed(0)}
    flat |= {"sd_period": hb.fixed(1e4), "effects": hb.normal(0, 1e4), "coef": hb.normal(0, 1e4)}
    found = fit(pool=None, priors=flat, draws=100)
    terms = list(map(str, found.fit.posterior["posterior"]["term"].to_numpy()))
    exact = found.fit.posterior["sample_stats"]["coef_mean"].mean(("chain", "draw")).to_numpy()
    for kind in GROUPS:
        assert abs(exact[terms.index(f"effect, kind {kind}")] - group_difference(kind)) < 1e-4  # flat scales


def test_groups_with_trends_of_their_own_are_told_apart() -> None:
    found = fit()
    draws = found.effects()
    assert draws["group"].to_numpy().tolist() == ["low", "middle", "high"]
    for kind, truth in GROUPS.items():
        score = (draws.sel(group=kind).mean() - truth) / draws.sel(group=kind).std()
        assert abs(score) < 3  # posterior SDs
    assert float((found.contrasts("low").sel(group="high") > 0).mean()) > 0.99
    table = found.summary()
    assert table.loc["high", "prob_largest"] > 0.9
    assert table["cells"].tolist() == [32, 32, 32]
    assert "high" in found.plot().caption


def test_pooling_draws_effects_together() -> None:
    free, pooled = fit(pool=None), fit(pool=0.05)
    spread = [found.effects().mean(("chain", "draw")).std("group") for found in (free, pooled)]
    assert spread[1] < spread[0]


def test_ordinal_effects_by_group_say_what_each_rating_does(tmp_path) -> None:
    cells = hb.simulate_cells(seed=3, family="ordinal", workers=24, periods=4, start=2, effect=0.8)
    half = pd.Series(["a", "b"] * 12, index=range(1, 25), name="shift")
    found = hb.fit_heterogeneity(cells, by=half, outcome="y", draws=100, progress=False)
    shares = found.shares()
    assert np.abs(shares.sum("category")).max() < 1e-8
    points = (shares / 100 * shares["category"].astype(float)).sum("category")
    assert np.abs(points - found.effects()).max() < 1e-8
    again = hb.Heterogeneity(hb.load(found.save(tmp_path / "groups.nc")))
    pd.testing.assert_frame_equal(again.summary(), found.summary())


def test_groups_are_cut_by_units() -> None:
    keys = pd.DataFrame({"unit": [1, 1, 1, 2, 3, 4]})
    name, group = group_of(keys, by=pd.Series([1.0, 2.0, 3.0, 4.0], index=[1, 2, 3, 4]), bins=2)
    assert name == "group"
    assert group.codes.tolist() == [0, 0, 0, 0, 1, 1]
    name, group = group_of(keys, by=pd.Series([1.0, 2.0, 3.0, 4.0], index=[1, 2, 3, 4]), bins=[0, 2.0, 9])
    assert group.codes.tolist() == [0, 0, 0, 1, 1, 1]
    with pytest.raises(SpecError, match="outside bins"):
        group_of(keys, by=pd.Series([1.0, 2.0, 3.0, 4.0], index=[1, 2, 3, 4]), bins=[0, 2.0])
    with pytest.raises(SchemaError, match="1 units have no 'group'"):
        group_of(keys, by=pd.Series([1.0, 2.0, 3.0], index=[1, 2, 3]), bins=2)


def test_what_cannot_be_asked_is_refused() -> None:
    frame = grouped_frame()
    lone = frame.assign(kind=np.where(frame["unit"] == 1, "odd", "even"))
    arguments = {"outcome": "y", "family": "gaussian", "treated": "arm", "post": "after"}
    with pytest.raises(DesignError, match="1 groups of 'kind' lack"):
        hb.fit_heterogeneity(lone, by="kind", **arguments)
    with pytest.raises(SpecError, match="48 groups"):
        hb.fit_heterogeneity(frame.assign(who=frame["unit"].astype(str)), by="who", **arguments)
    with pytest.raises(SpecError, match="positive SD"):
        hb.fit_heterogeneity(frame, by="kind", pool=0.0, **arguments)


@cache
def varied() -> hb.Fit:
    """A synthetic Gaussian experiment whose effects differ by worker."""
    cells = hb.simulate_cells(seed=6, workers=40, periods=8, start=4, effect=0.1, sd_effect=0.3)
    return hb.fit_did(cells, outcome="y", draws=250, progress=False)


def test_harm_is_read_off_the_draws() -> None:
    fit = varied()
    lower, higher = hb.harm(fit), hb.harm(fit, worse="higher")
    assert np.abs(lower["prob_harm"] + higher["prob_harm"].reindex(lower.index) - 1).max() < SAME
    assert abs(lower.attrs["harmed"] - lower["prob_harm"].mean()) < SAME
    assert 0.1 < lower.attrs["harmed"] < 0.6  # truth: Phi(-1/3) = .37 of the population
    assert lower["prob_harm"].is_monotonic_decreasing


def test_levels_split_workers_and_their_averages_are_the_whole() -> None:
    fit = varied()
    by_level = hb.effect_by_level(fit, groups=4)
    assert np.abs(by_level.mean("level") - fit.worker_effects().mean("unit")).max() < SAME
    units = fit.worker_effects()["unit"].to_numpy()
    halves = hb.worker_averages(fit, by=pd.Series(np.arange(len(units)) % 2, index=units))
    expected = fit.worker_effects().isel(unit=slice(0, None, 2)).mean("unit")
    assert np.abs(halves.sel(group=0) - expected).max() < SAME
    with pytest.raises(SpecError, match="expected 2 to 20"):
        hb.effect_by_level(fit, groups=21)


def test_performance_before_the_start_is_a_mean_over_chats() -> None:
    twin = hb.simulate(workers=20, seed=3)
    panel = hb.panel(hb.read_chats(twin.chats, start="2024-08-15", synthetic=True), outcomes="retrial")
    before = hb.before_start(panel, outcome="retrial")
    chats = twin.chats[twin.chats["start_time"] < panel.start] if "start_time" in twin.chats else None
    assert before.between(0, 1).all()
    if chats is not None:
        expected = chats.groupby("worker_id")["retrial"].mean()
        assert np.abs(before - expected.reindex(before.index)).max() < SAME
    with pytest.raises(SpecError, match="no means of 'rating'"):
        hb.before_start(panel, outcome="rating")

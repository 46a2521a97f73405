"""Event studies: exact identities with least squares, known truth, and what is refused."""

from __future__ import annotations

import os
from functools import cache

import numpy as np
import pandas as pd
import pytest

import hitlbayes as hb
from hitlbayes.errors import DataWarning, DesignError, SpecError
from hitlbayes.studies.event_design import event_labels, timing

from .public import castle

FLAT = 1e4
TOLERANCE = 1e-4  # what is left of flat scales, for an outcome whose SD is about one
SAME = 1e-10  # identities of arithmetic
MPDTA_2004 = {"0": -0.0105, "+1": -0.0704, "+2": -0.1373, "+3": -0.1008}  # as printed, four decimals
PRIORS = {
    "sd_level": hb.fixed(FLAT),
    "sd_period": hb.fixed(FLAT),
    "sd_effect": hb.fixed(0.0),
    "effects": hb.normal(0.0, FLAT),
    "coef": hb.normal(0.0, FLAT),
}


def staggered() -> pd.DataFrame:
    """Synthetic balanced panel: 24 units, 6 periods, cohorts that start in 2, 4 and never."""
    rng = np.random.default_rng(4)
    frame = pd.DataFrame([(i, t) for i in range(24) for t in range(6)], columns=["unit", "period"])
    start = np.array([2, 4, 99])[frame["unit"] % 3]
    frame["now"] = (frame["period"] >= start).astype(int)
    level, shared = rng.normal(0, 1, 24)[frame["unit"]], rng.normal(0, 0.5, 6)[frame["period"]]
    effect = 0.5 * frame["now"] * (1 + 0.3 * (frame["period"] - start))
    return frame.assign(y=level + shared + effect + rng.normal(0, 0.5, len(frame)))


def group_time(frame: pd.DataFrame, *, start: int, period: int) -> float:
    """ATT(g, t) against the never treated: differences of mean changes (Callaway and Sant'Anna 2021)."""
    wide = frame.pivot(index="unit", columns="period", values="y")
    change = wide[period] - wide[start - 1]
    cohort = frame[frame["now"] == 1].groupby("unit")["period"].min().reindex(wide.index)
    return float(change[cohort == start].mean() - change[cohort.isna()].mean())


@cache
def flat_study() -> hb.EventStudy:
    return hb.fit_event_study(
        staggered(),
        outcome="y",
        treatment="now",
        family="gaussian",
        priors=PRIORS,
        draws=100,
        progress=False,
    )


def test_flat_scales_give_group_time_effects_of_every_cohort() -> None:
    study = flat_study()
    terms = study.fit.posterior["posterior"]["term"].to_numpy()
    exact = study.fit.posterior["sample_stats"]["coef_mean"].mean(("chain", "draw")).to_numpy()
    mean = dict(zip(map(str, terms), exact, strict=True))
    twin = study.frequentist("effect")["estimate"]
    for start in (2, 4):
        for period in range(6):
            if period == start - 1:
                continue
            when = f"period {period - start:+d}" if period != start else "period 0"
            expected = group_time(staggered(), start=start, period=period)
            assert abs(mean[f"cohort {start}, {when}"] - expected) < TOLERANCE
            assert abs(twin[f"cohort {start}, {when}"] - expected) < 1e-6  # iterated demeaning


def test_effects_pool_cohorts_by_their_sizes() -> None:
    study = flat_study()
    each, pooled = study.effects("effect"), study.effects("relative")
    names = ["cohort 2, period +1", "cohort 4, period +1"]
    gap = pooled.sel(relative=1) - 0.5 * (each.sel(effect=names[0]) + each.sel(effect=names[1]))
    assert np.abs(gap).max() < SAME
    assert pooled["relative"].to_numpy().tolist() == [-4, -3, -2, 0, 1, 2, 3]
    after = [name for name in each["effect"].to_numpy() if "period -" not in name]
    assert np.abs(study.effects("overall") - each.sel(effect=after).mean("effect")).max() < SAME


def test_not_yet_treated_units_are_controls_before_their_start() -> None:
    study = hb.fit_event_study(
        staggered(),
        outcome="y",
        treatment="now",
        family="gaussian",
        comparison="not_yet",
        priors=PRIORS,
        draws=100,
        progress=False,
    )
    assert study.effects()["relative"].to_numpy().min() == 0
    with pytest.raises(SpecError, match="no effects before the start"):
        study.pretrend(0.1)


@pytest.mark.parametrize("family", ["gaussian", "ordinal"])
def test_effect_by_period_is_found_and_none_before_the_start(family: str) -> None:
    cells = hb.simulate_cells(seed=5, family=family, workers=60, periods=6, start=3, effect=0.4)
    study = hb.fit_event_study(cells, outcome="y", draws=250, progress=False)
    draws = study.effects()
    truth = cells.truth["att_chat"]
    score = (study.effects("overall").mean() - truth) / study.effects("overall").std()
    assert abs(score) < 3  # of its own posterior SDs, whose cause is the seed
    before = draws.sel(relative=draws["relative"] < 0)
    assert bool(np.all(np.abs(before.mean(("chain", "draw"))) < 3 * before.std(("chain", "draw"))))
    assert study.pretrend(10.0).probability == 0.0
    assert bool((draws.sel(relative=[0, 1, 2]).mean(("chain", "draw")) > 0).all())
    if family == "ordinal":
        shares = study.shares("overall")
        assert np.abs(shares.sum("category")).max() < 1e-8
        points = (shares / 100 * xr_arange(shares)).sum("category")
        assert np.abs(points - study.effects("overall")).max() < 1e-8


def xr_arange(shares):
    """Category values 1 .. K along the categories."""
    return shares["category"].astype(float)


def test_a_walk_ties_neighbours_but_does_not_cross_the_start() -> None:
    cells = hb.simulate_cells(seed=5, workers=40, periods=8, start=4, effect=0.6)
    loose = hb.fit_event_study(cells, outcome="y", draws=250, progress=False)
    tight = hb.fit_event_study(cells, outcome="y", walk=0.01, draws=250, progress=False)
    steps = tight.effects().mean(("chain", "draw")).diff("relative")
    inside = [t for t in steps["relative"].to_numpy() if t not in (0,)]
    free = loose.effects().mean(("chain", "draw")).diff("relative")
    assert np.abs(steps.sel(relative=inside)).max() < 0.5 * np.abs(free.sel(relative=inside)).max()
    assert tight.effects("overall").mean() > 0.3  # a walk across the start would have held it near zero


def test_learning_is_the_slope_of_effects_after_the_start() -> None:
    study = flat_study()
    after = study.effects().sel(relative=[0, 1, 2, 3]).transpose("chain", "draw", "relative").to_numpy()
    told = study.learning()
    by_hand = np.polyfit(np.arange(4), after[1, 7], 1)[0]
    assert abs(float(told["per_period"][1, 7]) - by_hand) < 1e-9
    by_hand = np.polyfit(np.log2(np.arange(1, 5)), after[1, 7], 1)[0]
    assert abs(float(told["per_doubling"][1, 7]) - by_hand) < 1e-9


def test_castle_doctrine() -> None:
    """Homicides after castle-doctrine laws: more, by some 8 per cent at first; nothing clear just before.

    Least squares by cohort against states without a law; Cheng and Hoekstra 2013 report about 8 per cent.
    """
    study = hb.fit_event_study(
        castle(),
        outcome="log_homicide",
        unit="state",
        time="year",
        treatment="treatment",
        family="gaussian",
        precision="population",
        draws=250,
        progress=False,
    )
    overall = study.effects("overall")
    assert 0.03 < overall.mean() < 0.12
    assert (overall > 0).mean() > 0.9
    near = study.summary().loc[[-5, -4, -3]]
    assert (np.sign(near["lower"]) != np.sign(near["upper"])).all()


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"reference": 0}, SpecError, "before the start"),
        ({"reference": -3}, DesignError, "reference period -3"),
        ({"comparison": "late"}, SpecError, "never, not_yet"),
        ({"walk": -1.0}, SpecError, "positive SD"),
    ],
)
def test_impossible_questions_are_refused(change: dict, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        hb.fit_event_study(staggered(), outcome="y", treatment="now", family="gaussian", **change)


def test_impossible_data_are_refused() -> None:
    arguments = {"outcome": "y", "treatment": "now", "family": "gaussian"}
    frame = staggered()
    ends = frame.assign(now=frame["now"] * (frame["period"] < 5))
    with pytest.raises(DesignError, match="ends for 16 units"):
        hb.fit_event_study(ends, **arguments)
    early = frame[~((frame["unit"] % 3 == 0) & (frame["period"] < 2))]
    with pytest.raises(DesignError, match="8 units are treated from their first period"):
        hb.fit_event_study(early, **arguments)
    everyone = frame[frame["unit"] % 3 < 2]
    with pytest.raises(DesignError, match=r"never treated.*not_yet"):
        hb.fit_event_study(everyone, **arguments)
    with pytest.raises(DesignError, match=r"2 periods there is no unit not yet treated.*4, 5"):
        hb.fit_event_study(everyone, comparison="not_yet", **arguments)


def test_a_saved_study_opens_again(tmp_path) -> None:
    study = flat_study()
    again = hb.EventStudy(hb.load(study.save(tmp_path / "event.nc")))
    pd.testing.assert_frame_equal(again.summary(), study.summary())
    with pytest.raises(SpecError, match="several effects"):
        study.fit.predict(staggered())
    caption = study.plot(size=0.5).caption
    assert "zero by definition at -1" in caption
    assert "exceeds 0.5" in caption


def test_periods_without_a_treated_unit_are_said() -> None:
    frame = staggered()
    keys = frame.rename(columns={"now": "treatment"})[(frame["unit"] % 3 > 0) | (frame["period"] != 4)]
    with pytest.warns(DataWarning, match=r"1 periods .* results: 4 \(relative period 2\)"):
        labels = event_labels(timing(keys), reference=-1, comparison="never", walk=None)
    assert not ((labels.table["start"] == "2") & (labels.table["relative"] == 2)).any()


@pytest.mark.skipif("HITLBAYES_MPDTA" not in os.environ, reason="HITLBAYES_MPDTA names no file")
def test_group_time_effects_of_county_employment() -> None:
    """`mpdta` of R's did: teen employment in 500 counties, 2003-2007, minimum wages raised in 2004-2007.

    ATT(g, t) against the never treated, unconditional, as printed by `att_gt(yname="lemp", ...)` of
    Callaway and Sant'Anna 2021, doi:10.1016/j.jeconom.2020.12.001. The data are not shipped: name a CSV file
    with year, countyreal, lemp and first.treat in HITLBAYES_MPDTA.
    """
    frame = pd.read_csv(os.environ["HITLBAYES_MPDTA"])
    start = frame["first.treat"]
    study = hb.fit_event_study(
        frame.assign(now=((start > 0) & (frame["year"] >= start)).astype(int)),
        outcome="lemp",
        unit="countyreal",
        time="year",
        treatment="now",
        family="gaussian",
        priors=PRIORS,
        draws=100,
        progress=False,
    )
    terms = map(str, study.fit.posterior["posterior"]["term"].to_numpy())
    exact = study.fit.posterior["sample_stats"]["coef_mean"].mean(("chain", "draw")).to_numpy()
    mean = dict(zip(terms, exact, strict=True))
    twin = study.frequentist("effect")["estimate"]
    for when, printed in MPDTA_2004.items():
        assert round(float(mean[f"cohort 2004, period {when}"]), 4) == printed
        assert round(float(twin[f"cohort 2004, period {when}"]), 4) == printed

"""Re-analysis of printed estimates against normal theory and brute force."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.stats import norm

from hitlbayes.errors import SpecError
from hitlbayes.published import reanalyze, table
from hitlbayes.published.reanalysis import interval
from hitlbayes.published.reanalyze import TABLES
from hitlbayes.published.shrinkage import covariance, moments, normal_hierarchy

DRAWS = 20_000
MONTE_CARLO = 5.0 / np.sqrt(DRAWS)  # five standard errors of a mean of independent draws, per unit SD


@pytest.fixture(scope="module")
def five() -> pd.DataFrame:
    return reanalyze("5", draws=DRAWS).summary().set_index(["outcome", "quantity", "group"])


# exact posterior means and SDs by the scalar formulas on 40,001 values of tau
EXACT = [
    ("log_duration", "technical", 0.1910, 0.0170),
    ("log_duration", "none", -0.6446, 0.0210),
    ("retrial", "human", -0.0196, 0.0178),
    ("retrial", "emotional", 0.0387, 0.0224),
    ("rating", "technical", -0.0341, 0.0904),
    ("rating", "emotional", -0.8711, 0.1692),
]


@pytest.mark.parametrize(("outcome", "group", "mean", "sd"), EXACT)
def test_shrunken_effects(five: pd.DataFrame, outcome: str, group: str, mean: float, sd: float) -> None:
    row = five.loc[(outcome, "effect", group)]
    assert row["mean"] == pytest.approx(mean, abs=MONTE_CARLO * sd + 1e-4)
    assert row["sd"] == pytest.approx(sd, rel=0.05)  # heavier tails than normal: SD of the SD below 1 %


def test_contrasts_are_differences_of_effects() -> None:
    draws = reanalyze("5", draws=50).draws
    gap = draws["effect"].sel(group="emotional") - draws["effect"].sel(group="technical")
    np.testing.assert_allclose(draws["contrast"].sel(pair="emotional - technical"), gap)
    assert draws.sizes["pair"] == 6


def test_percent_is_geometric() -> None:
    draws = reanalyze("3", draws=50).draws
    log = draws["effect"].sel(outcome="log_duration")
    np.testing.assert_allclose(draws["percent"].sel(outcome="log_duration"), 100 * np.expm1(log))
    assert draws["percent"].sel(outcome="rating").isnull().all()


def test_unpooled_probabilities_are_normal_tails() -> None:
    row = reanalyze("3", draws=DRAWS, thresholds={"rating": 0.3}).summary()
    row = row.query("outcome == 'rating'").iloc[0]
    assert row["prob_below"] == pytest.approx(norm.cdf((-0.3 + 0.412) / 0.114), abs=MONTE_CARLO / 2)
    assert row["prob_positive"] == pytest.approx(norm.sf(0.412 / 0.114), abs=MONTE_CARLO / 2)
    assert (row["lower"], row["upper"]) == pytest.approx((-0.6354, -0.1886), abs=0.01)  # tail quantiles


def test_pooling_off_gives_the_printed_estimates() -> None:
    loose = reanalyze("5", pool=False, draws=DRAWS)
    assert not loose.pooled
    assert "tau" not in loose.draws
    rows = loose.summary().query("quantity == 'effect'")
    assert (np.abs(rows["mean"] - rows["estimate"]) < MONTE_CARLO * rows["se"]).all()


def test_contrast_of_table_6_matches_its_intervals() -> None:
    rows = reanalyze("6", draws=DRAWS).summary().set_index(["outcome", "quantity", "group"])
    row = rows.loc[("human_delay", "contrast", "emotional - technical")]
    assert row["estimate"] == pytest.approx(20.965 - 20.006)
    se = np.hypot((22.045 - 19.884) / 2, (20.423 - 19.589) / 2) / norm.ppf(0.975)
    assert row["se"] == pytest.approx(se)
    assert row["prob_positive"] == pytest.approx(norm.cdf(0.959 / se), abs=MONTE_CARLO / 2)


def test_implied_spread_of_table_6() -> None:
    sd = reanalyze("6", draws=2).draws["sd"].sel(outcome="proactivity", group="technical")
    assert float(sd) == pytest.approx((0.589 - 0.561) / 2 / norm.ppf(0.975) * np.sqrt(4879))


def test_correlation_sharpens_contrasts() -> None:
    def spread(rho: float) -> float:
        rows = reanalyze("5", pool=False, correlation=rho, draws=DRAWS).summary()
        return float(rows.query("outcome == 'rating' and group == 'none - emotional'")["sd"].iloc[0])

    want = np.sqrt(0.176**2 + 0.093**2 - 2 * 0.5 * 0.176 * 0.093)
    assert spread(0.5) == pytest.approx(want, rel=0.03)  # SD of an SD at these draws is .5 %
    assert spread(0.0) > spread(0.5)


@pytest.mark.parametrize("name", TABLES)
def test_every_table_with_uncertainty_is_labelled_and_repeatable(name: str) -> None:
    one, two = (reanalyze(name, draws=20) for _ in range(2))
    xr.testing.assert_identical(one.draws, two.draws)
    assert one.source == one.draws.attrs["source"] == "published"
    summary = one.summary()
    assert set(summary["source"]) == {"published"}
    wanted = table(name).query("quantity in ('estimate', 'mean')")
    assert len(summary.query("quantity in ('effect', 'mean')")) == len(wanted)
    assert not summary[["mean", "lower", "upper"]].isna().any().any()


def test_own_estimates_are_pooled_as_the_hierarchy_says() -> None:
    own = pd.DataFrame(
        {"outcome": "y", "group": ["a", "b", "c"], "estimate": [1.0, 2.0, 4.0], "se": [0.5, 1.0, 0.7]}
    )
    fit = reanalyze(own, tau_scale={"y": 2.0}, thresholds={"y": 1.0}, draws=DRAWS)
    mean, cov = moments(
        normal_hierarchy(own["estimate"].to_numpy(), cov=covariance(own["se"].to_numpy()), tau_scale=2.0)
    )
    got = fit.draws["effect"].sel(outcome="y").mean(("chain", "draw"))
    assert (np.abs(got - mean) < MONTE_CARLO * np.sqrt(np.diag(cov))).all()
    assert fit.source == "given"


def test_fewer_groups_can_be_kept() -> None:
    kept = reanalyze("5", groups=("technical", "human", "emotional"), draws=10)
    assert list(kept.draws["group"].values) == ["technical", "human", "emotional"]


OWN = pd.DataFrame({"outcome": ["y", "y"], "group": ["a", "b"], "estimate": [1.0, 2.0], "se": [1.0, 1.0]})
BAD = [
    ("1", {}, "cannot be re-analysed"),
    ("5", {"thresholds": {"ratings": 0.2}}, "ratings"),
    ("5", {"tau_scale": {"rating": -1.0}}, "positive"),
    ("5", {"groups": ("emotion",)}, "expected some of"),
    ("5", {"prob": 95}, "between 0 and 1"),
    (OWN, {}, "prior scale"),
    (OWN.drop(columns="se"), {}, "lack"),
    (OWN.assign(se=[1.0, 0.0]), {"tau_scale": {"y": 1.0}}, "1 row"),
    (OWN.assign(group="a"), {"tau_scale": {"y": 1.0}}, "repeat"),
]


@pytest.mark.parametrize(("source", "options", "message"), BAD)
def test_what_cannot_be_done_is_refused(source: object, options: dict, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        reanalyze(source, **options)


def test_highest_density_interval_is_the_shortest() -> None:
    draws = np.random.default_rng(3).exponential(size=4000)
    low, high = interval(draws, prob=0.9, kind="hdi")
    assert high - low < np.diff(interval(draws, prob=0.9))[0]
    assert ((draws >= low) & (draws <= high)).sum() == 3600
    with pytest.raises(SpecError, match="eti"):
        interval(draws, prob=0.9, kind="hpd")

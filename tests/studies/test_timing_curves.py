"""Curves over progress: densities that keep their mass, sentiment paths, and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import gaussian_kde

import hitlbayes as hb
from hitlbayes.errors import DesignError, SchemaError
from hitlbayes.fitting.curves import bootstrap_densities, local_regression, reflected_density
from hitlbayes.studies.timing_curves import curves_of_frame

MASS = 1e-3  # trapezoids on 201 points of curves smoothed by a kernel


def takeovers(n: int = 400, *, seed: int = 1) -> pd.DataFrame:
    """Synthetic: technical takeovers early, emotional ones late."""
    rng = np.random.default_rng(seed)
    kind = np.repeat(["technical", "emotional"], n)
    share = np.where(kind == "technical", rng.beta(1, 4, 2 * n), rng.beta(6, 2, 2 * n))
    return pd.DataFrame({"escalation": kind, "share": share})


def test_densities_integrate_to_one_and_peak_where_takeovers_are() -> None:
    curves = hb.takeover_density(takeovers(), progress="share", resamples=200)
    for name in curves.mean:
        assert np.trapezoid(curves.mean[name], curves.grid) == pytest.approx(1.0, abs=MASS)
        assert (curves.lower[name] <= curves.upper[name]).all()
    assert curves.grid[np.argmax(curves.mean["technical"])] < 0.2  # mode at 0
    assert 0.7 < curves.grid[np.argmax(curves.mean["emotional"])] < 0.95  # mode at 5/6
    assert "200 bootstrap resamples" in curves.band


def test_inside_the_ends_it_is_the_usual_kernel_density() -> None:
    rng = np.random.default_rng(2)
    x = np.clip(rng.normal(0.5, 0.05, 500), 0, 1)
    counts = np.bincount((x * 4000).astype(int), minlength=4000)
    grid = np.linspace(0.3, 0.7, 21)
    kde = gaussian_kde(x, bw_method=0.02 / x.std(ddof=1))
    # bins of width 1/4000 move a value by at most 1/8000, against a kernel of SD .02
    np.testing.assert_allclose(
        reflected_density(counts, grid=grid, bandwidth=0.02), kde(grid), atol=0.01 * kde(grid).max()
    )


def test_bootstrap_spread_is_that_of_a_mean() -> None:
    rng = np.random.default_rng(3)
    x = rng.random(600)
    grid, h = np.array([0.5]), 0.1
    drawn = bootstrap_densities(x, grid=grid, resamples=2000, seed=4, bandwidth=h)[:, 0]
    each = np.exp(-0.5 * ((x - 0.5) / h) ** 2) / (h * np.sqrt(2 * np.pi))
    # SD of a bootstrap SD is 1 / sqrt(2 x 2000) = 1.6 %; four of those
    assert drawn.std() == pytest.approx(each.std() / np.sqrt(600), rel=0.064)


def test_loess_of_a_line_is_the_line() -> None:
    x = np.linspace(0, 1, 101)
    found = local_regression(x, 1 + 2 * x, weights=np.ones(101), grid=x, span=0.5)
    np.testing.assert_allclose(found, 1 + 2 * x, atol=1e-8)  # a local quadratic holds a line exactly


def rounds(n: int = 60) -> pd.DataFrame:
    """Synthetic rounds: sentiment rises with progress after emotional takeovers, and stays otherwise."""
    rng = np.random.default_rng(5)
    parts = []
    for chat in range(2 * n):
        k = int(rng.integers(4, 12))
        at = np.linspace(0, 1, k)
        kind = "emotional" if chat % 2 else "technical"
        mean = 2 + 2 * at if kind == "emotional" else np.full(k, 2.0)
        parts.append(
            pd.DataFrame(
                {"chat_id": chat, "round": np.arange(1, k + 1), "escalation": kind,
                 "sentiment": mean + 0.3 * rng.normal(size=k)}
            )
        )  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def test_sentiment_path_follows_the_simulated_one() -> None:
    curves = hb.sentiment_path(rounds(), resamples=50)
    # 60 chats of about 8 rounds with SD .3: a pointwise SE near .05; loess of a line has no bias
    np.testing.assert_allclose(curves.mean["emotional"], 2 + 2 * curves.grid, atol=0.25)
    np.testing.assert_allclose(curves.mean["technical"], 2.0, atol=0.25)
    assert curves.n == {"emotional": 60, "technical": 60}
    assert (curves.lower["emotional"] < curves.upper["emotional"]).all()


def test_curves_come_back_from_their_table() -> None:
    one = hb.takeover_density(takeovers(), progress="share", resamples=20, synthetic=True)
    two = curves_of_frame(one.to_frame(), prob=one.prob, what=one.what, band=one.band, synthetic=True)
    pd.testing.assert_frame_equal(one.to_frame(), two.to_frame())
    figure = two.plot()
    assert "Highest at" in figure.caption
    assert any("SYNTHETIC" in text.get_text().upper() for text in figure.texts)


def test_takeovers_of_the_twin_come_when_the_paper_says() -> None:
    chats = hb.simulate(workers=60, seed=1).chats
    curves = hb.takeover_density(chats, resamples=50, synthetic=True)
    centre = {name: np.trapezoid(m * curves.grid, curves.grid) for name, m in curves.mean.items()}
    assert centre["emotional"] > max(centre["technical"], centre["human"])


@pytest.mark.parametrize(
    ("change", "options", "error", "words"),
    [
        (lambda f: f.assign(share=1.5), {}, SchemaError, "not between 0 and 1: 800 of 800 rows"),
        (lambda f: f, {"progress": "gone"}, SchemaError, "no such column: gone"),
        (lambda f: f.iloc[:410], {}, DesignError, "'emotional' has 10 chats"),
    ],
)
def test_bad_input_is_refused(change, options, error, words: str) -> None:
    with pytest.raises(error, match=words):
        hb.takeover_density(change(takeovers()), **{"progress": "share", "resamples": 20, **options})


def test_missing_sentiments_are_refused() -> None:
    with pytest.raises(SchemaError, match="missing values in 'sentiment'"):
        hb.sentiment_path(rounds().assign(sentiment=np.nan))

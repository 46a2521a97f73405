"""Plots: the numbers in captions, marks and labels are those of the draws."""

from __future__ import annotations

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure

from hitlbayes.errors import SpecError
from hitlbayes.report.plot_checks import rank_band, rank_counts, worst_terms
from hitlbayes.report.plots import KINDS, plot, plot_effect, plot_effects
from hitlbayes.report.rows import compare, effect_row

from .standin import ArrayFit, Check, array_fit

FAILED = Check(ok=False, problems=("r_hat 1.08 for sd_effect",), r_hat=1.08)


def words(figure: Figure) -> str:
    """All text that a figure shows."""
    return " | ".join(text.get_text() for text in figure.findobj(matplotlib.text.Text))


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_plot_is_labelled_captioned_and_has_units(kind: str) -> None:
    figure = plot(array_fit(verdict=FAILED), kind=kind)
    shown = words(figure)
    assert "FAILED CHECKS · SYNTHETIC DATA" in shown
    assert len(figure.caption) > 80
    assert all(ax.get_xlabel() for ax in figure.axes)
    assert figure._repr_png_().startswith(b"\x89PNG")


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_real_data_that_passed_carry_no_label(kind: str) -> None:
    shown = words(plot(array_fit(synthetic=False), kind=kind))
    assert "SYNTHETIC" not in shown
    assert "FAILED" not in shown


def test_plots_leave_matplotlib_as_it_was() -> None:
    before = dict(matplotlib.rcParams)
    plot(array_fit())
    assert dict(matplotlib.rcParams) == before


def test_effect_caption_states_mean_interval_and_truth() -> None:
    fit = ArrayFit(att=np.linspace(-0.6, -0.2, 2001).reshape(3, 667))
    caption = plot_effect(fit, truth=-0.1).caption
    assert "Posterior mean −0.40 (95% ETI −0.59 to −0.21); all 2,001 draws are below zero." in caption
    assert "Two-way fixed effects: −0.41 (95% CI −0.64 to −0.19)." in caption
    assert "misses the simulated truth, −0.10" in caption


def test_effect_drawn_on_the_callers_axes_is_labelled_there() -> None:
    figure = Figure()
    ax = figure.add_subplot()
    assert plot_effect(array_fit(), ax=ax) is figure
    assert "SYNTHETIC DATA" in [text.get_text() for text in ax.texts]


def test_a_constant_effect_can_be_drawn() -> None:
    assert "−0.50" in plot_effect(ArrayFit(att=np.full((2, 10), -0.5))).caption


@pytest.mark.parametrize("kind", ["effect", "workers", "periods", "categories"])
def test_plots_are_drawn_on_the_callers_axes(kind: str) -> None:
    figure = Figure()
    ax = figure.add_subplot()
    assert plot(array_fit(), kind=kind, ax=ax) is figure
    assert figure.axes == [ax]
    assert ax.get_xlabel()
    assert "SYNTHETIC DATA" in [text.get_text() for text in ax.texts]


def test_a_forest_on_the_callers_axes_holds_one_unit() -> None:
    rows = compare([effect_row(array_fit()), effect_row(array_fit(units="percent", outcome="log_duration"))])
    figure = Figure()
    ax = figure.add_subplot()
    assert plot_effects(rows.iloc[:1], ax=ax) is figure
    assert ax.get_xlabel() == "effect (rating points)"
    with pytest.raises(SpecError, match="share no axis"):
        plot_effects(rows, ax=ax)


def test_forest_gives_units_their_own_axes_and_counts() -> None:
    clear = effect_row(array_fit(mean=-15, sd=1, outcome="log_duration", units="percent"), truth=-30.0)
    null = effect_row(array_fit(mean=0, sd=1, frequentist=None), truth=0.1)
    failed = effect_row(array_fit(mean=0, sd=1, frequentist=None, verdict=FAILED), label="the bad one")
    figure = plot_effects(compare([clear, null, failed]))
    assert [ax.get_xlabel() for ax in figure.axes if ax.axison] == [
        "effect (percent)",
        "effect (rating points)",
    ]
    assert "1 of 3 posterior intervals (95% ETI) exclude zero." in figure.caption
    assert "1 of 2 posterior intervals contain the simulated truth." in figure.caption
    assert "Failed their checks, not to be relied on (marked with a cross): the bad one." in figure.caption
    assert "published" not in words(figure)


def test_workers_are_sorted_and_counted() -> None:
    fit = array_fit(units_n=30)
    figure = plot(fit, kind="workers")
    points = figure.axes[0].lines[0].get_xdata()
    assert len(points) == 30
    assert (np.diff(points) >= 0).all()
    means = fit.worker_effects().mean(("chain", "draw")).to_numpy()
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names == [f"w{i:03d}" for i in np.argsort(means)]


def test_categories_need_an_ordinal_outcome() -> None:
    with pytest.raises(SpecError, match="retrial is bernoulli and has no categories"):
        plot(array_fit(outcome="retrial", family="bernoulli"), kind="categories")


def test_unknown_plot_names_the_known() -> None:
    with pytest.raises(SpecError, match="effect, workers, periods, categories, checks"):
        plot(array_fit(), kind="forest")


def test_rank_counts_see_a_chain_that_went_elsewhere() -> None:
    draws = np.random.default_rng(1).normal(size=(4, 1000))
    assert rank_counts(draws, bins=20).sum() == 4000
    low, high = rank_band(draws=4000, chains=4, bins=20)
    # 80 bins at 99 %: under one expected outside; five or more has probability .001.
    assert ((rank_counts(draws, bins=20) < low) | (rank_counts(draws, bins=20) > high)).sum() < 5
    draws[0] += 3
    counts = rank_counts(draws, bins=20)
    assert counts[0, -1] > high
    assert counts[0, 0] < low


def test_one_chain_is_said_to_be_one() -> None:
    fit = ArrayFit(att=np.random.default_rng(2).normal(size=(1, 400)))
    assert "One chain only" in plot(fit, kind="checks").caption


def test_worst_terms_keep_the_least_effective_size_of_either_kind() -> None:
    tidy = array_fit().tidy()
    tidy.loc[3, "ess_tail"] = 12
    tidy.loc[7, "ess_bulk"] = 11
    assert worst_terms(tidy, limit=2)["term"].tolist() == tidy.loc[[3, 7], "term"].tolist()

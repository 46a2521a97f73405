"""Plots of the design: what is drawn is what is in the tables, captions say it, synthetic data are marked."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from hitlbayes.chatlog import panel, read_chats
from hitlbayes.design.arms import compare_arms
from hitlbayes.design.randomization import randomization_test
from hitlbayes.design.shares import category_shares, daily_means
from hitlbayes.errors import SchemaError, SpecError
from hitlbayes.replication import example_chat
from hitlbayes.report.plot_balance import plot_love, plot_randomization
from hitlbayes.report.plot_chat import plot_chat
from hitlbayes.report.plot_design import plot_daily, plot_distribution, plot_shares
from tests.chatlog.logs import random_log

LOG = random_log(seed=2, chats=600, workers=12)
PANEL = panel(read_chats(LOG, synthetic=True), outcomes=["rating", "responded", "retrial"])


def texts(figure: Figure) -> str:
    """Everything written in a figure."""
    return " ".join(text.get_text() for text in figure.findobj(lambda a: hasattr(a, "get_text")))


def test_distribution_by_arm() -> None:
    workers = pd.DataFrame({"treated": [0] * 5 + [1] * 4, "tenure": [1, 2, 3, 4, 5, 1, 1, 3, np.nan]})
    figure = plot_distribution(workers, column="tenure", label="tenure (years)", synthetic=True)
    assert figure.caption == (
        "treated: 3 workers, mean 1.67, median 1.00; control: 5 workers, mean 3.00, median 3.00. "
        "Vertical lines are medians. 1 without a value are not shown."
    )
    assert "SYNTHETIC DATA" in texts(figure)
    assert "Tenure of workers" in texts(figure)
    with pytest.raises(SchemaError, match="'age'"):
        plot_distribution(workers, column="age")


def test_daily_means_are_where_they_should_be() -> None:
    means = daily_means(PANEL, outcome="responded")
    figure = plot_daily(means, outcome="responded", percent=True)
    lines = {line.get_label(): line for line in figure.axes[0].get_lines()}
    for arm in ("treated", "control"):
        expected = 100 * means.loc[means["arm"] == arm, "mean"].to_numpy()
        np.testing.assert_allclose(lines[arm].get_ydata(), expected)
    assert "start of treatment" in texts(figure)
    assert "SYNTHETIC" not in texts(figure)


def test_shares_of_categories_by_arm() -> None:
    shares = category_shares(PANEL)
    figure = plot_shares(shares, outcome="rating")
    heights = sorted(bar.get_height() for bar in figure.axes[0].patches)
    np.testing.assert_allclose(heights, sorted(100 * shares["mean"]))
    wide = shares.pivot(index="category", columns="arm", values="mean")
    worst = (wide["treated"] - wide["control"]).abs().idxmax()
    assert f"is at {worst}: " in figure.caption
    with pytest.raises(SpecError, match="no shares"):
        plot_shares(shares.head(0), outcome="rating")


def test_love_plot_of_two_sets() -> None:
    means = PANEL.means.assign(later=PANEL.means["rating"])
    before = compare_arms(means, columns=["rating", "retrial"], unit="unit", permutations=9).table
    series = before.set_index("variable")["std_difference"]
    figure = plot_love({"before": series, "after": series / 10}, synthetic=True)
    dots = [line for line in figure.axes[0].get_lines() if line.get_label() in ("before", "after")]
    np.testing.assert_allclose(dots[0].get_xdata(), series)
    assert figure.caption.startswith("Dotted lines at ±0.1. Beyond them: before: ")
    with pytest.raises(SpecError, match="one to three"):
        plot_love({})


def test_every_assignment_is_in_the_histogram() -> None:
    test = randomization_test(PANEL, outcome="retrial", permutations=99)
    figure = plot_randomization(test)
    assert sum(bar.get_height() for bar in figure.axes[0].patches) == len(test.reference) - 1
    assert "SYNTHETIC DATA" in texts(figure)


def test_chat_of_figure_a2() -> None:
    figure = plot_chat(example_chat.messages(), activity=example_chat.clicks(), chat=1)
    assert all(f"{delay} s" in texts(figure) for delay in (12, 30, 18))
    bars = figure.axes[0].patches
    active = sum(bar.get_width() for bar in bars if isinstance(bar, type(bars[-1])) and _filled(bar))
    assert active == pytest.approx(160)
    with pytest.raises(SchemaError, match="no messages"):
        plot_chat(example_chat.messages(), chat=9)


def _filled(bar: object) -> bool:
    return hasattr(bar, "get_width") and bar.get_hatch() is None


@pytest.mark.parametrize("name", ["daily", "shares", "love", "randomization", "chat", "distribution"])
def test_axes_of_the_caller(name: str) -> None:
    figure = Figure()
    ax = figure.add_subplot()
    draw = {
        "daily": lambda: plot_daily(daily_means(PANEL, outcome="responded"), outcome="responded", ax=ax),
        "shares": lambda: plot_shares(category_shares(PANEL), outcome="rating", synthetic=True, ax=ax),
        "love": lambda: plot_love(pd.Series({"age": 0.1}), ax=ax),
        "randomization": lambda: plot_randomization(
            randomization_test(PANEL, outcome="retrial", permutations=9), ax=ax
        ),
        "chat": lambda: plot_chat(example_chat.messages(), chat=1, ax=ax),
        "distribution": lambda: plot_distribution(LOG, column="duration", what="chats", ax=ax),
    }[name]
    assert draw() is figure
    assert ax.has_data()

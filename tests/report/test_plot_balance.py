"""The love plot shows the table's figures, labels synthetic data and refuses other tables."""

from __future__ import annotations

import pandas as pd
import pytest
from matplotlib.figure import Figure

from hitlbayes.errors import SchemaError
from hitlbayes.report.plot_balance import plot_balance


def table(*, synthetic: bool = False) -> pd.DataFrame:
    made = pd.DataFrame(
        {"before_difference": [-0.8, 0.3, 0.1], "after_difference": [0.02, -0.15, 0.0]},
        index=["age", "vip", "tenure"],
    )
    made.attrs["synthetic"] = synthetic
    return made


def test_points_are_absolute_differences_the_worst_on_top() -> None:
    axes = plot_balance(table()).axes[0]
    before, after = axes.get_lines()[:2]
    assert before.get_xdata().tolist() == [0.1, 0.3, 0.8]
    assert after.get_xdata().tolist() == [0.0, 0.15, 0.02]
    assert [t.get_text() for t in axes.get_yticklabels()] == ["tenure", "vip", "age"]


def test_caption_counts_what_is_still_unlike() -> None:
    figure = plot_balance(table())
    assert "0.800 (age) before, 0.150 (vip) after" in figure.caption
    assert "1 of 3 exceed 0.1" in figure.caption


def test_synthetic_data_are_labelled_on_any_axes() -> None:
    own = Figure().add_subplot()
    plot_balance(table(synthetic=True), ax=own)
    assert "SYNTHETIC DATA" in [t.get_text() for t in own.texts]


def test_other_tables_are_refused() -> None:
    with pytest.raises(SchemaError, match="no before_difference"):
        plot_balance(pd.DataFrame({"x": [1.0]}))
    with pytest.raises(SchemaError, match="ecdf_max"):
        plot_balance(table(), statistic="ks")

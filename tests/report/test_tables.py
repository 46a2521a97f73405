"""The side-by-side table: digits, labels, what is left out, what is escaped."""

from __future__ import annotations

import numpy as np
import pandas as pd

from hitlbayes.report.rows import compare, effect_row
from hitlbayes.report.tables import effects_table, plain_table, side_by_side

from .standin import ArrayFit, Check, array_fit

DRAWS = np.linspace(-0.6, -0.2, 2001).reshape(3, 667)  # SD .1155: two decimals


def test_cells_hold_estimate_and_interval_in_the_same_digits() -> None:
    rows = compare([effect_row(ArrayFit(att=DRAWS), published=(-0.412, 0.114), truth=-0.38)])
    assert side_by_side(rows).iloc[0].to_dict() == {
        "effect": "Customer rating, AI-eligible chats",
        "units": "rating points",
        "printed": "−0.412\n(0.114)",
        "published": "−0.41\n[−0.64, −0.19]",
        "twin": "−0.41\n[−0.64, −0.19]",
        "posterior": "−0.40\n[−0.59, −0.21]",
        "positive": "< 0.001",
        "truth": "−0.38",
    }


def test_columns_that_no_row_fills_are_left_out() -> None:
    rows = compare([effect_row(array_fit(frequentist=None, synthetic=False))])
    assert list(side_by_side(rows)) == ["effect", "units", "posterior", "positive"]


def test_rendered_table_is_labelled_and_names_what_failed() -> None:
    failed = Check(ok=False, problems=("bulk ESS 37",), ess_bulk=37.0)
    html = effects_table(
        compare([effect_row(array_fit(verdict=failed)), effect_row(array_fit())])
    ).as_raw_html()
    assert "FAILED CHECKS · SYNTHETIC DATA" in html
    assert "1 of 2 fits FAILED" in html
    assert "bulk ESS 37" in html
    assert "nothing here is a finding about real people" in html


def test_real_data_are_not_called_synthetic() -> None:
    html = effects_table(compare([effect_row(array_fit(synthetic=False))])).as_raw_html()
    assert "ynthetic" not in html
    assert "SYNTHETIC" not in html


def test_rendering_is_reproducible_and_escapes_labels() -> None:
    rows = compare([effect_row(array_fit(), label="a <script>alert(1)</script> label")])
    html = effects_table(rows).as_raw_html()
    assert html == effects_table(rows).as_raw_html()
    assert "<script>" not in html


def test_plain_table_escapes_and_rounds() -> None:
    frame = pd.DataFrame({"term": ["<b>"], "mean": [-0.12345], "ess": [1234.4]})
    html = plain_table(frame, caption="a < b")
    assert "&lt;b&gt;" in html
    assert "−0.123" in html
    assert "1,234<" in html
    assert "<caption>a &lt; b</caption>" in html

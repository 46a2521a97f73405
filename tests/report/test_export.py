"""Tables as files: what LaTeX, a word processor and a spreadsheet get."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from hitlbayes.errors import SpecError, StorageError
from hitlbayes.report.export import latex_table, tex, write_table
from hitlbayes.report.rows import compare, effect_row

from .standin import ArrayFit, array_fit

DRAWS = np.linspace(-0.6, -0.2, 2001).reshape(3, 667)  # SD .1155: two decimals
LATEX = r"""\begin{table}
\centering
\caption{5 \% \& more}
\begin{tabular}{lrr}
\toprule
term & mean\_of\_it & R$^2$ \\
\midrule
a $<$ b & $-$0.25 & -- \\
 & [$-$0.5, 0.0] &  \\
\bottomrule
\end{tabular}
\par\smallskip\footnotesize 3 \$ \#1
\end{table}
"""


def test_latex_is_booktabs_with_everything_escaped() -> None:
    frame = pd.DataFrame({"term": ["a < b"], "mean_of_it": ["−0.25\n[−0.5, 0.0]"], "R²": [np.nan]})
    assert latex_table(frame, caption="5 % & more", notes=["3 $ #1"]) == LATEX
    assert tex(r"\{x}^2~") == r"\textbackslash{}\{x\}\textasciicircum{}2\textasciitilde{}"


def test_effects_stand_side_by_side_in_latex(tmp_path) -> None:
    fit = ArrayFit(att=DRAWS)
    lines = write_table([fit], tmp_path / "effects.tex").read_text().splitlines()
    assert r"Customer rating, AI-eligible chats & $-$0.41 & $-$0.40 & $<$ 0.001 \\" in lines
    assert r"rating points & [$-$0.64, $-$0.19] & [$-$0.59, $-$0.21] &  \\" in lines
    assert sum(line.startswith(r"\par") for line in lines) == 2  # what is averaged; synthetic
    assert any("nothing here is a finding about real people" in line for line in lines)


def test_html_is_a_page_of_its_own_with_its_label(tmp_path) -> None:
    page = write_table(array_fit(), tmp_path / "effects.html", caption="a < b").read_text()
    assert page.lstrip().lower().startswith("<!doctype html>")
    assert "SYNTHETIC DATA" in page
    assert "a < b" not in page


def test_csv_keeps_every_digit(tmp_path) -> None:
    rows = compare([effect_row(array_fit())])
    again = pd.read_csv(write_table(rows, tmp_path / "effects.csv"))
    assert again["mean"].tolist() == rows["mean"].tolist()
    named = pd.DataFrame({"mean": [1 / 3]}, index=pd.Index(["x"], name="term"))
    again = pd.read_csv(write_table(named, tmp_path / "named.csv"))
    assert again.to_dict("list") == {"term": ["x"], "mean": [1 / 3]}


def test_what_cannot_be_written_is_said(tmp_path) -> None:
    with pytest.raises(SpecError, match=r"ends in '\.xlsx'"):
        write_table(array_fit(), tmp_path / "effects.xlsx")
    with pytest.raises(StorageError, match="could not be written"):
        write_table(array_fit(), tmp_path / "absent" / "effects.csv")

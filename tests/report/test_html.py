"""The page: self-contained, labelled, honest about failures, safe with other people's text."""

from __future__ import annotations

import base64
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hitlbayes.errors import SpecError, StorageError
from hitlbayes.report.blocks import details, figure, table, text
from hitlbayes.report.fit_report import fit_report, report_page
from hitlbayes.report.html import Section, document
from hitlbayes.report.plots import plot_effect
from hitlbayes.report.rows import compare, effect_row
from hitlbayes.report.verdict import Verdict, fit_verdict, rows_verdict

from .standin import Check, MixedFit, array_fit

FAILED = Check(ok=False, problems=("r_hat 1.08 for sd_effect", "bulk ESS 37"), r_hat=1.08, ess_bulk=37.0)
VOID = {"meta", "img", "br", "link", "hr", "col", "input"}


class Balanced(HTMLParser):
    """Counts open elements; a page whose tags do not close leaves some."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.wrong: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)


@pytest.fixture(scope="module")
def page() -> str:
    return report_page(array_fit(), truth=-0.38, published=(-0.412, 0.114))


def test_page_asks_for_nothing_from_outside(page: str) -> None:
    assert "://" not in page
    assert not re.search(r"<(script|link|iframe|object)\b", page)
    sources = re.findall(r'src="([^"]{0,30})', page)
    assert len(sources) == 5  # effect, categories, units, periods, checks
    assert all(source.startswith("data:image/svg+xml;base64,") for source in sources)


def test_page_is_well_formed(page: str) -> None:
    parser = Balanced()
    parser.feed(page)
    assert (parser.open, parser.wrong) == ([], [])


def test_first_screen_comes_in_order(page: str) -> None:
    places = [page.index(word) for word in ("Synthetic data", "<h1>", "Treatment changed customer rating")]
    places += [page.index("The draws passed every check"), page.index("Average effects on the treated")]
    assert places == sorted(places)
    assert places[-1] < page.index("<nav")


def test_failure_is_said_before_any_effect() -> None:
    page = report_page(array_fit(verdict=FAILED))
    body = page[page.index("<body>") :]
    assert body.index("This fit FAILED 2 checks") < body.index("Average effects on the treated")
    assert "bulk ESS 37" in body
    assert "passed every check" not in body


def test_real_data_page_is_not_called_synthetic() -> None:
    page = report_page(array_fit(synthetic=False))
    body = page[page.index("<body>") :]
    assert "Observed data" in body
    assert "ynthetic" not in body


def test_page_is_the_same_twice(page: str) -> None:
    assert page == report_page(array_fit(), truth=-0.38, published=(-0.412, 0.114))


def test_report_is_written_or_says_why_not(tmp_path: Path) -> None:
    path = fit_report(array_fit(), tmp_path / "rating.html")
    assert path.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    with pytest.raises(StorageError, match="could not be written"):
        fit_report(array_fit(), tmp_path / "absent" / "rating.html")


def test_plain_strings_are_escaped_wherever_they_enter() -> None:
    bad = "<img src=x onerror=alert(1)>"
    section = Section(bad, (bad, text(bad), details(bad, bad), table(pd.DataFrame({bad: [bad]}))))  # type: ignore[arg-type]
    verdict = Verdict(ok=False, headline=bad, details=(bad,))
    page = document(
        [section], title=bad, subtitle=bad, verdict=verdict, sources=["data"], lead=[bad], facts={bad: bad}
    )
    assert "<img" not in page


def test_sources_are_required_known_and_complete() -> None:
    verdict = Verdict(ok=True, headline="fine")
    for sources, message in (([], "found none"), (["fake"], r"found \['fake'\]")):
        with pytest.raises(SpecError, match=message):
            document([], title="t", subtitle="s", verdict=verdict, sources=sources)
    section = Section("s", (), source="synthetic")
    with pytest.raises(SpecError, match=r"\['synthetic'\] that the page's sources do not name"):
        document([section], title="t", subtitle="s", verdict=verdict, sources=["published"])


def test_figure_moves_its_caption_into_text_and_back() -> None:
    picture = plot_effect(array_fit())
    size = picture.get_size_inches().copy()
    html = figure(picture)
    assert picture.caption in html
    assert picture.caption_text.get_visible()
    assert np.array_equal(picture.get_size_inches(), size)
    svg = base64.b64decode(re.search(r"base64,([^\"]+)", html).group(1)).decode()
    assert svg.lstrip().startswith("<?xml")


def test_figure_without_caption_is_refused() -> None:
    picture = plot_effect(array_fit())
    picture.caption = ""
    with pytest.raises(SpecError, match="needs a caption"):
        figure(picture)


def test_verdict_of_one_fit() -> None:
    assert fit_verdict(Check()).headline == (
        "The draws passed every check: r_hat at most 1.003, bulk ESS at least 1,060, "
        "tail ESS at least 1,120, divergences 0."
    )
    assert fit_verdict(FAILED).details == FAILED.problems


def test_verdict_of_many_takes_the_worst() -> None:
    rows = compare(
        [effect_row(array_fit(verdict=Check(r_hat=r, ess_bulk=e))) for r, e in ((1.001, 900), (1.009, 500))]
    )
    headline = rows_verdict(rows).headline
    assert headline.startswith("All 2 fits passed every check: r_hat at most 1.009, bulk ESS at least 500,")
    mixed = compare([effect_row(array_fit()), effect_row(array_fit(verdict=FAILED), label="B")])
    assert rows_verdict(mixed).details == ("B: r_hat 1.08 for sd_effect; bulk ESS 37",)


def test_report_of_a_model_without_treatment_holds_its_terms() -> None:
    page = report_page(MixedFit(att=np.zeros((2, 3)), frequentist=None, synthetic=False))
    assert "Mixed model: Customer rating" in page
    assert "<td>sd_effect</td>" in page

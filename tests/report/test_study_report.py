"""One report of a study: everything given is in it, labelled, in HTML and in markdown."""

from __future__ import annotations

import re
from functools import cache

import pandas as pd
import pytest

import hitlbayes as hb
from hitlbayes.errors import SpecError, StorageError
from hitlbayes.report.study_report import study_parts

FEW = {"draws": 250, "progress": False}


@cache
def cells():
    return hb.simulate_cells(seed=2, workers=24, periods=6, start=3, effect=0.5)


@cache
def fit() -> hb.Fit:
    return hb.fit_did(cells(), outcome="y", **FEW)


@cache
def results() -> tuple:
    frame = pd.DataFrame({"treated": [0, 1] * 12, "age": range(24)})
    return (
        fit(),
        hb.fit_event_study(cells(), outcome="y", **FEW),
        hb.compare_arms(frame, columns=["age"], permutations=50),
        hb.leave_one_out(fit()),
        hb.posterior_predictive(fit(), draws=20),
    )


def test_html_holds_every_part_and_nothing_from_outside(tmp_path) -> None:
    page = hb.write_report(results(), tmp_path / "study.html", title="A study").read_text()
    for heading in (
        "A study",
        "Balance of rows",
        "Event study:",
        "Leave one worker out",
        "Posterior predictive",
    ):
        assert f">{heading}" in page
    for heading in ("What was left out", "Priors", "How it was computed"):
        assert f"<h2>{heading}</h2>" in page
    assert not re.search(r"https?://", page)
    assert "SHA-256 of the cells" in page
    assert "half_normal" in page


def test_design_comes_before_effects_and_checks_last() -> None:
    sections, _ = study_parts(results()[::-1], title="t")
    order = [section.title.split(":")[0].split(" of ")[0] for section in sections]
    assert order[:4] == ["Balance", "Event study", "Posterior predictive check", "Leave one worker out"]


def test_markdown_says_the_same_with_its_figures_beside_it(tmp_path) -> None:
    path = hb.write_report(results(), tmp_path / "study.md")
    words = path.read_text()
    links = re.findall(r"\]\((study_figures/[^)]+\.svg)\)", words)
    assert len(links) == len(set(links)) >= 6
    assert all((tmp_path / link).read_text().lstrip().startswith("<?xml") for link in links)
    assert "data:image" not in words
    page = hb.write_report(results(), tmp_path / "study.html").read_text()
    assert len(links) == page.count('src="data:image/svg+xml')
    titles = re.findall(r"^## (.+?)(?: \([a-z ]+\))?$", words, flags=re.MULTILINE)
    assert len(titles) == page.count("<section id=")


def test_published_estimates_are_labelled(tmp_path) -> None:
    page = hb.write_report([fit()], tmp_path / "one.html", published=[(0.4, 0.1)]).read_text()
    assert "Published numbers" in page
    with pytest.raises(SpecError, match="2 entries for 1 fits"):
        hb.write_report([fit()], tmp_path / "one.html", published=[None, None])


def test_what_has_no_place_in_a_report_is_refused(tmp_path) -> None:
    with pytest.raises(SpecError, match="cannot show a DataFrame"):
        hb.write_report([pd.DataFrame()], tmp_path / "r.html")
    with pytest.raises(SpecError, match=r"ends in '\.pdf'"):
        hb.write_report([fit()], tmp_path / "r.pdf")
    with pytest.raises(SpecError, match="report of nothing"):
        hb.write_report([], tmp_path / "r.html")
    with pytest.raises(StorageError, match="could not be written"):
        hb.write_report([fit()], tmp_path / "absent" / "r.html")

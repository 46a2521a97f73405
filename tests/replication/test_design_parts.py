"""The design's parts of a replication: published columns as printed, the twin's as computed, one report."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from hitlbayes.design.shares import composition
from hitlbayes.published.tables import fact, table
from hitlbayes.replication.a1 import TESTS, printed_variables
from hitlbayes.replication.figures import STATED, example_table
from hitlbayes.replication.runner import replicate

SCALE = 0.05  # 32 workers: the smallest twin in which every day has chats in both arms
QUIET = Console(quiet=True)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    parts = ["A1", "A3", "figures", "randomization"]
    return replicate(out=tmp_path_factory.mktemp("output"), scale=SCALE, only=parts, console=QUIET)


def test_balance_has_the_printed_columns_and_five_tests(run):
    frame = run.tables["A1"].frame.set_index(["level", "variable"])
    age = frame.loc[("worker", "age")]
    assert age[["published_treated", "published_control", "published_p"]].tolist() == [34.35, 33.92, 0.431]
    # The printed means and SDs give .0626, give or take .001 for rounding.
    assert age["published_std_difference"] == pytest.approx(
        0.43 / np.sqrt((6.89**2 + 6.85**2) / 2), abs=0.0011
    )
    assert np.isnan(frame.loc[("worker-day", "responded"), "published_std_difference"])  # .17 and .17
    delay = frame.loc[("worker-day", "avg_delay")]
    assert delay["published_p"] == 0.020
    tests = [f"twin_{name}" for name in TESTS]
    variables = frame[frame.index.get_level_values("variable") != "all together"]
    assert len(variables) == 14
    assert variables[tests].apply(lambda p: p.between(0, 1)).all(axis=None)
    together = frame.xs("all together", level="variable")["twin_p_randomized"]
    assert together.between(0, 1).all()


def test_issue_mix_has_the_printed_shares(run):
    frame = run.tables["A3"].frame.set_index("issue")
    assert frame.loc["aftersales", ["published_before", "published_after"]].tolist() == [46.825, 47.215]
    np.testing.assert_allclose(frame[["twin_before", "twin_after_control"]].sum(), 100)
    assert list(run.tables["A3"].more["joint"]["period"]) == ["before", "after", "change"]


def test_hypothetical_chat_is_measured_as_stated(run):
    frame = run.tables["figures"].frame.set_index("measure")
    stated = frame.dropna()
    assert set(stated.index) == set(STATED)
    assert stated["published"].tolist() == stated["measured"].tolist()
    assert stated.loc["rounds", "published"] == fact("example_rounds")
    pd.testing.assert_frame_equal(example_table(), run.tables["figures"].frame, check_dtype=False)


def test_randomisation_tests_stand_beside_clustered_ones(run):
    frame = run.tables["randomization"].frame
    assert len(frame) == 9
    assert frame["p_randomized"].between(1 / 2001, 1).all()
    assert (frame["lower"] < frame["estimate"]).all()
    assert (frame["estimate"] < frame["upper"]).all()


def test_report_and_tables_of_the_design(run):
    html = run.report.read_text()
    for heading in ("Table A1. Balance", "Table A3. Issue", "Figures A1 to A4", "Randomisation inference"):
        assert heading in html
    written = {path.name for path in (run.report.parent / "tables").iterdir()}
    assert {"table_A1.csv", "table_A3_ratios.csv", "table_figures_A4.csv"} <= written


def test_levels_that_are_not_printed_are_kept():
    from hitlbayes.chatlog import read_chats
    from hitlbayes.replication.a3 import beside_published as issues
    from tests.chatlog.logs import small

    frame = issues(composition(read_chats(small())), published=table("A3")).set_index("issue")
    assert frame.loc["refund", "twin_before"] == 60.0
    assert np.isnan(frame.loc["refund", "published_before"])
    assert len(frame) == 13


def test_variables_come_in_the_printed_order():
    assert printed_variables(table("A1"), panel="worker") == ["age", "male", "tenure"]

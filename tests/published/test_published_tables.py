"""The transcribed figures, literally and against each other."""

from __future__ import annotations

import numpy as np
import pytest

from hitlbayes.errors import SpecError
from hitlbayes.published import facts, table, tables
from hitlbayes.published.tables import P_BELOW, cell

# rows that each table holds: printed figures, standard errors and intervals beside them not counted
SIZES = {
    "1": 15,
    "2": 9,
    "3": 9,
    "4": 9,
    "5": 36,
    "6": 24,
    "7": 9,
    "A1": 46,
    "A2": 9,
    "A3": 22,
    "A4": 27,
    "A5": 252,
    "D1": 35,
}

# one estimate, its SE, n and stars from every table that has them, read from the page by eye
ESTIMATES = [
    ("2", "all", "log_duration", -0.032, 0.007, 15172, "****"),
    ("3", "eligible", "rating", -0.412, 0.114, 3865, "****"),
    ("4", "ineligible", "rating", 0.091, 0.033, 14319, "***"),
    ("5", "technical", "log_duration", 0.191, 0.017, 9758, "****"),
    ("5", "emotional", "retrial", 0.060, 0.021, 1908, "***"),
    ("5", "human", "retrial", -0.032, 0.019, 2724, "*"),
    ("5", "none", "rating", -0.858, 0.093, 1208, "****"),
    ("7", "ineligible", "away_time", -5.995, 2.502, 15159, "**"),
    ("A2", "eligible", "concurrency", 0.004, 0.031, 8077, ""),
    ("A4", "all", "retrial", 0.002, 0.004, 95677, ""),
    ("A4", "eligible", "rating", -0.420, 0.105, 5939, "****"),
    ("A4", "ineligible", "log_duration", -0.014, 0.007, 95641, "**"),
]


def test_every_table_is_there_with_its_figures() -> None:
    assert {name: len(table(name)) for name in tables()} == SIZES


@pytest.mark.parametrize(("name", "panel", "column", "value", "se", "n", "stars"), ESTIMATES)
def test_estimates_are_those_printed(
    name: str, panel: str, column: str, value: float, se: float, n: int, stars: str
) -> None:
    row = cell(name, panel=panel, column=column, quantity="estimate")
    assert (row["value"], row["se"], row["n"], row["stars"]) == (value, se, n, stars)
    assert row["p_below"] == P_BELOW[stars] or (not stars and np.isnan(row["p_below"]))


def test_means_intervals_and_spreads_are_those_printed() -> None:
    duration = cell("1", row="duration")
    assert (duration["value"], duration["sd"], duration["n"]) == (462.36, 405.20, 680676)
    share = cell("6", row="emotional", column="human_share")
    assert (share["value"], share["lower"], share["upper"], share["n"]) == (0.433, 0.417, 0.449, 954)
    active = cell("A1", row="active_time", arm="control", quantity="mean")
    assert (active["value"], active["sd"], active["n"]) == (282.84, 100.46, 3994)
    assert cell("A3", row="complaint", column="post")["value"] == 6.986
    assert cell("A5", row="human", column="promotion", arm="treated")["value"] == 0.110
    assert cell("D1", row="customer_sentiment", column="kappa")["value"] == 0.82


def test_printed_decimals_survive() -> None:
    assert cell("7", column="switch_aways", quantity="estimate")["decimals"] == 3  # -0.150
    assert cell("A3", row="longtail", column="pre")["decimals"] == 2  # 5.54


def test_no_figure_is_repeated_or_empty() -> None:
    for name in tables():
        frame = table(name)
        assert not frame.duplicated(["panel", "row", "column", "arm", "quantity"]).any(), name
        bare = frame["value"].isna() & frame["lower"].isna()
        assert not bare.any(), name
        assert (frame["se"].dropna() > 0).all(), name


def test_intervals_hold_their_means() -> None:
    six = table("6")
    assert ((six["lower"] < six["value"]) & (six["value"] < six["upper"])).all()


def test_doubtful_columns_of_table_a5_say_so() -> None:
    noted = table("A5").query("note != ''")
    assert set(noted["column"]) == {"initial_sentiment", "first_words"}


def test_facts_have_unique_keys_and_values() -> None:
    stated = facts()
    assert stated["fact"].is_unique
    assert stated["value"].notna().all()
    assert set(stated["bound"]) <= {"", "<", ">", "<=", "~"}
    value = stated.set_index("fact")["value"]
    assert value["sample_technical"] + value["sample_emotional"] + value["sample_human"] == 7541


def test_what_is_returned_is_a_copy() -> None:
    mine = table("2")
    mine["value"] = 0.0
    assert cell("2", column="log_duration", quantity="estimate")["value"] == -0.032


def test_source_is_labelled() -> None:
    assert table("1").attrs["source"] == facts().attrs["source"] == "published"


def test_an_unknown_table_names_those_there_are() -> None:
    with pytest.raises(SpecError, match="A5, D1"):
        table("8")

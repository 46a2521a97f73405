"""Retrials within a window: its edges, what was not seen, and fits without what crosses the end."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hitlbayes.chatlog import LoggedChats, flag_crossing, panel, read_chats, retrials, without
from hitlbayes.errors import DataWarning, SchemaError, SpecError


def contacts(*rows: tuple) -> pd.DataFrame:
    """Contacts as (customer, issue, time), numbered from 1."""
    frame = pd.DataFrame(rows, columns=["customer_id", "issue", "start_time"])
    return frame.assign(chat_id=range(1, len(frame) + 1), start_time=pd.to_datetime(frame["start_time"]))


def quietly(*args: Any, **kwargs: Any) -> LoggedChats:
    """The retrials, where what is missing is asserted or does not matter."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        return retrials(*args, **kwargs)


def test_seven_days_to_the_second() -> None:
    log = contacts(
        ("a", "refund", "2024-08-01 10:00:00"),
        ("a", "refund", "2024-08-08 10:00:00"),  # seven days to the second: counts for the first
        ("a", "refund", "2024-08-15 10:00:01"),  # a second too late for the second
        ("a", "delivery", "2024-08-02 10:00:00"),
        ("b", "refund", "2024-08-02 10:00:00"),
    )
    found = quietly(log, observed_until="2024-12-31").to_pandas()
    assert found["retrial"].tolist() == [1, 0, 0, 0, 0]
    shorter = quietly(log, observed_until="2024-12-31", window=6.9).to_pandas()
    assert shorter["retrial"].tolist() == [0, 0, 0, 0, 0]


def test_windows_that_cross_the_end_of_the_experiment_are_flagged() -> None:
    log = contacts(
        ("a", "refund", "2024-08-24 23:59:59"),
        ("b", "refund", "2024-08-25 00:00:00"),  # ends at the last moment of 31 August
        ("c", "refund", "2024-08-25 00:00:01"),
        ("d", "refund", "2024-10-01 00:00:00"),
    )
    found = quietly(log, end="2024-09-01", observed_until="2024-12-31").to_pandas()
    assert found["retrial_crosses"].tolist() == [0, 0, 1, 1]
    assert found["retrial"].tolist() == [0, 0, 0, 0]


def test_a_window_not_seen_to_its_end_has_no_retrial_either_way() -> None:
    log = contacts(
        ("a", "refund", "2024-08-28"), ("a", "refund", "2024-08-29"), ("b", "refund", "2024-08-31")
    )
    with pytest.warns(DataWarning, match="7 days were not recorded to the end"):
        found = retrials(log)
    assert found.to_pandas()["retrial"].isna().all()
    assert found.to_pandas()["retrial_crosses"].tolist() == [1, 1, 1]
    assert found.notes["rows"].tolist() == [3, 3]


def test_unknown_customers_and_issues_are_counted() -> None:
    log = contacts((None, "refund", "2024-08-01"), (None, "refund", "2024-08-02"), ("a", None, "2024-08-01"))
    found = quietly(log, observed_until="2024-12-31")
    assert found.to_pandas()["retrial"].isna().all()
    assert found.notes.set_index("what")["rows"].to_dict() == {
        "contacts without customer or issue: no retrial": 3
    }


def test_same_as_comparing_every_pair() -> None:
    rng = np.random.default_rng(5)
    stamps = pd.Timestamp("2024-08-01") + pd.to_timedelta(
        rng.choice(40 * 86_400, 200, replace=False), unit="s"
    )
    log = pd.DataFrame(
        {
            "chat_id": range(200),
            "customer_id": rng.integers(0, 12, 200),
            "issue": rng.choice(["x", "y"], 200),
            "start_time": stamps,
        }
    )
    pairs = log.merge(log, on=["customer_id", "issue"], suffixes=("", "_later"))
    gap = pairs["start_time_later"] - pairs["start_time"]
    again = set(pairs.loc[(gap > pd.Timedelta(0)) & (gap <= pd.Timedelta(days=7)), "chat_id"])
    found = quietly(log, observed_until="2024-12-31").to_pandas()
    assert found["chat_id"][found["retrial"] == 1].tolist() == sorted(again)
    assert 0 < len(again) < 200


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"window": 0}, SpecError, "positive number of days"),
        ({"end": "soon"}, SpecError, "end='soon' is not a date"),
        ({"observed_until": "2024-08-01"}, SpecError, "not before the last contact"),
        ({"columns": {"customer_id": "buyer"}}, SchemaError, "'buyer' is missing"),
    ],
)
def test_refusals(options: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        quietly(contacts(("a", "refund", "2024-08-28")), **options)


def test_repeated_contacts_are_refused() -> None:
    log = contacts(("a", "refund", "2024-08-28"), ("a", "refund", "2024-08-28")).assign(chat_id=1)
    with pytest.raises(SchemaError, match="would pass for a retrial"):
        quietly(log)


def test_left_out_chats_are_counted_in_the_panel() -> None:
    rows = [(w, w % 2, day, int(day == 16)) for w in (1, 2, 3, 4) for day in (13, 14, 15, 16)]
    log = pd.DataFrame(rows, columns=["worker_id", "treated", "day", "retrial_crosses"]).assign(
        retrial=lambda f: f["day"] % 2, start_time=lambda f: pd.to_datetime("2024-08-" + f["day"].astype(str))
    )
    chats = read_chats(log, start="2024-08-15")
    kept = without(chats, flag="retrial_crosses")
    assert (chats.n, kept.n, kept.drops) == (16, 12, {"retrial_crosses = 1": 4})
    cells = panel(kept, outcomes="retrial")
    assert cells.n_chats == 12
    assert cells.drops.to_dict("records") == [{"reason": "retrial_crosses = 1", "rows": 4}]
    assert "4 chats: retrial_crosses = 1" in repr(kept)


def test_flag_for_logs_that_come_with_their_retrials() -> None:
    stamps = ["2024-08-24 23:59:59", "2024-08-25 00:00:00", "2024-08-25 00:00:01", "2024-08-26 00:00:00"]
    log = pd.DataFrame(
        {"worker_id": [1, 1, 2, 2], "treated": [1, 1, 0, 0], "start_time": pd.to_datetime(stamps)}
    )
    chats = flag_crossing(read_chats(log, start="2024-08-15"), end="2024-09-01")
    assert chats.to_pandas()["retrial_crosses"].tolist() == [0, 0, 1, 1]
    found = quietly(contacts(*(("c", "refund", s) for s in stamps)), end="2024-09-01").to_pandas()
    assert found["retrial_crosses"].tolist() == [1, 1, 1, 1]  # recorded until the last contact
    with pytest.raises(SpecError, match="already"):
        flag_crossing(chats, end="2024-09-01")
    with pytest.raises(SpecError, match="end='soon'"):
        flag_crossing(chats, end="soon", name="late")


@pytest.mark.parametrize(
    ("values", "message"), [([0, None], "neither 0 nor 1 in 1 of 2"), ([1, 1], "none is left")]
)
def test_without_needs_a_flag_for_every_chat(values: list, message: str) -> None:
    log = pd.DataFrame(
        {
            "worker_id": [1, 2],
            "treated": [0, 1],
            "start_time": pd.to_datetime(["2024-08-01"] * 2),
            "late": values,
        }
    )
    with pytest.raises(SchemaError, match=message):
        without(read_chats(log, start="2024-08-15"), flag="late")

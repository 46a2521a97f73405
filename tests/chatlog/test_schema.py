"""Every rule of the schema, broken on purpose, on every backend; and the same rules as pandera sees them."""

from __future__ import annotations

import ibis
import numpy as np
import pandas as pd
import pytest
from pandera.errors import SchemaErrors

from hitlbayes.chatlog import read_chats
from hitlbayes.chatlog.schema import ESCALATIONS, REQUIRED, expected, pandera_schema, variables
from hitlbayes.errors import DesignError, SchemaError

from .logs import BACKENDS, as_kind, small

KNOWN = variables()
NAN, INF = np.nan, np.inf
REALS = ("avg_delay", "total_delay", "active_time", "away_time", "age", "tenure", "customer_tenure")
COUNTS = ("rounds", "messages", "words", "concurrency", "switch_aways", "customer_chats", "first_words")
FLAGS = ("eligible", "retrial", "male", "vip", "ai", "proactivity")
LEVELS = ("empathy", "information_seeking", "solution_provision", "initial_urgency")

# Every rule of every variable: values that break it, among values that keep it.
BROKEN: dict[str, list[float]] = {
    "duration": [0.0, -1.0, INF],
    "rating": [6.0, 3.5, 0.0, INF],
    "initial_sentiment": [6.0, 0.5],
    "takeover_sentiment": [-1.0, 7.0],
    "away_share": [-0.1, 1.1, INF],
    "takeover_seconds": [-1.0, INF],
    "human_delay": [-0.5, -INF],
    "ai_rounds": [-1.0, 2.5],
    "human_rounds": [-1.0, 2.5],
    "human_messages": [-1.0, INF],
    **{name: [-0.1, INF] for name in REALS},
    **{name: [-1.0, 1.5, INF] for name in COUNTS},
    **{name: [2.0, 0.5, -1.0] for name in FLAGS},
    **{name: [4.0, 0.0, 1.5] for name in LEVELS},
}
KEEPS = {"escalation": "technical", "issue": "refund"}


def _broken() -> pd.DataFrame:
    log = small().drop(columns=[name for name in BROKEN if name in small()])
    for name, bad in BROKEN.items():
        log[name] = [1.0] * (8 - len(bad)) + bad
    log["escalation"] = ["technical", "emotional", "human", "none", None, "Technical", "robot", None]
    return log


def test_every_numeric_variable_has_a_broken_value():
    rules = {name for name, variable in KNOWN.items() if variable.kind not in ("id", "time", "label")}
    assert rules - {"treated", "post"} == set(BROKEN)


@pytest.mark.parametrize("kind", BACKENDS)
def test_every_rule_is_counted_on_every_source(kind, tmp_path):
    with pytest.raises(SchemaError) as caught:
        read_chats(as_kind(_broken(), kind, tmp_path))
    message = str(caught.value)
    for name, bad in BROKEN.items():
        assert (
            f"column {name!r}: {len(bad)} of 8 values break the schema.\n  expected: {expected(KNOWN[name])}"
            in message
        )
    assert "column 'escalation': 2 of 8 values" in message
    assert "one of none, technical, emotional, human" in message
    assert "robot" in message
    assert message.count("break the schema") == len(BROKEN) + 1


@pytest.mark.parametrize("kind", BACKENDS)
def test_missing_values_are_refused_where_required_and_only_there(kind, tmp_path):
    log = small().astype({"treated": "float", "post": "float"})
    log.loc[2, "worker_id"], log.loc[3, "start_time"] = None, pd.NaT
    log.loc[[4, 5], "treated"], log.loc[6, "post"], log.loc[0, "vip"] = NAN, NAN, NAN
    with pytest.raises(SchemaError) as caught:
        read_chats(as_kind(log, kind, tmp_path))
    message = str(caught.value)
    for name, count in {"worker_id": 1, "start_time": 1, "treated": 2, "post": 1}.items():
        assert f"column {name!r}: {count} of 8 values are missing" in message
    assert message.count("are missing") == 4
    assert "hitlbayes drops no row by itself" in message


@pytest.mark.parametrize("kind", BACKENDS)
def test_repeated_chat_ids_are_counted_on_every_source(kind, tmp_path):
    log = small().assign(chat_id=[1, 2, 2, 2, 5, 6, 7, 7])
    with pytest.raises(
        SchemaError, match=r"'chat_id': 3 rows repeat(?s:.*)2 +3\s+7 +2\s+to do: remove the repeats"
    ):
        read_chats(as_kind(log, kind, tmp_path))


@pytest.mark.parametrize("kind", BACKENDS)
def test_a_worker_in_both_arms_is_named_on_every_source(kind, tmp_path):
    log = small().assign(treated=[1, 1, 1, 0, 1, 0, 0, 0])
    with pytest.raises(DesignError, match=r"'treated': 1 of 4 workers are in both arms(?s:.*)a +3 +1"):
        read_chats(as_kind(log, kind, tmp_path))


def test_the_first_offending_rows_are_shown_with_their_keys():
    log = small().assign(rating=[5.0, NAN, 4.0, 6.0, NAN, 3.5, 5.0, NAN])
    with pytest.raises(SchemaError) as caught:
        read_chats(log, columns=None)
    lines = str(caught.value).splitlines()
    assert lines[3].split() == ["row", "chat_id", "worker_id", "start_time", "rating"]
    assert lines[4].split() == ["3", "4", "a", "2024-08-15", "00:00:00", "6.0"]
    assert lines[5].split() == ["5", "6", "c", "2024-08-14", "08:00:00", "3.5"]
    assert "for another scale pass ratings=" in lines[6]


@pytest.mark.parametrize("ratings", [3, 7, 10])
def test_the_rating_scale_can_have_any_length(ratings):
    log = small().assign(rating=[float(ratings), NAN, 1.0, 1.0, NAN, 2.0, 1.0, NAN])
    assert read_chats(log, ratings=ratings).ratings == ratings
    with pytest.raises(SchemaError, match=f"whole numbers from 1 to {ratings - 1}"):
        read_chats(log, ratings=ratings - 1)


def test_booleans_and_words_are_flags(tmp_path):
    log = small().assign(
        retrial=["true", "False", "TRUE", "0", "1", "false", " 0 ", "1"], vip=small()["vip"] == 1
    )
    found = read_chats(log).to_pandas()
    assert found["retrial"].tolist() == small()["retrial"].tolist()
    assert found["vip"].tolist() == small()["vip"].tolist()


@pytest.mark.parametrize(
    ("name", "values", "type_"),
    [
        ("rating", pd.to_datetime(["2024-08-01"] * 8), "timestamp"),
        ("duration", [[1.0]] * 8, "array"),
        ("worker_id", pd.to_datetime(["2024-08-01"] * 8), "timestamp"),
    ],
)
def test_a_type_that_cannot_hold_the_variable_is_refused(name, values, type_):
    with pytest.raises(
        SchemaError, match=rf"column '{name}' is of type {type_}(?s:.*)expected: .*(?s:.*)to do: convert"
    ):
        read_chats(small().assign(**{name: values}))


def test_empty_text_is_no_worker():
    with pytest.raises(
        SchemaError, match=r"'worker_id': 1 of 8 values break the schema\.\s+expected: text that is not empty"
    ):
        read_chats(small().assign(worker_id=["a", "a", "a", "a", "", "c", "c", "d"]))


TYPES = {"flag": "int8", "count": "int64", "code": "int64", "real": "float64", "positive": "float64"}


def test_pandera_refuses_what_we_refuse():
    """Every rule, each in its own column; columns of integers can hold no halves and no infinities."""
    columns, types, expected_cases = {}, {}, {}
    for name, bad in BROKEN.items():
        types[name] = TYPES[KNOWN[name].kind]
        kept = [value for value in bad if types[name] == "float64" or float(value).is_integer()]
        columns[name] = [1] * (8 - len(kept)) + kept
        expected_cases[name] = len(kept)
    columns["escalation"], types["escalation"] = [*ESCALATIONS, None, None, "Technical", "robot"], "string"
    columns["worker_id"], types["worker_id"] = ["a"] * 7 + [""], "string"
    table = ibis.memtable(pd.DataFrame(columns, dtype=object), schema=types)
    with pytest.raises(SchemaErrors) as caught:
        pandera_schema(columns).validate(table, lazy=True)
    cases = {error.schema.name: len(error.failure_cases) for error in caught.value.schema_errors}
    assert cases == {**expected_cases, "escalation": 2, "worker_id": 1}


@pytest.mark.parametrize("name", REQUIRED)
def test_pandera_demands_what_we_demand(name):
    with pytest.raises(SchemaErrors, match=name):
        pandera_schema([name]).validate(ibis.memtable(pd.DataFrame({"other": [1]})), lazy=True)


def test_what_read_chats_returns_obeys_the_whole_pandera_schema():
    chats = read_chats(small())
    validated = pandera_schema(chats.table.columns).validate(
        chats.table, lazy=True
    )  # raises where it does not
    assert validated.count().execute() == chats.n > 0

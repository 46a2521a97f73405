"""From raw logs to chats: the paper's hypothetical chat, slow and plain Python on random logs, refusals."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hitlbayes.chatlog import read_chats
from hitlbayes.chatlog.logs import LoggedChats, chats_from_logs
from hitlbayes.errors import DataWarning, SchemaError, SpecError
from hitlbayes.published.tables import fact
from hitlbayes.replication import example_chat

EXACT = 1e-9  # whole microseconds, divided once
KINDS = {"c": "customer", "h": "human", "a": "ai"}


def quietly(*args: Any, **kwargs: Any) -> LoggedChats:
    """The chats, where what the logs lack is asserted on `notes` or does not matter."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        return chats_from_logs(*args, **kwargs)


def log(*chats: str, worker: Any = "w") -> pd.DataFrame:
    """Messages of chats written as "c0 h5 c9": who (customer, human, ai) and at which second."""
    rows = [
        {
            "chat_id": k,
            "sender": KINDS[said[0]],
            "seconds": float(said[1:]),
            "text": "好",
            "worker_id": worker,
        }
        for k, chat in enumerate(chats)
        for said in chat.split()
    ]
    frame = pd.DataFrame(rows)
    return frame.assign(time=pd.Timestamp("2024-08-15") + pd.to_timedelta(frame.pop("seconds"), unit="s"))


def test_hypothetical_chat_of_figure_a2() -> None:
    logged = quietly(example_chat.messages(), example_chat.clicks(), sessions=example_chat.sessions())
    (chat,) = logged.to_pandas().to_dict("records")
    assert chat["start_time"] == pd.Timestamp("2024-08-15 09:00:30")
    assert chat["end_time"] == pd.Timestamp("2024-08-15 09:05:30")
    assert chat["duration"] == 60 * fact("example_duration")
    assert chat["rounds"] == fact("example_rounds")
    assert chat["messages"] == fact("example_messages")
    assert chat["rating"] == fact("example_rating")
    # By hand: 8 + 5 + 5 + (订 单 SF1234 谢 谢) 5 + 8 + 4 + 4 + 7 words; delays of 12, 30 and 18 s.
    assert chat["words"] == 8 + 5 + 5 + 5 + 8 + 4 + 4 + 7
    assert chat["first_words"] == 5
    assert chat["total_delay"] == pytest.approx(60.0, abs=EXACT)
    assert chat["avg_delay"] == pytest.approx(20.0, abs=EXACT)
    # The other chat was open when this one began; away from 01:15 to 02:10 and from 02:40 to 04:05.
    assert chat["concurrency"] == 2
    assert chat["away_time"] == pytest.approx(55 + 85, abs=EXACT)
    assert chat["active_time"] == pytest.approx(300 - 140, abs=EXACT)
    assert chat["switch_aways"] == 2
    assert chat["away_share"] == pytest.approx(140 / 300, abs=EXACT)


def test_runs_of_messages_make_one_round_and_one_delay() -> None:
    messages = log("h0 c10 c20 h50 h60 c70 c80 h81 c90")
    one = quietly(messages).to_pandas().iloc[0]
    assert (one.rounds, one.messages) == (2, 9)
    assert one.total_delay == pytest.approx(40 + 11, abs=EXACT)
    assert quietly(messages, delay_from="last").to_pandas().total_delay[0] == pytest.approx(31, abs=EXACT)
    assert quietly(messages, rounds="customer").to_pandas().rounds[0] == 3


def test_chats_that_the_ai_began() -> None:
    found = quietly(log("a0 c10 a12 c20 a22 c30 h45 c50 h52", "a0 c5 a6", "h0 c5 h6")).to_pandas()
    found = found.set_index("chat_id")
    assert found["ai"].tolist() == [1, 1, 0]
    assert found["ai_rounds"].fillna(-1).tolist() == [2, 1, -1]
    assert found["human_rounds"].fillna(-1).tolist() == [2, -1, -1]
    assert found["human_messages"].fillna(-1).tolist() == [2, -1, -1]
    assert found["takeover_seconds"].fillna(-1).tolist() == [45, -1, -1]
    assert found["human_delay"].fillna(-1).tolist() == [8.5, -1, -1]
    assert "ai" not in quietly(log("h0 c5 h6")).table.columns


def test_concurrency_counts_the_chat_itself_and_not_one_that_ends_as_it_starts() -> None:
    found = quietly(log("c0 h10", "c5 h20", "c10 h30", "c40 h50", "c45", "c45")).to_pandas()
    assert found["concurrency"].tolist() == [1, 2, 2, 1, 2, 2]


def test_notes_count_what_is_missing() -> None:
    messages = log("c0 h10", "c5", "h1 c1")
    messages.loc[0, "text"] = None
    with pytest.warns(DataWarning, match="chats without a reply"):
        logged = chats_from_logs(messages)
    assert dict(logged.notes.itertuples(index=False)) == {
        "messages without text: counted, of no words": 1,
        "messages at one instant with one of the other side: taken in the log's order": 1,
        "chats without a reply: no reply delay": 2,
        "chats whose messages are all of one instant: no duration": 2,
    }
    assert logged.to_pandas()["words"].tolist() == [1, 1, 2]
    assert logged.to_pandas()["duration"].fillna(-1).tolist() == [10, -1, -1]


def test_sessions_decide_which_chats_there_are() -> None:
    sessions = pd.DataFrame({"session": [0, 1, 9], "treated": [1, 0, 1], "agent": ["w", "w", "v"]})
    names = {"sessions": {"chat_id": "session", "worker_id": "agent"}}
    logged = quietly(log("c0 h10", "c5 h9", "c1 h2"), sessions=sessions, columns=names)
    assert logged.to_pandas()["chat_id"].tolist() == [0, 1, 9]
    assert dict(logged.notes.itertuples(index=False)) == {
        "sessions without messages: nothing measured": 1,
        "chats with messages and no session: left out": 1,
    }


def test_what_is_measured_can_be_read() -> None:
    sessions = pd.DataFrame({"chat_id": [0, 1], "treated": [1, 0], "worker_id": ["w", "v"]})
    messages = log("c0 h10", "c5 h9").drop(columns="worker_id")
    clicks = pd.DataFrame(
        {"chat_id": [0, 1], "worker_id": ["w", "v"], "time": messages["time"][[0, 2]].to_list()}
    )
    chats = read_chats(quietly(messages, clicks, sessions=sessions).table, start="2024-08-15")
    assert chats.n == 2
    assert chats.observed["away_time"] == 2
    assert chats.observed["avg_delay"] == 2


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_same_as_slow_python_on_random_logs(seed: int) -> None:
    messages, clicks = _random_logs(seed)
    found = quietly(messages, clicks).to_pandas().set_index("chat_id").sort_index()
    slow = _slowly(messages, clicks)
    for name in slow:
        np.testing.assert_allclose(
            found[name].astype(float).to_numpy(),
            slow[name].astype(float).to_numpy(),
            atol=EXACT,
            err_msg=name,
        )


def _random_logs(seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Forty overlapping chats of three workers, and clicks on them, on unknown chats and on none."""
    rng = np.random.default_rng(seed)
    rows = []
    for chat in range(40):
        begin = rng.integers(0, 2_000)
        for second in begin + np.sort(rng.choice(300, size=rng.integers(2, 12), replace=False)):
            rows.append((chat, second, rng.choice(["customer", "human"]), f"w{chat % 3}"))
    messages = pd.DataFrame(rows, columns=["chat_id", "seconds", "sender", "worker_id"]).assign(text="a b")
    seconds = np.concatenate([rng.choice(2_400, size=150, replace=False) for _ in range(3)])
    clicks = pd.DataFrame({"seconds": seconds, "worker_id": np.repeat(["w0", "w1", "w2"], 150)})
    clicks["chat_id"] = pd.array(rng.integers(0, 44, 450), dtype="Int64")
    clicks.loc[rng.random(450) < 0.1, "chat_id"] = pd.NA
    zero = pd.Timestamp("2024-08-15")
    messages["time"] = zero + pd.to_timedelta(messages["seconds"], unit="s")
    clicks["time"] = zero + pd.to_timedelta(clicks["seconds"], unit="s")
    return messages.sample(frac=1, random_state=seed), clicks.sample(frac=1, random_state=seed)


def _slowly(messages: pd.DataFrame, clicks: pd.DataFrame) -> pd.DataFrame:
    """The definitions, second by second and message by message."""
    spans = messages.groupby("chat_id").agg(
        start=("seconds", "min"), end=("seconds", "max"), worker=("worker_id", "first")
    )
    rows = []
    for chat, span in spans.iterrows():
        said = messages[messages["chat_id"] == chat].sort_values("seconds")
        delays, asked = [], None
        for second, sender in zip(said["seconds"], said["sender"], strict=True):
            if sender == "customer":
                asked = second if asked is None else asked
            elif asked is not None:
                delays.append(second - asked)
                asked = None
        mine = spans[spans["worker"] == span["worker"]]
        own = clicks[clicks["worker_id"] == span["worker"]].sort_values("seconds")
        where = pd.Series(own["chat_id"].to_numpy(), index=own["seconds"].to_numpy())
        focus = where.reindex(range(0, int(span["end"]) + 1), method="ffill").eq(chat).fillna(False)
        focus = focus.to_numpy(dtype=bool)
        leaves = np.flatnonzero(focus[:-1] & ~focus[1:]) + 1
        rows.append(
            {
                "duration": span["end"] - span["start"],
                "messages": len(said),
                "words": 2 * len(said),
                "rounds": len(delays),
                "total_delay": sum(delays) if delays else np.nan,
                "avg_delay": np.mean(delays) if delays else np.nan,
                "concurrency": ((mine["start"] <= span["start"]) & (mine["end"] > span["start"])).sum(),
                "active_time": focus[span["start"] : span["end"]].sum(),
                "away_time": (~focus[span["start"] : span["end"]]).sum(),
                "switch_aways": ((leaves >= span["start"]) & (leaves < span["end"])).sum(),
            }
        )
    return pd.DataFrame(rows, index=spans.index)


def test_attention_ends_after_idle_seconds() -> None:
    clicks = example_chat.clicks()
    whole = quietly(example_chat.messages(), clicks, sessions=example_chat.sessions()).to_pandas()
    short = quietly(example_chat.messages(), clicks, sessions=example_chat.sessions(), idle=10).to_pandas()
    # Clicks in the focal chat at 00:30, 01:05 (10 s each), 02:10 and 04:05.
    assert short["active_time"][0] == pytest.approx(40, abs=EXACT)
    assert whole["switch_aways"][0] == short["switch_aways"][0] == 2


def test_only_some_actions_show_attention() -> None:
    clicks = example_chat.clicks()
    clicks.loc[clicks["chat_id"] == 2, "action"] = "popup"
    logged = quietly(example_chat.messages(), clicks, sessions=example_chat.sessions(), actions=["click"])
    assert logged.to_pandas()["away_time"][0] == 0
    assert (logged.notes.set_index("what")["rows"]["events of actions that are left out"]) == 4
    with pytest.raises(SpecError, match=r"\['type'\], which the activity log never has"):
        quietly(example_chat.messages(), clicks, actions=["type"])


def test_order_column_breaks_ties() -> None:
    messages = log("h0 c5 h5").assign(order=[0, 2, 1])
    assert quietly(messages).to_pandas()["rounds"][0] == 0
    assert quietly(messages.drop(columns="order")).to_pandas()["rounds"][0] == 1


def test_files_and_time_zones(tmp_path: Any) -> None:
    messages, clicks = example_chat.messages(), example_chat.clicks()
    messages["time"] = messages["time"].dt.tz_localize("Asia/Shanghai").dt.tz_convert("UTC")
    messages.to_parquet(tmp_path / "messages.parquet")
    clicks.to_csv(tmp_path / "clicks.csv", index=False)
    with pytest.raises(SchemaError, match="column 'time' holds"):
        quietly(tmp_path / "messages.parquet")
    logged = quietly(tmp_path / "messages.parquet", tmp_path / "clicks.csv", tz="Asia/Shanghai").to_pandas()
    one = logged.set_index("chat_id").loc[1]
    assert one["start_time"] == pd.Timestamp("2024-08-15 09:00:30")
    assert one["away_time"] == pytest.approx(140, abs=EXACT)


@pytest.mark.parametrize(
    ("change", "options", "error", "message"),
    [
        (lambda m: m.assign(sender="bot"), {}, SchemaError, r"1 values without a role: 'bot' \(2 messages\)"),
        (lambda m: m.drop(columns="text"), {}, SchemaError, "neither text nor words"),
        (lambda m: m.drop(columns="chat_id"), {}, SchemaError, "column 'chat_id' is missing"),
        (lambda m: m.assign(worker_id=["a", "b"]), {}, SchemaError, "1 chats have several workers"),
        (lambda m: m.assign(time=None), {}, SchemaError, "time"),
        (lambda m: m, {"rounds": "both"}, SpecError, "'answered', 'customer'"),
        (lambda m: m, {"idle": 5}, SpecError, "without an activity log"),
        (lambda m: m, {"senders": {"customer": "client"}}, SpecError, "roles"),
        (lambda m: m, {"columns": {"message": {}}}, SpecError, "messages, activity, sessions"),
        (
            lambda m: m,
            {"sessions": pd.DataFrame({"chat_id": [0, 0]})},
            SchemaError,
            "chat_id",
        ),
        (
            lambda m: m,
            {"sessions": pd.DataFrame({"chat_id": [0], "rounds": [3]})},
            SchemaError,
            "already hold rounds",
        ),
        (
            lambda m: m,
            {"sessions": pd.DataFrame({"chat_id": ["0"], "treated": [1]})},
            SchemaError,
            "numbers in the message log and text in the session log",
        ),
    ],
)
def test_refusals(change: Any, options: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        quietly(change(log("c0 h5")), **options)


def test_handed_over_chats_are_refused_with_advice() -> None:
    clicks = pd.DataFrame(
        {"chat_id": [0, 0], "worker_id": ["a", "b"], "time": pd.to_datetime(["2024-08-15", "2024-08-15"])}
    )
    with pytest.raises(SchemaError, match="several workers in the activity log"):
        quietly(log("c0 h5").drop(columns="worker_id"), clicks)


def test_user_data_are_left_alone() -> None:
    messages, clicks = example_chat.messages(), example_chat.clicks()
    before = messages.copy(), clicks.copy()
    quietly(messages, clicks)
    pd.testing.assert_frame_equal(messages, before[0])
    pd.testing.assert_frame_equal(clicks, before[1])

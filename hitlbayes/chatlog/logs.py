"""From raw logs to the chat table: `chats_from_logs` joins messages, clicks and sessions into chats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, get_args

import pyarrow as pa

from hitlbayes.chatlog.activity import read_activity
from hitlbayes.chatlog.assemble import MEASURED, attended, gaps, measured_chats, of_sessions, put
from hitlbayes.chatlog.logged import LoggedChats, logged
from hitlbayes.chatlog.messages import DelayFrom, Role, Rounds, measure_messages, read_messages
from hitlbayes.chatlog.source import connect, readable
from hitlbayes.chatlog.whose import read_sessions, whose
from hitlbayes.errors import SpecError

LOGS = ("messages", "activity", "sessions")


def chats_from_logs(
    messages: Any,
    activity: Any = None,
    *,
    sessions: Any = None,
    columns: Mapping[str, Mapping[str, str]] | None = None,
    senders: Mapping[Any, Role] | None = None,
    actions: Sequence[Any] | None = None,
    tz: str | None = None,
    rounds: Rounds = "answered",
    delay_from: DelayFrom = "first",
    idle: float | None = None,
) -> LoggedChats:
    """Rounds, messages, words, reply delays, concurrency and attention of each chat (paper, Section 3.5).

    Parameters
    ----------
    messages : path, glob, list of paths, frame, Arrow table, or ibis table in DuckDB
        `chat_id`, `time`, `sender`, and `text` or `words` (its number); optionally `worker_id`, and `order`
        among messages of one instant (the order of the log otherwise).
    activity : the same, optional
        `worker_id`, `time`, `chat_id` (empty where the worker is at no chat), optionally `action`.
    sessions : the same, optional
        One row per chat: `chat_id` and what else is known of it (arm, customer, issue, rating, eligible,
        `worker_id`). The result then has its chats and its columns.
    columns : mapping, optional
        Log -> canonical name -> your name: ``{"messages": {"chat_id": "session"}, "activity": {...}}``.
    senders : mapping, optional
        Sender -> "customer", "human", "ai", or "ignore" for messages that nobody wrote. Every sender needs a
        role. By default "customer", "worker" or "human", and "ai".
    actions : sequence, optional
        Actions that show attention to a chat; all unless given.
    tz : str, optional
        The experiment's IANA zone; required where stamps are aware.
    rounds : {"answered", "customer"}
        Runs of customer messages that got a reply, or all of them.
    delay_from : {"first", "last"}
        From which message of the customer's run a reply's delay is counted.
    idle : float, optional
        Seconds after an event when attention ends without another. None: it lasts until the next event.

    Returns
    -------
    LoggedChats
        `chat_id`, `worker_id`, `start_time`, `end_time` (first and last message, local time), `duration` (s,
        missing where it is 0), `rounds`, `messages`, `words`, `first_words`, `avg_delay`, `total_delay` (s),
        `concurrency` (at the start, the chat itself included), `active_time`, `away_time` (s; they add up to
        the duration), `switch_aways`, `away_share`; where the AI wrote, also `ai`, `ai_rounds`,
        `takeover_seconds`, `human_rounds`, `human_messages` and `human_delay` (after the takeover).

    Raises
    ------
    SchemaError
        A log breaks its rules, a sender has no role, a chat has several workers.
    SpecError
        An option or a column name that does not exist.

    Notes
    -----
    Chinese and Japanese are counted by characters, other scripts by words (`hitlbayes.chatlog.words`).
    Attention is with the chat of the worker's latest event. The paper does not say how rounds are cut, or
    from which of several messages a delay runs: vary `rounds`, `delay_from` and `idle`.

    Examples
    --------
    >>> import pandas as pd
    >>> log = pd.DataFrame({
    ...     "chat_id": 1, "worker_id": 7, "sender": ["worker", "customer", "worker"],
    ...     "text": ["Hello", "您好", "How can I help?"],
    ...     "time": pd.to_datetime([f"2024-08-15 09:00:{s}" for s in (30, 40, 55)]),
    ... })
    >>> chats_from_logs(log).to_pandas()[["duration", "rounds", "words", "avg_delay"]].values.tolist()
    [[25.0, 1.0, 7.0, 15.0]]
    """
    named = _options(columns=columns, rounds=rounds, delay_from=delay_from, idle=idle)
    if activity is None and (actions is not None or idle is not None):
        raise SpecError("actions= or idle= is given without an activity log.")
    said, notes = read_messages(messages, columns=named.get("messages"), senders=senders, tz=tz)
    listed = read_sessions(sessions, columns=named.get("sessions"), measured=MEASURED)
    events = None
    if activity is not None:
        events, odd = read_activity(activity, columns=named.get("activity"), actions=actions, tz=tz)
        notes |= odd
    con = connect()
    with readable():
        talk = put(con, "talk", measure_messages(said, rounds=rounds, delay_from=delay_from).to_pyarrow())
        owners = whose(talk, events=events, sessions=listed)
    chats = talk.left_join(
        put(con, "owners", pa.Table.from_pandas(owners, preserve_index=False)), "chat_id"
    ).drop("chat_id_right")
    if events is not None:
        spells, odd = attended(chats, events=events, idle=idle)
        chats = chats.left_join(put(con, "attended", spells), "chat_id").drop("chat_id_right")
        notes |= odd
    measured = put(con, "measured", measured_chats(chats).order_by("chat_id").to_pyarrow())
    notes |= gaps(chats)
    table, odd = of_sessions(con, measured=measured, sessions=listed)
    return logged(table, notes=notes | odd)


def _options(
    *, columns: Mapping[str, Mapping[str, str]] | None, rounds: str, delay_from: str, idle: float | None
) -> dict[str, Mapping[str, str]]:
    for name, value, allowed in (
        ("rounds", rounds, get_args(Rounds)),
        ("delay_from", delay_from, get_args(DelayFrom)),
    ):
        if value not in allowed:
            raise SpecError(f"{name}={value!r}.\n  expected: one of {', '.join(map(repr, allowed))}.")
    if idle is not None and not idle > 0:
        raise SpecError(f"idle={idle!r}.\n  expected: a positive number of seconds, or None.")
    unknown = [name for name in columns or {} if name not in LOGS]
    if unknown:
        raise SpecError(
            f"columns= names the logs {unknown}.\n  expected: {', '.join(LOGS)}, each with canonical name -> "
            "your name, for instance columns={'messages': {'chat_id': 'session'}}."
        )
    return dict(columns or {})

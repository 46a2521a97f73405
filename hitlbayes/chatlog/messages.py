"""From messages to chats: rounds, messages, words and reply delays (paper, Section 3.5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

import ibis
import ibis.expr.types as ir

from hitlbayes.chatlog.rawlog import SECOND, read_log
from hitlbayes.chatlog.schema import Variable
from hitlbayes.chatlog.words import count_words
from hitlbayes.errors import SchemaError, SpecError

Role = Literal["customer", "human", "ai", "ignore"]
Rounds = Literal["answered", "customer"]
DelayFrom = Literal["first", "last"]
SENDERS: dict[Any, Role] = {"customer": "customer", "worker": "human", "human": "human", "ai": "ai"}
COLUMNS = {
    "chat_id": Variable("id"),
    "time": Variable("time"),
    "sender": Variable("label"),
    "text": Variable("label"),
    "words": Variable("count", "words", 0, family="count"),
    "worker_id": Variable("id"),
    "order": Variable("count", "", 0),
}
REQUIRED = ("chat_id", "time", "sender")


def read_messages(
    source: Any,
    *,
    columns: Mapping[str, str] | None,
    senders: Mapping[Any, Role] | None,
    tz: str | None,
) -> tuple[ir.Table, dict[str, int]]:
    """Messages as `chat_id`, `us` (time), `row`, `role`, `words`, `worker_id` if known; and what was odd."""
    log = read_log(source, known=COLUMNS, required=REQUIRED, columns=columns, tz=tz, what="message log")
    if "text" not in log.columns and "words" not in log.columns:
        raise SchemaError(
            "the message log has neither text nor words.\n  expected: the text of each message, or the "
            "number of its words\n  to do: name your own column, columns={'text': 'your name'}."
        )
    roles = dict(SENDERS if senders is None else senders)
    left_out = _check_senders(log, roles=roles)
    words = log.words if "words" in log.columns else count_words(log.text.cast("string"))
    if "order" in log.columns:
        log = log.mutate(row=log.order)
    role = ibis.cases(*((log.sender == name, role) for name, role in roles.items()))
    worker = {"worker_id": log.worker_id} if "worker_id" in log.columns else {}
    kept = log.select(chat_id=log.chat_id, us=log.time, row=log.row, role=role, words=words, **worker)
    return kept.filter(kept.role != "ignore"), {"messages of senders that are left out": left_out}


def _check_senders(log: ir.Table, *, roles: Mapping[Any, Role]) -> int:
    """Refuse a sender without a role; the number of messages whose senders are to be ignored."""
    wrong = {name: role for name, role in roles.items() if role not in get_args(Role)}
    if wrong:
        raise SpecError(f"senders= has the roles {wrong}.\n  expected: one of {', '.join(get_args(Role))}.")
    counts = log.group_by("sender").agg(rows=lambda t: t.count()).order_by(ibis.desc("rows")).to_pandas()
    unknown = counts[~counts["sender"].isin(list(roles))]
    if len(unknown):
        found = ", ".join(f"{row.sender!r} ({row.rows:,} messages)" for row in unknown.head(8).itertuples())
        raise SchemaError(
            f"column 'sender' holds {len(unknown):,} values without a role: {found}.\n"
            f"  expected: {', '.join(map(repr, roles))}\n  to do: say who they are, for instance "
            f"senders={{{unknown['sender'].iloc[0]!r}: 'human', ...}}, 'ignore' for what nobody wrote."
        )
    ignored = counts["sender"].map(lambda name: roles[name] == "ignore")
    return int(counts.loc[ignored.astype(bool), "rows"].sum())


def measure_messages(messages: ir.Table, *, rounds: Rounds, delay_from: DelayFrom) -> ir.Table:
    """One row per chat: when it began and ended, and what was written in it, by whom and how fast.

    A turn is an unbroken run of messages of one side. A reply is the first message of the serving side after
    a turn of the customer.

    Returns
    -------
    ibis.Table
        `chat_id`, `start_us`, `end_us` (microseconds), `messages`, `words`, `first_words` (of the
        customer's first message), `rounds`, `replies`, `delay_us` (total), `ai_messages`, `ai_replies`; of
        human messages after one of the AI: `taken_us` (the first), `taken_messages`, `taken_replies`,
        `taken_delay_us`; `textless`, `ties` (messages at the same instant as the one before them, of the
        other side) and, where messages name them, `worker_low`, `worker_high`.
    """
    by_time = ibis.window(group_by="chat_id", order_by=["us", "row", "role"])
    turns = messages.mutate(
        customer=messages.role == "customer",
        before=(messages.role == "customer").lag().over(by_time),
        last_us=messages.us.lag().over(by_time),
        place=ibis.row_number().over(by_time),
    )
    turns = turns.mutate(opens=turns.customer & ~turns.before.fill_null(False))
    turns = turns.mutate(reply=~turns.customer & turns.before.fill_null(False))
    so_far = ibis.cumulative_window(group_by="chat_id", order_by=["us", "row", "role"])
    after_ai = (turns.role == "ai").any().over(so_far)
    if delay_from == "first":
        asked = ibis.ifelse(turns.opens, turns.us, ibis.null("int64")).max().over(so_far)
    else:
        asked = turns.last_us
    turns = turns.mutate(
        waited=ibis.ifelse(turns.reply, turns.us - asked, ibis.null("int64")),
        taken=(turns.role == "human") & after_ai,
    )
    ai = turns.role == "ai"
    named = "worker_id" in turns.columns
    workers = {"worker_low": turns.worker_id.min(), "worker_high": turns.worker_id.max()} if named else {}
    return turns.group_by("chat_id").agg(
        start_us=turns.us.min(),
        end_us=turns.us.max(),
        messages=turns.count(),
        words=turns.words.fill_null(0).sum(),
        first_words=turns.words.fill_null(0).argmin(turns.place, where=turns.customer),
        rounds=turns.count(where=turns.reply if rounds == "answered" else turns.opens),
        replies=turns.count(where=turns.reply),
        delay_us=turns.waited.sum(),
        ai_messages=turns.count(where=ai),
        ai_replies=turns.count(where=turns.reply & ai),
        taken_us=turns.us.min(where=turns.taken),
        taken_messages=turns.count(where=turns.taken),
        taken_replies=turns.count(where=turns.reply & turns.taken),
        taken_delay_us=turns.waited.sum(where=turns.taken),
        textless=turns.count(where=turns.words.isnull()),
        ties=turns.count(where=(turns.us == turns.last_us) & (turns.customer != turns.before)),
        **workers,
    )


def message_columns(chats: ir.Table, *, ai: bool) -> dict[str, ir.Column]:
    """The canonical columns that messages give (seconds, counts); missing where a chat has no such thing."""
    seconds = (chats.end_us - chats.start_us) / SECOND
    columns = {
        "duration": seconds.nullif(0.0),
        "rounds": chats.rounds,
        "messages": chats.messages,
        "words": chats.words.cast("int64"),
        "first_words": chats.first_words,
        "avg_delay": chats.delay_us / (SECOND * chats.replies.nullif(0)),
        "total_delay": chats.delay_us / SECOND,
    }
    if not ai:
        return columns
    handled, taken = chats.ai_messages > 0, chats.taken_messages > 0
    return columns | {
        "ai": handled.cast("int8"),
        "ai_rounds": ibis.ifelse(handled, chats.ai_replies, None),
        "takeover_seconds": ibis.ifelse(taken, (chats.taken_us - chats.start_us) / SECOND, None),
        "human_rounds": ibis.ifelse(taken, chats.taken_replies, None),
        "human_messages": ibis.ifelse(taken, chats.taken_messages, None),
        "human_delay": chats.taken_delay_us / (SECOND * chats.taken_replies.nullif(0)),
    }

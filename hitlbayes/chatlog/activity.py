"""From a worker's clicks to where attention was: active and away time, switch-aways, concurrency.

A worker attends to one chat at a time: that of the latest event, until the next event (paper, Section 3.5;
Table 7 for switch-aways).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import ibis
import ibis.expr.types as ir

from hitlbayes.chatlog.rawlog import SECOND, read_log
from hitlbayes.chatlog.schema import Variable
from hitlbayes.errors import SchemaError, SpecError

COLUMNS = {
    "worker_id": Variable("id"),
    "time": Variable("time"),
    "action": Variable("label"),
    "chat_id": Variable("id"),
}
REQUIRED = ("worker_id", "time")


def read_activity(
    source: Any, *, columns: Mapping[str, str] | None, actions: Sequence[Any] | None, tz: str | None
) -> tuple[ir.Table, dict[str, int]]:
    """Events as `worker_id`, `us` (time), `row`, `chat_id` (null: at no chat); and what was odd."""
    log = read_log(source, known=COLUMNS, required=REQUIRED, columns=columns, tz=tz, what="activity log")
    if "chat_id" not in log.columns:
        raise SchemaError(
            f"the activity log has no chat.\n  found: {', '.join(log.columns)}\n  expected: chat_id, the "
            "chat of each event, empty where the worker is at none."
        )
    events = log.select("worker_id", "chat_id", "row", us=log.time, **_action(log, actions=actions))
    if actions is None:
        return events, {}
    wanted = [actions] if isinstance(actions, str) else list(actions)
    seen = {row for row in log.select("action").distinct().to_pandas()["action"]}
    if absent := [name for name in wanted if name not in seen]:
        raise SpecError(
            f"actions= names {absent}, which the activity log never has.\n  found: {sorted(map(str, seen))}."
        )
    left_out = int(events.count(where=~events.action.isin(wanted).fill_null(False)).to_pyarrow().as_py())
    return events.filter(events.action.isin(wanted)), {"events of actions that are left out": left_out}


def _action(log: ir.Table, *, actions: Sequence[Any] | None) -> dict[str, ir.Column]:
    if actions is None:
        return {}
    if "action" not in log.columns:
        raise SchemaError("actions= is given, and the activity log has no column 'action'.")
    return {"action": log.action}


def attention(events: ir.Table, *, idle: float | None) -> ir.Table:
    """Each event with the end of its spell of attention and the chat that follows.

    Returns
    -------
    ibis.Table
        `worker_id`, `chat_id`, `us`, `until_us` (null: until further notice), `next_us`, `next_chat`,
        `leaves` (the next event is at another chat, or at none).
    """
    by_time = ibis.window(group_by="worker_id", order_by=["us", "row", "chat_id"])
    spells = events.mutate(
        next_us=events.us.lead().over(by_time), next_chat=events.chat_id.lead().over(by_time)
    )
    until = spells.next_us
    if idle is not None:
        tired = spells.us + round(idle * SECOND)
        until = ibis.least(until.fill_null(tired), tired)
    same = (spells.next_chat == spells.chat_id).fill_null(False)
    return spells.mutate(until_us=until, leaves=spells.next_us.notnull() & ~same)


def measure_attention(spells: ir.Table, *, chats: ir.Table) -> ir.Table:
    """Per chat, over its own worker's spells: `active_us` within the chat, `switches` away while it was open.

    Parameters
    ----------
    spells : as `attention` returns them
    chats : `chat_id`, `worker_id`, `start_us`, `end_us`

    Returns
    -------
    ibis.Table
        `chat_id`, `active_us`, `switches`, `events`, and `foreign` (events of other workers, not counted).
    """
    names = {"worker_id": "own", "start_us": "start_us", "end_us": "end_us", "chat_id": "of_chat"}
    own = chats.select(**{new: chats[old] for old, new in names.items()})
    met = spells.filter(spells.chat_id.notnull()).inner_join(own, [spells.chat_id == own.of_chat])
    mine = met.worker_id == met.own
    spent = ibis.least(met.until_us.fill_null(met.end_us), met.end_us) - ibis.greatest(met.us, met.start_us)
    left = mine & met.leaves & (met.next_us >= met.start_us) & (met.next_us < met.end_us)
    return met.group_by("chat_id").agg(
        active_us=ibis.ifelse(mine & (spent > 0), spent, 0).sum(),
        switches=met.count(where=left),
        events=met.count(where=mine),
        foreign=met.count(where=~mine.fill_null(False)),
    )


def concurrency(chats: ir.Table) -> ir.Table:
    """Chats that each chat's worker had open at its start, itself included; a chat's end is not part of it.

    Parameters
    ----------
    chats : `chat_id`, `worker_id`, `start_us`, `end_us`

    Returns
    -------
    ibis.Table
        `chat_id`, `concurrency`.
    """
    known = chats.filter(chats.worker_id.notnull())
    opened = known.select(
        "worker_id", "chat_id", us=known.start_us, change=1, instant=known.start_us == known.end_us
    )
    closed = known.select("worker_id", "chat_id", us=known.end_us, change=-1, instant=ibis.literal(False))
    moves = ibis.union(opened, closed)
    # Moves of one instant count together: who leaves as another arrives is not there any more.
    at_once = ibis.range_window(group_by="worker_id", order_by="us", preceding=None, following=0)
    moves = moves.mutate(there=moves.change.sum().over(at_once))
    starts = moves.filter(moves.change == 1)
    # A chat that ends as it begins has left its own count.
    return starts.select("chat_id", concurrency=(starts.there + starts.instant.cast("int64")).cast("int64"))


def attention_columns(chats: ir.Table) -> dict[str, ir.Column]:
    """Seconds active and away, switch-aways and the share of the chat away; they add up to the duration."""
    length = chats.end_us - chats.start_us
    away = length - chats.active_us
    return {
        "active_time": chats.active_us / SECOND,
        "away_time": away / SECOND,
        "switch_aways": chats.switches,
        "away_share": away / length.nullif(0),
    }

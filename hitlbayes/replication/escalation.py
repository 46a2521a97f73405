"""Chats of the twin matched by escalation type: what Tables 5 and A5 share."""

from __future__ import annotations

from functools import lru_cache

import pandas as pd

from hitlbayes.chatlog import read_chats
from hitlbayes.design.escalation import match_by_escalation
from hitlbayes.design.matched_types import CONTROL, MatchedTypes
from hitlbayes.replication.context import START, Context, chats_path, twin_unit
from hitlbayes.replication.store import folder_of

FEWEST = 5  # chats with the outcome in either arm of a type; fewer happen in small twins only


def matched_of(context: Context) -> MatchedTypes:
    """The twin's chats matched by escalation type, once in a process."""
    return _matched(str(chats_path(context)))


@lru_cache(maxsize=2)
def _matched(path: str) -> MatchedTypes:
    return match_by_escalation(read_chats(path, start=START, synthetic=True))


def with_outcome(matched: MatchedTypes, outcome: str) -> MatchedTypes:
    """The same with those types only of which enough matched chats have the outcome."""
    if outcome not in matched.pool:
        return matched
    chats = matched.chats()
    known = chats[chats[outcome].notna()]["type"].value_counts()
    enough = {t: m for t, m in matched.matches.items() if known.get(t, 0) >= FEWEST <= known.get(CONTROL, 0)}
    return MatchedTypes(matched.pool, enough, matched.left_out, matched.settings)


def truth_of_type(context: Context, *, kind: str, outcome: str) -> float | None:
    """The simulated effect on a type's AI chats; None where the twin has no such chat."""
    table = pd.read_csv(folder_of(context.root, twin_unit(context).key) / "truth_types.csv")
    found = table.query("escalation == @kind and outcome == @outcome")["att"].dropna()
    return float(found.iloc[0]) if len(found) else None

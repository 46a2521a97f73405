"""Whether a log can identify an effect: two arms, before and after, within the scope."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from hitlbayes.chatlog.check import SHOWN, indent
from hitlbayes.chatlog.collapse import Outcome
from hitlbayes.errors import DesignError

ARMS = {1: "treated", 0: "control"}
TIMES = {0: "before the start (post = 0)", 1: "after the start (post = 1)"}


def check_design(cells: pd.DataFrame, *, scope: str) -> None:
    """Raise DesignError unless both arms have chats before and after, and the start is one for all."""
    where = f"scope {scope!r}"
    if cells.empty:
        raise DesignError(
            f"{where} has no chats.\n  expected: chats of both arms before and after the start\n"
            "  to do: check the eligible column (1 eligible, 0 not), or use scope='all'."
        )
    _check_periods(cells)
    table = cells.groupby(["treated", "post"])["n"].sum()
    chats = {(arm, time): int(table.get((arm, time), 0)) for arm in ARMS for time in TIMES}
    problems = [f"no chats of {ARMS[arm]} workers" for arm in ARMS if not chats[arm, 0] + chats[arm, 1]]
    problems += [f"no chats {TIMES[time]}" for time in TIMES if not chats[0, time] + chats[1, time]]
    problems = problems or [
        f"no chats of {ARMS[arm]} workers {TIMES[time]}" for (arm, time), count in chats.items() if not count
    ]
    if problems:
        counts = ", ".join(f"{ARMS[a]} {('before', 'after')[t]} {count:,}" for (a, t), count in chats.items())
        raise DesignError(
            f"{where} has {' and '.join(problems)}.\n  found: {counts}\n"
            "  expected: chats of both arms before and after the start; without one of them there is no "
            "difference in differences\n  to do: check treated, post (or start=) and the scope."
        )


def _check_periods(cells: pd.DataFrame) -> None:
    split = cells[cells["post"] != cells["post_high"]]
    if len(split):
        raise DesignError(
            f"{split['period'].nunique():,} periods hold chats from before and after the start.\n"
            f"  first:\n{indent(split[['unit', 'period', 'n']].head(SHOWN))}\n"
            "  expected: post constant within a period, in the experiment's time zone\n"
            "  to do: pass tz= if the stamps are in UTC, or a start= at the beginning of a day."
        )
    post = cells.groupby("period")["post"].agg(["min", "max"])
    mixed = post.index[post["min"] != post["max"]]
    if len(mixed):
        first = cells[cells["period"].isin(mixed)].drop_duplicates(["period", "post"]).head(SHOWN)
        raise DesignError(
            f"{len(mixed):,} periods are before the start for some workers and after it for others.\n"
            f"  first:\n{indent(first[['unit', 'period', 'post']])}\n  expected: one start for all (post is "
            "the period)\n"
            "  to do: for staggered starts use fit_did(frame, treatment=...) on a frame of unit-periods."
        )


def observed(cells: pd.DataFrame, *, name: str, outcome: Outcome) -> pd.Series:
    """Chats of each cell in which the outcome was seen."""
    if outcome.family == "ordinal":
        return cells[[f"{name}:{k}" for k in outcome.categories]].sum(axis=1)
    return cells[f"{name}:n"]


def unseen(cells: pd.DataFrame, *, outcomes: Mapping[str, Outcome]) -> dict[str, str]:
    """Outcomes that one arm, or one arm in one period of time, never shows, with what is missing."""
    arms, post = cells["treated"].to_numpy() == 1, cells["post"].to_numpy() == 1
    problems = {}
    for name, outcome in outcomes.items():
        seen = observed(cells, name=name, outcome=outcome).to_numpy() > 0
        absent = [f"{ARMS[arm]} workers" for arm in ARMS if not np.any(seen & (arms == bool(arm)))]
        absent = absent or [
            f"{ARMS[arm]} workers {TIMES[time]}"
            for arm in ARMS
            for time in TIMES
            if not np.any(seen & (arms == bool(arm)) & (post == bool(time)))
        ]
        if absent:
            problems[name] = f"never observed among {' and '.join(absent)}"
    return problems

"""Matched chats as models of effects by escalation type need them: outcome, covariates, enough of each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from hitlbayes.design.covariates import Covariates, Missing, read_covariates
from hitlbayes.design.matched_types import CONTROL, MatchedTypes
from hitlbayes.errors import DesignError, SpecError
from hitlbayes.studies.frames import LOGS

EXTRA = ("age", "male")
FEWEST = 2  # chats with the outcome in an arm of a type


def default_formula(matched: MatchedTypes) -> str:
    """Covariates of equation 2: what was matched on, the worker's age and gender, the chat's day and hour."""
    names = [*matched.settings["covariates"], *(c for c in EXTRA if c in matched.pool)]
    return "~ " + " + ".join([*(f"`{n}`" for n in dict.fromkeys(names)), "C(day)", "C(hour)"])


def with_outcome(matched: MatchedTypes, outcome: str) -> pd.DataFrame:
    """Matched chats, each once, with the outcome as a number and the chat's day and hour."""
    chats = matched.chats()
    if outcome in LOGS and outcome not in chats and "duration" in chats:
        chats[outcome] = np.log(chats["duration"].astype(float))
    if outcome not in chats:
        raise SpecError(f"no outcome {outcome!r}; the chats have: {', '.join(map(str, chats))}.")
    if not isinstance(chats[outcome].dtype, pd.CategoricalDtype):
        chats[outcome] = pd.to_numeric(chats[outcome]).astype(float)
    when = chats["start_time"]
    return chats.assign(day=when.dt.strftime("%Y-%m-%d"), hour=when.dt.hour)


def covariates_of(chats: pd.DataFrame, *, formula: str, missing: Missing) -> Covariates:
    """Columns of the covariates of chats of both arms, checked."""
    right = formula.split("~", 1)[-1]
    frame = chats.assign(escalated=(chats["type"] != CONTROL).astype(int))
    return read_covariates(frame, formula=f"escalated ~ {right}", missing=missing)


def check_sizes(chats: pd.DataFrame, *, outcome: str, types: Sequence[str]) -> None:
    """Refuse types, or controls, of which fewer than two chats have a known outcome."""
    known = chats[chats[outcome].notna()]["type"].value_counts()
    few = {t: int(known.get(t, 0)) for t in (*types, CONTROL) if known.get(t, 0) < FEWEST}
    if few:
        found = ", ".join(f"{t} ({n})" for t, n in few.items())
        raise DesignError(
            f"too few matched chats with a known {outcome}: {found}; expected at least {FEWEST}.\n"
            "  to do: name the other types in match_by_escalation(types=...)."
        )

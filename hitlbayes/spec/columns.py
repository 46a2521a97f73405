"""Which of a frame's columns say unit, period and treatment."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pandas as pd

from hitlbayes.errors import SchemaError, SpecError

RESERVED = ("n", "exposure", "unit_code", *(f"statistic_{j}" for j in range(50)))  # a fit's cells hold these


def roles(
    *, unit: str, time: str, treated: str | None, post: str | None, treatment: str | None
) -> dict[str, str]:
    """The frame's column for each role: unit, period, and treated with post, or treatment.

    Raises
    ------
    SpecError
        Neither or both of the two ways to say who is treated when.

    Examples
    --------
    >>> roles(unit="id", time="week", treated="arm", post="after", treatment=None)
    {'unit': 'id', 'period': 'week', 'treated': 'arm', 'post': 'after'}
    """
    if treatment is not None:
        if treated is not None or post is not None:
            raise SpecError("give either treatment= (treated now), or treated= and post=, not both.")
        return {"unit": unit, "period": time, "treatment": treatment}
    if treated is None or post is None:
        raise SpecError(
            "a frame needs treated= and post= (arm and period), or treatment= where starts are staggered."
        )
    return {"unit": unit, "period": time, "treated": treated, "post": post}


def by_role(frame: pd.DataFrame, *, columns: Mapping[str, str], treated_level: object = None) -> pd.DataFrame:
    """The columns of `roles` under their roles' names; `treated` is 1 where it equals `treated_level`.

    Raises
    ------
    SchemaError
        A column is missing.
    """
    missing = {role: column for role, column in columns.items() if column not in frame.columns}
    if missing:
        told = ", ".join(f"{role}={column!r}" for role, column in missing.items())
        raise SchemaError(f"no such column: {told}; the frame has: {', '.join(map(str, frame.columns))}.")
    made = frame[list(columns.values())].set_axis(list(columns), axis=1)
    if treated_level is not None:
        if "treated" not in columns:
            raise SpecError("treated_level= says which value of treated= is the treated arm; give treated=.")
        made["treated"] = (made["treated"] == treated_level).astype(int)
    return made


def others(
    frame: pd.DataFrame, *, values: Iterable[str | None], keys: Iterable[str], columns: Mapping[str, str]
) -> list[str]:
    """Further columns of a frame (`values`, and `keys` that tell cells apart), checked.

    Raises
    ------
    SchemaError
        A column is missing.
    SpecError
        A name that stands for another column's role, or for what a fit adds to its cells.
    """
    keys = list(keys)
    wanted = [name for name in dict.fromkeys([*values, *keys]) if name is not None]
    missing = [name for name in wanted if name not in frame.columns]
    if missing:
        raise SchemaError(
            f"no column {', '.join(map(repr, missing))}; the frame has: {', '.join(map(str, frame.columns))}."
        )
    taken = [c for c in wanted if columns.get(c, c) != c or (c in RESERVED and c in keys)]
    if taken:
        raise SpecError(
            f"{', '.join(map(repr, taken))}: this name has a meaning of its own here; rename the column, "
            "for example with frame.rename(columns=...)."
        )
    return [name for name in wanted if name not in columns]


def calendar_days(period: pd.Series) -> pd.Series:
    """Periods, or their days where stamps are finer than that: what shares a period effect."""
    if not pd.api.types.is_datetime64_any_dtype(period):
        return period
    return period.dt.normalize()

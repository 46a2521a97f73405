"""Takeovers, checked, as the columns and measures of the joint model of effort."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from hitlbayes.errors import DataWarning, DesignError, SchemaError, SpecError
from hitlbayes.spec.cells import refuse
from hitlbayes.studies.effort_columns import Columns, Roles, columns_of, covariates_of

LEVELS = 12  # sentiments with more distinct values are cut at deciles


@dataclass(frozen=True, slots=True)
class Measure:
    """One measure of what a worker does after a takeover.

    Attributes
    ----------
    column : str
    family : {"lognormal", "count", "ordinal", "bernoulli"}
        Ordinal codes are whole numbers from 1 up; a count that is never zero is truncated at zero.
    units : str
    coded : bool
        Whether a language model or a person coded it from the text: then it is compared given the amount of
        text.
    per : str, optional
        A count among the measures that this one is modelled per unit of (messages per round).
    """

    column: str
    family: str
    units: str
    coded: bool = False
    per: str | None = None


MEASURES = (
    Measure("human_delay", "lognormal", "seconds"),
    Measure("human_rounds", "count", "rounds"),
    Measure("human_messages", "count", "messages", per="human_rounds"),
    Measure("empathy", "ordinal", "code 1-3", coded=True),
    Measure("information_seeking", "ordinal", "code 1-3", coded=True),
    Measure("solution_provision", "ordinal", "code 1-3", coded=True),
    Measure("proactivity", "bernoulli", "probability", coded=True),
)


@dataclass(frozen=True, slots=True, eq=False)
class Takeovers:
    """Checked takeovers, sorted by unit.

    frame : the user's rows with the model's columns; `type` holds the types as text
    types : reference first; notes : what was found and done, counted
    overlap : one row per sentiment level: takeovers of each type
    level : (n,) position of each takeover's sentiment in `overlap`
    """

    frame: pd.DataFrame
    types: tuple[str, ...]
    columns: Columns
    overlap: pd.DataFrame
    level: np.ndarray
    notes: tuple[str, ...]


def prepare(
    takeovers: pd.DataFrame,
    *,
    roles: Roles,
    measures: Sequence[Measure],
    types: Sequence[str] | None,
    formula: str | None,
    missing: str,
) -> Takeovers:
    """Check takeovers and make the model's columns; the user's frame is not changed.

    Raises
    ------
    SchemaError
        A column is not there, a value cannot be, or covariates are missing (how many, in which rows).
    DesignError
        A type has no takeovers, or a measure does not vary in one.
    """
    if missing not in ("refuse", "indicator"):
        raise SpecError(f"missing is {missing!r}; expected 'refuse' or 'indicator'.")
    needed = [roles.type, roles.unit, roles.time, roles.ai_rounds, roles.seconds, roles.sentiment, roles.text]
    absent = [c for c in dict.fromkeys([*needed, *(m.column for m in measures)]) if c not in takeovers]
    if absent:
        raise SchemaError(f"no such column: {', '.join(absent)}; there are {', '.join(map(str, takeovers))}.")
    for column in (roles.type, roles.unit, roles.time):
        refuse(takeovers, takeovers[column].isna(), f"missing values in {column!r}", "leave those rows out")
    named, notes = _types(takeovers[roles.type].astype(str), reference=roles.reference, types=types)
    frame = takeovers[takeovers[roles.type].astype(str).isin(named)].assign(
        type=lambda f: f[roles.type].astype(str)
    )
    frame = frame.sort_values(roles.unit, kind="stable")
    notes += _check_measures(frame, measures=measures, types=named)
    filled, flags, more = covariates_of(frame, roles=roles, missing=missing)
    columns = columns_of(frame, filled, flags, roles=roles, types=named, formula=formula)
    overlap, level = _overlap(filled[roles.sentiment], frame["type"], types=named)
    return Takeovers(frame.reset_index(drop=True), named, columns, overlap, level, (*notes, *more))


def _types(
    found: pd.Series, *, reference: str, types: Sequence[str] | None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Types to compare, reference first, and a note of rows of other types."""
    count = found.value_counts()
    asked = list(count.index) if types is None else [str(t) for t in types]
    if types is None and "none" in asked:
        asked.remove("none")
    named = tuple([reference, *sorted(t for t in asked if t != reference)])
    if empty := [t for t in named if count.get(t, 0) == 0]:
        there = ", ".join(f"{t} ({n:,})" for t, n in count.items())
        raise DesignError(
            f"no takeovers of type {', '.join(map(repr, empty))}; there are: {there}. Name the types with "
            "types=, and the one that others are compared with as reference=."
        )
    if len(named) < 2:
        raise DesignError(f"all takeovers are of type {reference!r}; a comparison needs another type.")
    out = int(count.drop([t for t in named if t in count.index]).sum())
    return named, ((f"{out:,} chats of other types left out",) if out else ())


def _check_measures(
    frame: pd.DataFrame, *, measures: Sequence[Measure], types: tuple[str, ...]
) -> tuple[str, ...]:
    notes = []
    names = [m.column for m in measures]
    for measure in measures:
        values = pd.to_numeric(frame[measure.column], errors="coerce").astype(float)
        _refuse_values(frame, values, measure)
        if measure.per is not None and measure.per not in names:
            raise SpecError(f"{measure.column!r} is per {measure.per!r}, which is no measure of this model.")
        for kind in types:
            part = values[frame["type"] == kind].dropna()
            if part.nunique() < 2:
                value = f"{part.iloc[0]:g}" if len(part) else "missing"
                raise DesignError(
                    f"{measure.column!r} is {value} in all {len(part):,} takeovers of type {kind!r}: an "
                    "effect of that type would rest on its prior alone. Leave the measure out (measures=) "
                    "or the type (types=)."
                )
        gaps = int(values.isna().sum())
        if gaps:
            notes.append(f"{measure.column} is missing in {gaps:,} of {len(frame):,} takeovers")
    if notes:
        warnings.warn(
            f"{'; '.join(notes)}: the model uses what their other measures say, which is right if missing "
            "values depend on what is observed only.",
            DataWarning,
            stacklevel=4,
        )
    return tuple(notes)


def _refuse_values(frame: pd.DataFrame, values: pd.Series, measure: Measure) -> None:
    tests = {
        "lognormal": (values <= 0, "above zero"),
        "count": ((values < 0) | (values % 1 != 0) & values.notna(), "whole numbers from zero"),
        "ordinal": ((values < 1) | (values % 1 != 0) & values.notna(), "whole numbers from 1"),
        "bernoulli": (values.notna() & ~values.isin((0, 1)), "0 or 1"),
    }
    if measure.family not in tests:
        raise SpecError(f"family {measure.family!r} of {measure.column!r}; expected one of {sorted(tests)}.")
    bad, expected = tests[measure.family]
    unread = values.isna() & frame[measure.column].notna()
    refuse(frame, bad | unread, f"values of {measure.column!r} that are not {expected}", "correct them")


def _overlap(
    sentiment: pd.Series, kind: pd.Series, *, types: tuple[str, ...]
) -> tuple[pd.DataFrame, np.ndarray]:
    """Takeovers of each type by level of sentiment, and each takeover's level."""
    levels = sentiment
    if sentiment.nunique() > LEVELS:
        cut = pd.qcut(sentiment, 10, duplicates="drop")
        levels = cut.map(lambda part: part.mid).astype(float)
    code, values = pd.factorize(levels, sort=True)
    table = pd.crosstab(code, kind).reindex(columns=list(types), fill_value=0)
    table.insert(0, "sentiment", np.asarray(values, float))
    return table.reset_index(drop=True).rename_axis(columns=None), code

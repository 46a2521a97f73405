"""Which outcomes a panel collapses: the log's own measures by default, a user's columns with their family."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import get_args

import ibis.expr.types as ir

from hitlbayes.chatlog.check import Column, check_rows
from hitlbayes.chatlog.collapse import Outcome
from hitlbayes.chatlog.schema import DERIVED, Family, Variable, convert, store, variable_for, variables
from hitlbayes.errors import SchemaError, SpecError

Declared = Family | Sequence[int]
Outcomes = str | Sequence[str] | Mapping[str, Declared] | None
RESERVED = ("unit", "period", "treated", "post", "post_high", "n")


def resolve(
    table: ir.Table, *, outcomes: Outcomes, ratings: int, observed: Mapping[str, int]
) -> tuple[dict[str, Outcome], dict[str, ir.Column], bool]:
    """Outcomes with their families, their chat-level values, and whether the user named them."""
    known = variables(ratings=ratings)
    if outcomes is None:
        names: dict[str, Declared | None] = dict.fromkeys(_default(known, observed))
    elif isinstance(outcomes, str):
        names = {outcomes: None}
    else:
        names = dict(outcomes) if isinstance(outcomes, Mapping) else dict.fromkeys(outcomes)
    if not names:
        raise SchemaError(
            "the log has no outcome.\n  expected: duration, rating, retrial or another measure, with your "
            "own column mapped to it by columns={'rating': 'your name'}; or outcomes= naming your own."
        )
    chosen, values = {}, {}
    for name, declared in names.items():
        chosen[name], values[name] = _one(table, name=name, declared=declared, known=known)
    return chosen, values, outcomes is not None


def _default(known: Mapping[str, Variable], observed: Mapping[str, int]) -> list[str]:
    present = [name for name, variable in known.items() if variable.default and name in observed]
    derived = [name for name, (source, _) in DERIVED.items() if source in present]
    return derived + present


def _one(
    table: ir.Table, *, name: str, declared: Declared | None, known: Mapping[str, Variable]
) -> tuple[Outcome, ir.Column]:
    _check_declared(name, declared)
    if name in DERIVED and name not in table.columns:
        source, family = DERIVED[name]
        _require(table, source, known)
        raw = table[source]
        return Outcome(family), raw.ln() if name == "log_duration" else raw.notnull().cast("int8")
    _require(table, name, known)
    variable = known.get(name)
    if variable is None or (declared is not None and declared != variable.family):
        return _own(table, name=name, declared=declared)
    if variable.family is None:
        raise SpecError(f"column {name!r} is no outcome.\n  expected: a numeric measure of the chat.")
    return _outcome(variable), table[name]


def _outcome(variable: Variable) -> Outcome:
    """How a canonical measure is collapsed; a code keeps every category of its scale, seen or not."""
    assert variable.family is not None
    if variable.family == "ordinal":
        assert variable.low is not None
        assert variable.high is not None
        return Outcome("ordinal", tuple(range(int(variable.low), int(variable.high) + 1)))
    return Outcome(variable.family)


def _own(table: ir.Table, *, name: str, declared: Declared | None) -> tuple[Outcome, ir.Column]:
    """A user's own column, checked against the rule of its family."""
    raw = table[name]
    family = _family(raw, declared)
    categories = () if isinstance(declared, str) or declared is None else tuple(sorted(declared))
    if family == "ordinal" and not categories:
        categories = _categories(table, name=name)
    variable = variable_for(family, categories)
    value = convert(raw, variable, name=name)
    check_rows(
        table,
        columns={name: Column(raw, value, variable, name)},
        required=(),
        numbered=False,
    )
    return Outcome(family, categories), store(value, variable)


def _family(raw: ir.Column, declared: Declared | None) -> Family:
    if isinstance(declared, str):
        return declared  # type: ignore[return-value]
    if declared is not None:
        return "ordinal"
    return "bernoulli" if raw.type().is_boolean() else "gaussian"


def _categories(table: ir.Table, *, name: str) -> tuple[int, ...]:
    """Whole numbers from the least to the greatest value seen, checked afterwards to hold every value."""
    value = table[name].cast("float64")
    limits = table.aggregate(low=value.min(), high=value.max()).to_pandas().iloc[0]
    if limits.isna().any():
        raise SchemaError(f"outcome {name!r} has no value, so its categories cannot be read off.")
    return tuple(range(int(limits["low"]), int(limits["high"]) + 1))


def _check_declared(name: str, declared: Declared | None) -> None:
    if name in RESERVED or ":" in name:
        raise SpecError(
            f"an outcome cannot be called {name!r}: the panel uses that name itself; rename the column."
        )
    if isinstance(declared, str) and declared not in get_args(Family):
        near = difflib.get_close_matches(declared, get_args(Family), n=1)
        raise SpecError(
            f"outcome {name!r} has the unknown family "
            f"{declared!r}.{f' Did you mean {near[0]!r}?' if near else ''}\n"
            f"  expected: one of {', '.join(get_args(Family))}, or the categories of an ordinal outcome."
        )


def _require(table: ir.Table, name: str, known: Mapping[str, Variable]) -> None:
    if name in table.columns:
        return
    near = difflib.get_close_matches(name, [*table.columns, *DERIVED], n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    mapping = (
        f"read_chats(..., columns={{{name!r}: 'your name'}})" if name in known else "the name of a column"
    )
    raise SchemaError(
        f"outcome column {name!r} is missing{hint}.\n  found: {', '.join(table.columns)}\n  to do: use "
        f"{mapping}."
    )

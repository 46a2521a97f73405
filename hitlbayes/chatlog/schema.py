"""What a chat log may hold: variables, units, ranges, outcome families, and the rules they imply."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import ibis
import ibis.expr.operations as ops
import ibis.expr.types as ir

from hitlbayes.errors import SchemaError

Kind = Literal["id", "label", "time", "flag", "count", "code", "real", "positive"]
Family = Literal["gaussian", "bernoulli", "ordinal", "count"]


@dataclass(frozen=True, slots=True)
class Variable:
    """One column of a chat log: its kind, unit, closed range, outcome family, and the labels allowed.

    `default` marks the outcomes that `panel` collapses when it is not told which.
    """

    kind: Kind
    unit: str = ""
    low: float | None = None
    high: float | None = None
    family: Family | None = None
    default: bool = False
    labels: tuple[str, ...] = ()


def _real(unit: str, *, high: float | None = None, default: bool = False) -> Variable:
    return Variable("real", unit, 0, high, family="gaussian", default=default)


def _count(unit: str, *, default: bool = False) -> Variable:
    return Variable("count", unit, 0, family="count", default=default)


def _code(high: int, *, default: bool = False) -> Variable:
    return Variable("code", "category", 1, high, family="ordinal", default=default)


def _flag(*, default: bool = False) -> Variable:
    return Variable("flag", "0/1", 0, 1, family="bernoulli", default=default)


EXACT = 2.0**53  # whole numbers are exact in double precision below this
WHOLE: tuple[Kind, ...] = ("flag", "count", "code")
REQUIRED = ("worker_id", "start_time", "treated")
ESCALATIONS = ("none", "technical", "emotional", "human")
# An outcome that is computed, and the column that it is computed from.
DERIVED: dict[str, tuple[str, Family]] = {
    "log_duration": ("duration", "gaussian"),
    "responded": ("rating", "bernoulli"),
}


def variables(*, ratings: int = 5) -> dict[str, Variable]:
    """The canonical columns of a chat log, one row per chat, with `ratings` categories of customer rating."""
    return {
        "worker_id": Variable("id"),
        "start_time": Variable("time"),
        "treated": Variable("flag", "0/1", 0, 1),
        "post": Variable("flag", "0/1", 0, 1),
        "chat_id": Variable("id"),
        "customer_id": Variable("id"),
        "eligible": _flag(),
        "issue": Variable("label"),
        "duration": Variable("positive", "seconds", family="gaussian", default=True),
        "retrial": _flag(default=True),
        "rating": _code(ratings, default=True),
        "rounds": _count("rounds", default=True),
        "messages": _count("messages", default=True),
        "words": _count("words", default=True),
        "avg_delay": _real("seconds", default=True),
        "total_delay": _real("seconds", default=True),
        "concurrency": Variable("count", "chats", 0, family="gaussian", default=True),
        "active_time": _real("seconds", default=True),
        "away_time": _real("seconds", default=True),
        "switch_aways": _count("switches", default=True),
        "away_share": _real("share", high=1, default=True),
        "age": _real("years"),
        "male": _flag(),
        "tenure": _real("years"),
        "customer_chats": _count("chats"),
        "customer_tenure": _real("years"),
        "vip": _flag(),
        "initial_sentiment": _code(5),
        "initial_urgency": _code(3),
        "first_words": _count("words"),
        "ai": _flag(),
        "escalation": Variable("label", labels=ESCALATIONS),
        "ai_rounds": _count("rounds"),
        "takeover_seconds": _real("seconds"),
        "takeover_sentiment": _code(5),
        "human_rounds": _count("rounds"),
        "human_messages": _count("messages"),
        "human_delay": _real("seconds"),
        "empathy": _code(3),
        "information_seeking": _code(3),
        "solution_provision": _code(3),
        "proactivity": _flag(),
    }


def variable_for(family: Family, categories: Iterable[int] = ()) -> Variable:
    """The rules for a user's own outcome column of this family (`categories` for an ordinal one)."""
    if family == "ordinal":
        steps = tuple(categories)
        return Variable("code", "category", min(steps), max(steps), family="ordinal")
    kinds: dict[str, Variable] = {
        "gaussian": Variable("real", family="gaussian"),
        "bernoulli": _flag(),
        "count": _count("events"),
    }
    return kinds[family]


def expected(variable: Variable) -> str:
    """The rule of a variable in words, for messages."""
    if variable.kind == "label":
        return "one of " + ", ".join(variable.labels) if variable.labels else "text"
    if variable.kind == "flag":
        return "0 or 1 (or false, true)"
    if variable.kind == "code":
        return f"whole numbers from {variable.low:g} to {variable.high:g}"
    unit = f" ({variable.unit})" if variable.unit else ""
    if variable.kind == "positive":
        return f"finite numbers above 0{unit}"
    if variable.kind in ("count", "real"):
        number = "whole numbers" if variable.kind == "count" else "finite numbers"
        limits = [
            f"of at least {variable.low:g}" if variable.low is not None else "",
            f"of at most {variable.high:g}" if variable.high is not None else "",
        ]
        return " ".join([number, " and ".join(filter(None, limits))]).strip() + unit
    if variable.kind == "time":
        return "timestamps, or text such as 2024-08-15 09:30:00 (ISO 8601)"
    return "text that is not empty, or whole numbers"


def obeys(value: ir.Column, variable: Variable) -> ir.BooleanColumn:
    """Whether a converted value keeps the rule of its variable; null where the value is missing."""
    if variable.kind == "label":
        return value.isin(variable.labels) if variable.labels else value.notnull()
    if variable.kind == "time":
        return value.notnull()
    if variable.kind == "id":
        return value.length() > 0 if value.type().is_string() else value.notnull()
    ok = value.notnull()
    if value.type().is_floating():
        ok &= (value > -math.inf) & (value < math.inf)
        if variable.kind in WHOLE:
            # floor() casts to int64 in several backends, where one value too large fails the whole query.
            safe = ibis.ifelse((value > -EXACT) & (value < EXACT), value, 0.5)
            ok &= safe.floor() == safe
    if variable.kind == "positive":
        return ok & (value > 0)
    if variable.low is not None:
        ok &= value >= variable.low
    if variable.high is not None:
        ok &= value <= variable.high
    return ok


def is_range(raw: ir.Column, variable: Variable) -> bool:
    """Whether `obeys` asks of values of this type no more than a range (see `in_range`)."""
    whole, real = raw.type().is_integer(), raw.type().is_floating()
    return (variable.kind in ("real", "positive") and (whole or real)) or (variable.kind in WHOLE and whole)


def in_range(low: float, high: float, variable: Variable) -> bool:
    """Whether values from `low` to `high` keep a rule that `is_range`; False where it cannot be told."""
    if not -math.inf < low <= high < math.inf:
        return False
    if variable.kind == "positive":
        return low > 0
    return (variable.low is None or low >= variable.low) and (variable.high is None or high <= variable.high)


def present(raw: ir.Column) -> ir.BooleanColumn:
    """Whether a raw value is there at all: NaN counts as missing, as it does in pandas."""
    return without_nan(raw).notnull()


def without_nan(raw: ir.Column) -> ir.Column:
    """The column with NaN as null, where its type and its backend have NaN at all."""
    if raw.type().is_floating() and raw.get_backend().has_operation(ops.IsNan):
        return ibis.ifelse(raw.isnan(), None, raw)
    return raw


def convert(raw: ir.Column, variable: Variable, *, name: str) -> ir.Column:
    """A raw column in the type that its kind is checked in; null (and counted) where it cannot be.

    Raises
    ------
    SchemaError
        The column is of a type that cannot hold the variable, for instance a list or a timestamp for a
        rating.
    """
    kind, dtype = variable.kind, raw.type()
    if kind in ("id", "label"):
        if dtype.is_integer() or dtype.is_string():
            return raw
        if dtype.is_floating():  # pandas makes whole numbers with gaps floats
            return without_nan(raw) if kind == "label" else raw.try_cast("int64")
        if dtype.is_uuid() or dtype.is_boolean():
            return raw.cast("string")
    elif kind != "time":
        if dtype.is_boolean():
            return raw.cast("int8")
        if dtype.is_integer():
            return raw
        if dtype.is_floating():
            return without_nan(raw).cast("float64")
        if dtype.is_decimal():
            return raw.cast("float64")
        if dtype.is_string():
            return _number(raw, flag=kind == "flag")
    raise SchemaError(
        f"column {name!r} is of type {dtype}.\n  expected: {expected(variable)}\n"
        f"  to do: convert it before reading, or map another column with columns={{{name!r}: ...}}."
    )


def _number(raw: ir.Column, *, flag: bool) -> ir.Column:
    value = raw.strip().try_cast("float64")
    if flag:
        word = raw.strip().lower()
        value = ibis.cases((word == "true", 1.0), (word == "false", 0.0), else_=value)
    return without_nan(value)


def store(value: ir.Column, variable: Variable) -> ir.Column:
    """A checked value as `Chats.table` holds it: int8 flags, int64 counts and codes, float64 reals."""
    types = {"flag": "int8", "count": "int64", "code": "int64", "real": "float64", "positive": "float64"}
    return value.cast(types[variable.kind]) if variable.kind in types else value


def pandera_schema(columns: Iterable[str], *, ratings: int = 5) -> Any:
    """The contract of `Chats.table` as a pandera schema on ibis: presence, types, and every value rule.

    `read_chats` lets pandera check presence and types, which it reads off the table's schema. Value rules are
    counted by our own single aggregate from the same `obeys`: pandera asks one query a rule and, when a rule
    is broken, draws a column of booleans as long as the log. pandera ignores `unique` on ibis tables, so
    duplicates are counted by `read_chats` too.
    """
    import pandera.ibis as pa

    known = variables(ratings=ratings)
    return pa.DataFrameSchema(
        {name: _pandera_column(known[name], required=name in REQUIRED) for name in columns if name in known}
    )


def _pandera_column(variable: Variable, *, required: bool) -> Any:
    import pandera.ibis as pa

    types: Mapping[str, str] = {
        "time": "timestamp(6)", "flag": "int8", "count": "int64", "code": "int64",
        "real": "float64", "positive": "float64",
    }  # fmt: skip
    dtype = ibis.dtype(types[variable.kind]) if variable.kind in types else None
    rule = pa.Check(lambda data: obeys(data.table[data.key], variable), error=expected(variable))
    return pa.Column(dtype, checks=rule, nullable=not required, required=required)

"""Which rows break the schema: every rule counted in one aggregate, rows fetched on failure only."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import ibis
import ibis.expr.types as ir
import pandas as pd

from hitlbayes.chatlog.schema import REQUIRED, Variable, expected, in_range, is_range, obeys, present
from hitlbayes.errors import DesignError, SchemaError

SHOWN = 5  # offending rows printed for each broken rule


@dataclass(frozen=True, slots=True)
class Column:
    """A column under check: its raw values, the converted ones, its rule, and the user's own name for it."""

    raw: ir.Column
    value: ir.Column
    variable: Variable
    source: str

    @property
    def bad(self) -> ir.BooleanColumn:
        """Present, and unconvertible or against the rule."""
        return present(self.raw) & ~obeys(self.value, self.variable).fill_null(False)


def require(names: Sequence[str], *, columns: Sequence[str], mapped: Mapping[str, str]) -> None:
    """Raise SchemaError where a required canonical column, under its own name or the user's, is not there."""
    absent = [name for name in names if mapped.get(name, name) not in columns]
    if not absent:
        return
    lines = []
    for name in absent:
        near = difflib.get_close_matches(mapped.get(name, name), columns, n=1, cutoff=0.7)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        lines.append(f"column {mapped.get(name, name)!r} is missing{hint}")
    raise SchemaError(
        "\n".join(lines)
        + f"\n  found: {len(columns)} columns: {', '.join(map(str, columns))}"
        + f"\n  expected: {', '.join(absent)}\n  to do: name your own column for it, "
        + "columns={" + ", ".join(f"{name!r}: 'your name'" for name in absent) + "}."
    )  # fmt: skip


def count_rows(
    table: ir.Table, *, columns: Mapping[str, Column]
) -> tuple[int, dict[str, int], dict[str, int]]:
    """Rows, and for each column the number of values that are present and the number that break its rule.

    Where a rule is a range, its column's least and greatest value tell, and sooner, that none is broken.
    """
    ranged = {name: column for name, column in columns.items() if is_range(column.raw, column.variable)}
    aggregates = {"rows": table.count()}
    for name, column in columns.items():
        if name in ranged:
            aggregates |= {f"{name}:present": column.value.count()}
            aggregates |= {f"{name}:low": column.value.min(), f"{name}:high": column.value.max()}
        else:
            aggregates |= _counts(table, name, column)
    found = table.aggregate(**aggregates).to_pandas().iloc[0].to_dict()
    open_ = {
        name: column
        for name, column in ranged.items()
        if found[f"{name}:present"]
        and not in_range(found[f"{name}:low"], found[f"{name}:high"], column.variable)
    }
    again = {key: a for name, column in open_.items() for key, a in _counts(table, name, column).items()}
    if again:
        found |= table.aggregate(**again).to_pandas().iloc[0].to_dict()
    there = {name: int(found[f"{name}:present"]) for name in columns}
    return int(found["rows"]), there, {name: int(found.get(f"{name}:bad", 0)) for name in columns}


def _counts(table: ir.Table, name: str, column: Column) -> dict[str, ir.Scalar]:
    there = table.count(where=present(column.raw))
    return {f"{name}:present": there, f"{name}:bad": table.count(where=column.bad)}


def check_rows(
    table: ir.Table, *, columns: Mapping[str, Column], required: Sequence[str] = REQUIRED, numbered: bool
) -> tuple[int, dict[str, int]]:
    """Rows and values present per column, or SchemaError with each broken rule, its count and first rows."""
    rows, there, bad = count_rows(table, columns=columns)
    if rows == 0:
        raise SchemaError("the chat log has no rows.\n  expected: one row per chat.")
    problems = [
        _describe(
            table, columns=columns, name=name, numbered=numbered, missing=False, count=bad[name], rows=rows
        )
        for name in columns
        if bad[name]
    ] + [
        _describe(
            table,
            columns=columns,
            name=name,
            numbered=numbered,
            missing=True,
            count=rows - there[name],
            rows=rows,
        )
        for name in dict.fromkeys(required)
        if name in columns and there[name] < rows
    ]
    if problems:
        raise SchemaError("\n".join(problems))
    return rows, there


def _describe(
    table: ir.Table,
    *,
    columns: Mapping[str, Column],
    name: str,
    numbered: bool,
    missing: bool,
    count: int,
    rows: int,
) -> str:
    column = columns[name]
    label = f"column {name!r}" + (f" (yours: {column.source!r})" if column.source != name else "")
    offending = ~present(column.raw) if missing else column.bad
    first = _first(table, columns=columns, name=name, where=offending, numbered=numbered)
    found = (
        f"{count:,} of {rows:,} values are missing"
        if missing
        else f"{count:,} of {rows:,} values break the schema"
    )
    rule = f"{expected(column.variable)}{', on every row' if missing else ''}"
    advice = _advice(name, missing=missing)
    return f"{label}: {found}.\n  expected: {rule}\n  first rows:\n{indent(first)}\n  to do: {advice}"


def _advice(name: str, *, missing: bool) -> str:
    if missing:
        return "fill or remove these rows in the source; hitlbayes drops no row by itself."
    if name == "rating":
        return "correct these values, or leave them empty where unrated; for another scale pass ratings=."
    if name == "treated":
        return "correct these values, or say which one means treated: treated_level='...'."
    if name == "start_time":
        return "write these stamps as YYYY-MM-DD HH:MM:SS."
    return "correct these values in the source, or leave them empty where they are not known."


def _first(
    table: ir.Table, *, columns: Mapping[str, Column], name: str, where: ir.BooleanColumn, numbered: bool
) -> pd.DataFrame:
    """The first offending rows as they stand in the source, with what identifies them."""
    keys = [key for key in ("chat_id", "worker_id", "start_time") if key in columns and key != name]
    shown = {key: columns[key].raw for key in [*keys, name]}
    if numbered:
        shown = {"row": ibis.row_number(), **shown}
    marked = table.select(**shown, offends_=where).filter(lambda t: t.offends_)
    if numbered:
        marked = marked.order_by("row")
    return marked.drop("offends_").limit(SHOWN).to_pandas()


def indent(frame: pd.DataFrame) -> str:
    """A small frame as an indented block of text for a message."""
    return "\n".join("    " + line for line in frame.to_string(index=False).splitlines())


def check_unique(table: ir.Table, *, key: str) -> None:
    """Raise SchemaError where two rows have the same `key`; rows without one are not compared."""
    counts = table.aggregate(present=table[key].count(), distinct=table[key].nunique()).to_pandas().iloc[0]
    surplus = int(counts["present"]) - int(counts["distinct"])
    if not surplus:
        return
    twice = table.filter(table[key].notnull()).group_by(key).agg(rows=lambda t: t.count())
    first = twice.filter(twice.rows > 1).order_by(key).limit(SHOWN).to_pandas()
    raise SchemaError(
        f"column {key!r}: {surplus:,} rows repeat a {key} that another row has.\n"
        f"  expected: one row per chat\n  first repeated:\n{indent(first)}\n"
        "  to do: remove the repeats (a log joined to ratings often has them), or map the column that is "
        "unique."
    )


def check_start(table: ir.Table, *, start: pd.Timestamp) -> None:
    """Raise DesignError where the post column and start= tell different stories."""
    expected_post = (table.start_time >= start.to_pydatetime()).cast("int8")
    odd = table.select("worker_id", "start_time", "post").filter(table.post != expected_post)
    count = int(odd.count().to_pandas())
    if count:
        raise DesignError(
            f"column 'post' disagrees with start={start:%Y-%m-%d} on {count:,} chats.\n"
            f"  first rows:\n{indent(odd.order_by('start_time').limit(SHOWN).to_pandas())}\n"
            "  expected: post = 1 from the start on, in the experiment's time zone\n"
            "  to do: give only one of post and start=, or correct tz=."
        )


def check_arms(table: ir.Table) -> dict[int, int]:
    """Workers in each arm (0 control, 1 treated), or DesignError where a worker has chats in both."""
    by_worker = table.group_by("worker_id").agg(
        treated_chats=lambda t: t.count(where=t.treated == 1),
        control_chats=lambda t: t.count(where=t.treated == 0),
    )
    both = by_worker.filter((by_worker.treated_chats > 0) & (by_worker.control_chats > 0))
    counts = by_worker.aggregate(
        control=by_worker.count(where=by_worker.treated_chats == 0),
        treated=by_worker.count(where=by_worker.control_chats == 0),
        workers=by_worker.count(),
    ).to_pandas().iloc[0]  # fmt: skip
    mixed = int(counts["workers"] - counts["control"] - counts["treated"])
    if mixed:
        raise DesignError(
            f"column 'treated': {mixed:,} of {int(counts['workers']):,} workers are in both arms.\n"
            "  expected: the arm a worker was assigned to, the same on all of the worker's chats, before "
            "the start too "
            "(treated is the arm, not the arm times the period)\n"
            f"  first workers:\n{indent(both.order_by('worker_id').limit(SHOWN).to_pandas())}\n"
            "  to do: set treated to the worker's arm; leave out workers who changed arms, and say so."
        )
    return {0: int(counts["control"]), 1: int(counts["treated"])}

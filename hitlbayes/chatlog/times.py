"""When a chat began: timestamps of any kind as naive local time in the experiment's zone."""

from __future__ import annotations

import zoneinfo

import ibis
import ibis.expr.types as ir

from hitlbayes.errors import SchemaError

# ISO 8601 date, optional time, optional offset: what a text stamp must look like to be read without guessing.
STAMP = r"^\s*\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}([.,]\d+)?)?\s*(Z|UTC|[+-]\d{2}(:?\d{2})?)?)?\s*$"
OFFSET = r"\d{2}:\d{2}.*?(Z|UTC|[+-]\d{2}(:?\d{2})?)\s*$"

# DuckDB's own functions, which ibis does not expose. A plain cast from an aware to a naive timestamp keeps
# UTC's clock whatever the zone; a cast from nanoseconds to microseconds rounds up, over midnight if need be.
_timezone = ibis.udf.scalar.builtin(
    lambda zone, stamp: None, name="timezone", signature=(("string", "timestamp('UTC')"), "timestamp(6)")
)
_divide = ibis.udf.scalar.builtin(
    lambda dividend, divisor: None, name="divide", signature=(("int64", "int64"), "int64")
)
_make_timestamp = ibis.udf.scalar.builtin(
    lambda micros: None, name="make_timestamp", signature=(("int64",), "timestamp(6)")
)
_make_timestamptz = ibis.udf.scalar.builtin(
    lambda micros: None, name="make_timestamptz", signature=(("int64",), "timestamp('UTC')")
)
AWARE_NS = "TIMESTAMPTZ_NS"  # a DuckDB type that ibis calls unknown


def _microseconds(stamp: ir.Column) -> ir.Column:
    """Whole microseconds since 1970 of a DuckDB timestamp in nanoseconds."""
    epoch_ns = ibis.udf.scalar.builtin(
        lambda stamp: None, name="epoch_ns", signature=((stamp.type(),), "int64")
    )
    return _divide(epoch_ns(stamp), 1000)


def check_zone(tz: str | None) -> None:
    """Refuse a name that is not a time zone of the IANA database."""
    if tz is None:
        return
    try:
        zoneinfo.ZoneInfo(tz)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise SchemaError(
            f"tz={tz!r} is not a known time zone.\n  expected: an IANA name such as 'Asia/Shanghai' or 'UTC'."
        ) from error


def local(raw: ir.Column, *, tz: str | None, name: str = "start_time") -> ir.Column:
    """Naive local time of every stamp, null where text is no ISO 8601 stamp.

    Parameters
    ----------
    raw : ibis column
        Timestamps with or without a zone, dates, or ISO 8601 text.
    tz : str or None
        The experiment's IANA zone; required where stamps are aware. Naive stamps are taken as local already.
    name : str
        What the column is called in messages.

    Raises
    ------
    SchemaError
        Aware stamps without `tz`; text with several offsets, or with offsets on some rows only; another type.
    """
    dtype = raw.type()
    if dtype.is_string():
        return _from_text(raw, tz=tz, name=name)
    if dtype.is_date():
        return raw.cast("timestamp(6)")
    if dtype.is_unknown() and AWARE_NS in str(dtype):
        return _in_zone(
            _make_timestamptz(_microseconds(raw)), tz=tz, name=name, found="timestamps with a time zone"
        )
    if not dtype.is_timestamp():
        raise SchemaError(
            f"column {name!r} is of type {dtype}.\n  expected: timestamps, dates or ISO 8601 text\n"
            "  to do: convert epochs or other formats to timestamps first, for instance with "
            "pandas.to_datetime."
        )
    if dtype.timezone is not None:
        return _in_zone(raw, tz=tz, name=name, found=f"timestamps with time zone {dtype.timezone!r}")
    if dtype.scale == 9 and raw.get_backend().name == "duckdb":
        return _make_timestamp(_microseconds(raw))
    return raw.cast("timestamp(6)")


def _in_zone(aware: ir.Column, *, tz: str | None, name: str, found: str) -> ir.Column:
    if tz is None:
        raise SchemaError(
            f"column {name!r} holds {found}, and tz is not given.\n"
            "  expected: the zone in which the experiment's days are cut (a chat at 00:30 on 15 August in "
            "Shanghai is on 14 August in UTC)\n  to do: pass tz=, for instance tz='Asia/Shanghai'."
        )
    if aware.get_backend().name != "duckdb":
        raise SchemaError(
            f"column {name!r} holds {found}, in an ibis table of {aware.get_backend().name}.\n"
            "  expected: naive local timestamps on backends other than DuckDB\n"
            f"  to do: convert the column to local time in {tz} in the table expression, then read it."
        )
    return _timezone(tz, aware.cast("timestamp('UTC')"))


def _from_text(raw: ir.Column, *, tz: str | None, name: str) -> ir.Column:
    offset = ibis.ifelse(raw.re_search(OFFSET), raw.re_extract(OFFSET, 1), "")
    stamps = raw.as_table().filter(raw.re_search(STAMP))
    seen = stamps.select(offset=offset).group_by("offset").agg(rows=lambda t: t.count())
    counts = seen.order_by(ibis.desc("rows"), "offset").limit(6).to_pandas()
    clean = ibis.ifelse(raw.re_search(STAMP), raw.strip().replace(",", "."), None)
    if len(counts) > 1:
        kinds = ", ".join(
            f"{row.rows} with {row.offset!r}" if row.offset else f"{row.rows} without an offset"
            for row in counts.itertuples()
        )
        raise SchemaError(
            f"column {name!r} mixes UTC offsets: {kinds}.\n  expected: text stamps that all have the "
            "same offset, "
            "or all none\n  to do: convert the column to UTC, or to local time without offsets, then read it."
        )
    if len(counts) == 1 and counts.offset.iloc[0]:
        aware = clean.try_cast("timestamp('UTC')")
        return _in_zone(
            aware, tz=tz, name=name, found=f"text stamps with the offset {counts.offset.iloc[0]!r}"
        )
    return clean.try_cast("timestamp(6)")

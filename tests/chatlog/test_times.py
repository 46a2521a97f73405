"""Days are cut in the experiment's zone, whatever form the stamps come in."""

from __future__ import annotations

import datetime as dt
import zoneinfo

import pandas as pd
import pytest

from hitlbayes.chatlog import panel, read_chats
from hitlbayes.errors import DesignError, SchemaError

from .logs import small

# 00:30 on 15 August in Shanghai is 16:30 on 14 August in UTC.
UTC_STAMPS = [
    "2024-08-14 16:30:00",
    "2024-08-14 15:30:00",
    "2024-08-13 16:00:00",
    "2024-08-15 01:00:00",
    "2024-08-15 02:00:00",
    "2024-08-14 00:00:00",
    "2024-08-15 00:00:00",
    "2024-08-14 04:00:00",
]
SHANGHAI_DAYS = [15, 14, 14, 15, 15, 14, 15, 14]


def _log(stamps) -> pd.DataFrame:
    return small().drop(columns="post").assign(start_time=stamps)


def _days(log, **options) -> list[int]:
    chats = read_chats(log, start="2024-08-15", **options)
    frame = chats.to_pandas().sort_values("chat_id")
    assert frame["post"].tolist() == [int(day >= 15) for day in SHANGHAI_DAYS]
    return frame["start_time"].dt.day.tolist()


FORMS = {
    "aware in UTC": lambda: pd.to_datetime(UTC_STAMPS, utc=True),
    "aware in Shanghai": lambda: pd.to_datetime(UTC_STAMPS, utc=True).tz_convert("Asia/Shanghai"),
    "aware in Paris": lambda: pd.to_datetime(UTC_STAMPS, utc=True).tz_convert("Europe/Paris"),
    "aware, nanoseconds": lambda: pd.to_datetime(UTC_STAMPS, utc=True).as_unit("ns"),
    "text with Z": lambda: [stamp.replace(" ", "T") + "Z" for stamp in UTC_STAMPS],
    "text with +00:00": lambda: [stamp + "+00:00" for stamp in UTC_STAMPS],
    "text with +0000": lambda: [stamp + "+0000" for stamp in UTC_STAMPS],
    "text with UTC": lambda: [stamp + " UTC" for stamp in UTC_STAMPS],
    "text with +08:00": lambda: [
        stamp.strftime("%Y-%m-%d %H:%M:%S+08:00")
        for stamp in pd.to_datetime(UTC_STAMPS, utc=True).tz_convert("Asia/Shanghai")
    ],
    "objects": lambda: pd.Series(
        [dt.datetime.fromisoformat(stamp).replace(tzinfo=dt.UTC) for stamp in UTC_STAMPS], dtype=object
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_aware_stamps_are_cut_in_the_zone_of_the_experiment(form):
    assert _days(_log(FORMS[form]()), tz="Asia/Shanghai") == SHANGHAI_DAYS


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_files_with_aware_stamps_too(kind, tmp_path):
    log, path = _log(FORMS["aware in UTC"]()), tmp_path / f"log.{kind}"
    log.to_parquet(path) if kind == "parquet" else log.to_csv(path, index=False)
    assert _days(path, tz="Asia/Shanghai") == SHANGHAI_DAYS


NAIVE = {
    "microseconds": lambda stamps: stamps.as_unit("us"),
    "nanoseconds": lambda stamps: stamps.as_unit("ns"),
    "seconds": lambda stamps: stamps.as_unit("s"),
    "text": lambda stamps: stamps.strftime("%Y-%m-%d %H:%M:%S"),
    "text to the minute": lambda stamps: stamps.strftime("%Y-%m-%dT%H:%M"),
}


@pytest.mark.parametrize(("form", "tz"), [*((form, None) for form in NAIVE), ("text", "Asia/Shanghai")])
def test_naive_stamps_are_local_already(form, tz):
    local = pd.to_datetime(UTC_STAMPS, utc=True).tz_convert("Asia/Shanghai").tz_localize(None)
    assert _days(_log(NAIVE[form](local)), tz=tz) == SHANGHAI_DAYS


def test_the_last_nanosecond_of_a_day_is_not_the_next_day():
    stamps = pd.to_datetime(small()["start_time"]).astype("datetime64[ns]")
    stamps[2] = pd.Timestamp("2024-08-14 23:59:59.999999999")
    found = read_chats(small().assign(start_time=stamps)).to_pandas()
    assert found["start_time"].dt.day[2] == 14


def test_daylight_saving_moves_the_cut_with_the_clock():
    """Midnight in Paris is 22:00 UTC in October's summer time and 23:00 UTC in winter time."""
    stamps = small()["start_time"].dt.tz_localize("UTC")
    stamps[0] = pd.Timestamp("2024-10-26 22:30", tz="UTC")
    stamps[1] = pd.Timestamp("2024-10-27 22:30", tz="UTC")
    found = read_chats(small().assign(start_time=stamps), tz="Europe/Paris").to_pandas()
    assert found["start_time"].dt.strftime("%d %H:%M").tolist()[:2] == ["27 00:30", "27 23:30"]


@pytest.mark.parametrize("form", ["aware in UTC", "aware in Shanghai", "text with Z", "objects"])
def test_aware_stamps_without_a_zone_are_refused(form):
    with pytest.raises(SchemaError, match=r"tz is not given(?s:.*)15 August in Shanghai(?s:.*)pass tz="):
        read_chats(_log(FORMS[form]()), start="2024-08-15")


def test_text_with_several_offsets_is_refused():
    stamps = [stamp + ("+08:00" if k < 3 else "Z") for k, stamp in enumerate(UTC_STAMPS)]
    with pytest.raises(SchemaError, match=r"mixes UTC offsets: 5 with 'Z', 3 with '\+08:00'"):
        read_chats(_log(stamps), start="2024-08-15", tz="Asia/Shanghai")


def test_text_with_offsets_on_some_rows_is_refused():
    stamps = [stamp + ("Z" if k < 3 else "") for k, stamp in enumerate(UTC_STAMPS)]
    with pytest.raises(SchemaError, match=r"5 without an offset, 3 with 'Z'"):
        read_chats(_log(stamps), start="2024-08-15", tz="Asia/Shanghai")


def test_objects_of_several_zones_are_refused():
    zones = [dt.UTC, zoneinfo.ZoneInfo("Asia/Shanghai")]
    stamps = [dt.datetime.fromisoformat(s).replace(tzinfo=zones[k % 2]) for k, s in enumerate(UTC_STAMPS)]
    with pytest.raises(SchemaError, match=r"mixes UTC offsets: .*Asia/Shanghai, UTC"):
        read_chats(_log(pd.Series(stamps, dtype=object)), start="2024-08-15", tz="Asia/Shanghai")


@pytest.mark.parametrize("bad", ["14/08/2024 09:00", "yesterday", "2024-02-30 09:00:00", "2024-08-14 9 am"])
def test_text_that_is_no_stamp_is_shown(bad):
    stamps = [*UTC_STAMPS[:3], bad, *UTC_STAMPS[4:]]
    with pytest.raises(SchemaError, match=rf"'start_time': 1 of 8 values(?s:.*){bad}(?s:.*)YYYY-MM-DD"):
        read_chats(_log(stamps), start="2024-08-15")


def test_epochs_are_refused():
    with pytest.raises(SchemaError, match=r"'start_time' is of type int64(?s:.*)to_datetime"):
        read_chats(_log([1_723_600_000 + k for k in range(8)]), start="2024-08-15")


@pytest.mark.parametrize("tz", ["Asia/Shangai", "+08:00", ""])
def test_a_zone_that_does_not_exist_is_refused(tz):
    with pytest.raises(SchemaError, match="not a known time zone"):
        read_chats(small(), tz=tz)


def test_a_post_column_from_another_zone_is_caught():
    """Post computed in Shanghai, stamps left in UTC: one day then holds chats from before and after."""
    log = small().assign(start_time=pd.to_datetime(UTC_STAMPS), post=[int(d >= 15) for d in SHANGHAI_DAYS])
    with pytest.raises(DesignError, match=r"hold chats from before and after the start(?s:.*)tz="):
        panel(log)


def test_a_post_column_that_disagrees_with_start_is_refused():
    with pytest.raises(DesignError, match=r"'post' disagrees with start=2024-08-14 on 5 chats"):
        read_chats(small(), start="2024-08-14")


def test_hours_are_cut_in_the_zone_too():
    chats = read_chats(_log(FORMS["aware in UTC"]()), start="2024-08-15", tz="Asia/Kolkata")  # UTC + 5:30
    periods = panel(chats, period="hour").cells["period"]
    assert periods.min() == pd.Timestamp("2024-08-13 21:00")
    assert set(periods.dt.minute) == {0}

"""Lagged controls: literal values, by worked and by calendar period, over all chats whatever the scope."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from hitlbayes.chatlog import panel
from hitlbayes.chatlog.lags import lagged
from hitlbayes.errors import SpecError

from .logs import small

NAN = np.nan


def _history(stamps: list[str], units: list[str]) -> pd.DataFrame:
    n = len(stamps)
    return pd.DataFrame(
        {
            "unit": units,
            "period": pd.to_datetime(stamps),
            "n": range(1, n + 1),
            "customer_tenure": np.arange(n) + 0.5,
            "vip": np.linspace(0, 1, n),
            "concurrency": np.arange(n) * 2.0,
        }
    )


def test_the_last_worked_day_and_the_day_before_differ_after_a_day_off():
    history = _history(["2024-08-01", "2024-08-02", "2024-08-05", "2024-08-02"], ["a", "a", "a", "b"])
    worked = lagged(history, period="day", lag="worked")
    calendar = lagged(history, period="day", lag="calendar")
    assert list(worked) == [
        "unit",
        "period",
        "lag_customer_tenure",
        "lag_vip",
        "lag_concurrency",
        "lag_volume",
    ]
    np.testing.assert_array_equal(worked["lag_volume"], [NAN, 1, 2, NAN])
    np.testing.assert_array_equal(calendar["lag_volume"], [NAN, 1, NAN, NAN])
    np.testing.assert_array_equal(worked["lag_customer_tenure"], [NAN, 0.5, 1.5, NAN])
    np.testing.assert_array_equal(worked["lag_concurrency"], [NAN, 0, 2, NAN])


def test_hours_reach_back_one_hour_or_to_the_last_worked_one():
    stamps = ["2024-08-01 22:00", "2024-08-01 23:00", "2024-08-02 00:00", "2024-08-02 09:00"]
    history = _history(stamps, ["a"] * 4)
    np.testing.assert_array_equal(lagged(history, period="hour", lag="worked")["lag_volume"], [NAN, 1, 2, 3])
    np.testing.assert_array_equal(
        lagged(history, period="hour", lag="calendar")["lag_volume"], [NAN, 1, 2, NAN]
    )


def test_order_of_the_rows_does_not_matter():
    history = _history(["2024-08-01", "2024-08-02", "2024-08-05", "2024-08-02"], ["a", "a", "a", "b"])
    shuffled = history.sample(frac=1, random_state=1)
    for lag in ("worked", "calendar"):
        pd.testing.assert_frame_equal(
            lagged(shuffled, period="day", lag=lag), lagged(history, period="day", lag=lag)
        )


def test_a_panel_lags_over_all_chats_of_the_worker_whatever_the_scope():
    """Worker a on 14 August: 3 chats, one ineligible; tenure (1 + 2 + 6) / 3, VIP 1/3, concurrency 2."""
    for scope in ("all", "eligible"):
        means = panel(small(), scope=scope).means.set_index(["unit", "period"])
        row = means.loc[("a", pd.Timestamp("2024-08-15"))]
        assert row["lag_volume"] == 3
        assert row["lag_customer_tenure"] == pytest.approx(3.0)
        assert row["lag_vip"] == pytest.approx(1 / 3)
        assert row["lag_concurrency"] == pytest.approx(2.0)
        assert np.isnan(means.loc[("a", pd.Timestamp("2024-08-14")), "lag_volume"])


def test_a_worker_new_to_the_scope_still_has_yesterday():
    """Worker d's only chats before are ineligible; the lag of an eligible chat the day after sees them."""
    log = small()
    log.loc[8] = log.loc[7]
    log.loc[8, ["chat_id", "start_time", "post", "eligible"]] = [9, pd.Timestamp("2024-08-15 12:00"), 1, 1]
    means = panel(log, scope="eligible", outcomes="duration").means.set_index("unit")
    assert means.loc["d", "n"] == 1
    assert means.loc["d", "lag_concurrency"] == 6.0


def test_columns_that_the_log_lacks_are_absent():
    means = panel(small().drop(columns=["vip", "customer_tenure"])).means
    assert [name for name in means if name.startswith("lag_")] == ["lag_concurrency", "lag_volume"]


def test_another_lag_is_refused():
    with pytest.raises(SpecError, match=r"lag='week' is not known(?s:.*)'worked', 'calendar'"):
        panel(small(), lag="week")

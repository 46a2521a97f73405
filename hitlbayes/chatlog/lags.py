"""Yesterday's conditions: the lagged controls of the paper's equation 1, per unit and period."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd

from hitlbayes.chatlog.collapse import Period

Lag = Literal["worked", "calendar"]
# What is lagged, and the chat column that it is the mean of (None: the number of chats).
CONTROLS: dict[str, str | None] = {
    "lag_customer_tenure": "customer_tenure",
    "lag_vip": "vip",
    "lag_concurrency": "concurrency",
    "lag_volume": None,
}
STEP = {"day": pd.Timedelta(days=1), "hour": pd.Timedelta(hours=1)}


def lagged(history: pd.DataFrame, *, period: Period, lag: Lag) -> pd.DataFrame:
    """Each unit's conditions in its previous period, over all of its chats (paper, equation 1, W_{i,t-1}).

    Parameters
    ----------
    history : DataFrame
        One row per unit and period in which the unit had any chat: `unit`, `period`, `n`, and the means
        `customer_tenure` (years), `vip` (share) and `concurrency` (chats) as far as the log has them.
    period : {"day", "hour"}
    lag : {"worked", "calendar"}
        ``"worked"``: the last earlier period in which the unit had a chat, however long ago (for hours, the
        last hour of the day before is the one before a day's first). ``"calendar"``: exactly one day or one
        hour earlier; NaN where the unit had no chat then.

    Returns
    -------
    DataFrame
        Sorted by unit and period: `unit`, `period`, and `lag_customer_tenure`, `lag_vip`, `lag_concurrency`,
        `lag_volume` (float64; NaN where there is no previous period, absent where the log lacks the column).

    Examples
    --------
    >>> days = pd.to_datetime(["2024-08-01", "2024-08-03"])
    >>> history = pd.DataFrame({"unit": ["a", "a"], "period": days, "n": [5, 7]})
    >>> lagged(history, period="day", lag="worked").lag_volume.tolist()
    [nan, 5.0]
    >>> lagged(history, period="day", lag="calendar").lag_volume.tolist()
    [nan, nan]
    """
    history = history.sort_values(["unit", "period"], ignore_index=True)
    sources = {name: source or "n" for name, source in CONTROLS.items() if (source or "n") in history}
    values = history[list(sources.values())].astype(np.float64).set_axis(list(sources), axis=1)
    keys = history[["unit", "period"]]
    if lag == "worked":
        return pd.concat([keys, values.groupby(history["unit"]).shift(1)], axis=1)
    earlier = pd.concat([keys.assign(period=keys["period"] + STEP[period]), values], axis=1)
    return keys.merge(earlier, on=["unit", "period"], how="left", validate="one_to_one")

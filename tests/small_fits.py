"""Small fits to synthetic frames that several tests look at; each is made once a process."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd

import hitlbayes as hb

COLUMNS = {"unit": "agent", "time": "day", "treated": "arm", "treated_level": "ai", "post": "after"}
START = pd.Timestamp("2024-08-04")


@cache
def chats() -> pd.DataFrame:
    """Synthetic chats of 12 agents over 6 days, about three a day, with texts, categories and dates."""
    rng = np.random.default_rng(5)
    days = pd.date_range("2024-08-01", periods=6)
    grid = [(f"agent-{i:02d}", day) for i in range(12) for day in days]
    frame = pd.DataFrame(grid, columns=["agent", "day"])
    frame = frame.loc[frame.index.repeat(rng.integers(1, 6, len(frame)))].reset_index(drop=True)
    number = frame["agent"].str[-2:].astype(int).to_numpy()
    frame["arm"] = np.where(number % 2, "ai", "human")
    frame["after"] = (frame["day"] >= START).astype("int8")
    frame["issue"] = pd.Categorical(rng.choice(["bill", "login", "other"], len(frame)))
    frame["vip"] = rng.integers(0, 2, len(frame))
    now = (number % 2) * frame["after"].to_numpy()
    eta = rng.normal(0, 0.5, 12)[number] + 0.6 * now + 0.3 * frame["vip"].to_numpy()
    frame["score"] = 3.0 + eta + rng.normal(0, 0.8, len(frame))
    frame["stars"] = np.digitize(eta + rng.logistic(size=len(frame)), [-1.0, 0.0, 1.0]) + 1
    frame["returned"] = (rng.logistic(size=len(frame)) < eta - 0.5).astype(int)
    return frame


@cache
def gaussian() -> hb.Fit:
    """Scores, with a formula of two discrete controls."""
    return hb.fit_did(
        chats(),
        outcome="score",
        family="gaussian",
        formula="~ C(vip) + issue",
        draws=250,
        progress=False,
        **COLUMNS,
    )


@cache
def ordinal() -> hb.Fit:
    """Stars, one to four, without controls."""
    return hb.fit_did(chats(), outcome="stars", family="ordinal", draws=100, progress=False, **COLUMNS)


@cache
def mixed() -> hb.Fit:
    """Scores by agent and issue, without a treatment."""
    return hb.fit_mixed(
        chats(),
        outcome="score",
        family="gaussian",
        formula="~ vip",
        groups=["issue", "agent"],
        draws=100,
        progress=False,
    )

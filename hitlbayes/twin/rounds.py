"""One row per chat round: who answered and how the customer felt."""

from __future__ import annotations

import numpy as np
import pandas as pd

from hitlbayes.errors import SpecError

SENTIMENTS = (1, 5)
RELIEF = {"technical": 0.7, "emotional": 0.25, "human": 0.6}
"""Share of the sentiment at takeover, above neutral, that the rest of the chat takes away."""


def chat_rounds(chats: pd.DataFrame, *, scope: str = "eligible", seed: int = 20240815) -> pd.DataFrame:
    """Customer negative sentiment over the rounds of each chat.

    Parameters
    ----------
    chats : DataFrame
        As `simulate(...).chats`.
    scope : {"ai", "eligible", "all"}
        Chats handled by the AI at first, all AI-eligible chats, or every chat (millions of rows).
    seed : int
        Of the noise in sentiments.

    Returns
    -------
    DataFrame
        chat_id, round (1..), progress (0 at the first round, 1 at the last), provider ("ai" or "human"),
        escalation (null without AI), sentiment (1-5).

    Raises
    ------
    SpecError
        Another scope.

    Notes
    -----
    Sentiment goes from the first message's to that at takeover in a straight line, then falls by a share
    that is smallest after emotional escalations (paper, Figure A6, described there only in words).
    """
    masks = {"ai": chats["ai"] == 1, "eligible": chats["eligible"] == 1, "all": chats["ai"] >= 0}
    if scope not in masks:
        raise SpecError(f"scope is {scope!r}; expected one of {sorted(masks)}")
    part = chats.loc[masks[scope]]
    counts = part["rounds"].to_numpy()
    row = np.repeat(np.arange(len(part)), counts)
    number = np.arange(row.size) - np.repeat(np.cumsum(counts) - counts, counts)
    ai_rounds = part["ai_rounds"].fillna(0).to_numpy(dtype=np.int64)
    progress = number / np.maximum(counts - 1, 1)[row]
    mean = _sentiment(part, row=row, number=number, progress=progress, ai_rounds=ai_rounds)
    noise = np.random.default_rng([seed, 1]).normal(0, 0.45, row.size)
    first = number == 0
    sentiment = np.where(first, part["initial_sentiment"].to_numpy()[row], np.rint(mean + noise))
    return pd.DataFrame(
        {
            "chat_id": part["chat_id"].to_numpy()[row],
            "round": (number + 1).astype(np.int32),
            "progress": progress,
            "provider": pd.Series(np.where(number < ai_rounds[row], "ai", "human"), dtype="str"),
            "escalation": part["escalation"].array[row],
            "sentiment": np.clip(sentiment, *SENTIMENTS).astype(np.int8),
        }
    )


def _sentiment(
    part: pd.DataFrame, *, row: np.ndarray, number: np.ndarray, progress: np.ndarray, ai_rounds: np.ndarray
) -> np.ndarray:
    """Mean path: first message, takeover, end."""
    start = part["initial_sentiment"].to_numpy(dtype=float)
    peak = part["takeover_sentiment"].astype("Float64").to_numpy(dtype=float, na_value=np.nan)
    taken = ~np.isnan(peak)
    relief = part["escalation"].map(RELIEF).to_numpy(dtype=float, na_value=np.nan)
    calm = 1 + (start - 1) * 0.6
    end = np.where(taken, 1 + (peak - 1) * (1 - np.nan_to_num(relief)), calm)
    turn = np.where(taken, ai_rounds, 0)
    before = np.clip(number / np.maximum(turn, 1)[row], 0, 1)
    left = part["rounds"].to_numpy() - 1 - turn
    after = np.clip((number - turn[row]) / np.maximum(left, 1)[row], 0, 1)
    rising = start[row] + (np.nan_to_num(peak)[row] - start[row]) * before
    falling = np.nan_to_num(peak)[row] + (end - np.nan_to_num(peak))[row] * after
    straight = start[row] + (end - start)[row] * progress
    return np.where(taken[row], np.where(number <= turn[row], rising, falling), straight)

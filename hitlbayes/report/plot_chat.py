"""One chat on a time line: who wrote when, how long replies took, and where the worker's attention was."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hitlbayes.errors import SchemaError
from hitlbayes.report import canvas
from hitlbayes.report.wording import number

LANES = {"customer": (2.0, canvas.ORANGE, "s"), "worker": (1.0, canvas.BLUE, "o")}
ATTENTION = 0.0
MEASURES = {
    "duration": "duration {} s",
    "rounds": "{} rounds",
    "messages": "{} messages",
    "words": "{} words",
    "avg_delay": "mean reply delay {} s",
    "concurrency": "{} chats at the start",
    "active_time": "active {} s",
    "away_time": "away {} s",
    "switch_aways": "{} switches away",
}


@canvas.styled
def plot_chat(
    messages: pd.DataFrame,
    *,
    activity: pd.DataFrame | None = None,
    chat: object,
    measures: pd.Series | None = None,
    synthetic: bool = False,
    ax: Axes | None = None,
) -> Figure:
    """Time line of one chat and what is measured of it (paper, Figure A2).

    Parameters
    ----------
    messages : DataFrame
        `chat_id`, `time`, `sender` ("customer"; anybody else serves).
    activity : DataFrame, optional
        The worker's events: `time`, `chat_id`.
    chat : its `chat_id`
    measures : Series, optional
        The chat's row of `hitlbayes.chats_from_logs`, for the caption.
    synthetic : bool
    ax : Axes, optional

    Raises
    ------
    SchemaError
        The chat has no messages.
    """
    said = messages[messages["chat_id"] == chat].sort_values("time", kind="stable")
    if said.empty:
        raise SchemaError(f"chat {chat!r} has no messages.")
    begin = said["time"].iloc[0]
    seconds = (said["time"] - begin).dt.total_seconds().to_numpy()
    customer = (said["sender"] == "customer").to_numpy()
    figure, axes = canvas.axes_for(ax, height=2.9)
    _delays(axes, seconds, customer)
    for name, (y, colour, shape) in LANES.items():
        chosen = seconds[customer] if name == "customer" else seconds[~customer]
        axes.plot(chosen, np.full(len(chosen), y), shape, color=colour, ms=8, mec="white", zorder=4)
    lanes = [y for y, _, _ in LANES.values()]
    names = list(LANES)
    if activity is not None:
        _attention(axes, activity, chat=chat, begin=begin, length=seconds[-1])
        lanes, names = [*lanes, ATTENTION], [*names, "worker's attention"]
    axes.set_yticks(lanes, names)
    axes.set_ylim(min(lanes) - 0.55, 2.55)
    axes.set_xlim(-0.02 * max(seconds[-1], 1), 1.04 * max(seconds[-1], 1))
    axes.set_xlabel(f"seconds since {begin:%H:%M:%S}")
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    if ax is not None:
        canvas.mark(axes, synthetic=synthetic, ok=True)
        return figure
    return canvas.finish(
        figure,
        caption=chat_caption(measures),
        synthetic=synthetic,
        ok=True,
        title="What is measured of a chat",
    )


def chat_caption(measures: pd.Series | None) -> str:
    """The measures of a chat in words.

    Examples
    --------
    >>> chat_caption(pd.Series({"duration": 300.0, "rounds": 3}))
    'Arrows are replies, as long as their delay. Measured: duration 300 s, 3 rounds.'
    """
    lead = "Arrows are replies, as long as their delay."
    if measures is None:
        return lead
    told = [
        words.format(number(float(measures[name]), places=0 if float(measures[name]).is_integer() else 1))
        for name, words in MEASURES.items()
        if name in measures and pd.notna(measures[name])
    ]
    return f"{lead} Measured: {', '.join(told)}."


def _delays(axes: Axes, seconds: np.ndarray, customer: np.ndarray) -> None:
    """An arrow from the first message of each run of the customer's to the reply."""
    asked: float | None = None
    for at, is_customer in zip(seconds, customer, strict=True):
        if is_customer:
            asked = at if asked is None else asked
        elif asked is not None:
            style = {"arrowstyle": "-|>", "color": canvas.FAINT, "lw": 1.1, "shrinkA": 4, "shrinkB": 4}
            axes.annotate("", (at, LANES["worker"][0]), (asked, LANES["customer"][0]), arrowprops=style)
            axes.text(at + 3, 1.5, f"{at - asked:.0f} s", fontsize=7.5, color=canvas.INK, va="center")
            asked = None


def _attention(
    axes: Axes, activity: pd.DataFrame, *, chat: object, begin: pd.Timestamp, length: float
) -> None:
    """Bars of the time with this chat (filled) and elsewhere (hatched)."""
    events = activity.sort_values("time", kind="stable")
    at = (events["time"] - begin).dt.total_seconds().to_numpy()
    here = (events["chat_id"] == chat).to_numpy(dtype=bool, na_value=False)
    at, here = np.append(at, np.inf), np.append(here, False)
    if at[0] > 0:
        at, here = np.insert(at, 0, -np.inf), np.insert(here, 0, False)
    for left, right, mine in zip(
        np.clip(at[:-1], 0, length), np.clip(at[1:], 0, length), here[:-1], strict=True
    ):
        if right > left:
            style: dict[str, Any] = {"color": canvas.SKY}
            if not mine:
                style = {"color": "white", "hatch": "////", "edgecolor": canvas.FAINT}
            axes.barh(ATTENTION, right - left, left=left, height=0.42, lw=0, **style)
    axes.text(
        length, ATTENTION - 0.42, "filled: this chat, hatched: elsewhere", fontsize=7, ha="right", va="center"
    )

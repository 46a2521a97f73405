"""Plots of when takeovers come: curves over progress, and hazards over rounds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hitlbayes.report import canvas
from hitlbayes.report.wording import number
from hitlbayes.studies.timing_frame import HISTORIES

if TYPE_CHECKING:
    from hitlbayes.studies.timing import TimingFit
    from hitlbayes.studies.timing_curves import Curves

STYLES = {
    "technical": (canvas.BLUE, "-"),
    "emotional": (canvas.VERMILLION, (0, (5, 1.5))),
    "human": (canvas.GREEN, (0, (1.5, 1.2))),
    "none": (canvas.FAINT, "-."),
    "resolved": (canvas.FAINT, "-."),
    "abandoned": (canvas.ORANGE, (0, (3, 1, 1, 1))),
}
LEVELS = ((canvas.BLUE, "-", "o"), (canvas.VERMILLION, (0, (5, 1.5)), "s"), (canvas.GREEN, ":", "D"))
SPARE = ((canvas.PURPLE, "-"), (canvas.SKY, (0, (5, 1.5))), (canvas.BLACK, (0, (1.5, 1.2))))


def style_of(name: str, place: int) -> tuple[str, object]:
    """Colour and dashes of a type; dashes differ too, for greyscale prints."""
    return STYLES.get(name, SPARE[place % len(SPARE)])


@canvas.styled
def plot_curves(curves: Curves, *, ax: Axes | None = None) -> Figure:
    """A curve by type over the share of the chat gone, with its band.

    Parameters
    ----------
    curves : Curves
        From `takeover_density` or `sentiment_path`.
    ax : Axes, optional
        Drawn on these; the caption is then left to the caller.

    Returns
    -------
    Figure
        Its `caption` says what is seen.
    """
    figure, axes = canvas.axes_for(ax, height=3.7)
    for place, (name, mean) in enumerate(curves.mean.items()):
        colour, dashes = style_of(name, place)
        axes.fill_between(curves.grid, curves.lower[name], curves.upper[name], color=colour, alpha=0.18, lw=0)
        label = f"{name} (n = {curves.n[name]:,})"
        axes.plot(curves.grid, mean, color=colour, ls=dashes, lw=1.8, label=label)
    axes.set_xlim(0, 1)
    if "density" in curves.what:
        axes.set_ylim(bottom=0)
    axes.set_xlabel("share of the chat's rounds gone")
    axes.set_ylabel(curves.what)
    axes.legend(loc="best")
    if ax is not None:
        canvas.mark(axes, synthetic=curves.synthetic, ok=True)
        return figure
    peaks = ", ".join(
        f"{name} {number(float(curves.grid[np.argmax(m)]), places=2)}" for name, m in curves.mean.items()
    )
    return canvas.finish(
        figure,
        caption=f"Highest at: {peaks}. Bands: {curves.band}. A description: the share divides by a "
        "length that is decided after the takeover.",
        synthetic=curves.synthetic,
        ok=True,
        title=f"{curves.what[:1].upper()}{curves.what[1:]} over chat progress",
    )


@canvas.styled
def plot_hazard(fit: TimingFit, *, sentiment: tuple[float, ...] | None = None) -> Figure:
    """Hazard of each way in which the AI's part of a chat ends, by round, at a calm and an angry sentiment.

    Parameters
    ----------
    fit : TimingFit
    sentiment : tuple of float, optional
        Levels to draw; by default a calm and an angry one (`TimingFit.usual`).
    """
    return draw_hazard(
        fit.hazard(sentiment=sentiment), history=fit.history, synthetic=fit.synthetic, ok=fit.check().ok
    )


@canvas.styled
def draw_hazard(table: pd.DataFrame, *, history: str, synthetic: bool, ok: bool) -> Figure:
    """The table of hazards (`TimingFit.hazard`), a panel for each way of ending."""
    causes, bands = (list(dict.fromkeys(table[name].astype(str))) for name in ("cause", "band"))
    rows = (len(causes) + 1) // 2
    figure = canvas.sheet(height=1.4 + 1.7 * rows)
    grid = figure.subplots(rows, 2, squeeze=False).ravel()
    levels = sorted(table["sentiment"].unique())
    for axes in grid[len(causes) :]:
        axes.set_visible(False)
    for axes, cause in zip(grid, causes, strict=False):
        part = table[table["cause"] == cause]
        for place, level in enumerate(levels):
            _hazard_line(axes, part[part["sentiment"] == level], place=place, of=len(levels))
        axes.set_xticks(range(len(bands)), bands, fontsize=7.5)
        axes.set_xlabel("AI rounds so far")
        axes.set_ylim(bottom=0)
        axes.set_title(cause)
    grid[0].legend(title=f"sentiment, {HISTORIES[history]}", loc="best", title_fontsize=8)
    figure.supylabel("probability of ending so in this round", fontsize=9)
    return canvas.finish(
        figure,
        caption="Posterior means and 95% equal-tailed intervals of the hazard, by rounds the AI has had, "
        "for the average worker. Blank: fewer than 20 rounds at risk. The ways of ending compete: they and "
        "going on add to one.",
        synthetic=synthetic,
        ok=ok,
        title="How the AI's part of a chat ends, by AI rounds and sentiment so far",
    )


def _hazard_line(axes: Axes, part: pd.DataFrame, *, place: int, of: int) -> None:
    colour, dashes, shape = LEVELS[place % len(LEVELS)]
    at = np.arange(len(part)) + 0.14 * (place - (of - 1) / 2)
    spread = np.abs(part[["lower", "upper"]].to_numpy().T - part["mean"].to_numpy())
    label = f"{part['sentiment'].iloc[0]:g}"
    axes.errorbar(
        at, part["mean"], yerr=spread, color=colour, ls=dashes, lw=1.3, elinewidth=1.2, marker=shape, ms=3.5,
        label=label,
    )  # fmt: skip

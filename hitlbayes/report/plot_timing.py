"""Plots of when takeovers come: curves over progress, and hazards over rounds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hitlbayes.report import canvas
from hitlbayes.report.wording import number

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
        Levels to draw; by default the lowest and the highest seen at a fifth and at 99 % of rounds at risk.
    """
    table = fit.hazard(sentiment=sentiment)
    causes = list(dict.fromkeys(table["cause"]))
    figure = canvas.sheet(height=2.0 + 1.5 * ((len(causes) + 1) // 2))
    grid = figure.subplots((len(causes) + 1) // 2, 2, squeeze=False, sharex=True)
    levels = sorted(table["sentiment"].unique())
    for place, axes in enumerate(grid.flat):
        axes.set_visible(place < len(causes))
        if place >= len(causes):
            continue
        part = table[table["cause"] == causes[place]]
        for level, colour in zip(levels, (canvas.BLUE, canvas.VERMILLION, canvas.GREEN), strict=False):
            one = part[part["sentiment"] == level]
            at = np.arange(len(one))
            axes.fill_between(at, one["lower"], one["upper"], color=colour, alpha=0.18, lw=0, step=None)
            dashes = "-" if level == levels[0] else (0, (5, 1.5))
            axes.plot(at, one["mean"], color=colour, ls=dashes, lw=1.6, marker="o", ms=3, label=f"{level:g}")
            axes.set_xticks(at, one["band"])
        axes.set_ylim(bottom=0)
        axes.set_title(causes[place])
    grid[0, 0].legend(title=f"sentiment so far ({fit.history})", loc="best")
    figure.supylabel("probability of ending in this round", fontsize=9)
    return canvas.finish(
        figure,
        caption="Posterior means and 95% equal-tailed intervals of the hazard in a round, by rounds that "
        "the AI has had, for the average worker. The ways of ending compete: they and going on add to one.",
        synthetic=fit.synthetic,
        ok=fit.check().ok,
        title="How the AI's part of a chat ends, given sentiment so far",
    )

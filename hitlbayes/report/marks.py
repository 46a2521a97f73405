"""The four ways an effect is known, each with its own mark: posterior, frequentist twin, published, truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from hitlbayes.report import canvas


@dataclass(frozen=True, slots=True)
class Mark:
    """How one kind of estimate is drawn. Shape and fill differ as well as colour, for greyscale prints."""

    label: str
    short: str
    shape: str
    colour: str
    fill: str
    size: float
    width: float


MARKS = {
    "mean": Mark("posterior, mean and 95% ETI", "posterior", "o", canvas.BLUE, canvas.BLUE, 6.5, 2.2),
    "twin": Mark("frequentist twin, 95% CI", "frequentist twin", "s", canvas.INK, "white", 5, 1),
    "published": Mark("published, 95% CI", "published", "D", canvas.ORANGE, canvas.ORANGE, 5.5, 1),
    "truth": Mark("simulated truth", "truth", "|", canvas.VERMILLION, "none", 15, 0),
}
ENDS = {
    "mean": ("lower", "upper"),
    "twin": ("twin_lower", "twin_upper"),
    "published": ("published_lower", "published_upper"),
}


def draw_mark(
    ax: Axes, name: str, *, at: float, y: float, lower: float = np.nan, upper: float = np.nan
) -> None:
    """One estimate at height `y`, with its interval where it has one; nothing where `at` is missing."""
    if not np.isfinite(at):
        return
    style = MARKS[name]
    if np.isfinite(lower) and np.isfinite(upper):
        ax.plot([lower, upper], [y, y], color=style.colour, lw=style.width, solid_capstyle="butt", zorder=3)
    ax.plot(
        [at],
        [y],
        style.shape,
        color=style.colour,
        mfc=style.fill,
        mec=style.colour,
        ms=style.size,
        mew=2.4 if name == "truth" else 1.1,
        zorder=4 if name != "truth" else 2.5,
    )


def legend_marks(names: list[str]) -> list[Line2D]:
    """Handles for a legend of the marks named, in their order."""
    return [
        Line2D(
            [],
            [],
            marker=MARKS[name].shape,
            color=MARKS[name].colour,
            mfc=MARKS[name].fill,
            ms=min(MARKS[name].size, 9),
            mew=2.2 if name == "truth" else 1.1,
            lw=MARKS[name].width,
            label=MARKS[name].label,
        )
        for name in names
    ]

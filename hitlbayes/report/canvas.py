"""The sheet that every plot is drawn on: colours, sizes, caption and the label of synthetic data."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from functools import wraps
from io import BytesIO
from typing import Any, ParamSpec

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.text import Text

from hitlbayes.errors import SpecError

P = ParamSpec("P")

# Okabe and Ito's palette (https://jfly.uni-koeln.de/color/): distinct to colour-blind readers.
BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, VERMILLION, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"
INK, FAINT = "#222222", "#767676"
WIDTH = 7.2  # inches: a column and a half of a journal, and a laptop's reading width

STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "savefig.facecolor": "white",
}


class Plot(Figure):
    """A figure that knows its caption and shows itself in a notebook without pyplot."""

    caption: str = ""
    caption_text: Text | None = None

    def _repr_png_(self) -> bytes:
        buffer = BytesIO()
        self.savefig(buffer, format="png", dpi=144)
        return buffer.getvalue()


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Draw in the house style, leaving matplotlib's own settings alone."""

    @wraps(draw)
    def inside(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with matplotlib.rc_context(STYLE):
            return draw(*args, **kwargs)

    return inside


def sheet(*, height: float, width: float = WIDTH) -> Plot:
    """An empty figure that keeps its labels inside its edges.

    Examples
    --------
    >>> sheet(height=3).get_size_inches().tolist()
    [7.2, 3.0]
    """
    layout = ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.06, wspace=0.03, hspace=0.03)
    return Plot(figsize=(width, height), layout=layout)


def axes_for(ax: Axes | None, *, height: float) -> tuple[Figure, Axes]:
    """The caller's axes and their figure, or new ones."""
    if ax is not None:
        owner = ax.get_figure(root=True)
        if owner is None:
            raise SpecError("ax= belongs to no figure; make one with Figure().add_subplot().")
        return owner, ax
    figure = sheet(height=height)
    return figure, figure.add_subplot()


def finish(figure: Figure, *, caption: str, synthetic: bool, ok: bool, title: str = "") -> Figure:
    """Caption a figure and label it: synthetic data, failed checks.

    The labels go onto each axes as well when the caller owns the figure, whose margins are not ours.

    Parameters
    ----------
    figure : Figure
        Captions are set on our own sheets only.
    caption : str
        What is seen, with its numbers.
    synthetic, ok : bool
        Whether data are simulated; whether the fit passed its checks.
    title : str
        Heading of the whole figure.
    """
    if not isinstance(figure, Plot):
        return figure
    figure.caption = caption
    labels = stamp(synthetic=synthetic, ok=ok)
    if title or labels:
        figure.suptitle(
            textwrap.fill(title, _title_characters(figure, labels)) or " ",
            x=0.012,
            ha="left",
            fontsize=10.5,
            fontweight="bold",
            color=INK,
        )
    if labels:
        style = {"boxstyle": "square,pad=0.35", "facecolor": "#FFF4E0", "edgecolor": VERMILLION, "lw": 0.8}
        figure.text(
            0.988,
            0.985,
            labels,
            ha="right",
            va="top",
            fontsize=7.5,
            fontweight="bold",
            color="#8A3B00",
            bbox=style,
        )
    characters = int(figure.get_figwidth() * 72 / (8 * 0.53))
    figure.caption_text = figure.supxlabel(
        textwrap.fill(caption, characters), x=0.012, ha="left", fontsize=8, color="#444444"
    )
    return figure


def _title_characters(figure: Figure, labels: str) -> int:
    room = figure.get_figwidth() - 0.3 - 0.075 * len(labels)  # inches beside the label
    return max(20, int(room / 0.085))


def stamp(*, synthetic: bool, ok: bool) -> str:
    """Label of a plot or table: simulated data, a fit that failed its checks, both or neither.

    Examples
    --------
    >>> stamp(synthetic=True, ok=True), stamp(synthetic=True, ok=False), stamp(synthetic=False, ok=True)
    ('SYNTHETIC DATA', 'FAILED CHECKS · SYNTHETIC DATA', '')
    """
    return " · ".join(
        text for text, shown in (("FAILED CHECKS", not ok), ("SYNTHETIC DATA", synthetic)) if shown
    )


def mark(ax: Axes, *, synthetic: bool, ok: bool) -> None:
    """Label axes that belong to somebody else's figure, inside their frame."""
    text = stamp(synthetic=synthetic, ok=ok)
    if text:
        ax.text(0.99, 0.98, text, transform=ax.transAxes, ha="right", va="top", fontsize=7, color="#8A3B00")


def zero_line(ax: Axes, *, front: bool = False) -> None:
    """A thin line at no effect."""
    ax.axvline(0, color=FAINT, lw=0.8, ls=(0, (2, 2)), zorder=5 if front else 0)

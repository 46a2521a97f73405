"""Plots of how alike arms are, and of an effect among all the effects that chance could have made."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hitlbayes.design.randomization import RandomizationTest
from hitlbayes.errors import SpecError
from hitlbayes.report import canvas
from hitlbayes.report.wording import number, outcome_label

SMALL = 0.1  # a customary bound of standardised differences (Austin 2009, doi:10.1002/sim.3697)
SETS = ((canvas.BLUE, "o", canvas.BLUE), (canvas.ORANGE, "s", "white"), (canvas.GREEN, "^", "white"))


@canvas.styled
def plot_love(
    differences: Mapping[str, pd.Series] | pd.Series,
    *,
    small: float = SMALL,
    title: str = "Standardised differences between arms",
    synthetic: bool = False,
    ax: Axes | None = None,
) -> Figure:
    """Standardised difference of every variable (Love plot), for instance before and after matching.

    Parameters
    ----------
    differences : Series, or mapping of label to Series
        Standardised differences indexed by variable; up to three sets, for instance before and after.
    small : float
        A bound to be drawn.
    title : str
    synthetic : bool
    ax : Axes, optional

    Raises
    ------
    SpecError
        No variable, or more than three sets.
    """
    sets = {"": differences} if isinstance(differences, pd.Series) else dict(differences)
    if not sets or len(sets) > len(SETS) or any(len(values) == 0 for values in sets.values()):
        raise SpecError(f"{len(sets)} sets of differences.\n  expected: one to three, none of them empty.")
    order = list(dict.fromkeys(name for values in sets.values() for name in values.index))
    y = {name: -k for k, name in enumerate(order)}
    figure, axes = canvas.axes_for(ax, height=1.5 + 0.2 * len(order))
    canvas.zero_line(axes)
    for edge in (-small, small):
        axes.axvline(edge, color=canvas.FAINT, lw=0.7, ls=(0, (1, 2)), zorder=0)
    for (label, values), (colour, shape, fill) in zip(sets.items(), SETS, strict=False):
        at = [y[name] for name in values.index]
        axes.plot(values.to_numpy(float), at, shape, color=colour, mfc=fill, ms=5.5, label=label, zorder=3)
    axes.set_yticks(list(y.values()), [str(name).replace("_", " ") for name in order])
    axes.set_ylim(-len(order) + 0.4, 0.6)
    axes.set_xlabel("difference between arms (standard deviations)")
    if len(sets) > 1:
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=len(sets))
    if ax is not None:
        canvas.mark(axes, synthetic=synthetic, ok=True)
        return figure
    caption = love_caption(sets, small=small)
    return canvas.finish(figure, caption=caption, synthetic=synthetic, ok=True, title=title)


def love_caption(sets: Mapping[str, pd.Series], *, small: float = SMALL) -> str:
    """What a Love plot shows: how many variables differ by more than the bound, and which differs most.

    Examples
    --------
    >>> love_caption({"": pd.Series({"age": 0.2, "vip": -0.01})})
    'Dotted lines at ±0.1. Beyond them: 1 of 2 (most: age, 0.20).'
    """
    told = []
    for label, values in sets.items():
        size = values.abs()
        at = int(np.argmax(size.to_numpy()))
        lead = f"{label}: " if label else ""
        told.append(
            f"{lead}{int((size > small).sum())} of {len(size)} (most: "
            f"{str(values.index[at]).replace('_', ' ')}, {number(float(values.iloc[at]))})"
        )
    return f"Dotted lines at ±{small:g}. Beyond them: {'; '.join(told)}."


@canvas.styled
def plot_randomization(test: RandomizationTest, *, ax: Axes | None = None) -> Figure:
    """The statistic among those of other assignments of units.

    Parameters
    ----------
    test : RandomizationTest
    ax : Axes, optional
    """
    figure, axes = canvas.axes_for(ax, height=3.0)
    actual, others = test.reference[0], test.reference[1:]
    extreme = np.abs(others) >= abs(actual) * (1 - 1e-9)
    edges = np.histogram_bin_edges(test.reference, bins=50)
    parts, colours = [others[~extreme], others[extreme]], [canvas.SKY, canvas.ORANGE]
    axes.hist(parts, bins=edges.tolist(), stacked=True, color=colours, edgecolor="white", lw=0.3)
    axes.margins(y=0.14)
    axes.axvline(actual, color=canvas.VERMILLION, lw=1.8)
    axes.annotate(
        " actual",
        (actual, 1),
        xycoords=("data", "axes fraction"),
        va="top",
        fontsize=8,
        color=canvas.VERMILLION,
    )
    kind = {"studentized": "estimate over its clustered standard error", "coefficient": "estimate"}
    axes.set_xlabel(kind[test.statistic])
    axes.set_ylabel("assignments")
    if ax is not None:
        canvas.mark(axes, synthetic=test.synthetic, ok=True)
        return figure
    many = "all" if test.complete else "random"
    caption = (
        f"{test.permutations:,} {many} assignments of {test.units:,} units; p = {test.p_value:.3g} (orange: "
        f"as far from zero as the actual one). Effect {number(test.effect, places=4)}; not rejected at "
        f"{1 - test.level:.0%}: {number(test.lower, places=4)} to {number(test.upper, places=4)}."
    )
    title = f"Randomisation test: {outcome_label(test.outcome)}"
    return canvas.finish(figure, caption=caption, synthetic=test.synthetic, ok=True, title=title)

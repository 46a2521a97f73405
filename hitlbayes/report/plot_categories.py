"""Plot of what happens to the probability of each category of an ordinal outcome."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from hitlbayes.errors import SpecError
from hitlbayes.report import canvas
from hitlbayes.report.draws import draws_by, mean_interval
from hitlbayes.report.protocol import FitLike
from hitlbayes.report.wording import decimals, number, outcome_label, subject


@canvas.styled
def plot_categories(fit: FitLike, *, weight: str = "chat", ax: Axes | None = None) -> Figure:
    """Change in the probability of each category among the treated, with 95 % intervals.

    Parameters
    ----------
    fit : Fit
        Of an ordinal outcome: `effects()` holds `att_probability` (chain, draw, category).
    weight : {"chat", "cell"}
    ax : Axes, optional
        Drawn on these; the caption is then left to the caller, from `categories_caption`.

    Raises
    ------
    SpecError
        Where the outcome has no categories.
    """
    effects = fit.effects(weight=weight)
    if "att_probability" not in effects:
        raise SpecError(
            f"{fit.outcome} is {fit.family} and has no categories; plot_categories needs an ordinal outcome."
        )
    change = effects["att_probability"]
    means, lower, upper = mean_interval(draws_by(change, dim="category"))
    names = [str(name) for name in change["category"].to_numpy()]
    figure, axes = canvas.axes_for(ax, height=3.5)
    colours = [canvas.ORANGE if mean < 0 else canvas.SKY for mean in means]
    hatches = ["///" if mean < 0 else "" for mean in means]
    axes.bar(names, means, width=0.62, color=colours, hatch=hatches, edgecolor=canvas.INK, lw=0.7)
    axes.vlines(names, lower, upper, color=canvas.INK, lw=2)
    axes.axhline(0, color=canvas.INK, lw=0.8)
    axes.set_xlabel(outcome_label(fit.outcome))
    axes.set_ylabel("change in probability\n(percentage points)")
    ok = fit.check().ok
    if ax is not None:
        canvas.mark(axes, synthetic=fit.synthetic, ok=ok)
        return figure
    return canvas.finish(
        figure,
        caption=categories_caption(names, means=means, lower=lower, upper=upper),
        synthetic=fit.synthetic,
        ok=ok,
        title=f"Probability of each category: {subject(fit.outcome, scope=fit.scope, capital=False)}",
    )


def categories_caption(
    names: list[str], *, means: NDArray[np.float64], lower: NDArray[np.float64], upper: NDArray[np.float64]
) -> str:
    """What the plot of categories shows: the largest rise and the largest fall.

    Examples
    --------
    >>> m = np.array([4.0, -4.0])
    >>> categories_caption(["1", "2"], means=m, lower=m - 1, upper=m + 1)[:50]
    'Change in the probability of each category among t'
    """
    up, down = int(np.argmax(means)), int(np.argmin(means))
    places = decimals(float(np.mean(upper - lower)) / 4)

    def said(index: int) -> str:
        low, high = number(lower[index], places=places), number(upper[index], places=places)
        return f"category {names[index]}, {number(means[index], places=places)} (95% ETI {low} to {high})"

    return (
        "Change in the probability of each category among the treated, in percentage points; the changes "
        f"sum to zero. Largest rise: {said(up)}. Largest fall: {said(down)}."
    )

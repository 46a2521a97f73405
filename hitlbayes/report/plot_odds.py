"""Plot of the check of proportional odds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hitlbayes.report import canvas
from hitlbayes.report.wording import decimals, number, outcome_label, subject

if TYPE_CHECKING:
    from hitlbayes.studies.proportional_odds import ProportionalOdds


@canvas.styled
def plot_odds(found: ProportionalOdds, *, ax: Axes | None = None) -> Figure:
    """Effect on the log odds above each category, relaxed; the band is the ordinal model's single effect.

    Parameters
    ----------
    found : ProportionalOdds
    ax : Axes, optional
        Drawn on these; the caption is then left to the caller, from `odds_caption`.

    Returns
    -------
    Figure
        Its `caption` says what is seen.
    """
    fit, table = found.fit, found.summary()
    each = table.drop(index="all alike")
    single = table.to_dict("index")["all alike"]
    figure, axes = canvas.axes_for(ax, height=3.3)
    place = np.arange(len(each))
    axes.axhspan(single["lower"], single["upper"], color="#E9E9E9", lw=0, label="one effect for all, 95% ETI")
    axes.axhline(single["mean"], color=canvas.FAINT, lw=1)
    axes.axhline(0, color=canvas.FAINT, lw=0.8, ls=(0, (2, 2)), zorder=0)
    axes.vlines(place, each["lower"], each["upper"], color=canvas.BLUE, lw=2.2)
    axes.plot(place, each["mean"], "o", color=canvas.BLUE, ms=6.5, label="relaxed, mean and 95% ETI")
    axes.set_xticks(place, [str(name) for name in each.index])
    axes.set_xlim(-0.5, len(each) - 0.5)
    axes.set_xlabel(f"{outcome_label(fit.outcome)}")
    axes.set_ylabel("effect on the log odds")
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0.2)
    ok = fit.check().ok
    if ax is not None:
        canvas.mark(axes, synthetic=fit.synthetic, ok=ok)
        return figure
    return canvas.finish(
        figure,
        caption=odds_caption(found),
        synthetic=fit.synthetic,
        ok=ok,
        title=f"Proportional odds: {subject(fit.outcome, scope=fit.scope, capital=False)}",
    )


def odds_caption(found: ProportionalOdds) -> str:
    """What the plot shows, in its own numbers."""
    table = found.summary()
    each, single = table.drop(index="all alike"), float(table["mean"].to_dict()["all alike"])
    places = decimals(float(each["sd"].median()))
    low, high = (number(value, places=places) for value in (each["mean"].min(), each["mean"].max()))
    verdict = "Effects differ between cutpoints" if found.flagged else "No sign that effects differ"
    return (
        f"{verdict}: relaxed effects run from {low} to {high} on the log odds, the single one is "
        f"{number(single, places=places)}. Posterior probability outside of the contour through "
        f"equal effects {found.probability:.3f} (flagged below {found.level:g})."
    )

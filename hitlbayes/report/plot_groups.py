"""Plot of effects by group."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hitlbayes.report import canvas
from hitlbayes.report.marks import draw_mark, legend_marks
from hitlbayes.report.wording import decimals, number, outcome_label, subject

if TYPE_CHECKING:
    from hitlbayes.studies.heterogeneity import Heterogeneity


@canvas.styled
def plot_groups(found: Heterogeneity, *, ax: Axes | None = None) -> Figure:
    """Each group's effect with its 95 % interval, in the order of the groups.

    Parameters
    ----------
    found : Heterogeneity
    ax : Axes, optional
        Drawn on these; the caption is then left to the caller, from `groups_caption`.

    Returns
    -------
    Figure
        Its `caption` says what is seen.
    """
    fit, table = found.fit, found.summary()
    figure, axes = canvas.axes_for(ax, height=1.6 + 0.36 * len(table))
    canvas.zero_line(axes)
    for row, (_, told) in enumerate(table.iterrows()):
        draw_mark(axes, "mean", at=told["mean"], y=row, lower=told["lower"], upper=told["upper"])
    axes.set_yticks(np.arange(len(table)), [str(name) for name in table.index])
    axes.set_ylim(len(table) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.set_ylabel(found.by)
    axes.set_xlabel(f"effect on {outcome_label(fit.outcome)} ({fit.units})")
    axes.legend(handles=legend_marks(["mean"]), loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.2)
    ok = fit.check().ok
    if ax is not None:
        canvas.mark(axes, synthetic=fit.synthetic, ok=ok)
        return figure
    return canvas.finish(
        figure,
        caption=groups_caption(found),
        synthetic=fit.synthetic,
        ok=ok,
        title=f"Effect by {found.by}: {subject(fit.outcome, scope=fit.scope, capital=False)}",
    )


def groups_caption(found: Heterogeneity) -> str:
    """What the plot of groups shows, in its own numbers."""
    table = found.summary()
    places = decimals(float(table["sd"].median()))
    means = table["mean"].to_dict()
    high, low = max(means, key=lambda name: means[name]), min(means, key=lambda name: means[name])
    gap = found.contrasts(str(low)).sel(group=str(high))
    return (
        f"Posterior means and 95% ETIs of {len(table)} groups, partially pooled, each against its own "
        f"controls. Largest {high} ({number(means[high], places=places)}), smallest {low} "
        f"({number(means[low], places=places)}), in {found.fit.units}; the first exceeds the "
        f"second with probability {float((gap > 0).mean()):.2f}. Groups were not randomised."
    )

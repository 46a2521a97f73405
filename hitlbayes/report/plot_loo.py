"""Plot of leave-one-worker-out: k-hat of every worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hitlbayes.diagnostics import K_HAT_LIMIT
from hitlbayes.report import canvas
from hitlbayes.report.wording import number

if TYPE_CHECKING:
    from hitlbayes.studies.leave_one_out import LeaveOneOut

NAMED = 5  # of the workers above the limit


@canvas.styled
def plot_loo(found: LeaveOneOut, *, ax: Axes | None = None) -> Figure:
    """k-hat of every worker against its expected log density per observation.

    Parameters
    ----------
    found : LeaveOneOut
    ax : Axes, optional
        Drawn on these; the caption is then left to the caller, from `loo_caption`.

    Returns
    -------
    Figure
        Its `caption` says what is seen.
    """
    table = found.by_worker
    figure, axes = canvas.axes_for(ax, height=3.4)
    each = (table["elpd"] / table["n"]).to_numpy()
    k, bad = table["k_hat"].to_numpy(), (table["k_hat"] > K_HAT_LIMIT).to_numpy()
    axes.axhline(K_HAT_LIMIT, color=canvas.VERMILLION, lw=1, ls=(0, (5, 2)))
    for chosen, colour, shape in ((~bad, canvas.BLUE, "o"), (bad, canvas.VERMILLION, "D")):
        axes.plot(each[chosen], k[chosen], shape, color=colour, ms=3.5, alpha=0.75)
    for i in np.flatnonzero(bad)[np.argsort(-k[bad])][:NAMED]:
        axes.annotate(
            f" {table.index[i]}", (each[i], k[i]), fontsize=7.5, va="center", color=canvas.VERMILLION
        )
    axes.set_xlabel("expected log predictive density per observation")
    axes.set_ylabel("Pareto k-hat")
    axes.set_ylim(min(-0.2, k.min() - 0.05), max(0.8, k.max() + 0.05))
    if ax is not None:
        canvas.mark(axes, synthetic=found.synthetic, ok=not len(found.bad))
        return figure
    return canvas.finish(
        figure,
        caption=loo_caption(found),
        synthetic=found.synthetic,
        ok=True,
        title=f"Leave one worker out: {found.name.replace('_', ' ')}",
    )


def loo_caption(found: LeaveOneOut) -> str:
    """What the plot shows, in its own numbers."""
    table = found.by_worker
    told = (
        "all can be trusted"
        if not len(found.bad)
        else f"{len(found.bad)} lie above it: refit without those workers before using the sum"
    )
    return (
        f"{len(table):,} {table.index.name}s, each left out with its own effects integrated. elpd "
        f"{number(found.elpd, places=1)} (SE {number(found.se, places=1)}), effective "
        f"parameters {found.p_loo:.1f}. Largest k-hat {table['k_hat'].max():.2f}; dashed, "
        f"the limit {K_HAT_LIMIT}: {told}."
    )

"""Plot of a posterior predictive check."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hitlbayes.report import canvas

if TYPE_CHECKING:
    from hitlbayes.studies.posterior import PosteriorPredictive

Z_LIMIT = 6.0  # replicated SDs; what lies beyond is drawn at the edge


@canvas.styled
def plot_posterior(found: PosteriorPredictive, *, ax: Axes | None = None) -> Figure:
    """Every observed statistic in SDs of its replicates about their mean; the bars are their 95 % intervals.

    Parameters
    ----------
    found : PosteriorPredictive
    ax : Axes, optional
        Drawn on these; the caption is then left to the caller, from `posterior_caption`.

    Returns
    -------
    Figure
        Its `caption` says what is seen.
    """
    table = found.summary()
    spread = found.replicated.std().to_numpy()
    known = np.isfinite(table["observed"].to_numpy()) & (spread > 0)
    table, spread = table[known], spread[known]
    figure, axes = canvas.axes_for(ax, height=1.3 + 0.19 * len(table))
    rows = np.arange(len(table))
    low, high, at = ((table[c] - table["replicated"]) / spread for c in ("lower", "upper", "observed"))
    far = table.index.isin(found.extreme.index)
    axes.axvline(0, color=canvas.FAINT, lw=0.8, ls=(0, (2, 2)))
    axes.hlines(rows, low, high, color=canvas.SKY, lw=5, alpha=0.7, label="replicated, 95% interval")
    edge = np.clip(at.to_numpy(), -Z_LIMIT, Z_LIMIT)
    axes.plot(edge[~far], rows[~far], "o", color=canvas.INK, ms=4.5, label="observed")
    axes.plot(edge[far], rows[far], "D", color=canvas.VERMILLION, ms=5, label="observed, extreme")
    axes.set_yticks(rows, [f"{group}: {name}" for group, name in table.index], fontsize=7.5)
    axes.set_ylim(len(table) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("SDs of the replicates from their mean")
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=3, borderaxespad=0.2)
    axes.set_xlim(-max(3.5, *np.abs(edge)) - 0.3, max(3.5, *np.abs(edge)) + 0.3)
    if ax is not None:
        canvas.mark(axes, synthetic=found.synthetic, ok=True)
        return figure
    return canvas.finish(
        figure,
        caption=posterior_caption(found),
        synthetic=found.synthetic,
        ok=True,
        title=f"Posterior predictive check: {found.name.replace('_', ' ')}",
    )


def posterior_caption(found: PosteriorPredictive) -> str:
    """What the plot shows, in its own numbers."""
    extreme = found.extreme
    few = len(found.replicated) < 200
    told = (
        ("too few replicates to call any extreme" if few else "none is extreme")
        if extreme.empty
        else "extreme (two-sided p below .01): " + "; ".join(f"{g}, {s}" for g, s in extreme.index)
    )
    kept = "drawn anew from their population" if found.units == "new" else "kept"
    return (
        f"{len(found.observed)} statistics of the data and of {len(found.replicated)} replicated data sets, "
        f"units' effects {kept}, shocks drawn anew; {told}."
    )

"""Plot of every treated unit's own effect."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from hitlbayes.report import canvas
from hitlbayes.report.draws import draws_by, mean_interval
from hitlbayes.report.protocol import FitLike
from hitlbayes.report.wording import decimals, number, outcome_label, subject

LABELLED = 40  # more units than this get no names on the axis


@canvas.styled
def plot_workers(fit: FitLike, *, ax: Axes | None = None) -> Figure:
    """Every treated unit's own effect with its 95 % interval, sorted by posterior mean.

    Parameters
    ----------
    fit : Fit
        `worker_effects()` has dims (chain, draw, unit).
    ax : Axes, optional
        Drawn on these; the caption is then left to the caller, from `workers_caption`.

    Returns
    -------
    Figure
        Its `caption` gives the range and how many intervals exclude zero.
    """
    effects = fit.worker_effects()
    means, lower, upper = mean_interval(draws_by(effects, dim="unit"))
    order = np.argsort(means, kind="stable")
    means, lower, upper = means[order], lower[order], upper[order]
    units = str(effects.attrs.get("units", fit.units))
    kind = str(effects.attrs.get("unit", "unit"))
    few = len(means) <= LABELLED
    figure, axes = canvas.axes_for(ax, height=1.5 + 0.2 * len(means) if few else 4.6)
    clear = (lower > 0) | (upper < 0)
    position = np.arange(len(means))
    for chosen, colour in ((~clear, canvas.FAINT), (clear, canvas.BLUE)):
        axes.hlines(
            position[chosen], lower[chosen], upper[chosen], color=colour, lw=1.6 if few else 0.8, alpha=0.75
        )
    axes.plot(means, position, "o", color=canvas.INK, ms=4 if few else 1.8, zorder=3)
    canvas.zero_line(axes, front=True)
    axes.set_xlabel(f"effect on {outcome_label(fit.outcome)} ({units})")
    _name_rows(axes, effects["unit"].to_numpy()[order], few=few, kind=kind)
    ok = fit.check().ok
    if ax is not None:
        canvas.mark(axes, synthetic=fit.synthetic, ok=ok)
        return figure
    return canvas.finish(
        figure,
        caption=workers_caption(means, lower=lower, upper=upper, units=units, kind=kind),
        synthetic=fit.synthetic,
        ok=ok,
        title=f"Each {kind}'s own effect: {subject(fit.outcome, scope=fit.scope, capital=False)}",
    )


def workers_caption(
    means: NDArray[np.float64],
    *,
    lower: NDArray[np.float64],
    upper: NDArray[np.float64],
    units: str,
    kind: str = "unit",
) -> str:
    """What a caterpillar shows.

    Parameters
    ----------
    means, lower, upper : array, shape (units,)
        Posterior means, sorted, and 95 % intervals.
    units, kind : str
        Units of the effect; what a unit is called, in the singular.

    Examples
    --------
    >>> ends = np.array([-1.0, 0.2, 1.0])
    >>> workers_caption(ends + 0.5, lower=ends, upper=ends + 1, units="rating points")[:64]
    'Effects of 3 units, partially pooled, sorted. Posterior means ru'
    """
    places = decimals(float(np.std(means)) or float(np.mean(upper - lower)) / 4)
    low, middle, high = (
        number(value, places=places) for value in (means.min(), np.median(means), means.max())
    )
    above, below = int((lower > 0).sum()), int((upper < 0).sum())
    return (
        f"Effects of {len(means):,} {kind}s, partially pooled, sorted. Posterior means run from {low} "
        f"to {high} {units} (median {middle}). {above + below:,} intervals (95% ETI, blue) exclude zero: "
        f"{above:,} above, {below:,} below; intervals are for one {kind} at a time."
    )


def _name_rows(ax: Axes, names: NDArray, *, few: bool, kind: str) -> None:
    ax.spines["left"].set_visible(False)
    ax.tick_params(axis="y", length=0)
    if few:
        ax.set_yticks(np.arange(len(names)), [str(name) for name in names])
    else:
        ax.set_yticks([])
        ax.set_ylabel(f"{len(names):,} {kind}s, sorted")

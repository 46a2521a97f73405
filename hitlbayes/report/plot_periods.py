"""Plot of the effects of days, weeks or whatever the periods are."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from numpy.typing import NDArray

from hitlbayes.report import canvas
from hitlbayes.report.draws import draws_by, mean_interval
from hitlbayes.report.protocol import FitLike
from hitlbayes.report.wording import decimals, number, subject


@canvas.styled
def plot_periods(fit: FitLike, *, ax: Axes | None = None) -> Figure:
    """Effect of each period on everybody, with its 95 % interval, on the scale of the model.

    Parameters
    ----------
    fit : Fit
        `period_effects()` has dims (chain, draw, period).
    ax : Axes, optional
        Drawn on these; the caption is then left to the caller, from `periods_caption`.

    Returns
    -------
    Figure
        Its `caption` names the highest and the lowest period.
    """
    effects = fit.period_effects()
    means, lower, upper = mean_interval(draws_by(effects, dim="period"))
    periods = effects["period"].to_numpy()
    units = str(effects.attrs.get("units", "link scale"))
    kind = str(effects.attrs.get("period", "period"))
    figure, axes = canvas.axes_for(ax, height=3.3)
    axes.axhline(0, color=canvas.FAINT, lw=0.8, ls=(0, (2, 2)), zorder=0)
    axes.vlines(periods, lower, upper, color=canvas.BLUE, lw=1.6)
    axes.plot(periods, means, "o-", color=canvas.BLUE, mfc="white", ms=4, lw=0.6)
    _mark_start(axes, effects)
    if np.issubdtype(periods.dtype, np.datetime64):
        locator = AutoDateLocator(minticks=4, maxticks=10)
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    axes.set_xlabel(kind)
    axes.set_ylabel(f"{kind} effect ({units})")
    ok = fit.check().ok
    if ax is not None:
        canvas.mark(axes, synthetic=fit.synthetic, ok=ok)
        return figure
    return canvas.finish(
        figure,
        caption=periods_caption(
            means, lower=lower, upper=upper, names=period_names(periods), units=units, kind=kind
        ),
        synthetic=fit.synthetic,
        ok=ok,
        title=f"{kind.capitalize()} effects: {subject(fit.outcome, scope=fit.scope, capital=False)}",
    )


def periods_caption(
    means: NDArray[np.float64],
    *,
    lower: NDArray[np.float64],
    upper: NDArray[np.float64],
    names: list[str],
    units: str,
    kind: str = "period",
) -> str:
    """What the plot of periods shows: extremes and spread.

    Examples
    --------
    >>> z = np.array([-1.0, 0.0, 2.0])
    >>> periods_caption(z, lower=z - 0.1, upper=z + 0.1, names=["a", "b", "c"], units="logit")[:70]
    'Posterior means and 95% ETIs of 3 periods. Highest c (2.0), lowest a ('
    """
    places = decimals(float(np.std(means)))
    high, low = int(np.argmax(means)), int(np.argmin(means))
    away = int(((lower > 0) | (upper < 0)).sum())
    return (
        f"Posterior means and 95% ETIs of {len(means)} {kind}s. Highest {names[high]} "
        f"({number(means[high], places=places)}), lowest {names[low]} ({number(means[low], places=places)}), "
        f"in {units}; {away} intervals exclude zero."
    )


def period_names(periods: NDArray) -> list[str]:
    """Periods as text: dates without a needless midnight.

    Examples
    --------
    >>> period_names(np.array(["2024-08-15"], dtype="datetime64[ns]")), period_names(np.array([3]))
    (['2024-08-15'], ['3'])
    """
    if not np.issubdtype(periods.dtype, np.datetime64):
        return [str(period) for period in periods]
    daily = bool((periods == periods.astype("datetime64[D]")).all())
    return [str(period) for period in periods.astype("datetime64[D]" if daily else "datetime64[m]")]


def _mark_start(ax: Axes, effects: xr.DataArray) -> None:
    start = effects.attrs.get("start")
    if start is None:
        return
    periods = effects["period"].to_numpy()
    if np.issubdtype(periods.dtype, np.datetime64):
        start = np.datetime64(start).astype(periods.dtype)
    before = periods[periods < start]
    if before.size:  # half-way between the last period without and the first with treatment
        start = before.max() + (start - before.max()) / 2
    ax.axvline(start, color=canvas.VERMILLION, lw=1, ls=(0, (5, 2)))
    ax.annotate(
        " start of treatment",
        (start, 1),
        xycoords=("data", "axes fraction"),
        va="top",
        fontsize=7.5,
        color=canvas.VERMILLION,
    )

"""Plots of what varies beneath the average: units' own effects, period effects, probability of each category."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from numpy.typing import NDArray

from hitlbayes.errors import SpecError
from hitlbayes.report import canvas
from hitlbayes.report.protocol import FitLike
from hitlbayes.report.wording import decimals, draws_of, number, outcome_label, subject

LABELLED = 40  # more units than this get no names on the axis


@canvas.styled
def plot_workers(fit: FitLike) -> Figure:
    """Every treated unit's own effect with its 95 % interval, sorted by posterior mean.

    Parameters
    ----------
    fit : Fit
        `worker_effects()` has dims (chain, draw, unit).

    Returns
    -------
    Figure
        Its `caption` gives the range and how many intervals exclude zero.
    """
    effects = fit.worker_effects()
    draws = _by(effects, "unit")
    means, lower, upper = _summaries(draws)
    order = np.argsort(means, kind="stable")
    means, lower, upper = means[order], lower[order], upper[order]
    units = str(effects.attrs.get("units", fit.units))
    kind = _kind(effects, "unit", default="unit")
    few = len(means) <= LABELLED
    figure = canvas.sheet(height=1.5 + 0.2 * len(means) if few else 4.6)
    ax = figure.add_subplot()
    clear = (lower > 0) | (upper < 0)
    position = np.arange(len(means))
    for chosen, colour in ((~clear, canvas.FAINT), (clear, canvas.BLUE)):
        ax.hlines(position[chosen], lower[chosen], upper[chosen], color=colour, lw=1.6 if few else 0.8, alpha=0.75)
    ax.plot(means, position, "o", color=canvas.INK, ms=4 if few else 1.8, zorder=3)
    canvas.zero_line(ax, front=True)
    ax.set_xlabel(f"effect on {outcome_label(fit.outcome)} ({units})")
    _name_rows(ax, effects["unit"].to_numpy()[order], few=few, kind=kind)
    return canvas.finish(
        figure,
        caption=workers_caption(means, lower=lower, upper=upper, units=units, kind=kind),
        synthetic=fit.synthetic,
        ok=fit.check().ok,
        title=f"Each {kind}'s own effect: {_lower_first(subject(fit.outcome, scope=fit.scope))}",
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
    low, middle, high = (number(value, places=places) for value in (means.min(), np.median(means), means.max()))
    above, below = int((lower > 0).sum()), int((upper < 0).sum())
    return (
        f"Effects of {len(means):,} {kind}s, partially pooled, sorted. Posterior means run from {low} to {high} "
        f"{units} (median {middle}). {above + below:,} intervals (95% ETI, blue) exclude zero: {above:,} above, "
        f"{below:,} below; intervals are for one {kind} at a time."
    )


@canvas.styled
def plot_periods(fit: FitLike) -> Figure:
    """Effect of each period on everybody, with its 95 % interval, on the scale of the model.

    Parameters
    ----------
    fit : Fit
        `period_effects()` has dims (chain, draw, period).

    Returns
    -------
    Figure
        Its `caption` names the highest and the lowest period.
    """
    effects = fit.period_effects()
    means, lower, upper = _summaries(_by(effects, "period"))
    periods = effects["period"].to_numpy()
    units = str(effects.attrs.get("units", "link scale"))
    kind = _kind(effects, "period", default="period")
    figure = canvas.sheet(height=3.3)
    ax = figure.add_subplot()
    ax.axhline(0, color=canvas.FAINT, lw=0.8, ls=(0, (2, 2)), zorder=0)
    ax.vlines(periods, lower, upper, color=canvas.BLUE, lw=1.6)
    ax.plot(periods, means, "o-", color=canvas.BLUE, mfc="white", ms=4, lw=0.6)
    _mark_start(ax, effects)
    if np.issubdtype(periods.dtype, np.datetime64):
        locator = AutoDateLocator(minticks=4, maxticks=10)
        ax.xaxis.set_major_locator(locator)
        ax.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    ax.set_xlabel(kind)
    ax.set_ylabel(f"{kind} effect ({units})")
    return canvas.finish(
        figure,
        caption=periods_caption(means, lower=lower, upper=upper, names=period_names(periods), units=units, kind=kind),
        synthetic=fit.synthetic,
        ok=fit.check().ok,
        title=f"{kind.capitalize()} effects: {_lower_first(subject(fit.outcome, scope=fit.scope))}",
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
    'Posterior means and 95% ETIs of 3 periods. Highest c (2.00), lowest a '
    """
    places = decimals(float(np.std(means)))
    high, low = int(np.argmax(means)), int(np.argmin(means))
    away = int(((lower > 0) | (upper < 0)).sum())
    return (
        f"Posterior means and 95% ETIs of {len(means)} {kind}s. Highest {names[high]} "
        f"({number(means[high], places=places)}), lowest {names[low]} ({number(means[low], places=places)}), "
        f"in {units}; {away} intervals exclude zero."
    )


@canvas.styled
def plot_categories(fit: FitLike, *, weight: str = "chat") -> Figure:
    """Change in the probability of each category among the treated, with 95 % intervals.

    Parameters
    ----------
    fit : Fit
        Of an ordinal outcome: `effects()` holds `att_probability` (chain, draw, category).
    weight : {"chat", "cell"}

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
    means, lower, upper = _summaries(_by(change, "category"))
    names = [str(name) for name in change["category"].to_numpy()]
    figure = canvas.sheet(height=3.5)
    ax = figure.add_subplot()
    colours = [canvas.ORANGE if mean < 0 else canvas.SKY for mean in means]
    hatches = ["///" if mean < 0 else "" for mean in means]
    ax.bar(names, means, width=0.62, color=colours, hatch=hatches, edgecolor=canvas.INK, lw=0.7)
    ax.vlines(names, lower, upper, color=canvas.INK, lw=2)
    ax.axhline(0, color=canvas.INK, lw=0.8)
    ax.set_xlabel(outcome_label(fit.outcome))
    ax.set_ylabel("change in probability\n(percentage points)")
    return canvas.finish(
        figure,
        caption=categories_caption(names, means=means, lower=lower, upper=upper),
        synthetic=fit.synthetic,
        ok=fit.check().ok,
        title=f"Probability of each category: {_lower_first(subject(fit.outcome, scope=fit.scope))}",
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
        "Change in the probability of each category among the treated, in percentage points; the changes sum to "
        f"zero. Largest rise: {said(up)}. Largest fall: {said(down)}."
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


def _by(array: xr.DataArray, dim: str) -> NDArray[np.float64]:
    """Draws with shape (draws, dim)."""
    stacked = array.transpose("chain", "draw", dim).to_numpy()
    draws_of(stacked, what=str(array.name or dim))
    return stacked.reshape(-1, stacked.shape[-1])


def _summaries(draws: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    lower, upper = np.quantile(draws, [0.025, 0.975], axis=0)
    return draws.mean(axis=0), lower, upper


def _kind(array: xr.DataArray, dim: str, *, default: str) -> str:
    return str(array.attrs.get(dim, default))


def _lower_first(text: str) -> str:
    return text if text[:2].isupper() else text[:1].lower() + text[1:]


def _name_rows(ax: Axes, names: NDArray, *, few: bool, kind: str) -> None:
    ax.spines["left"].set_visible(False)
    ax.tick_params(axis="y", length=0)
    if few:
        ax.set_yticks(np.arange(len(names)), [str(name) for name in names])
    else:
        ax.set_yticks([])
        ax.set_ylabel(f"{len(names):,} {kind}s, sorted")


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

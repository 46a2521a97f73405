"""Plot of an event study: the effect by period relative to the start."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from hitlbayes.report import canvas
from hitlbayes.report.draws import draws_by, mean_interval
from hitlbayes.report.marks import MARKS
from hitlbayes.report.rows import in_units
from hitlbayes.report.wording import decimals, number, outcome_label, subject

if TYPE_CHECKING:
    from hitlbayes.studies.event_result import EventStudy

ASIDE = 0.22  # of a period: the twin stands beside the posterior
Z = 1.959964  # 95 % interval of the twin


@canvas.styled
def plot_event(
    study: EventStudy, *, twin: bool = True, size: float | None = None, ax: Axes | None = None
) -> Figure:
    """Effect by period relative to the start: posterior mean and 95 % interval, the reference at zero.

    Parameters
    ----------
    study : EventStudy
    twin : bool
        Draw least squares on unit-period means, clustered by unit, beside each effect.
    size : float, optional
        A difference that would matter, in the units of the effects: shaded on both sides of zero before the
        start, its joint posterior probability in the caption.
    ax : Axes, optional
        Drawn on these; the caption is then left to the caller, from `event_caption`.

    Returns
    -------
    Figure
        Its `caption` says what is seen.
    """
    fit, draws = study.fit, study.effects()
    at = draws["relative"].to_numpy()
    mean, lower, upper = mean_interval(draws_by(draws, dim="relative"))
    figure, axes = canvas.axes_for(ax, height=3.6)
    if size is not None and (at < 0).any():
        axes.fill_between([at.min() - 0.5, -0.5], -size, size, color="#E9E9E9", lw=0, zorder=0)
    axes.axhline(0, color=canvas.FAINT, lw=0.8, ls=(0, (2, 2)), zorder=0)
    axes.axvline(-0.5, color=canvas.VERMILLION, lw=1, ls=(0, (5, 2)))
    shift = ASIDE if twin else 0.0
    if twin:
        _draw_twin(axes, study, at)
    axes.vlines(at - shift / 2, lower, upper, color=canvas.BLUE, lw=2.2 if len(at) <= 20 else 1.4, zorder=3)
    axes.plot(at - shift / 2, mean, "o", color=canvas.BLUE, ms=5.5 if len(at) <= 20 else 3.5, zorder=4)
    axes.plot([study.reference], [0], "o", color=canvas.INK, mfc="white", ms=5.5, zorder=4)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    period = str(fit.spec.get("words", {}).get("period", "period"))
    axes.set_xlabel(f"{period}s since the start of treatment")
    axes.set_ylabel(f"effect on {outcome_label(fit.outcome)}\n({fit.units})")
    axes.legend(handles=_legend(twin), loc="lower left", bbox_to_anchor=(0, 1), ncols=3, borderaxespad=0.2)
    axes.annotate(
        " start of treatment",
        (-0.5, 1),
        xycoords=("data", "axes fraction"),
        va="top",
        fontsize=7.5,
        color=canvas.VERMILLION,
    )
    ok = fit.check().ok
    if ax is not None:
        canvas.mark(axes, synthetic=fit.synthetic, ok=ok)
        return figure
    return canvas.finish(
        figure,
        caption=event_caption(study, mean, lower=lower, upper=upper, size=size),
        synthetic=fit.synthetic,
        ok=ok,
        title=f"Event study: {subject(fit.outcome, scope=fit.scope, capital=False)}",
    )


def event_caption(
    study: EventStudy,
    mean: NDArray[np.float64],
    *,
    lower: NDArray[np.float64],
    upper: NDArray[np.float64],
    size: float | None = None,
) -> str:
    """What the plot of an event study shows, in its own numbers."""
    at = study.effects()["relative"].to_numpy()
    after, clear = at >= 0, (lower > 0) | (upper < 0)
    places = decimals(float(np.mean(upper - lower)) / 4)
    low, high = (number(value, places=places) for value in (mean[after].min(), mean[after].max()))
    text = (
        f"Posterior means and 95% ETIs; zero by definition at {study.reference:+d}. After the start means "
        f"run from {low} to {high} {study.fit.units} and {int(clear[after].sum())} of {int(after.sum())} "
        "intervals exclude zero"
    )
    if after.all():
        return f"{text}; periods before the start count as untreated."
    text += f"; before it {int(clear[~after].sum())} of {int((~after).sum())}."
    if size is None:
        return text
    told = study.pretrend(size)
    return (
        f"{text} P(some difference before the start exceeds {size:.3g}, grey) = {told.probability:.2f}; all "
        f"are below {number(told.bound, places=places)} with probability .95."
    )


def _draw_twin(axes: Axes, study: EventStudy, at: NDArray) -> None:
    table, units = study.frequentist(), study.fit.units
    for x, (estimate, se) in zip(at, table.to_numpy(), strict=True):
        if not np.isfinite(estimate) or not np.isfinite(se):
            continue
        low, middle, high = (in_units(estimate + k * Z * se, units=units) for k in (-1, 0, 1))
        axes.plot([x + ASIDE / 2] * 2, [low, high], color=canvas.INK, lw=1, zorder=2)
        axes.plot([x + ASIDE / 2], [middle], "s", color=canvas.INK, mfc="white", ms=4, mew=1, zorder=2.5)


def _legend(twin: bool) -> list[Line2D]:
    made = [Line2D([], [], marker="o", color=canvas.BLUE, lw=2.2, ms=5.5, label=MARKS["mean"].label)]
    if twin:
        made.append(
            Line2D([], [], marker="s", color=canvas.INK, mfc="white", ms=4, lw=1, label=MARKS["twin"].label)
        )
    made.append(Line2D([], [], marker="o", color=canvas.INK, mfc="white", ms=5.5, lw=0, label="reference"))
    return made

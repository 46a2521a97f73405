"""Plots of average effects: one fit's posterior, and many effects in a forest."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.stats import gaussian_kde

from hitlbayes.errors import SpecError
from hitlbayes.report import canvas
from hitlbayes.report.draws import draws_of, sign_phrase
from hitlbayes.report.marks import ENDS, MARKS, draw_mark, legend_marks
from hitlbayes.report.protocol import FitLike
from hitlbayes.report.rows import EffectRow, checked, effect_row
from hitlbayes.report.wording import decimals, number, outcome_label

BELOW = {"twin": -0.24, "published": -0.46}  # heights under the density, whose peak is at 1
OFFSETS = {"mean": 0.0, "twin": 0.25, "published": 0.46}  # a forest's rows are 1 apart


@canvas.styled
def plot_effect(
    fit: FitLike,
    *,
    truth: float | None = None,
    published: tuple[float, float] | None = None,
    weight: str = "chat",
    ax: Axes | None = None,
) -> Figure:
    """Posterior density of the average effect on the treated, with its frequentist twin beneath it.

    Parameters
    ----------
    fit : Fit
    truth : float, optional
        The simulated effect in `fit.units`; only for synthetic data.
    published : (float, float), optional
        Estimate and standard error as printed (log points for durations, proportions for rates).
    weight : {"chat", "cell"}
        What the effect is averaged over.
    ax : Axes, optional
        Drawn on these; the caption is then left to the caller, from `effect_caption`.

    Returns
    -------
    Figure
        Its `caption` says what is seen.
    """
    row = effect_row(fit, truth=truth, published=published, weight=weight)
    draws = draws_of(fit.effects(weight=weight)["att"], what=f"the effect on {fit.outcome}")
    figure, axes = canvas.axes_for(ax, height=3.6)
    _density(axes, draws)
    draw_mark(axes, "mean", at=row.mean, y=0, lower=row.lower, upper=row.upper)
    shown = {"posterior": 0.0}
    for name, y in BELOW.items():
        if np.isfinite(getattr(row, name)):
            lower, upper = (getattr(row, end) for end in ENDS[name])
            draw_mark(axes, name, at=getattr(row, name), y=y, lower=lower, upper=upper)
            shown[MARKS[name].short] = y
    if np.isfinite(row.truth):
        places = decimals(row.sd)
        label = f"truth {number(row.truth, places=places)}"
        axes.axvline(row.truth, color=canvas.VERMILLION, lw=1.6, ls=(0, (5, 2)), label=label)
        axes.legend(loc="upper left", borderaxespad=0.2)
    _label_effect(axes, row, shown=shown)
    if ax is not None:
        canvas.mark(axes, synthetic=row.synthetic, ok=row.ok)
        return figure
    return canvas.finish(
        figure,
        caption=effect_caption(row, draws=draws),
        synthetic=row.synthetic,
        ok=row.ok,
        title=f"Effect on {row.label[:1].lower()}{row.label[1:]}",
    )


def effect_caption(row: EffectRow, *, draws: NDArray[np.float64]) -> str:
    """What the plot of one effect shows, in its own numbers.

    Parameters
    ----------
    row : EffectRow
    draws : array, shape (draws,)
        The effect in `row.units`.
    """
    places = decimals(row.sd)

    def span(value: float, lower: float, upper: float) -> str:
        low, high = number(lower, places=places), number(upper, places=places)
        return f"{number(value, places=places)} (95% {{}} {low} to {high})"

    text = [
        f"Average effect on the treated, in {row.units}, weighted by {row.weight}. Posterior mean "
        f"{span(row.mean, row.lower, row.upper).format('ETI')}; {sign_phrase(draws)}."
    ]
    if np.isfinite(row.twin):
        text.append(f"Two-way fixed effects: {span(row.twin, row.twin_lower, row.twin_upper).format('CI')}.")
    if np.isfinite(row.published):
        interval = span(row.published, row.published_lower, row.published_upper).format("CI")
        text.append(f"Published: {interval}.")
    if np.isfinite(row.truth):
        verb = "contains" if row.lower <= row.truth <= row.upper else "misses"
        text.append(f"The posterior interval {verb} the simulated truth, {number(row.truth, places=places)}.")
    return " ".join(text)


@canvas.styled
def plot_effects(rows: pd.DataFrame, *, ax: Axes | None = None) -> Figure:
    """Forest of average effects on the treated: posterior, frequentist twin, published estimate and truth.

    Parameters
    ----------
    rows : DataFrame
        From `compare`. Effects in different units get panels of their own, since they share no axis.
    ax : Axes, optional
        Effects in one unit are drawn on these; the caption is then left to the caller, from
        `effects_caption`.

    Returns
    -------
    Figure
        Its `caption` counts the intervals that exclude zero and that contain the truth.

    Raises
    ------
    SpecError
        Effects in several units on one `ax`.
    """
    rows = checked(rows)
    panels = list(rows.groupby("units", sort=False))
    if ax is not None:
        return _on_axes(ax, rows, panels=panels)
    heights = [len(part) + 0.6 for _, part in panels]
    figure = canvas.sheet(height=1.7 + 0.62 * sum(heights))
    # The first, empty row is the legend's: a figure's legend and its title would share one margin.
    grid = figure.add_gridspec(len(panels) + 1, 1, height_ratios=[0.3, *heights])
    figure.add_subplot(grid[0]).set_axis_off()
    for position, (units, part) in enumerate(panels, start=1):
        _forest_panel(figure.add_subplot(grid[position]), part, units=units)
    names = [name for name in MARKS if np.isfinite(rows[name]).any()]
    below_title = (0.005, 1 - 0.3 / figure.get_figheight())
    handles = legend_marks(names)
    figure.legend(handles=handles, loc="upper left", bbox_to_anchor=below_title, ncols=4, columnspacing=1.2)
    failed = bool((~rows["ok"]).any())
    return canvas.finish(
        figure,
        caption=effects_caption(rows),
        synthetic=bool(rows["synthetic"].any()),
        ok=not failed,
        title="Average effects on the treated",
    )


def effects_caption(rows: pd.DataFrame) -> str:
    """What a forest shows: how many effects differ from zero, agree with their twins, contain the truth."""
    excludes = int(((rows["lower"] > 0) | (rows["upper"] < 0)).sum())
    text = [f"{excludes} of {len(rows)} posterior intervals (95% ETI) exclude zero."]
    twins = rows[np.isfinite(rows["twin"])]
    if len(twins):
        inside = int(twins["twin"].between(twins["lower"], twins["upper"]).sum())
        text.append(f"{inside} of {len(twins)} frequentist estimates lie inside the posterior interval.")
    published = rows[np.isfinite(rows["published"])]
    if len(published):
        inside = int(published["published"].between(published["lower"], published["upper"]).sum())
        text.append(f"{inside} of {len(published)} published estimates lie inside the posterior interval.")
    known = rows[np.isfinite(rows["truth"])]
    if len(known):
        inside = int(known["truth"].between(known["lower"], known["upper"]).sum())
        text.append(f"{inside} of {len(known)} posterior intervals contain the simulated truth.")
    failed = rows.loc[~rows["ok"], "label"].tolist()
    if failed:
        text.append(f"Failed their checks, not to be relied on (marked with a cross): {'; '.join(failed)}.")
    return " ".join(text)


def _density(ax: Axes, draws: NDArray[np.float64]) -> None:
    if np.ptp(draws) == 0:  # a density needs spread; a single draw or a constant has none
        return
    low, high = np.quantile(draws, [0.0005, 0.9995])
    margin = 0.15 * (high - low)
    grid = np.linspace(low - margin, high + margin, 400)
    density = gaussian_kde(draws)(grid)
    height = 0.12 + 0.88 * density / density.max()
    lower, upper = np.quantile(draws, [0.025, 0.975])
    inside = (grid >= lower) & (grid <= upper)
    ax.fill_between(grid, 0.12, height, color=canvas.SKY, alpha=0.22, lw=0)
    ax.fill_between(grid[inside], 0.12, height[inside], color=canvas.SKY, alpha=0.55, lw=0)
    ax.plot(grid, height, color=canvas.BLUE, lw=1.4)


def _label_effect(ax: Axes, row: EffectRow, *, shown: dict[str, float]) -> None:
    canvas.zero_line(ax)
    ax.set_yticks(list(shown.values()), list(shown))
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    ax.set_ylim(min(shown.values()) - 0.16, 1.08)
    ax.set_xlabel(f"effect on {outcome_label(row.outcome)} ({row.units})")


def _on_axes(ax: Axes, rows: pd.DataFrame, *, panels: Sequence[tuple[Hashable, pd.DataFrame]]) -> Figure:
    if len(panels) > 1:
        raise SpecError(
            f"effects in {', '.join(str(units) for units, _ in panels)} share no axis; give one unit's rows."
        )
    figure, axes = canvas.axes_for(ax, height=0.0)
    units, part = panels[0]
    _forest_panel(axes, part, units=units)
    axes.legend(handles=legend_marks([name for name in MARKS if np.isfinite(rows[name]).any()]), loc="best")
    canvas.mark(axes, synthetic=bool(rows["synthetic"].any()), ok=bool(rows["ok"].all()))
    return figure


def _forest_panel(ax: Axes, part: pd.DataFrame, *, units: Hashable) -> None:
    for y, row in enumerate(part.to_dict("records")):
        for name, (lower, upper) in ENDS.items():
            draw_mark(ax, name, at=row[name], y=y + OFFSETS[name], lower=row[lower], upper=row[upper])
        draw_mark(ax, "truth", at=row["truth"], y=y)
        if not row["ok"]:
            ax.plot([row["mean"]], [y], "x", color=canvas.BLACK, ms=12, mew=1.6, zorder=5)
    canvas.zero_line(ax)
    # The label stands at the middle of its marks, which hang below the posterior.
    middle = 0.23 if np.isfinite(part[["twin", "published"]]).any(axis=None) else 0.0
    ax.set_yticks(np.arange(len(part)) + middle, part["label"].tolist())
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    ax.set_ylim(len(part) - 0.2, -0.45)
    ax.grid(axis="x", color="#E6E6E6", lw=0.6)
    ax.set_axisbelow(True)
    ax.set_xlabel(f"effect ({units})")

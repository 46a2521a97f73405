"""Plots of effort after a takeover: effects by set of covariates, the dose-response surface, the overlap."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from hitlbayes.errors import SpecError
from hitlbayes.report import canvas
from hitlbayes.report.wording import outcome_label
from hitlbayes.studies.effort_tables import EffortTables, tables_of

if TYPE_CHECKING:
    from hitlbayes.studies.effort_result import EffortFit
    from hitlbayes.studies.effort_surface import Surface

SETS = {
    "raw": ("as they are", canvas.FAINT, "s", "white"),
    "clock": ("at equal AI rounds and seconds; codes given the text", canvas.ORANGE, "D", canvas.ORANGE),
    "sentiment": ("at equal sentiment too", canvas.BLUE, "o", canvas.BLUE),
}
STEP = 0.24  # between the marks of one measure, whose rows are 1 apart


def plot_effort(fit: EffortFit, *, kind: str = "effects", **options: Any) -> Figure:
    """A figure of a joint model of effort: "effects", "surface" or "overlap"."""
    kinds: dict[str, Callable[..., Figure]] = {
        "effects": plot_effort_effects,
        "surface": plot_effort_surface,
        "overlap": plot_effort_overlap,
    }
    if kind not in kinds:
        raise SpecError(f"there is no plot {kind!r}; choose one of {', '.join(kinds)}.")
    return kinds[kind](fit, **options)


@canvas.styled
def plot_effort_effects(fit: EffortFit | EffortTables, *, truth: dict[str, float] | None = None) -> Figure:
    """Difference of each type from the reference in every measure, by what the types are compared at.

    Parameters
    ----------
    fit : EffortFit or EffortTables
    truth : dict of str to float, optional
        The simulated effect on latent effort by type; only for synthetic data.

    Returns
    -------
    Figure
        Differences in SDs of the measure between chats, so that measures share an axis; its `caption` says
        which survive.
    """
    shown = tables_of(fit)
    table, sets = shown.summary, shown.sets
    spread = _spreads(shown.observed)
    contrasts = shown.types[1:]
    outcomes = list(dict.fromkeys(table["outcome"]))
    figure = canvas.sheet(height=2.1 + 0.42 * len(outcomes))
    grid = figure.subplots(1, len(contrasts), sharey=True, squeeze=False)[0]
    for axes, contrast in zip(grid, contrasts, strict=True):
        canvas.zero_line(axes)
        part = table[table["contrast"] == contrast].set_index(["outcome", "adjust"])
        for row, outcome in enumerate(outcomes):
            unit = spread.get(outcome, 1.0)
            for place, name in enumerate(sets):
                _, colour, shape, fill = SETS[name]
                one, y = part.loc[(outcome, name)], row + STEP * (place - (len(sets) - 1) / 2)
                axes.plot([one["lower"] / unit, one["upper"] / unit], [y, y], color=colour, lw=1.7, zorder=3)
                axes.plot([one["mean"] / unit], [y], shape, color=colour, mfc=fill, ms=5, zorder=4)
            if truth is not None and outcome == "effort":
                axes.plot([truth.get(contrast, 0.0)], [row], "|", color=canvas.VERMILLION, ms=22, mew=2.2)
        axes.set_title(f"{contrast} less {shown.types[0]}")
        axes.set_xlabel("difference (SDs between chats)")
    grid[0].set_yticks(range(len(outcomes)), [_label(o) for o in outcomes])
    grid[0].set_ylim(len(outcomes) - 0.4, -0.6)
    handles = [
        Line2D([], [], color=SETS[s][1], marker=SETS[s][2], mfc=SETS[s][3], ms=5, lw=1.7, label=SETS[s][0])
        for s in sets
    ]
    if truth is not None:
        handles.append(
            Line2D([], [], color=canvas.VERMILLION, marker="|", ms=11, mew=2.2, lw=0, label="simulated truth")
        )
    # below the axes, not the figure: the caption is there
    below = {"loc": "upper left", "bbox_to_anchor": (0.0, -1.0 / (len(outcomes) + 1.0))}
    grid[0].legend(handles=handles, ncols=1, fontsize=8, **below)
    return canvas.finish(
        figure,
        caption=effects_caption(shown),
        synthetic=shown.synthetic,
        ok=shown.ok,
        title="Effort after a takeover, by type and by what is held equal",
    )


def effects_caption(tables: EffortTables) -> str:
    """Which raw differences survive, in words."""
    told = []
    for contrast in tables.types[1:]:
        part = tables.survival[tables.survival["contrast"] == contrast]
        for word in ("survives", "gone", "reversed", "appears"):
            found = [_label(o) for o in part.loc[part["verdict"] == word, "outcome"]]
            if found:
                told.append(f"{contrast}, {word}: {', '.join(found)}")
    said = "; ".join(told) if told else "no difference whose interval excludes zero"
    return f"Posterior means and 95% ETIs, in SDs of the measure. {said[:1].upper()}{said[1:]}."


@canvas.styled
def plot_effort_surface(
    fit: EffortFit, *, type: str | None = None, least: int = 10, ax: Axes | None = None
) -> Figure:
    """Expected latent effort over sentiment at takeover and AI rounds elapsed; blank where there are no data.

    Parameters
    ----------
    fit : EffortFit
    type : str, optional
        Of takeovers of this type; by default of all.
    least : int
        Takeovers that a cell must have.
    ax : Axes, optional
        Drawn on these; the caption is then left to the caller.
    """
    return draw_surface(
        fit.surface(type=type, least=least), synthetic=fit.synthetic, ok=fit.check().ok, ax=ax
    )


@canvas.styled
def draw_surface(found: Surface, *, synthetic: bool, ok: bool, ax: Axes | None = None) -> Figure:
    """A surface of effort, with its interval in each cell."""
    figure, axes = canvas.axes_for(ax, height=3.9)
    bound = max(float(np.nanmax(np.abs(found.mean))), 1e-6)
    image = axes.imshow(
        found.mean, origin="lower", aspect="auto", cmap="PuOr", norm=TwoSlopeNorm(0.0, -bound, bound)
    )
    for i, j in np.ndindex(*found.mean.shape):
        if np.isfinite(found.mean[i, j]):
            dark = abs(found.mean[i, j]) > 0.62 * bound
            text = f"{found.mean[i, j]:+.2f}\n± {(found.upper[i, j] - found.lower[i, j]) / 2:.2f}"
            axes.text(j, i, text, ha="center", va="center", fontsize=7, color="white" if dark else canvas.INK)
    axes.set_xticks(range(len(found.bands)), found.bands)
    axes.set_yticks(range(len(found.sentiment)), [f"{v:g}" for v in found.sentiment])
    axes.set_xlabel("AI rounds elapsed at the takeover")
    axes.set_ylabel("negative sentiment at the takeover")
    figure.colorbar(image, ax=axes, label="effort (SDs between like chats)", shrink=0.9)
    if ax is not None:
        canvas.mark(axes, synthetic=synthetic, ok=ok)
        return figure
    return canvas.finish(
        figure,
        caption=f"Posterior mean and half the width of the {found.prob:.0%} interval of expected effort, "
        f"zero at the average takeover; {found.type}. Blank: fewer than {found.least} takeovers.",
        synthetic=synthetic,
        ok=ok,
        title="Effort over sentiment and AI rounds",
    )


@canvas.styled
def plot_effort_overlap(fit: EffortFit | EffortTables, *, ax: Axes | None = None) -> Figure:
    """Sentiment at takeover by type: where the types can be compared at equal sentiment."""
    figure, axes = canvas.axes_for(ax, height=3.2)
    table = fit.overlap
    width = 0.8 / len(fit.types)
    colours = (canvas.BLUE, canvas.VERMILLION, canvas.GREEN, canvas.PURPLE, canvas.SKY)
    at = np.arange(len(table))
    for place, (name, colour) in enumerate(zip(fit.types, colours, strict=False)):
        share = table[name] / table[name].sum()
        inside = table.get(f"{name} compared", pd.Series(True, index=table.index)).astype(bool)
        x = at + width * (place - (len(fit.types) - 1) / 2)
        axes.bar(x[inside], share[inside], width, color=colour, label=f"{name} (n = {table[name].sum():,})")
        axes.bar(x[~inside], share[~inside], width, facecolor="none", edgecolor=colour, hatch="////")
    axes.set_xticks(at, [f"{v:g}" for v in table["sentiment"]])
    axes.set_xlabel("negative sentiment at the takeover")
    axes.set_ylabel("share of the type's takeovers")
    axes.legend()
    if ax is not None:
        canvas.mark(axes, synthetic=fit.synthetic, ok=True)
        return figure
    left = int(sum(table.loc[~table[f"{t} compared"], t].sum() for t in fit.types[1:]))
    return canvas.finish(
        figure,
        caption=f"Hatched: too few takeovers of that type or of the reference to compare; {left:,} lie "
        "there and enter no contrast.",
        synthetic=fit.synthetic,
        ok=True,
        title="Overlap of types in sentiment",
    )


def _spreads(observed: pd.DataFrame) -> dict[str, float]:
    """SD between chats of each observed measure, within types."""
    table = observed.assign(var=lambda t: t["se"] ** 2 * t["n"])
    pooled = table.groupby("outcome")[["var", "n"]].apply(lambda g: np.average(g["var"], weights=g["n"]))
    return {str(name): float(np.sqrt(value)) for name, value in pooled.items()}


def _label(outcome: str) -> str:
    return {"human_share": "human share of rounds", "effort": "latent effort"}.get(
        outcome, outcome_label(outcome)
    )

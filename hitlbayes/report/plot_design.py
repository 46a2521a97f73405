"""Plots of an experiment before its effects: who was in it, what was answered day by day, what was rated."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

from hitlbayes.errors import SchemaError, SpecError
from hitlbayes.report import canvas
from hitlbayes.report.wording import number, outcome_label

ARMS = {"treated": (canvas.BLUE, "o", "-"), "control": (canvas.ORANGE, "s", (0, (4, 1.5)))}
MARKED_START = " start of treatment"


@canvas.styled
def plot_distribution(
    frame: pd.DataFrame,
    *,
    column: str,
    treated: str | None = "treated",
    bins: int = 24,
    label: str = "",
    what: str = "workers",
    synthetic: bool = False,
    ax: Axes | None = None,
) -> Figure:
    """Distribution of one variable over units, by arm (paper, Figure A1, for tenure).

    Parameters
    ----------
    frame : DataFrame
        One row per unit.
    column : str
    treated : str or None
        The arm, 0/1; None: all units together.
    bins : int
    label : str
        Of the axis, with its unit; the column's name unless given.
    what : str
        What the rows are, for the caption.
    synthetic : bool
        Whether the data are simulated.
    ax : Axes, optional

    Returns
    -------
    Figure
        Its `caption` names means and medians.
    """
    names = [column, *([treated] if treated else [])]
    if absent := [name for name in names if name not in frame.columns]:
        raise SchemaError(f"columns {absent} are missing.\n  found: {', '.join(map(str, frame.columns))}")
    kept = frame[names].dropna()
    values = kept[column].to_numpy(float)
    edges = np.histogram_bin_edges(values, bins=bins)
    groups = {"all": values}
    if treated:
        arm = kept[treated].to_numpy()
        groups = {"treated": values[arm == 1], "control": values[arm == 0]}
    figure, axes = canvas.axes_for(ax, height=3.2)
    for name, chosen in groups.items():
        share = 100.0 / max(len(chosen), 1)
        colour, _, line = ARMS.get(name, (canvas.BLUE, "o", "-"))
        heights = share * np.histogram(chosen, bins=edges)[0]
        if name != "control":
            axes.stairs(heights, edges, fill=True, color=canvas.SKY, alpha=0.45)
        axes.stairs(heights, edges, color=colour, ls=line, lw=1.6, label=f"{name} ({len(chosen):,})")
        axes.axvline(np.median(chosen), color=colour, ls=line, lw=1)
    if treated:
        axes.legend(loc="upper right")
    axes.set_xlabel(label or outcome_label(column))
    axes.set_ylabel(f"% of {what}")
    caption = _distribution_caption(groups, what=what, missing=len(frame) - len(kept))
    return _finished(
        figure,
        axes,
        ax,
        caption=caption,
        synthetic=synthetic,
        title=f"{_first((label or column).split(' (')[0])} of {what}",
    )


def _distribution_caption(groups: dict[str, np.ndarray], *, what: str, missing: int) -> str:
    told = [
        f"{name}: {len(v):,} {what}, mean {number(v.mean())}, median {number(np.median(v))}"
        for name, v in groups.items()
    ]
    text = "; ".join(told) + ". Vertical lines are medians."
    return text + (f" {missing:,} without a value are not shown." if missing else "")


@canvas.styled
def plot_daily(
    means: pd.DataFrame,
    *,
    outcome: str,
    percent: bool = False,
    start: pd.Timestamp | None = None,
    synthetic: bool = False,
    ax: Axes | None = None,
) -> Figure:
    """Mean of an outcome in each period by arm, with 95 % intervals (paper, Figure A3).

    Parameters
    ----------
    means : DataFrame
        As `hitlbayes.design.shares.daily_means` returns it.
    outcome : str
    percent : bool
        Show shares as percentages.
    start : Timestamp, optional
        First treated period; read off `post` unless given.
    synthetic : bool
    ax : Axes, optional
    """
    unit = 100.0 if percent else 1.0
    figure, axes = canvas.axes_for(ax, height=3.2)
    for shift, (name, (colour, shape, line)) in zip((-0.5, 0.5), ARMS.items(), strict=True):
        part = means[means["arm"] == name].sort_values("period")
        if part.empty:
            continue
        step = part["period"].diff().min()
        at = part["period"] + (0.16 * shift * step if len(part) > 1 else 0 * step)
        axes.vlines(at, unit * part["lower"], unit * part["upper"], color=colour, lw=1.2, alpha=0.8)
        axes.plot(
            at, unit * part["mean"], marker=shape, ls=line, color=colour, ms=4, lw=1, mfc="white", label=name
        )
    first = means.loc[means["post"] == 1, "period"].min() if start is None else start
    before = means.loc[means["post"] == 0, "period"].max()
    if pd.notna(first) and pd.notna(before):
        axes.axvline(before + (first - before) / 2, color=canvas.VERMILLION, lw=1, ls=(0, (5, 2)))
        axes.annotate(
            MARKED_START, (before + (first - before) / 2, 1), xycoords=("data", "axes fraction"), va="top",
            fontsize=7.5, color=canvas.VERMILLION,
        )  # fmt: skip
    if pd.api.types.is_datetime64_any_dtype(means["period"]):
        locator = AutoDateLocator(minticks=4, maxticks=10)
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    axes.legend(loc="lower left", ncols=2)
    axes.margins(y=0.2)
    axes.set_ylabel(outcome_label(outcome) + (" (%)" if percent else ""))
    caption = _daily_caption(means, unit=unit, percent=percent)
    return _finished(
        figure,
        axes,
        ax,
        caption=caption,
        synthetic=synthetic,
        title=f"{_first(outcome_label(outcome))} by period and arm",
    )


def _daily_caption(means: pd.DataFrame, *, unit: float, percent: bool) -> str:
    told = []
    sign = "%" if percent else ""
    for post, time in ((0, "before"), (1, "after")):
        part = means[means["post"] == post]
        if part.empty:
            continue
        level = {
            str(name): np.average(p["mean"], weights=p["rows"]) * unit
            for name, p in part.groupby("arm")
            if p["rows"].sum()
        }
        told.append(
            f"{time} the start "
            + " and ".join(f"{number(v)}{sign} {name}" for name, v in sorted(level.items()))
        )
    return f"Means of all chats of a period with 95% CIs clustered by worker: {'; '.join(told)}."


@canvas.styled
def plot_shares(
    shares: pd.DataFrame,
    *,
    outcome: str,
    when: str = "before the start",
    synthetic: bool = False,
    ax: Axes | None = None,
) -> Figure:
    """Share of each category by arm with 95 % intervals (paper, Figure A4, for ratings).

    Parameters
    ----------
    shares : DataFrame
        As `hitlbayes.design.shares.category_shares` returns it.
    outcome : str
    when : str
        Which chats, in words.
    synthetic : bool
    ax : Axes, optional
    """
    if shares.empty:
        raise SpecError("there are no shares to plot.")
    figure, axes = canvas.axes_for(ax, height=3.2)
    categories = list(dict.fromkeys(shares["category"]))
    where = {category: k for k, category in enumerate(categories)}
    gaps = []
    for offset, (name, (colour, _, _)) in zip((-0.2, 0.2), ARMS.items(), strict=True):
        part = shares[shares["arm"] == name]
        x = part["category"].map(where).to_numpy(float) + offset
        hatch = "///" if name == "control" else ""
        fill = {"treated": canvas.SKY, "control": "#F7DCA8"}[name]
        axes.bar(
            x, 100 * part["mean"], width=0.36, color=fill, edgecolor=colour, hatch=hatch, lw=0.8, label=name
        )
        axes.vlines(x, 100 * part["lower"], 100 * part["upper"], color=canvas.INK, lw=1.4)
        gaps.append(part.set_index("category")["mean"])
    axes.set_xticks(range(len(categories)), [str(c) for c in categories])
    axes.legend(loc="upper center", ncols=2)
    axes.margins(y=0.18)
    axes.set_xlabel(outcome_label(outcome))
    axes.set_ylabel("% of chats with a value")
    gap = 100 * (gaps[0] - gaps[1])
    at = int(np.argmax(gap.abs().to_numpy()))
    worst, most = gap.index[at], float(gap.iloc[at])
    caption = (
        f"Shares {when}, with 95% CIs clustered by worker. The largest difference, treated less control, "
        f"is at {worst}: {number(most)} percentage points."
    )
    title = f"{_first(outcome_label(outcome))} by arm, {when}"
    return _finished(figure, axes, ax, caption=caption, synthetic=synthetic, title=title)


def _first(words: str) -> str:
    return words[:1].upper() + words[1:]


def _finished(
    figure: Figure, axes: Axes, ax: Axes | None, *, caption: str, synthetic: bool, title: str
) -> Figure:
    if ax is not None:
        canvas.mark(axes, synthetic=synthetic, ok=True)
        return figure
    return canvas.finish(figure, caption=caption, synthetic=synthetic, ok=True, title=title)

"""Figures of the published re-analysis."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hitlbayes.errors import SpecError
from hitlbayes.published.reanalysis import interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from hitlbayes.published.decomposition import EffortDecomposition
    from hitlbayes.published.reanalysis import Reanalysis

# Okabe and Ito's colours
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#E69F00", "#009E73", "#999999"

NAMES = {
    "technical": "Technical",
    "human": "Human-initiated",
    "emotional": "Emotional",
    "none": "No escalation",
    "log_duration": "ln(chat duration)",
    "retrial": "Retrial",
    "rating": "Rating",
    "human_delay": "Reply delay",
    "human_rounds": "Rounds",
    "human_share": "Share of rounds",
    "human_messages": "Messages",
    "empathy": "Empathy",
    "information_seeking": "Information seeking",
    "solution_provision": "Solution provision",
    "proactivity": "Proactivity",
    "gap": "Gap in share",
    "part_ai": "from AI rounds",
    "part_human": "from human rounds",
}
NORMAL = {0.5: 0.674489750196082, 0.9: 1.644853626951473, 0.95: 1.959963984540054}


def plot_shrinkage(result: Reanalysis, *, prob: float = 0.95, kind: str = "eti") -> Figure:
    """Printed estimates and their partially pooled posteriors, by group, one panel per outcome.

    Parameters
    ----------
    result : Reanalysis
        Pooled, for instance ``reanalyze("5")``.
    prob : {.5, .9, .95}
        Probability of all intervals.
    kind : {"eti", "hdi"}
        Kind of the posterior intervals; those of the printed estimates are normal.
    """
    from hitlbayes.report.canvas import Plot, finish

    if not result.pooled:
        raise SpecError("plot_shrinkage compares pooled with printed estimates; this result is not pooled.")
    if prob not in NORMAL:
        raise SpecError(f"prob={prob}: expected one of {', '.join(map(str, NORMAL))}.")
    outcomes = [str(o) for o in result.draws["outcome"].values]
    figure = Plot(figsize=(3.1 * len(outcomes) + 1.2, 3.4), layout="constrained")
    axes = figure.subplots(1, len(outcomes), sharey=True, squeeze=False)[0]
    for axis, outcome in zip(axes, outcomes, strict=True):
        _shrinkage_panel(axis, result, outcome, prob=prob, kind=kind)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=2, frameon=False)
    return finish(figure, caption=_shrinkage_caption(result, prob), synthetic=False, ok=True)


def plot_decomposition(result: EffortDecomposition, *, prob: float = 0.95, kind: str = "eti") -> Figure:
    """How the gap in the human share of rounds splits, and the effort measures beside it.

    Parameters
    ----------
    result : EffortDecomposition
    prob : float
        Probability of the intervals.
    kind : {"eti", "hdi"}
    """
    from hitlbayes.report.canvas import Plot, finish

    figure = Plot(figsize=(10.2, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.25))
    _split_panel(left, result, prob=prob, kind=kind)
    _measures_panel(right, result, prob=prob, kind=kind)
    handles, labels = right.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=2, frameon=False)
    return finish(figure, caption=_decomposition_caption(result, prob), synthetic=False, ok=True)


def _shrinkage_panel(axis: Axes, result: Reanalysis, outcome: str, *, prob: float, kind: str) -> None:
    at = result.draws.sel(outcome=outcome)
    groups = [str(g) for g in at["group"].values]
    z = NORMAL[prob]
    for y, group in enumerate(groups):
        one = at.sel(group=group)
        raw, se = float(one["estimate"]), float(one["se"])
        if np.isnan(raw):
            continue
        draws = one["effect"].values.ravel()
        printed, pooled = (raw - z * se, raw + z * se), interval(draws, prob=prob, kind=kind)
        _point(axis, y - 0.14, raw, printed, colour=ORANGE, marker="s", label="as printed")
        _point(axis, y + 0.14, draws.mean(), pooled, colour=BLUE, marker="o", label="partially pooled")
    _frame(axis, [_name(g) for g in groups])
    axis.set_title(_name(outcome), fontsize=10)
    axis.set_xlabel(f"effect, {at['units'].item()}".rstrip(", "))


def _split_panel(axis: Axes, result: EffortDecomposition, *, prob: float, kind: str) -> None:
    parts, groups = ("gap", "part_ai", "part_human"), [str(g) for g in result.draws["comparison"].values]
    for i, part in enumerate(parts):
        for j, group in enumerate(groups):
            draws = 100 * result.draws[part].sel(comparison=group).values.ravel()
            y = i + 0.14 * (2 * j - len(groups) + 1)
            limits = interval(draws, prob=prob, kind=kind)
            _point(axis, y, draws.mean(), limits, colour=_COLOURS[j], marker=_MARKERS[j], label="")
    _frame(axis, [_name(p) for p in parts])
    axis.set_title(f"Human share of rounds, against {_name(result.reference).lower()}", fontsize=10)
    axis.set_xlabel("percentage points")


def _measures_panel(axis: Axes, result: EffortDecomposition, *, prob: float, kind: str) -> None:
    at = result.draws["standardized"].dropna("measure", how="all")
    measures = [str(m) for m in at["measure"].values]
    groups = [str(g) for g in at["comparison"].values]
    for i, measure in enumerate(measures):
        for j, group in enumerate(groups):
            draws = at.sel(measure=measure, comparison=group).values.ravel()
            y = i + 0.14 * (2 * j - len(groups) + 1)
            limits = interval(draws, prob=prob, kind=kind)
            _point(axis, y, draws.mean(), limits, colour=_COLOURS[j], marker=_MARKERS[j], label=_name(group))
    labels = [_name(m) + (" (arithmetic)" if m == "human_share" else "") for m in measures]
    _frame(axis, labels)
    axis.set_title(f"Effort after takeover, against {_name(result.reference).lower()}", fontsize=10)
    axis.set_xlabel("standard deviations between chats")


_COLOURS = (GREEN, BLUE, ORANGE, GREY)
_MARKERS = ("D", "o", "s", "^")


def _point(
    axis: Axes,
    y: float,
    x: float,
    limits: tuple[float, float],
    *,
    colour: str,
    marker: str,
    label: str,
) -> None:
    known = axis.get_legend_handles_labels()[1]
    axis.plot(limits, (y, y), color=colour, lw=1.8, solid_capstyle="butt")
    axis.plot(
        [x],
        [y],
        marker=marker,
        color=colour,
        ms=5.5,
        mec="black",
        mew=0.5,
        ls="none",
        label="_" if label in known or not label else label,
    )


def _frame(axis: Axes, labels: list[str]) -> None:
    axis.axvline(0, color="0.25", lw=0.9, ls=(0, (4, 3)), zorder=1)
    axis.set_yticks(range(len(labels)), labels)
    axis.set_ylim(len(labels) - 0.5, -0.5)
    axis.grid(axis="x", color="0.9", lw=0.6, zorder=-1)
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)


def _name(key: str) -> str:
    return NAMES.get(key, key)


def _shrinkage_caption(result: Reanalysis, prob: float) -> str:
    source = "Given estimates" if result.source == "given" else f"Published estimates of Table {result.table}"
    scales = ", ".join(f"{_name(o)} {s:g}" for o, s in result.tau_scale.items())
    return (
        f"{source} (squares) and their posterior with partial pooling (circles), {100 * prob:g} % intervals. "
        f"Half-normal prior scales between groups: {scales}. Sampling errors' common correlation: "
        f"{result.draws.attrs['correlation']:g}."
    )


def _decomposition_caption(result: EffortDecomposition, prob: float) -> str:
    words = []
    for group in map(str, result.draws["comparison"].values):
        at = result.draws.sel(comparison=group)
        words.append(
            f"{_name(group).lower()} {100 * float(at['gap'].mean()):.1f} points, "
            f"{100 * float(at['part_ai'].mean()):.1f} of them from AI rounds"
        )
    what = "published Table 6" if result.source == "published" else "given means"
    return (
        f"Left: gap in the human share of rounds ({'; '.join(words)}). "
        "Right: differences of means over the SD between chats. "
        f"{100 * prob:g} % intervals from the intervals of {what}. Ratio of means throughout."
    )

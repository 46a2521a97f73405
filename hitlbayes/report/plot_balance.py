"""Love plot: how different treated and controls are in each covariate, before and after matching."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hitlbayes.errors import SchemaError
from hitlbayes.report import canvas

STATISTICS = {
    "difference": "standardised difference",
    "ecdf_max": "largest distance of distribution functions",
    "ecdf_mean": "mean distance of distribution functions",
}
BEFORE, AFTER = ("o", canvas.ORANGE), ("D", canvas.BLUE)
ROW = 0.19  # inches


@canvas.styled
def plot_balance(
    table: pd.DataFrame,
    *,
    statistic: str = "difference",
    threshold: float = 0.1,
    title: str = "",
    ax: Axes | None = None,
) -> Figure:
    """Imbalance of each covariate before and after matching, the worst at first on top.

    Parameters
    ----------
    table : DataFrame
        From `hitlbayes.balance`.
    statistic : {"difference", "ecdf_max", "ecdf_mean"}
        Differences are shown in absolute value.
    threshold : float
        Where a line marks what still counts as alike.
    title : str
    ax : Axes, optional
        Axes of your own.

    Returns
    -------
    Figure

    Raises
    ------
    SchemaError
        The table is not one of `hitlbayes.balance`, or the statistic is unknown.
    """
    columns = [f"{moment}_{statistic}" for moment in ("before", "after")]
    if not isinstance(table, pd.DataFrame) or any(c not in table for c in columns):
        raise SchemaError(
            f"the table has no {', '.join(columns)}; expected hb.balance(matched), and a statistic of: "
            f"{', '.join(STATISTICS)}."
        )
    shown = table[columns].abs().sort_values(columns[0])
    figure, axes = canvas.axes_for(ax, height=1.6 + ROW * len(shown))
    at = np.arange(len(shown))
    before, after = (shown[c].to_numpy() for c in columns)
    axes.hlines(at, np.minimum(before, after), np.maximum(before, after), color="#CCCCCC", lw=1, zorder=1)
    for values, (shape, colour), label in ((before, BEFORE, "before"), (after, AFTER, "after matching")):
        fill = "white" if label == "before" else colour
        axes.plot(values, at, shape, color=colour, mfc=fill, ms=5, label=label, zorder=3)
    axes.axvline(threshold, color=canvas.FAINT, lw=0.8, ls=(0, (2, 2)), zorder=0)
    axes.set_yticks(at, [str(name) for name in shown.index])
    axes.set_xlim(left=0)
    axes.set_ylim(-0.6, len(shown) - 0.4)
    axes.set_xlabel(STATISTICS[statistic] + (", absolute" if statistic == "difference" else ""))
    axes.legend(loc="lower right")
    synthetic = bool(table.attrs.get("synthetic", False))
    if ax is not None:
        canvas.mark(axes, synthetic=synthetic, ok=True)
    return canvas.finish(
        figure,
        caption=balance_caption(shown, statistic=statistic, threshold=threshold),
        synthetic=synthetic,
        ok=True,
        title=title or "Balance before and after matching",
    )


def balance_caption(shown: pd.DataFrame, *, statistic: str, threshold: float) -> str:
    """What the love plot shows: the largest imbalance before and after.

    Examples
    --------
    >>> frame = pd.DataFrame({"before_difference": [0.5, 0.1], "after_difference": [0.02, 0.03]},
    ...                      index=["age", "vip"])
    >>> balance_caption(frame, statistic="difference", threshold=0.1).split("; ")[1]
    '0 of 2 exceed 0.1 after matching.'
    """
    before, after = shown[f"before_{statistic}"], shown[f"after_{statistic}"]
    return (
        f"{STATISTICS[statistic].capitalize()} of treated and controls in {len(shown)} variables. Largest: "
        f"{before.max():.3f} ({before.idxmax()}) before, {after.max():.3f} ({after.idxmax()}) after "
        f"matching; {int((after > threshold).sum())} of {len(shown)} exceed {threshold:g} after matching."
    )

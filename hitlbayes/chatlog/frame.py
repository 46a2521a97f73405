"""What comes back: `Chats`, a checked log where it is, and `Panel`, its cells in memory."""

from __future__ import annotations

from dataclasses import dataclass, field

import ibis.expr.types as ir
import pandas as pd


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Chats:
    """A checked chat log, one row per chat.

    Attributes
    ----------
    table : ibis.Table
        Canonical columns in canonical types (naive local `start_time`), then the user's other columns
        untouched.
    n : int
        Chats.
    tz : str or None
        The zone in which days are cut; None where stamps came naive.
    start : pandas.Timestamp or None
        The first treated day, where it was given.
    synthetic : bool
        Whether the log is simulated.
    ratings : int
        The highest rating.
    workers : dict
        Workers in each arm: {0: control, 1: treated}.
    observed : dict
        Canonical column -> values that are not missing.
    drops : dict
        Reason -> chats left out of the log that was read.
    """

    table: ir.Table
    n: int
    tz: str | None = None
    start: pd.Timestamp | None = None
    synthetic: bool = False
    ratings: int = 5
    workers: dict[int, int] = field(default_factory=dict)
    observed: dict[str, int] = field(default_factory=dict)
    drops: dict[str, int] = field(default_factory=dict)

    def to_pandas(self) -> pd.DataFrame:
        """Every chat in memory: only for small logs."""
        return self.table.to_pandas()

    def __repr__(self) -> str:
        title = f"Chats: {self.n:,} chats" + (" (SYNTHETIC)" if self.synthetic else "")
        lines = [title, f"  workers   {self.workers.get(1, 0):,} treated, {self.workers.get(0, 0):,} control"]
        zone = self.tz or "local time as given"
        start = f", start {self.start:%Y-%m-%d}" if self.start is not None else ""
        lines.append(f"  days in   {zone}{start}")
        gaps = {name: 1 - seen / self.n for name, seen in self.observed.items() if seen < self.n}
        full = [name for name, seen in self.observed.items() if seen == self.n]
        lines.append(f"  complete  {', '.join(full)}")
        if gaps:
            lines.append("  missing   " + ", ".join(f"{name} {share:.1%}" for name, share in gaps.items()))
        lines += [f"  left out  {rows:,} chats: {why}" for why, rows in self.drops.items()]
        others = [name for name in self.table.columns if name not in self.observed and name != "post"]
        if others:
            lines.append(f"  others    {', '.join(others)}")
        return "\n".join(lines)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Panel:
    """Exact sufficient statistics per cell (unit x period x `by`), in memory and picklable.

    Attributes
    ----------
    cells : DataFrame, one row per cell, sorted by unit, period and `by`; RangeIndex
        `unit`, `period` (start of the day or hour, local time), `treated`, `post` (int8), the `by` columns,
        `n` (chats), and for each outcome y, by family:
        gaussian ``y:n``, ``y:mean``, ``y:ss`` (sum of squared deviations from the cell's mean; mean NaN, ss 0
        if n is 0); bernoulli ``y:n``, ``y:successes``; ordinal ``y:1`` ... ``y:K``, the count of each
        category; count ``y:n``, ``y:mean``, ``y:ss`` and, if asked for, `histograms`.
    means : DataFrame, one row per unit and period
        `unit`, `period`, `treated`, `post`, `n`, the mean of each outcome over its chats (NaN where none),
        `log_mean_duration` (log of the mean; `log_duration` is the mean of logs), and the lagged controls
        `lag_customer_tenure`, `lag_vip`, `lag_concurrency`, `lag_volume`, over all chats whatever the scope.
    outcomes : dict
        Outcome -> family ("gaussian", "bernoulli", "ordinal", "count").
    categories : dict
        Ordinal outcome -> its categories in ascending order.
    histograms : dict
        Count outcome -> DataFrame (`cell`, row position in `cells`; `value`; `n`).
    drops : DataFrame
        `reason`, `rows`: chats outside the scope, and chats without a value of each outcome. Nothing else is
        dropped.
    left_out : dict
        Outcome that the log has but the panel not -> why.
    scope, period, lag : str
    by : tuple of str
    synthetic : bool
    n_chats : int
        Chats in the scope.
    tz : str or None
    start : pandas.Timestamp or None
    """

    cells: pd.DataFrame
    means: pd.DataFrame
    outcomes: dict[str, str]
    categories: dict[str, tuple[int, ...]]
    histograms: dict[str, pd.DataFrame]
    drops: pd.DataFrame
    left_out: dict[str, str]
    scope: str
    period: str
    by: tuple[str, ...]
    lag: str
    synthetic: bool
    n_chats: int
    tz: str | None = None
    start: pd.Timestamp | None = None

    @property
    def compression(self) -> float:
        """Chats per cell."""
        return self.n_chats / len(self.cells)

    def __repr__(self) -> str:
        cells, stamp = self.cells, "%Y-%m-%d" if self.period == "day" else "%Y-%m-%d %H:00"
        arms = cells.drop_duplicates("unit")["treated"].value_counts()
        times = {post: part["period"] for post, part in cells.groupby("post")}
        split = f" x {' x '.join(self.by)}" if self.by else ""
        zone = f" ({self.tz})" if self.tz else ""
        lines = [
            f"Panel: {self.n_chats:,} chats, scope {self.scope!r}"
            + (" (SYNTHETIC)" if self.synthetic else ""),
            f"  cells     {len(cells):,} of worker x {self.period}{split}: {self.compression:.1f} chats a "
            "cell",
            f"  workers   {arms.get(1, 0):,} treated, {arms.get(0, 0):,} control",
        ]
        for post, label in ((0, "before"), (1, "after")):
            span = times[post]
            lines.append(
                f"  {label:<9} {span.min():{stamp}} to {span.max():{stamp}}, {span.nunique():,} "
                f"{self.period}s{zone}"
            )
        lines += [f"  {family:<9} {', '.join(names)}" for family, names in self._families().items()]
        lines.append(f"  lags      by {self.lag} {self.period}")
        lines.append(f"  unused    {'no chat, no value' if self.drops.empty else 'chats, and why:'}")
        lines += [f"    {row.rows:>12,}  {row.reason}" for row in self.drops.itertuples()]
        return "\n".join(lines)

    def _families(self) -> dict[str, list[str]]:
        families: dict[str, list[str]] = {}
        for name, family in self.outcomes.items():
            families.setdefault(family, []).append(name)
        return families

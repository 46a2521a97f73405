"""Shares and means by arm, day and period, with intervals that know of workers (Table A3, Figures A3, A4)."""

from __future__ import annotations

import numpy as np
import pandas as pd

from hitlbayes.chatlog import Chats, Panel
from hitlbayes.design.clusters import arm_mean
from hitlbayes.errors import SchemaError, SpecError

Z95 = 1.959963984540054
ARMS = {1: "treated", 0: "control"}


def composition(chats: Chats, *, by: str = "issue") -> pd.DataFrame:
    """Percent of chats of each level, before and after the start, of all and by arm (paper, Table A3).

    Parameters
    ----------
    chats : Chats
    by : str
        A column with levels; chats without one are a level of their own, "(missing)".

    Returns
    -------
    DataFrame
        `level`, `before`, `after`, `before_treated`, `before_control`, `after_treated`, `after_control`
        (percent), `chats_before`, `chats_after`; from the most frequent level to the least.

    Examples
    --------
    >>> from hitlbayes.chatlog import read_chats
    >>> log = pd.DataFrame({
    ...     "worker_id": [1, 1, 2, 2], "treated": [1, 1, 0, 0], "issue": ["a", "a", "a", "b"],
    ...     "start_time": pd.to_datetime(["2024-08-14", "2024-08-15"] * 2),
    ... })
    >>> composition(read_chats(log, start="2024-08-15"))[["level", "before", "after"]].values.tolist()
    [['a', 100.0, 50.0], ['b', 0.0, 50.0]]
    """
    table = chats.table
    if by not in table.columns:
        raise SchemaError(f"column {by!r} is missing.\n  found: {', '.join(table.columns)}")
    keyed = table.select(
        level=table[by].cast("string").fill_null("(missing)"), arm=table.treated, post=table.post
    )
    counts = keyed.group_by(["level", "arm", "post"]).agg(n=lambda t: t.count()).to_pandas()
    wide = counts.pivot_table(index="level", columns=["post", "arm"], values="n", aggfunc="sum", fill_value=0)
    wide = wide.reindex(columns=pd.MultiIndex.from_product([[0, 1], [0, 1]]), fill_value=0)
    made = pd.DataFrame(index=wide.index)
    for post, time in ((0, "before"), (1, "after")):
        made[time] = _percent(wide[post].sum(axis=1))
        for arm, name in ARMS.items():
            made[f"{time}_{name}"] = _percent(wide[post][arm])
        made[f"chats_{time}"] = wide[post].sum(axis=1)
    order = (made["chats_before"] + made["chats_after"]).sort_values(ascending=False, kind="stable").index
    return made.loc[order].reset_index()


def daily_means(panel: Panel, *, outcome: str) -> pd.DataFrame:
    """Mean of an outcome over the chats of each arm and period (paper, Figure A3 for rating responses).

    Parameters
    ----------
    panel : Panel
    outcome : str
        Of the panel; ``"responded"`` for the share of chats that were rated.

    Returns
    -------
    DataFrame
        `period`, `post`, `arm`, `mean`, `se` (clustered by worker), `lower`, `upper` (95 %, normal), `units`,
        `rows`.
    """
    sums = unit_totals(panel, outcome=outcome)
    rows = []
    for _, part in sums.groupby(["period", "treated"], sort=True):
        period, arm = part["period"].iloc[0], part["treated"].iloc[0]
        found = arm_mean(part["total"].to_numpy(), size=part["size"].to_numpy())
        rows.append(
            (period, int(part["post"].iloc[0]), ARMS[int(arm)], *_bounds(found.mean, found.se), *found[2:])
        )
    names = ["period", "post", "arm", "mean", "se", "lower", "upper", "units", "rows"]
    return pd.DataFrame(rows, columns=names)


def category_shares(panel: Panel, *, outcome: str = "rating", post: int | None = 0) -> pd.DataFrame:
    """Share of each category of an ordinal outcome by arm, before the start (paper, Figure A4).

    Parameters
    ----------
    panel : Panel
    outcome : str
        Ordinal.
    post : {0, 1, None}
        Before, after, or both.

    Returns
    -------
    DataFrame
        `category`, `arm`, `mean` (share), `se` (clustered by worker), `lower`, `upper` (95 %, normal),
        `units`, `rows`.
    """
    if outcome not in panel.categories:
        known = ", ".join(panel.categories) or "none"
        raise SpecError(f"{outcome!r} is no ordinal outcome of the panel.\n  found: {known}.")
    cells = panel.cells if post is None else panel.cells[panel.cells["post"] == post]
    names = [f"{outcome}:{k}" for k in panel.categories[outcome]]
    by_unit = cells.groupby(["unit", "treated"])[names].sum().reset_index()
    size = by_unit[names].sum(axis=1).to_numpy(float)
    rows = []
    for category, name in zip(panel.categories[outcome], names, strict=True):
        for arm, label in ARMS.items():
            chosen = (by_unit["treated"] == arm).to_numpy()
            found = arm_mean(by_unit.loc[chosen, name].to_numpy(float), size=size[chosen])
            rows.append((category, label, *_bounds(found.mean, found.se), *found[2:]))
    columns = ["category", "arm", "mean", "se", "lower", "upper", "units", "rows"]
    return pd.DataFrame(rows, columns=columns)


def unit_totals(panel: Panel, *, outcome: str) -> pd.DataFrame:
    """Sum and number of values of an outcome in each unit and period: `total`, `size`, with arm and post."""
    if outcome not in panel.outcomes:
        raise SpecError(f"the panel has no outcome {outcome!r}.\n  found: {', '.join(panel.outcomes)}.")
    cells, family = panel.cells, panel.outcomes[outcome]
    if family == "ordinal":
        counts = [cells[f"{outcome}:{k}"] for k in panel.categories[outcome]]
        size = sum(counts)
        total = sum(k * n for k, n in zip(panel.categories[outcome], counts, strict=True))
    elif family == "bernoulli":
        size, total = cells[f"{outcome}:n"], cells[f"{outcome}:successes"]
    else:
        size = cells[f"{outcome}:n"]
        total = size * cells[f"{outcome}:mean"].fillna(0.0)
    keys = ["unit", "period", "treated", "post"]
    made = cells[keys].assign(total=np.asarray(total, float), size=np.asarray(size, float))
    return made.groupby(keys, sort=True)[["total", "size"]].sum().reset_index()


def _percent(counts: pd.Series) -> pd.Series:
    return 100.0 * counts / counts.sum() if counts.sum() else counts * np.nan


def _bounds(mean: float, se: float) -> tuple[float, float, float, float]:
    return mean, se, mean - Z95 * se, mean + Z95 * se

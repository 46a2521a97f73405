"""What groups are made of: values of units or cells, cut into groups; performance before the start."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from hitlbayes.errors import SchemaError, SpecError

if TYPE_CHECKING:
    from hitlbayes.chatlog import Panel

MOST = 20  # groups; more are units of their own, whose effects fit_did draws


def before_start(panel: Panel, *, outcome: str) -> pd.Series:
    """Each unit's mean of an outcome before the start, its periods weighted by their chats.

    Parameters
    ----------
    panel : Panel
    outcome : str

    Returns
    -------
    Series
        Indexed by unit. Units without an observation before the start are left out of it, so that
        `fit_heterogeneity` names them.

    Notes
    -----
    A unit's mean is part luck, and luck does not last: in each group the controls show how much.

    Examples
    --------
    >>> import hitlbayes as hb
    >>> log = pd.DataFrame({
    ...     "worker_id": ["a", "a", "b", "b"], "treated": [1, 1, 0, 0], "retrial": [0, 1, 1, 0],
    ...     "post": [0, 1, 0, 1],
    ...     "start_time": pd.to_datetime(["2024-08-14 09:00", "2024-08-15 09:00"] * 2),
    ... })
    >>> before_start(hb.panel(log, outcomes="retrial"), outcome="retrial").to_dict()
    {'a': 0.0, 'b': 1.0}
    """
    means = getattr(panel, "means", None)
    if means is None or outcome not in means:
        known = [] if means is None else [c for c in means if c not in ("unit", "period")]
        raise SpecError(f"the panel has no means of {outcome!r}; it has: {', '.join(map(str, known))}.")
    before = means[(means["post"] == 0) & means[outcome].notna()]
    total = (before[outcome] * before["n"]).groupby(before["unit"]).sum()
    return (total / before.groupby("unit")["n"].sum()).rename(f"{outcome} before")


def group_of(
    keys: pd.DataFrame, *, by: str | pd.Series, bins: int | Sequence[float] | None
) -> tuple[str, pd.Categorical]:
    """Name and group (R,) of each cell.

    Raises
    ------
    SchemaError
        No such column, or units without a value.
    SpecError
        One group, or too many.

    Examples
    --------
    >>> keys = pd.DataFrame({"unit": [1, 1, 2, 3, 4]})
    >>> name, group = group_of(keys, by=pd.Series([5.0, 1.0, 9.0, 2.0], index=[1, 2, 3, 4]), bins=2)
    >>> list(group.categories), group.codes.tolist()
    (['1 to 3.5', '3.5 to 9'], [1, 1, 0, 1, 0])
    """
    if isinstance(by, str):
        if by not in keys:
            raise SchemaError(f"cells are not told apart by {by!r}; name it in hb.panel(chats, by={by!r}).")
        name, values = by, keys[by]
    else:
        name, values = str(by.name or "group"), keys["unit"].map(by)
    lost = values.isna()
    if lost.any():
        units = keys["unit"][lost].unique()
        shown = ", ".join(map(str, units[:5]))
        raise SchemaError(
            f"{len(units)} units have no {name!r} ({shown}); give them one or leave them out of the panel."
        )
    group = pd.Categorical(values) if bins is None else _cut(values, keys["unit"], bins=bins, name=name)
    group = group.remove_unused_categories()
    if not 2 <= len(group.categories) <= MOST:
        raise SpecError(f"{name!r} makes {len(group.categories)} groups; expected 2 to {MOST}: choose bins=.")
    return name, group.rename_categories(str)


def _cut(values: pd.Series, unit: pd.Series, *, bins: int | Sequence[float], name: str) -> pd.Categorical:
    """Numbers cut at edges, or into groups of about equally many units (cells, where units have several)."""
    numbers = pd.to_numeric(values, errors="coerce")
    if numbers.isna().any():
        raise SpecError(f"{name!r} holds values that are no numbers; leave bins= out to take them as groups.")
    if isinstance(bins, int):
        each = numbers.groupby(unit.to_numpy()).agg(["min", "max"])
        sample = each["min"] if (each["min"] == each["max"]).all() else numbers
        edges = np.unique(np.quantile(sample, np.linspace(0, 1, bins + 1)))
    else:
        edges = np.asarray(list(bins), float)
    outside = (numbers < edges[0]) | (numbers > edges[-1])
    if outside.any():
        raise SpecError(
            f"{int(outside.sum())} cells have {name!r} outside bins={edges.tolist()}; widen them."
        )
    labels = [f"{low:.4g} to {high:.4g}" for low, high in pairwise(edges)]
    return pd.Categorical(
        np.array(labels)[np.clip(np.searchsorted(edges, numbers, side="right") - 1, 0, len(labels) - 1)],
        categories=labels,
        ordered=True,
    )

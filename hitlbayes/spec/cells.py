"""One outcome's sufficient statistics, ready for a model, whatever they came from.

A `Panel` already holds them. A frame of rows at any level is collapsed here: rows that share the unit,
the period and every covariate share one linear predictor, so their statistics add up exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from hitlbayes.errors import SchemaError, SpecError
from hitlbayes.spec.families import FAMILIES

SHOWN = 5


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """Sufficient statistics of one outcome, one row per cell.

    Attributes
    ----------
    keys : DataFrame
        What separates the cells: unit, period, arm, covariates.
    family : str
    n : (R,) array
        Observations, or the precision weight.
    stats : (R, S) array
        Gaussian: mean and within-cell sum of squares; ordinal: the count of each category; else the total.
    labels : tuple
        Ordinal categories, in order.
    values : (V, 2) array
        Histogram of a count outcome.
    is_precision : bool
        n is a precision weight, not a number of observations.
    drops : dict
        Reason -> rows left out.
    """

    keys: pd.DataFrame
    family: str
    n: np.ndarray
    stats: np.ndarray
    labels: tuple = ()
    values: np.ndarray = field(default_factory=lambda: np.zeros((0, 2)))
    is_precision: bool = False
    drops: dict[str, int] | None = None

    def mean(self) -> np.ndarray:
        """Mean outcome of each cell (R,); the category labels count as numbers."""
        if self.family == "gaussian":
            return self.stats[:, 0]
        if self.family == "ordinal":
            return self.stats @ category_values(self.labels) / self.n
        return self.stats[:, 0] / self.n

    def take(self, keep: np.ndarray, *, reason: str) -> Cells:
        """Only the cells where `keep` (R,) is true; how many went is counted under `reason`."""
        if keep.all():
            return self
        drops = {**(self.drops or {}), reason: int((~keep).sum())}
        return replace(
            self,
            keys=self.keys[keep].reset_index(drop=True),
            n=self.n[keep],
            stats=self.stats[keep],
            drops=drops,
        )


def category_values(labels: Sequence) -> np.ndarray:
    """Categories as numbers: themselves where they are numbers, else 1, 2, ..."""
    numbers = pd.to_numeric(pd.Series(list(labels)), errors="coerce").to_numpy(float)
    return np.arange(1.0, len(labels) + 1) if np.isnan(numbers).any() else numbers


def cells_of_panel(panel, *, outcome: str, family: str | None = None) -> Cells:
    """The cells of a `hitlbayes.chatlog.Panel` for one of its outcomes."""
    if outcome not in panel.outcomes:
        raise SpecError(
            f"the panel has no outcome {outcome!r}; it has: {', '.join(sorted(panel.outcomes))}. A column "
            "that was mapped goes by its canonical name, as columns={'rating': 'stars'} makes 'rating'."
        )
    family = family or panel.outcomes[outcome]
    frame = panel.cells
    own = [c for c in frame.columns if ":" not in str(c) and c != "n"]
    labels: tuple = ()
    values = np.zeros((0, 2))
    if family == "ordinal":
        labels = tuple(panel.categories[outcome])
        stats = frame[[f"{outcome}:{label}" for label in labels]].to_numpy(float)
        n = stats.sum(axis=1)
    elif family == "bernoulli":
        n, stats = frame[f"{outcome}:n"].to_numpy(float), frame[[f"{outcome}:successes"]].to_numpy(float)
    else:
        n = frame[f"{outcome}:n"].to_numpy(float)
        stats = frame[[f"{outcome}:mean", f"{outcome}:ss"]].to_numpy(float)
        if family == "count":
            stats = np.nan_to_num(np.rint(stats[:, :1] * n[:, None]))
            values = _histogram(panel.histograms[outcome])
    cells = Cells(frame[own].reset_index(drop=True), family, n, stats, labels, values)
    return cells.take(n > 0, reason=f"cells without {outcome}")


def _histogram(histogram: pd.DataFrame) -> np.ndarray:
    total = histogram.groupby("value", sort=True)["n"].sum()
    return np.column_stack([total.index.to_numpy(float), total.to_numpy(float)])


def cells_of_frame(
    frame: pd.DataFrame,
    *,
    outcome: str,
    family: str,
    keys: Sequence[str],
    trials: str | None = None,
    precision: str | None = None,
) -> Cells:
    """A frame's rows collapsed to cells that share every key.

    Raises
    ------
    SchemaError
        A missing column, missing or impossible values: which rows, and what was expected.
    """
    if family not in FAMILIES:
        raise SpecError(f"family {family!r} is not one of: {', '.join(FAMILIES)}.")
    wanted = [outcome, *keys, *([trials] if trials else []), *([precision] if precision else [])]
    missing = [c for c in dict.fromkeys(wanted) if c not in frame.columns]
    if missing:
        raise SchemaError(
            f"no column {', '.join(map(repr, missing))}; the frame has: {', '.join(map(str, frame.columns))}."
        )
    if not len(frame):
        raise SchemaError("the frame has no rows; expected at least one row per unit and period.")
    for column in dict.fromkeys(keys):
        refuse(
            frame,
            frame[column].isna(),
            f"missing values in {column!r}",
            "fill them in or leave those rows out",
        )
    unrated = frame[outcome].isna()
    drops = {f"rows without {outcome}": int(unrated.sum())} if unrated.any() else {}
    used = frame.loc[~unrated]
    if not len(used):
        raise SchemaError(f"{outcome!r} is missing in every row.")
    cells = _collapse(used, outcome, family, list(dict.fromkeys(keys)), trials, precision)
    return replace(cells, drops=drops)


def refuse(frame: pd.DataFrame, bad: pd.Series, what: str, expected: str) -> None:
    """Raise a `SchemaError` that names the rows where `bad` is true."""
    if bad.any():
        rows = ", ".join(map(str, frame.index[bad.to_numpy()][:SHOWN]))
        raise SchemaError(
            f"{what}: {int(bad.sum())} of {len(frame)} rows, the first at index {rows}; {expected}."
        )


def _collapse(
    frame, outcome: str, family: str, keys: list[str], trials: str | None, precision: str | None
) -> Cells:
    labels: tuple = ()
    y = frame[outcome]
    if family == "ordinal":
        labels = _labels(frame, outcome)
        codes = pd.Categorical(y, categories=list(labels), ordered=True).codes
    else:
        y = pd.to_numeric(y, errors="coerce").astype(float)
        refuse(frame, ~np.isfinite(y), f"{outcome!r} is not a finite number", "expected numbers")
    if precision:
        return _weighted(frame, y, keys, precision)
    weight = _trials(frame, y, family, outcome, trials)
    grouped = frame[keys].reset_index(drop=True)
    cell = grouped.groupby(keys, sort=True, observed=True, dropna=False).ngroup().to_numpy()
    first = grouped.drop_duplicates().assign(_cell=cell[grouped.drop_duplicates().index]).sort_values("_cell")
    made = first.drop(columns="_cell").reset_index(drop=True)
    size = len(made)
    n = np.bincount(cell, weight, size)
    if family == "ordinal":
        stats = np.zeros((size, len(labels)))
        np.add.at(stats, (cell, codes), 1.0)
        return Cells(made, family, n, stats, labels)
    total = np.bincount(cell, y.to_numpy(), size)
    if family != "gaussian":
        value, times = np.unique(y.to_numpy(), return_counts=True)
        return Cells(made, family, n, total[:, None], values=np.column_stack([value, times]).astype(float))
    mean = total / n
    ss = np.bincount(cell, (y.to_numpy() - mean[cell]) ** 2, size)
    return Cells(made, family, n, np.column_stack([mean, ss]))


def _weighted(frame: pd.DataFrame, y: pd.Series, keys: list[str], precision: str) -> Cells:
    w = frame[precision].astype(float)
    refuse(
        frame,
        ~((w > 0) & (w < np.inf)),
        f"precision {precision!r} is not positive",
        "expected weights above zero",
    )
    stats = np.column_stack([y.to_numpy(float), np.zeros(len(frame))])
    # Weights are scaled to mean one, so that sigma is the residual SD of a row of average weight.
    return Cells(
        frame[keys].reset_index(drop=True), "gaussian", (w / w.mean()).to_numpy(), stats, is_precision=True
    )


def _trials(frame: pd.DataFrame, y: pd.Series, family: str, outcome: str, trials: str | None) -> np.ndarray:
    """Observations behind each row, with the outcome's range checked."""
    if family == "bernoulli":
        n = frame[trials].astype(float) if trials else pd.Series(1.0, index=frame.index)
        bad = (y < 0) | (y > n) | (y != np.rint(y))
        refuse(
            frame,
            bad,
            f"{outcome!r} is not a number of successes",
            "expected 0 or 1, or whole numbers up to `trials`",
        )
        return n.to_numpy()
    if family == "count":
        bad = (y < 0) | (y != np.rint(y))
        refuse(frame, bad, f"{outcome!r} is not a count", "expected whole numbers from 0")
    return np.ones(len(frame))


def _labels(frame: pd.DataFrame, outcome: str) -> tuple:
    y = frame[outcome]
    if isinstance(y.dtype, pd.CategoricalDtype):
        return tuple(y.cat.categories)
    number = pd.to_numeric(y, errors="coerce")
    refuse(
        frame,
        number.isna(),
        f"{outcome!r} is not a number",
        "expected whole numbers, or an ordered categorical",
    )
    refuse(
        frame,
        number != np.rint(number),
        f"{outcome!r} is not a whole number",
        "expected ordered categories such as 1, 2, ..",
    )
    seen = np.unique(number.astype(int))
    if len(seen) > 50:
        raise SchemaError(
            f"{outcome!r} has {len(seen)} different values; "
            "an ordinal outcome has at most 50. Use family='gaussian'."
        )
    return tuple(int(v) for v in range(seen[0], seen[-1] + 1))

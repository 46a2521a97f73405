"""Where each shock goes: slots in rows, units in columns, a large one in several: sums are over an axis."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hitlbayes.inference.runtime import COARSE, bucket

ALIGN_WASTE = 8  # empty slots per full one that are worth having a period effect without a scatter
FOLDS = (8, 16, 32, 64, 128)  # slots of a column that holds part of a unit
COLUMN_COST = 4  # of a unit's second column: what it costs to bring its sums together, in slots
FOLD_GAIN = 0.8  # of the work of one column a unit, below which units are folded


@dataclass(frozen=True, slots=True)
class Slots:
    """A slot layout.

    n_units : padded units included
    columns, slots : its shape
    column : (columns,) unit of each column; empty where columns are the units
    position : (D',) place in the flat grid of each occupied shock, in the order of the shocks
    aligned : for each crossed group, whether the slot is its level
    """

    n_units: int
    columns: int
    slots: int
    column: np.ndarray
    position: np.ndarray
    aligned: tuple[bool, ...]

    @property
    def size(self) -> int:
        """All slots, empty ones included."""
        return self.columns * self.slots

    def put(self, values: np.ndarray, *, empty: float = 0.0) -> np.ndarray:
        """Values by shock (D', ...) on the grid: (..., slots, columns)."""
        made = np.full((*values.shape[1:], self.size), empty, values.dtype)
        made[..., self.position] = values.T
        return made.reshape(*values.shape[1:], self.slots, self.columns)


def make_slots(
    unit: np.ndarray,
    groups: list[np.ndarray],
    sizes: list[int],
    *,
    n_units: int,
    may_align: bool = True,
    may_fold: bool = True,
) -> Slots:
    """Slots of shocks that belong to `unit` (D',) and, where each is one row, to levels of `groups`.

    A group is aligned where no unit has two shocks at one of its levels and the grid would not be mostly
    empty; at most one group is. Otherwise units with many more shocks than others have several columns, where
    that makes a smaller grid.
    """
    padded = bucket(n_units)
    aligned, none = [False] * len(groups), np.zeros(0, np.int32)
    for k, (group, size) in enumerate(zip(groups, sizes, strict=True)):
        once = len(np.unique(unit.astype(np.int64) * size + group)) == len(unit)
        if may_align and once and padded * size <= ALIGN_WASTE * len(unit) + 4096:
            aligned[k] = True
            return Slots(padded, padded, size, none, group.astype(np.int64) * padded + unit, tuple(aligned))
    order = np.argsort(unit, kind="stable")
    count = np.bincount(unit, minlength=n_units)
    start = np.concatenate([[0], np.cumsum(count)[:-1]])
    rank = np.empty(len(unit), np.int64)
    rank[order] = np.arange(len(unit)) - start[unit[order]]
    slots, folds = bucket(int(count.max(initial=1))), np.maximum(count, 1)
    work = {size: int(np.sum(-(-folds // size))) * (size + COLUMN_COST) for size in FOLDS if size < slots}
    best = min(work, key=work.__getitem__, default=slots)
    if not may_fold or work.get(best, np.inf) > FOLD_GAIN * padded * slots:
        return Slots(padded, padded, slots, none, rank * padded + unit, tuple(aligned))
    parts = -(-folds // best)
    first = np.cumsum(parts) - parts
    columns = bucket(int(parts.sum()), steps=COARSE)
    column = np.full(columns, padded - 1, np.int32)  # what pads the grid has no data, whosever it is
    column[: parts.sum()] = np.repeat(np.arange(n_units), parts)
    place = rank % best * columns + first[unit] + rank // best
    return Slots(padded, columns, best, column, place, tuple(aligned))

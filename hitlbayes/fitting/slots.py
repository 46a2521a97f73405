"""Where each shock goes: slots in rows, units in columns, so that a sum over a unit is a sum over an axis."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hitlbayes.inference.runtime import bucket

ALIGN_WASTE = 8  # empty slots per full one that are worth having a period effect without a scatter


@dataclass(frozen=True, slots=True)
class Slots:
    """A slot layout.

    n_units, slots : its shape, padded units included
    position : (D',) place in the flat grid of each occupied shock, in the order of the shocks
    aligned : for each crossed group, whether the slot is its level
    """

    n_units: int
    slots: int
    position: np.ndarray
    aligned: tuple[bool, ...]

    @property
    def size(self) -> int:
        """All slots, empty ones included."""
        return self.n_units * self.slots

    def put(self, values: np.ndarray, *, empty: float = 0.0) -> np.ndarray:
        """Values by shock (D', ...) on the grid: (..., slots, n_units)."""
        made = np.full((*values.shape[1:], self.size), empty, values.dtype)
        made[..., self.position] = values.T
        return made.reshape(*values.shape[1:], self.slots, self.n_units)


def make_slots(
    unit: np.ndarray, groups: list[np.ndarray], sizes: list[int], *, n_units: int, may_align: bool = True
) -> Slots:
    """Slots of shocks that belong to `unit` (D',) and, where each is one row, to levels of `groups`.

    A group is aligned where no unit has two shocks at one of its levels and the grid would not be mostly
    empty; at most one group is.
    """
    padded = bucket(n_units)
    aligned = [False] * len(groups)
    for k, (group, size) in enumerate(zip(groups, sizes, strict=True)):
        once = len(np.unique(unit.astype(np.int64) * size + group)) == len(unit)
        if may_align and once and padded * size <= ALIGN_WASTE * len(unit) + 4096:
            aligned[k] = True
            return Slots(padded, size, group.astype(np.int64) * padded + unit, tuple(aligned))
    order = np.argsort(unit, kind="stable")
    count = np.bincount(unit, minlength=n_units)
    start = np.concatenate([[0], np.cumsum(count)[:-1]])
    rank = np.empty(len(unit), np.int64)
    rank[order] = np.arange(len(unit)) - start[unit[order]]
    slots = bucket(int(count.max(initial=1)))
    return Slots(padded, slots, rank * padded + unit, tuple(aligned))

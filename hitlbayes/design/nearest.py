"""Greedy nearest-neighbour matching on one number, without replacement, in O(n log n).

The rules are those of R's MatchIt 4.7 (`method = "nearest"`, doi:10.18637/jss.v042.i08): treated rows take
turns in a stated order and each takes the nearest control that is still free. Controls lie in sorted order
and a taken one is skipped by a pointer to the next free one (union-find), so that a turn costs next to
nothing however crowded the neighbourhood is. Only calipers on covariates can make a turn long: all free
controls within the caliper of the distance are then looked at.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from hitlbayes.errors import SpecError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Order = Literal["largest", "smallest", "data", "closest", "random"]


@dataclass(frozen=True, slots=True)
class Limits:
    """What a pair must keep.

    caliper : largest distance of a pair, in the units of the distance; infinite for none
    strata : (n,) codes; a pair shares its stratum
    covariates : (n, c) values under a caliper of their own
    widths : (c,) their calipers
    """

    caliper: float
    strata: Ints
    covariates: Floats
    widths: Floats

    def kept_by(self, treated: Ints, controls: Ints, *, distance: Floats) -> NDArray[np.bool_]:
        """Whether each pair of rows keeps every limit."""
        near = np.abs(distance[treated] - distance[controls]) <= self.caliper
        same = self.strata[treated] == self.strata[controls]
        gaps = np.abs(self.covariates[treated] - self.covariates[controls])
        return near & same & np.all(gaps <= self.widths, axis=1)


def nearest_neighbours(
    distance: Floats, treated: NDArray[np.bool_], *, limits: Limits, order: Order, ratio: int, seed: int
) -> Ints:
    """Pairs (treated row, control row) in the order in which they were made, shape (pairs, 2).

    Parameters
    ----------
    distance : (n,)
        Finite where a row may be matched.
    treated : (n,)
    limits : Limits
    order : {"largest", "smallest", "data", "closest", "random"}
        Whose turn it is: by distance, by row, or, ``"closest"``, whichever pair is closest next.
    ratio : int
        Controls for each treated row: everybody gets a first one before anybody gets a second.
    seed : int
        Of the random order.

    Raises
    ------
    SpecError
        An unknown order or a ratio below 1.

    Examples
    --------
    >>> free = Limits(np.inf, np.zeros(4, int), np.zeros((4, 0)), np.zeros(0))
    >>> x, arm = np.array([1.0, 2.0, 2.4, 9.0]), np.array([False, True, True, False])
    >>> nearest_neighbours(x, arm, limits=free, order="largest", ratio=1, seed=0).tolist()
    [[2, 0], [1, 3]]
    """
    if order not in get_args(Order):
        raise SpecError(f"order is {order!r}; expected one of: {', '.join(get_args(Order))}.")
    if ratio < 1 or ratio != int(ratio):
        raise SpecError(f"ratio is {ratio}; expected a whole number of controls for each treated row.")
    rows = np.flatnonzero(treated & np.isfinite(distance))
    market = _Market(distance, treated, limits=limits)
    pairs: list[tuple[int, int]] = []
    turns = rows if order == "closest" else _turns(distance, rows, order=order, seed=seed)
    for _ in range(int(ratio)):
        made = list(_closest(market, turns) if order == "closest" else _in_turn(market, turns))
        pairs += made
        found = {row for row, _ in made}
        turns = np.array([row for row in turns.tolist() if row in found], dtype=np.int64)
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def has_candidate(distance: Floats, treated: NDArray[np.bool_], *, limits: Limits) -> NDArray[np.bool_]:
    """Whether each treated row (n,) has a control within its limits at all, were nobody else there."""
    market = _Market(distance, treated, limits=limits)
    found = np.zeros(distance.size, bool)
    for row in np.flatnonzero(treated & np.isfinite(distance)).tolist():
        found[row] = market.nearest(row) >= 0
    return found


class _Market:
    """Controls sorted by stratum and distance, and which of them are free."""

    def __init__(self, distance: Floats, treated: NDArray[np.bool_], *, limits: Limits) -> None:
        # One sorted order of both arms, ties in order of rows: what lies left of a row is what precedes it.
        rows = np.flatnonzero(np.isfinite(distance))
        rows = rows[np.lexsort((distance[rows], limits.strata[rows]))]
        is_control = ~treated[rows]
        self.rows: list[int] = rows[is_control].tolist()
        self.values: list[float] = distance[rows[is_control]].tolist()
        before = np.zeros(distance.size, np.int64)
        before[rows] = np.cumsum(is_control) - is_control
        self.spot: list[int] = before.tolist()
        strata = limits.strata[rows[is_control]]
        self.first: list[int] = np.searchsorted(strata, limits.strata, "left").tolist()
        self.end: list[int] = np.searchsorted(strata, limits.strata, "right").tolist()
        self.distance: list[float] = distance.tolist()
        self.caliper = limits.caliper
        self.limits = limits if limits.widths.size else None
        self.sorted = np.asarray(self.values)
        self.covariates = limits.covariates[self.rows]
        self.free = np.ones(len(self.rows), bool)
        size = len(self.rows)
        # position p is entry p + 1 of `down` (entry 0: none left) and entry p of `up` (entry size: none left)
        self._down, self._up = list(range(size + 1)), list(range(size + 1))

    def nearest(self, row: int) -> int:
        """Position of the nearest free control that `row` may take; -1 where there is none."""
        first, end, at = self.first[row], self.end[row], self.distance[row]
        low, high = self._beside(row)
        left = at - self.values[low] if low >= first else np.inf
        right = self.values[high] - at if high < end else np.inf
        gap = min(left, right)
        if gap > self.caliper or gap == np.inf:
            return -1
        return low if left <= right else high

    def _beside(self, row: int) -> tuple[int, int]:
        """The free controls next to a row on its left and right that keep its calipers on covariates."""
        spot = self.spot[row]
        if self.limits is None:
            return _root(self._down, spot) - 1, _root(self._up, spot)
        first, end, at = self.first[row], self.end[row], self.distance[row]
        low = first + int(np.searchsorted(self.sorted[first:end], at - self.caliper, "left"))
        high = first + int(np.searchsorted(self.sorted[first:end], at + self.caliper, "right"))
        # one more on either side: the sums above round, the difference that decides does not
        low, high = max(low - 1, first), min(high + 1, end)
        gaps = np.abs(self.covariates[low:high] - self.limits.covariates[row])
        near = low + np.flatnonzero(self.free[low:high] & np.all(gaps <= self.limits.widths, axis=1))
        cut = int(np.searchsorted(near, spot))
        return (int(near[cut - 1]) if cut else -1), (int(near[cut]) if cut < len(near) else end)

    def gap(self, row: int, position: int) -> float:
        """Distance of a row from the control at a position."""
        return abs(self.distance[row] - self.values[position])

    def is_free(self, position: int) -> bool:
        """Whether the control at a position is still to be had."""
        return bool(self.free[position])

    def take(self, position: int) -> int:
        """Mark a control as taken; its row."""
        self._down[position + 1], self._up[position] = position, position + 1
        self.free[position] = False
        return self.rows[position]


def _root(pointers: list[int], spot: int) -> int:
    while pointers[spot] != spot:
        pointers[spot] = pointers[pointers[spot]]
        spot = pointers[spot]
    return spot


def _in_turn(market: _Market, turns: Ints) -> Iterator[tuple[int, int]]:
    for row in turns.tolist():
        found = market.nearest(row)
        if found >= 0:
            yield row, market.take(found)


def _closest(market: _Market, rows: Ints) -> Iterator[tuple[int, int]]:
    """The closest pair first: a row whose candidate was taken looks again and queues anew."""
    queue = [(market.gap(row, c), row, c) for row in rows.tolist() if (c := market.nearest(row)) >= 0]
    heapq.heapify(queue)
    while queue:
        _, row, candidate = heapq.heappop(queue)
        if market.is_free(candidate):
            yield row, market.take(candidate)
        elif (candidate := market.nearest(row)) >= 0:
            heapq.heappush(queue, (market.gap(row, candidate), row, candidate))


def _turns(distance: Floats, rows: Ints, *, order: Order, seed: int) -> Ints:
    if order == "data":
        return rows
    if order == "random":
        return np.random.default_rng(seed).permutation(rows)
    sign = -1.0 if order == "largest" else 1.0
    return rows[np.argsort(sign * distance[rows], kind="stable")]

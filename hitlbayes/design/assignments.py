"""Which unit could have been in which arm: the assignments that a randomised experiment might have drawn."""

from __future__ import annotations

from math import comb
from typing import NamedTuple

import numpy as np

from hitlbayes.errors import DesignError, SpecError

SEED = 20240815


class Assignments(NamedTuple):
    """Arms that might have been drawn (permutations, units), the actual ones first; whether they are all."""

    arms: np.ndarray
    complete: bool


def assignments(
    arm: np.ndarray, *, permutations: int = 2000, blocks: np.ndarray | None = None, seed: int = SEED
) -> Assignments:
    """Arms shuffled among the units, within blocks where the experiment was stratified.

    Parameters
    ----------
    arm : (units,) whole numbers, 0 for controls
    permutations : int
        How many shuffles; all of them are listed, once each, where there are no more than this.
    blocks : (units,), optional
        Units are shuffled within equal values.
    seed : int

    Returns
    -------
    Assignments
        With `permutations` + 1 rows, or as many as there are.

    Examples
    --------
    >>> assignments(np.array([1, 1, 0, 0])).arms.shape, assignments(np.array([1, 1, 0, 0])).complete
    ((6, 4), True)
    """
    arm = np.asarray(arm)
    if permutations < 1:
        raise SpecError(f"permutations={permutations}.\n  expected: at least 1.")
    if len(np.unique(arm)) < 2:
        raise DesignError(
            f"all {len(arm):,} units are in one arm.\n  expected: at least two arms to compare."
        )
    if blocks is None and set(np.unique(arm)) == {0, 1} and comb(len(arm), int(arm.sum())) <= permutations:
        return Assignments(_every(arm), True)
    rng = np.random.default_rng(seed)
    groups = [np.arange(len(arm))]
    if blocks is not None:
        codes = np.unique(blocks, return_inverse=True)[1]
        groups = [np.flatnonzero(codes == code) for code in range(codes.max() + 1)]
    if all(len(np.unique(arm[group])) < 2 for group in groups):
        raise DesignError("no block has units of two arms, so that nothing could have been otherwise.")
    arms = np.tile(arm, (permutations + 1, 1))
    for group in groups:
        arms[1:, group] = rng.permuted(arms[1:, group], axis=1)
    return Assignments(arms, False)


def _every(arm: np.ndarray) -> np.ndarray:
    """All assignments with as many treated, the actual one first."""
    from itertools import combinations

    chosen = [set(np.flatnonzero(arm).tolist())]
    chosen += [set(c) for c in combinations(range(len(arm)), int(arm.sum())) if set(c) != chosen[0]]
    arms = np.zeros((len(chosen), len(arm)), dtype=arm.dtype)
    for row, treated in enumerate(chosen):
        arms[row, list(treated)] = 1
    return arms


def p_value(statistics: np.ndarray) -> float:
    """Share of assignments whose statistic is as far from zero as the first's, which is the actual one."""
    size = np.abs(statistics)
    return float(np.mean(size >= size[0] * (1 - 1e-9)))

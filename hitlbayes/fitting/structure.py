"""How units, groups and treatment enter a model: grouping factors and the unit's block."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd


@dataclass(frozen=True, slots=True, eq=False)
class Grouping:
    """A grouping factor: the level of each cell (R,), and the levels' labels."""

    name: str
    codes: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class Structure:
    """How units, periods and treatment enter a model.

    block : name of the unit's block (`hitlbayes.inference.blocks`)
    unit, groups : the primary grouping and the crossed ones
    basis : (R, q) of the block; exposure : (R,) treated now; unit_class : (N,) factor of each unit's block
    period : (R,) codes that separate a unit's shocks, or None for no shocks
    phase, phase_labels : which residual SD applies (Gaussian)
    """

    block: str
    unit: Grouping
    groups: tuple[Grouping, ...]
    basis: np.ndarray
    exposure: np.ndarray
    unit_class: np.ndarray
    period: np.ndarray | None
    phase: np.ndarray
    phase_labels: tuple[str, ...]


def encode(values: pd.Series, *, name: str) -> Grouping:
    """A column as a grouping factor, its levels in sorted order."""
    codes, labels = pd.factorize(values, sort=True)
    return Grouping(name, codes.astype(np.int64), np.asarray(labels))


def crossed(keys: pd.DataFrame, names: Sequence[str]) -> tuple[Grouping, ...]:
    """Grouping factors of several columns."""
    return tuple(encode(keys[name], name=str(name)) for name in names)

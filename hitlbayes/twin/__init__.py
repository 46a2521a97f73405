"""The synthetic experiment: what is found on it is never a finding."""

from __future__ import annotations

from hitlbayes.twin.cells import Cells, simulate_cells
from hitlbayes.twin.panels import simulate_panels
from hitlbayes.twin.parameters import Parameters
from hitlbayes.twin.sections import TYPES, Effect, Effects
from hitlbayes.twin.simulate import Twin, simulate

__all__ = [
    "TYPES",
    "Cells",
    "Effect",
    "Effects",
    "Parameters",
    "Twin",
    "simulate",
    "simulate_cells",
    "simulate_panels",
]

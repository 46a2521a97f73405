"""The synthetic experiment: what is found on it is never a finding."""

from __future__ import annotations

from hitlbayes.twin.parameters import TYPES, Effect, Effects, Parameters
from hitlbayes.twin.simulate import Twin, simulate

__all__ = ["TYPES", "Effect", "Effects", "Parameters", "Twin", "simulate"]

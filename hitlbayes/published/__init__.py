"""The paper's printed figures: as data, re-analysed, and checked against each other."""

from hitlbayes.published.effort import decompose_effort
from hitlbayes.published.reanalyze import reanalyze
from hitlbayes.published.tables import facts, table, tables

__all__ = ["decompose_effort", "facts", "reanalyze", "table", "tables"]

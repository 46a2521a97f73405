"""The paper's printed figures: as data, re-analysed, and checked against each other."""

from hitlbayes.published.audit import audit
from hitlbayes.published.effort import decompose_effort
from hitlbayes.published.plots import plot_decomposition, plot_shrinkage
from hitlbayes.published.ratio_check import ratio_check
from hitlbayes.published.reanalyze import reanalyze
from hitlbayes.published.tables import facts, table, tables

__all__ = [
    "audit",
    "decompose_effort",
    "facts",
    "plot_decomposition",
    "plot_shrinkage",
    "ratio_check",
    "reanalyze",
    "table",
    "tables",
]

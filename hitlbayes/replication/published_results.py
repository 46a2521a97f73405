"""The published tables re-analysed: real numbers, and what they imply."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from hitlbayes.published import audit, decompose_effort, reanalyze
from hitlbayes.published.decomposition import EffortDecomposition
from hitlbayes.published.reanalysis import Reanalysis

TABLES = ("2", "3", "4", "5", "6", "7")


@dataclass(frozen=True, slots=True)
class PublishedResults:
    """Re-analyses by table, the effort decomposition, and printed figures that do not fit together."""

    tables: dict[str, Reanalysis]
    effort: EffortDecomposition
    findings: pd.DataFrame

    def frames(self) -> dict[str, pd.DataFrame]:
        """Every result as a table, by the name of its CSV file."""
        found = {f"published_{name}": result.summary() for name, result in self.tables.items()}
        return {**found, "published_effort": self.effort.summary(), "published_audit": self.findings}


def published_results(*, seed: int) -> PublishedResults:
    """Posterior of every published effect; under a second, so nothing is kept from run to run.

    Parameters
    ----------
    seed : int
        Seed of the independent draws.

    Examples
    --------
    >>> sorted(published_results(seed=1).frames())[:2]
    ['published_2', 'published_3']
    """
    return PublishedResults(
        tables={name: reanalyze(name, seed=seed) for name in TABLES},
        effort=decompose_effort(seed=seed),
        findings=audit(agreeing=False),
    )

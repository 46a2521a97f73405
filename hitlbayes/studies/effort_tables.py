"""What is shown of a joint model of effort: its tables, which a report keeps without the draws."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from hitlbayes.studies.effort_surface import Surface

if TYPE_CHECKING:
    from hitlbayes.studies.effort_result import EffortFit


@dataclass(frozen=True, slots=True, eq=False)
class EffortTables:
    """Tables of an `EffortFit`.

    Attributes
    ----------
    summary, survival, observed, overlap : DataFrame
        As the fit gives them.
    types : tuple of str
        Reference first.
    synthetic, ok : bool
        Whether the data are simulated; whether the draws passed their checks.
    """

    summary: pd.DataFrame
    survival: pd.DataFrame
    observed: pd.DataFrame
    overlap: pd.DataFrame
    types: tuple[str, ...]
    synthetic: bool
    ok: bool

    @property
    def sets(self) -> tuple[str, ...]:
        """Sets of covariates that were fitted, in order."""
        return tuple(dict.fromkeys(map(str, self.summary["adjust"])))


def tables_of(fit: EffortFit | EffortTables) -> EffortTables:
    """The tables of a fit; those of tables are themselves."""
    if isinstance(fit, EffortTables):
        return fit
    return EffortTables(
        fit.summary(), fit.survival(), fit.observed, fit.overlap, fit.types, fit.synthetic, fit.check().ok
    )


def surface_of_frame(frame: pd.DataFrame, *, words: str, least: int, prob: float) -> Surface:
    """A surface from its cells with data (`Surface.to_frame`), for drawing.

    Examples
    --------
    >>> cells = pd.DataFrame({"sentiment": [1.0, 2.0], "ai_rounds": ["1", "2+"], "mean": [0.1, 0.2],
    ...                       "lower": 0.0, "upper": 0.3, "n": [30, 20]})
    >>> surface_of_frame(cells, words="all", least=10, prob=0.95).mean.tolist()
    [[0.1, nan], [nan, 0.2]]
    """
    bands = sorted(set(frame["ai_rounds"].astype(str)), key=lambda b: int(b.split("-")[0].rstrip("+")))
    levels = np.sort(frame["sentiment"].unique())
    frame = frame.assign(ai_rounds=frame["ai_rounds"].astype(str))
    wide = {
        name: frame.pivot(index="sentiment", columns="ai_rounds", values=name).reindex(
            index=levels, columns=bands
        )
        for name in ("mean", "lower", "upper", "n")
    }
    arrays = {name: table.to_numpy(float) for name, table in wide.items()}
    n = np.nan_to_num(arrays["n"]).astype(int)
    middle = np.full(len(bands), np.nan)
    return Surface(
        levels, middle, tuple(bands), arrays["mean"], arrays["lower"], arrays["upper"], n, words, prob, least
    )

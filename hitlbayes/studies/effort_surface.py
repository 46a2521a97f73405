"""Dose and response: expected effort over sentiment at takeover and AI rounds elapsed."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from hitlbayes.errors import SpecError

if TYPE_CHECKING:
    from hitlbayes.studies.effort_result import EffortFit

ROUNDS = (1, 2, 3, 4, 6, 9, 14, 25)
"""Edges of the bands of AI rounds: 1, 2, 3, 4-5, 6-8, 9-13, 14-24, 25 and more."""


@dataclass(frozen=True, slots=True, eq=False)
class Surface:
    """Latent effort by level of sentiment (L,) and band of AI rounds (R,).

    Attributes
    ----------
    sentiment : (L,) levels; rounds : (R,) median AI rounds of the band's takeovers; bands : edges in words
    mean, lower, upper : (L, R) effort in SDs between like chats, zero at the average takeover; NaN where
        there are fewer than `least` takeovers
    n : (L, R) takeovers in the cell
    type : the type that the surface is for
    prob, least
    """

    sentiment: np.ndarray
    rounds: np.ndarray
    bands: tuple[str, ...]
    mean: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    n: np.ndarray
    type: str
    prob: float
    least: int

    def to_frame(self) -> pd.DataFrame:
        """One row per cell with data."""
        at = [(i, j) for i, j in np.ndindex(*self.n.shape) if np.isfinite(self.mean[i, j])]
        return pd.DataFrame(
            {
                "sentiment": [self.sentiment[i] for i, _ in at],
                "ai_rounds": [self.bands[j] for _, j in at],
                **{k: [getattr(self, k)[ij] for ij in at] for k in ("mean", "lower", "upper", "n")},
            }
        )


def surface(
    fit: EffortFit, *, type: str | None = None, prob: float = 0.95, least: int = 10, edges: tuple = ROUNDS
) -> Surface:
    """Expected effort over sentiment and AI rounds, with its interval, blank where there are no data.

    Parameters
    ----------
    fit : EffortFit
        With the set "sentiment".
    type : str, optional
        For takeovers of this type; by default for all, at the types' overall shares.
    prob : float
        Of the interval.
    least : int
        Takeovers that a cell must have.
    edges : tuple of int
        Where bands of AI rounds begin.

    Notes
    -----
    Each cell is at the mean of its own takeovers' covariates (seconds elapsed among them), so that nothing
    is read off where nothing was seen. The type is the same in every cell.
    """
    if "sentiment" not in fit.posterior:
        raise SpecError("the surface needs the fit at equal sentiment; add 'sentiment' to adjust=.")
    if type is not None and type not in fit.types:
        raise SpecError(f"type is {type!r}; expected one of {', '.join(map(repr, fit.types))}.")
    ready = fit.takeovers
    draws = fit.posterior["sentiment"]["kappa"]
    kappa = draws.to_numpy().reshape(-1, draws.sizes["column"])
    X = ready.columns.X[list(map(str, draws["column"].values))].to_numpy().copy()
    group = dict(zip(ready.columns.X, ready.columns.group, strict=True))
    centre = dict(zip(ready.columns.X, ready.columns.centre, strict=True))
    for j, name in enumerate(map(str, draws["column"].values)):
        if group[name] in ("type", "control"):
            chosen = group[name] == "type" and type is not None
            X[:, j] = (name == f"type {type}") - centre[name] if chosen else 0.0
    rounds = pd.to_numeric(ready.frame[fit.roles.ai_rounds]).astype(float).to_numpy()
    band = np.searchsorted(np.asarray(edges), rounds, side="right") - 1
    used = np.ones(len(X), bool) if type is None else (ready.frame["type"] == type).to_numpy()
    levels = fit.overlap["sentiment"].to_numpy()
    shape = (len(levels), len(edges))
    mean, lower, upper = (np.full(shape, np.nan) for _ in range(3))
    n = np.zeros(shape, int)
    for i, j in np.ndindex(*shape):
        here = used & (ready.level == i) & (band == j)
        n[i, j] = here.sum()
        if n[i, j] >= least:
            at = kappa @ X[here].mean(axis=0)
            mean[i, j] = at.mean()
            lower[i, j], upper[i, j] = np.quantile(at, [(1 - prob) / 2, (1 + prob) / 2])
    middle = np.array(
        [np.median(rounds[band == j]) if (band == j).any() else np.nan for j in range(shape[1])]
    )
    words = "all types, at their overall shares" if type is None else type
    return Surface(levels, middle, _bands(edges), mean, lower, upper, n, words, prob, least)


def _bands(edges: tuple[int, ...]) -> tuple[str, ...]:
    """Bands of whole rounds in words.

    Examples
    --------
    >>> _bands((1, 2, 4))
    ('1', '2-3', '4+')
    """
    words = [str(a) if b == a + 1 else f"{a}-{b - 1}" for a, b in pairwise(edges)]
    return (*words, f"{edges[-1]}+")

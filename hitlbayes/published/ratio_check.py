"""How far the decomposition of the share could be off for using ratios of means.

Human and AI rounds of a chat are given gamma distributions: human rounds with the printed mean and spread,
AI rounds with an assumed relative spread, the two tied by a normal copula. The mean of AI rounds is then
set so that the expected *ratio* equals the printed share, and the same exchange of rounds is done on
expected ratios.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import gammaincinv, ndtr

from hitlbayes.errors import SpecError
from hitlbayes.published.effort import NEEDED
from hitlbayes.published.posterior import published_means

SEARCH = (1e-3, 1e3)  # mean AI rounds
NODES = 60  # a side; the tabled figures move by less than .001 beyond 40


def ratio_check(
    means: pd.DataFrame | None = None,
    *,
    group: str = "emotional",
    reference: str = "technical",
    ai_cv: Sequence[float] = (0.25, 0.5, 1.0),
    correlation: Sequence[float] = (-0.3, 0.0, 0.3),
) -> pd.DataFrame:
    """Share with the reference's human rounds and the group's AI rounds, computed on expected ratios.

    Parameters
    ----------
    means : DataFrame, optional
        As for `decompose_effort`; by default the published Table 6.
    group, reference : str
        The two types compared.
    ai_cv : sequence of float
        Assumed SD of a chat's AI rounds over their mean.
    correlation : sequence of float
        Assumed correlation (of normal scores) of human and AI rounds within a type.

    Returns
    -------
    DataFrame
        ``ai_cv``, ``correlation``, ``ai_rounds`` and ``reference_ai_rounds`` (means that reproduce the
        printed shares), ``share_if_ai``, ``part_ai``, ``part_human``, ``fraction_ai``, as in
        `split_share_gap`.

    Notes
    -----
    The split of the gap barely depends on what is assumed; the level of AI rounds does, so the implied
    number of AI rounds is to be read as an order of magnitude.

    Examples
    --------
    >>> check = ratio_check()
    >>> check["fraction_ai"].round(2).agg(["min", "max"]).tolist()
    [0.9, 0.92]
    """
    frame = published_means() if means is None else means
    one, two = (_type(frame, g) for g in (group, reference))
    rows = [_one(one, two, cv=cv, rho=rho) for cv in ai_cv for rho in correlation]
    return pd.DataFrame(rows)


def _type(frame: pd.DataFrame, group: str) -> tuple[float, float, float]:
    """Mean and SD of human rounds, and the share, of one type."""
    at: Any = frame[frame["group"] == group].set_index("outcome")
    missing = [m for m in NEEDED if m not in at.index]
    if missing:
        raise SpecError(f"{', '.join(missing)} of {group!r} is needed; the types are {set(frame['group'])}.")
    sd = float(at.loc["human_rounds", "se"]) * float(at.loc["human_rounds", "n"]) ** 0.5
    return float(at.loc["human_rounds", "estimate"]), sd, float(at.loc["human_share", "estimate"])


def _rounds(mean: float, sd: float, *, cv: float, rho: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Human rounds (nodes, 1), AI rounds of mean 1 (nodes, nodes) and weights (nodes, nodes)."""
    if not cv > 0 or not -1 < rho < 1:
        raise SpecError(f"ai_cv must be positive and correlations within (-1, 1); {cv} and {rho} were given.")
    z, w = np.polynomial.hermite_e.hermegauss(NODES)
    w = w / w.sum()
    shape = (mean / sd) ** 2
    human = gammaincinv(shape, _inside(ndtr(z))) * mean / shape
    second = rho * z[:, None] + np.sqrt(1 - rho**2) * z[None, :]
    ai = gammaincinv(cv**-2, _inside(ndtr(second))) * cv**2
    return human[:, None], ai, w[:, None] * w[None, :]


def _inside(p: np.ndarray) -> np.ndarray:
    return np.clip(p, 1e-15, 1 - 1e-15)


def _share(rounds: tuple[np.ndarray, np.ndarray, np.ndarray], ai_mean: float) -> float:
    """Expected share of human rounds where AI rounds have this mean."""
    human, ai, weight = rounds
    return float((weight * human / (human + ai_mean * ai)).sum())


def _one(
    one: tuple[float, float, float], two: tuple[float, float, float], *, cv: float, rho: float
) -> dict[str, float]:
    """The exchange of rounds between two types, each (mean and SD of human rounds, share)."""
    first, second = (_rounds(mean, sd, cv=cv, rho=rho) for mean, sd, _ in (one, two))
    ai = float(brentq(lambda a: _share(first, a) - one[2], *SEARCH))
    reference_ai = float(brentq(lambda a: _share(second, a) - two[2], *SEARCH))
    if_ai, if_human = _share(second, ai), _share(first, reference_ai)
    gap = one[2] - two[2]
    part_ai = ((if_ai - two[2]) + (one[2] - if_human)) / 2
    return {
        "ai_cv": cv,
        "correlation": rho,
        "ai_rounds": ai,
        "reference_ai_rounds": reference_ai,
        "share_if_ai": if_ai,
        "part_ai": part_ai,
        "part_human": gap - part_ai,
        "fraction_ai": part_ai / gap,
    }

"""When takeovers come and how customers feel by then, over the share of the chat that is gone.

Both pictures are descriptions, as in the paper: the share gone at takeover divides by a length that is
decided afterwards. `hitlbayes.studies.timing.fit_timing` has the model behind them, on the absolute clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from hitlbayes.errors import DesignError, SchemaError
from hitlbayes.fitting.curves import bootstrap_densities, local_regression
from hitlbayes.spec.cells import refuse
from hitlbayes.studies.mixed import SEED

FEWEST = 20
POINTS = 101


@dataclass(frozen=True, slots=True, eq=False)
class Curves:
    """A curve by type over progress, with its band.

    Attributes
    ----------
    grid : (g,) array
        Progress, 0 to 1.
    mean, lower, upper : dict of str to (g,) array
        By type.
    n : dict of str to int
        Chats of each type.
    prob : float
    what, band : str
        What the curve is, and how its band was made.
    synthetic : bool
    """

    grid: np.ndarray
    mean: dict[str, np.ndarray]
    lower: dict[str, np.ndarray]
    upper: dict[str, np.ndarray]
    n: dict[str, int]
    prob: float
    what: str
    band: str
    synthetic: bool = False

    def to_frame(self) -> pd.DataFrame:
        """One row per type and point: progress, mean, lower, upper, n."""
        parts = [
            pd.DataFrame(
                {
                    "type": name,
                    "progress": self.grid,
                    "mean": self.mean[name],
                    "lower": self.lower[name],
                    "upper": self.upper[name],
                    "n": self.n[name],
                }
            )
            for name in self.mean
        ]
        return pd.concat(parts, ignore_index=True)

    def plot(self, **options):
        """The curves with their bands."""
        from hitlbayes.report.plot_timing import plot_curves

        return plot_curves(self, **options)


def curves_of_frame(frame: pd.DataFrame, *, prob: float, what: str, band: str, synthetic: bool) -> Curves:
    """Curves from their table (`Curves.to_frame`), for drawing."""
    parts = {str(name): part for name, part in frame.groupby("type", sort=False)}
    grid = next(iter(parts.values()))["progress"].to_numpy()
    mean, lower, upper = (
        {name: part[column].to_numpy() for name, part in parts.items()}
        for column in ("mean", "lower", "upper")
    )
    n = {name: int(part["n"].iloc[0]) for name, part in parts.items()}
    return Curves(grid, mean, lower, upper, n, prob, what, band, synthetic)


def takeover_density(
    takeovers: pd.DataFrame,
    *,
    type: str = "escalation",
    ai_rounds: str = "ai_rounds",
    rounds: str = "rounds",
    progress: str | None = None,
    resamples: int = 1000,
    prob: float = 0.95,
    bandwidth: float | None = None,
    seed: int = SEED,
    synthetic: bool = False,
) -> Curves:
    """Density of the share of a chat's rounds gone at the takeover, by type (the paper's Figure A5).

    Parameters
    ----------
    takeovers : DataFrame
        One row per takeover; rows of type "none" or without a type are not takeovers and are left out.
    type, ai_rounds, rounds : str
        Columns: type of takeover, AI rounds before it, rounds of the whole chat.
    progress : str, optional
        A column that has the share already.
    resamples : int
        Bootstrap resamples of takeovers.
    prob : float
        Of the pointwise bands.
    bandwidth : float, optional
        SD of the kernel; Silverman's rule by default.
    seed : int
    synthetic : bool
        Whether the data are simulated.

    Returns
    -------
    Curves
        Mean of the bootstrap densities, and their quantiles.

    Raises
    ------
    SchemaError
        A share outside 0 to 1: how many, and where.
    DesignError
        A type with fewer than 20 takeovers.

    Notes
    -----
    Figure A5 of Wang, Zhu, Feng, Lu and Jia (2026). The kernel is reflected at 0 and 1.

    Examples
    --------
    >>> frame = pd.DataFrame({"escalation": ["technical"] * 50, "progress": np.linspace(0, 1, 50)})
    >>> curves = takeover_density(frame, progress="progress", resamples=50)
    >>> bool(abs(curves.mean["technical"].mean() - 1) < 0.02)
    True
    """
    wanted = [type, progress] if progress else [type, ai_rounds, rounds]
    frame = _columns(takeovers, wanted)
    frame = frame[frame[type].notna() & (frame[type] != "none")]
    share = (frame[progress] if progress else frame[ai_rounds] / frame[rounds]).astype(float)
    refuse(
        frame, ~share.between(0, 1), "shares gone at takeover that are not between 0 and 1", "correct them"
    )
    grid = np.linspace(0, 1, 2 * POINTS - 1)
    mean, lower, upper, n = {}, {}, {}, {}
    for number, (name, part) in enumerate(share.groupby(frame[type].astype(str), sort=True)):
        _enough(name, len(part))
        drawn = bootstrap_densities(
            part.to_numpy(), grid=grid, resamples=resamples, seed=seed + number, bandwidth=bandwidth
        )
        mean[name], n[name] = drawn.mean(axis=0), len(part)
        lower[name], upper[name] = np.quantile(drawn, [(1 - prob) / 2, (1 + prob) / 2], axis=0)
    band = f"{prob:.0%} pointwise, {resamples:,} bootstrap resamples of takeovers"
    return Curves(grid, mean, lower, upper, n, prob, "density of takeovers", band, synthetic)


def sentiment_path(
    rounds: pd.DataFrame,
    *,
    chat: str = "chat_id",
    type: str = "escalation",
    round: str = "round",
    sentiment: str = "sentiment",
    span: float = 0.5,
    resamples: int = 200,
    prob: float = 0.95,
    seed: int = SEED,
    synthetic: bool = False,
) -> Curves:
    """Customer's negative sentiment over the share of the chat gone, by type (the paper's Figure A6).

    Parameters
    ----------
    rounds : DataFrame
        One row per chat round, as `simulate(...).rounds()`; rows without a type are left out.
    chat, type, round, sentiment : str
        Columns. Progress runs from 0 at a chat's first round to 1 at its last; a chat of one round is at 0.
    span : float
        Share of the points that a local regression looks at.
    resamples : int
        Resamples of whole chats for the bands.
    prob, seed, synthetic
        Of the pointwise bands; of the resamples; whether the data are simulated.

    Returns
    -------
    Curves

    Notes
    -----
    Figure A6 and section D.2 of Wang, Zhu, Feng, Lu and Jia (2026). Sentiments are averaged in 101 equal
    steps of progress, and Cleveland's loess smooths those averages, weighted by their rounds. The rounds of
    one chat are no independent observations, so bands come from resampling chats.
    """
    frame = _columns(rounds, [chat, type, round, sentiment])
    frame = frame[frame[type].notna()]
    values = pd.to_numeric(frame[sentiment], errors="coerce").astype(float)
    refuse(frame, values.isna(), f"missing values in {sentiment!r}", "leave those rounds out")
    first, last = (frame.groupby(chat)[round].transform(f) for f in ("min", "max"))
    share = ((frame[round] - first) / (last - first).clip(lower=1)).to_numpy(float)
    step = np.rint(share * (POINTS - 1)).astype(int)
    grid = np.linspace(0, 1, POINTS)
    mean, lower, upper, n = {}, {}, {}, {}
    kinds = frame[type].astype(str).to_numpy()
    for number, name in enumerate(np.unique(kinds)):
        here = kinds == name
        code, chats = pd.factorize(frame[chat].to_numpy()[here])
        _enough(name, len(chats))
        curve = partial(
            _smooth, step=step[here], values=values.to_numpy()[here], code=code, grid=grid, span=span
        )
        rng = np.random.default_rng([seed, number])
        times = rng.multinomial(len(chats), np.full(len(chats), 1 / len(chats)), size=resamples)
        drawn = [curve(one) for one in times]
        mean[name], n[name] = curve(np.ones(len(chats))), len(chats)
        lower[name], upper[name] = np.quantile(drawn, [(1 - prob) / 2, (1 + prob) / 2], axis=0)
    band = f"{prob:.0%} pointwise, {resamples:,} resamples of whole chats"
    return Curves(grid, mean, lower, upper, n, prob, "negative sentiment", band, synthetic)


def _smooth(
    times: np.ndarray,
    *,
    step: np.ndarray,
    values: np.ndarray,
    code: np.ndarray,
    grid: np.ndarray,
    span: float,
) -> np.ndarray:
    """Loess of one type's sentiments, each chat counted `times` times."""
    weight = times[code]
    n = np.bincount(step, weight, len(grid))
    total = np.bincount(step, weight * values, len(grid))
    seen = n > 0
    weights = n[seen] / n[seen].mean()
    return local_regression(grid[seen], total[seen] / n[seen], weights=weights, grid=grid, span=span)


def _columns(frame: pd.DataFrame, wanted: list[str]) -> pd.DataFrame:
    if missing := [c for c in wanted if c not in frame]:
        raise SchemaError(f"no such column: {', '.join(missing)}; there are {', '.join(map(str, frame))}.")
    return frame[wanted]


def _enough(name: str, n: int) -> None:
    if n < FEWEST:
        raise DesignError(f"type {name!r} has {n} chats; a curve needs at least {FEWEST}. Leave it out.")

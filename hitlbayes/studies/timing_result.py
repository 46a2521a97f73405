"""What the competing hazards of a chat's rounds say, and whether to trust them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from hitlbayes.diagnostics import Check, diagnose, judge
from hitlbayes.fitting.hazards import competing, incidence
from hitlbayes.result import Fit
from hitlbayes.studies.timing_frame import HISTORIES, columns
from hitlbayes.summaries import interval

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LEAST = 20  # rounds at risk below which nothing is said of a band and a sentiment
SHARES = (0.2, 0.99)  # of rounds at risk, for a calm and an angry sentiment


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class TimingFit:
    """Hazards of the ways in which the AI's part of a chat can end, given sentiment so far.

    Attributes
    ----------
    fits : dict of str to Fit
        By way of ending, the model of whether a round ends so, given that it did not end in those before.
    causes, bands : tuple of str
        Ways of ending, in the order in which they are asked for; bands of AI rounds, in words.
    first : tuple of int
        First AI round of each band.
    clock : (bands,) array
        Mean log AI rounds of each band.
    counts : DataFrame
        One row per band (code) and sentiment: rounds ``at_risk``, and how many ended in each way.
    centre, scale : float
        What was taken off sentiment and divided by.
    history : str
        Which sentiment so far: "last", "highest" or "mean".
    notes : tuple of str
        What was left out, counted.
    synthetic : bool
    """

    fits: Mapping[str, Fit]
    causes: tuple[str, ...]
    bands: tuple[str, ...]
    first: tuple[int, ...]
    clock: np.ndarray
    counts: pd.DataFrame
    centre: float
    scale: float
    history: str
    notes: tuple[str, ...]
    synthetic: bool
    seed: int
    seconds: float

    def draws(self, band: np.ndarray, sentiment: np.ndarray) -> np.ndarray:
        """Hazards (draw, row, cause) of the average worker in bands (row,) at sentiments (row,)."""
        X = columns(np.asarray(band), sentiment, clock=self.clock, centre=self.centre, scale=self.scale)
        X.insert(0, "intercept", 1.0)
        parts = []
        for cause in self.causes:
            coef = self.fits[cause].posterior["posterior"]["coef"]
            flat = coef.to_numpy().reshape(-1, coef.sizes["term"])
            eta = flat @ X[[str(t) for t in coef["term"].to_numpy()]].to_numpy().T
            parts.append(1.0 / (1.0 + np.exp(-eta)))
        return competing(np.stack(parts, axis=-1))

    def hazard(
        self, sentiment: Sequence[float] | None = None, *, prob: float = 0.95, least: int = LEAST
    ) -> pd.DataFrame:
        """Hazard of each way of ending by band of AI rounds and sentiment, with equal-tailed intervals.

        Parameters
        ----------
        sentiment : sequence of float, optional
            By default a calm and an angry one: those at a fifth and at 99 % of the rounds at risk.
        prob : float
            Of the intervals.
        least : int
            Rounds at risk in the band and at the sentiment below which values are NaN.

        Returns
        -------
        DataFrame
            ``cause``, ``sentiment``, ``band``, ``mean``, ``lower``, ``upper``, ``at_risk``, ``ended``.
        """
        levels = self.usual() if sentiment is None else tuple(map(float, sentiment))
        band = np.tile(np.arange(len(self.bands)), len(levels))
        level = np.repeat(levels, len(self.bands))
        found = self.draws(band, level)
        low, high = np.quantile(found, [(1 - prob) / 2, (1 + prob) / 2], axis=0)
        at = self.counts.set_index(["band", "sentiment"]).reindex(
            pd.MultiIndex.from_arrays([band, level]), fill_value=0
        )
        known = at["at_risk"].to_numpy() >= least
        tables = [
            pd.DataFrame(
                {
                    "cause": cause,
                    "sentiment": level,
                    "band": np.asarray(self.bands)[band],
                    "mean": np.where(known, found[..., k].mean(axis=0), np.nan),
                    "lower": np.where(known, low[:, k], np.nan),
                    "upper": np.where(known, high[:, k], np.nan),
                    "at_risk": at["at_risk"].to_numpy(),
                    "ended": at[cause].to_numpy(),
                }
            )
            for k, cause in enumerate(self.causes)
        ]
        return pd.concat(tables, ignore_index=True)

    def incidence(
        self, sentiment: Sequence[float] | None = None, *, rounds: int = 12, prob: float = 0.95
    ) -> pd.DataFrame:
        """Probability that the AI's part has ended in each way by a round, were sentiment to stay as it is.

        Parameters
        ----------
        rounds : int
            Up to which AI round.

        Returns
        -------
        DataFrame
            ``cause``, ``sentiment``, ``round``, ``mean``, ``lower``, ``upper``.
        """
        number = np.arange(1, rounds + 1)
        band = np.searchsorted(self.first, number, side="right") - 1
        tables = []
        for level in self.usual() if sentiment is None else tuple(map(float, sentiment)):
            found = incidence(self.draws(band, np.full(rounds, level)))
            low, high = np.quantile(found, [(1 - prob) / 2, (1 + prob) / 2], axis=0)
            for k, cause in enumerate(self.causes):
                told = {"cause": cause, "sentiment": level, "round": number}
                told |= {"mean": found[..., k].mean(axis=0), "lower": low[:, k], "upper": high[:, k]}
                tables.append(pd.DataFrame(told))
        return pd.concat(tables, ignore_index=True)

    def ratios(
        self, low: float | None = None, high: float | None = None, *, prob: float = 0.95
    ) -> pd.DataFrame:
        """Hazard at a high sentiment over that at a low one, both averaged over the bands of rounds at risk.

        Returns
        -------
        DataFrame
            One row per way of ending: ``low`` and ``high`` hazards, ``ratio`` (posterior mean), ``lower``,
            ``upper``, ``prob_above_one``.
        """
        usual = self.usual()
        levels = (usual[0] if low is None else float(low), usual[-1] if high is None else float(high))
        weight = self.counts.groupby("band")["at_risk"].sum().reindex(range(len(self.bands)), fill_value=0)
        share = (weight / weight.sum()).to_numpy()
        band = np.arange(len(self.bands))
        calm, angry = (np.einsum("dbk,b->dk", self.draws(band, np.full(len(band), s)), share) for s in levels)
        ratio = angry / calm
        rows = []
        for k, cause in enumerate(self.causes):
            lower, upper = interval(ratio[:, k], prob=prob)
            rows.append((cause, calm[:, k].mean(), angry[:, k].mean(), ratio[:, k].mean(), lower, upper,
                         float((ratio[:, k] > 1).mean())))  # fmt: skip
        names = ["cause", "low", "high", "ratio", "lower", "upper", "prob_above_one"]
        return pd.DataFrame(rows, columns=names).assign(sentiment=f"{levels[1]:g} against {levels[0]:g}")

    def usual(self) -> tuple[float, ...]:
        """A calm and an angry sentiment: those at a fifth and at 99 % of the rounds at risk."""
        n = self.counts.groupby("sentiment")["at_risk"].sum().sort_index()
        share = n.cumsum() / n.sum()
        at = np.searchsorted(share.to_numpy(), SHARES)
        return tuple(sorted({float(share.index[min(j, len(share) - 1)]) for j in at}))

    def check(self) -> Check:
        """Whether the draws of every question can be trusted (r_hat, ESS, divergences)."""
        named: dict[str, np.ndarray] = {}
        diverging = []
        for cause, fit in self.fits.items():
            named |= {f"{cause}: {name}": values for name, values in fit.hyperparameters().items()}
            diverging.append(fit.posterior["sample_stats"]["diverging"].to_numpy())
        stats = xr.Dataset({"diverging": (("fit", "chain", "draw"), np.stack(diverging))})
        return judge(diagnose(named), stats=stats, k_hat=float("nan"), effective=float("nan"))

    def plot(self, **options: Any) -> Figure:
        """Hazards by round at a calm and an angry sentiment; see `plot_hazard`."""
        from hitlbayes.report.plot_timing import plot_hazard

        return plot_hazard(self, **options)

    def __repr__(self) -> str:
        label = " (SYNTHETIC)" if self.synthetic else ""
        told = [
            f"How the AI's part of a chat ends{label}, given {HISTORIES[self.history]}: "
            f"{self.counts['at_risk'].sum():,} rounds at risk",
            *self.notes,
        ]
        return "\n".join([*told, self.ratios().round(3).to_string(index=False), str(self.check())])

"""Posterior predictive checks: does the model make data with the moments that matter?

Cells are drawn anew from the fit and compared with the observed ones in statistics that the effects rest
on: shares of ratings by arm and period, how much workers differ, how a worker's days follow one another, how
long the tails are. Workers' effects are drawn anew from their population by default (a mixed predictive
check: Marshall and Spiegelhalter 2003, doi:10.1002/sim.1403), for a worker's own effect fits that worker's
data whatever the population is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from hitlbayes.errors import SpecError
from hitlbayes.fitting.population import category_shares
from hitlbayes.result import Fit
from hitlbayes.studies.moments import Sample, moments, plan_moments
from hitlbayes.studies.rebuild import Rebuilt, Shared, rebuild, shared_draws, unit_data

DRAWS = 200
EXTREME = 0.01  # two-sided: a statistic beyond it is named


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class PosteriorPredictive:
    """Statistics of replicated data sets beside those of the observed one.

    Attributes
    ----------
    observed : Series
        Indexed by (group, statistic).
    replicated : DataFrame
        One row per replicated data set, the same columns.
    """

    name: str
    units: str
    observed: pd.Series
    replicated: pd.DataFrame
    synthetic: bool
    seed: int

    def summary(self, prob: float = 0.95) -> pd.DataFrame:
        """Observed, replicated mean and interval, and the probability of a replicate at or above observed."""
        if not 0 < prob < 1:
            raise SpecError(f"prob is {prob}; expected a probability between 0 and 1.")
        low, high = ((1 - prob) / 2, (1 + prob) / 2)
        made = self.replicated
        table = pd.DataFrame(
            {
                "observed": self.observed,
                "replicated": made.mean(),
                "lower": made.quantile(low),
                "upper": made.quantile(high),
                # Ties count half, so that a statistic that never moves is not extreme.
                "p": (made > self.observed).mean() + 0.5 * (made == self.observed).mean(),
            }
        )
        return table

    @property
    def extreme(self) -> pd.DataFrame:
        """Statistics as far out as less than one in a hundred (two-sided), the data counted as a replicate.

        So that chance names one in a hundred whatever their number, fewer than 200 replicates name none.
        """
        table, made = self.summary(), len(self.replicated)
        tail = (made * np.minimum(table["p"], 1 - table["p"]) + 1) / (made + 1)
        return table[2 * tail < EXTREME]

    def plot(self, **options: Any):
        """Replicated intervals and observed values of every statistic."""
        from hitlbayes.report.plot_posterior import plot_posterior

        return plot_posterior(self, **options)

    def __repr__(self) -> str:
        label = " (SYNTHETIC data)" if self.synthetic else ""
        head = (
            f"Posterior predictive check: {self.name}{label}; {len(self.replicated)} replicated data sets, "
            f"units' effects {self.units}; {len(self.extreme)} of {len(self.observed)} statistics extreme"
        )
        return f"{head}\n{self.summary().to_string(float_format=lambda x: f'{x:.4g}')}"


def posterior_predictive(
    fit: Fit, *, draws: int = DRAWS, units: Literal["new", "same"] = "new", seed: int | None = None
) -> PosteriorPredictive:
    """Statistics of data sets that the fit would make, beside those of the data.

    Parameters
    ----------
    fit : Fit of `hitlbayes.fit_did` or `hitlbayes.fit_mixed`
    draws : int
        Replicated data sets; 200 or more for any statistic to be called extreme.
    units : {"new", "same"}
        Whether units' effects are drawn anew from their population, or kept. Shocks are always drawn anew.
    seed : int, optional
        The fit's by default; the same seed gives the same data sets.

    Returns
    -------
    PosteriorPredictive
        `summary()`, `extreme`, `plot()`.

    Raises
    ------
    SpecError
        Another study, or a choice that does not exist.

    Examples
    --------
    >>> import hitlbayes as hb
    >>> cells = hb.simulate_cells(seed=1, family="bernoulli", workers=12, periods=6, start=3)
    >>> fit = hb.fit_did(cells, outcome="y", draws=100, progress=False)
    >>> told = posterior_predictive(fit, draws=200)
    >>> len(told.replicated), len(told.extreme)
    (200, 0)
    """
    if units not in ("new", "same"):
        raise SpecError(f"units is {units!r}; expected 'new' or 'same'.")
    if draws < 1:
        raise SpecError(f"draws is {draws}; expected at least one.")
    made = rebuild(fit)
    rng = np.random.default_rng(fit.seed if seed is None else seed)
    posterior = fit.posterior["posterior"]
    total = posterior.sizes["chain"] * posterior.sizes["draw"]
    picked = np.linspace(0, total - 1, draws).astype(int)
    rows, plan = unit_data(made), plan_moments(made.cells.keys, made.structure, made.structure.exposure)
    replicated = []
    for i in picked:
        at = shared_draws(fit, made, np.array([i]))
        blocks = _blocks(fit, made, at, i, rng, units=units)
        by_shock = np.sum(blocks[rows.shock_unit] * rows.basis, axis=1)
        by_shock = by_shock + at.shock[0] * rng.standard_normal(len(by_shock))
        over = 0.0
        if "overdispersion" in posterior:
            over = float(posterior["overdispersion"].to_numpy().ravel()[i])
        sample = _draw(made, at, at.outer[0] + by_shock[rows.shock], rng, phase=rows.phase, over=over)
        replicated.append(moments(sample, plan))
    cells = made.cells
    seen = Sample(fit.family, cells.n, cells.stats, cells.labels, cells.is_precision)
    return PosteriorPredictive(
        fit.name,
        units,
        moments(seen, plan),
        pd.DataFrame(replicated).reset_index(drop=True),
        fit.synthetic,
        fit.seed if seed is None else seed,
    )


def _blocks(
    fit: Fit, made: Rebuilt, at: Shared, draw: int, rng: np.random.Generator, *, units: str
) -> np.ndarray:
    """Every unit's block (N, q): drawn from its population, or as in this draw."""
    structure = made.structure
    n, q = len(structure.unit.labels), at.factor.shape[-1]
    if units == "new":
        z = rng.standard_normal((n, q))
        return np.einsum("nij,nj->ni", at.factor[0][structure.unit_class], z)
    posterior = fit.posterior["posterior"].to_dataset()
    chain, number = divmod(draw, posterior.sizes["draw"])
    names = [f"{structure.unit.name}_{part}" for part in ("level", "change")][:q]
    return np.stack([posterior[name].isel(chain=chain, draw=number).to_numpy() for name in names], axis=1)


def _draw(
    made: Rebuilt, at: Shared, eta: np.ndarray, rng: np.random.Generator, *, phase: np.ndarray, over: float
) -> Sample:
    """One data set of the cells' sizes at linear predictor eta (R,); `over` is the counts' overdispersion."""
    cells, family = made.cells, made.cells.family
    size = np.rint(cells.n).astype(int)
    if family == "gaussian":
        sigma = at.sigma[0][phase]
        mean = eta + sigma / np.sqrt(cells.n) * rng.standard_normal(len(eta))
        freedom = np.zeros_like(size) if cells.is_precision else size - 1
        squares = sigma**2 * np.where(freedom > 0, rng.chisquare(np.maximum(freedom, 1)), 0.0)
        stats = np.column_stack([mean, squares])
    elif family == "ordinal":
        stats = rng.multinomial(size, category_shares(eta, at.cut[0])).astype(float)
    elif family == "bernoulli":
        stats = rng.binomial(size, 1 / (1 + np.exp(-eta)))[:, None].astype(float)
    else:
        rate = np.exp(eta) * size
        if over > 0:
            # A cell's total: gamma-Poisson chats of one mean add up, shapes and all.
            shape = size / over**2
            rate = rng.gamma(shape, rate / shape)
        stats = rng.poisson(rate)[:, None].astype(float)
    return Sample(family, cells.n, stats, cells.labels, cells.is_precision)

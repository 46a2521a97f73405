"""Leave one worker out: how well a model tells a worker that it has not seen.

What is left out is all of a worker's data, so what is weighed is their likelihood with the worker's own
effects and shocks integrated out (`hitlbayes.fitting.unit_likelihood`). The likelihood at the worker's own
draws would not do: without the worker's data its effects are another thing altogether, and the importance
weights have no variance (k-hat beyond one). Pareto-smoothed importance sampling after Vehtari, Gelman and
Gabry (2017, doi:10.1007/s11222-016-9696-4), by arviz-stats.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import logsumexp

from hitlbayes.diagnostics import K_HAT_LIMIT
from hitlbayes.errors import FitError, SpecError
from hitlbayes.fitting.unit_likelihood import gaussian_unit_loglik, unit_loglik
from hitlbayes.inference.runtime import in_threads, session
from hitlbayes.result import Fit
from hitlbayes.studies.rebuild import keys_of, rebuild, shared_draws, unit_data
from hitlbayes.versions import usable_cores

DRAWS = 1000
BLOCK = 4_000_000  # draws x rows that are held at once


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class LeaveOneOut:
    """Expected log predictive density of a new worker's data.

    Attributes
    ----------
    name : str
    elpd, se : float
        Sum over workers, and its standard error over workers. For counts up to a constant of the data.
    p_loo : float
        Effective number of parameters that workers share.
    by_worker : DataFrame
        Indexed by worker: elpd, k_hat, mcse (Monte Carlo standard error), n (observations).
    measure : str
        Of what the density is: two models can be compared where it is the same.
    """

    name: str
    elpd: float
    se: float
    p_loo: float
    by_worker: pd.DataFrame
    measure: str
    synthetic: bool

    @property
    def bad(self) -> pd.Index:
        """Workers whose importance weights cannot be trusted (k-hat above .7): refit without them."""
        return self.by_worker.index[self.by_worker["k_hat"] > K_HAT_LIMIT]

    def plot(self, **options: Any):
        """k-hat of every worker, with the limit above which it cannot be trusted."""
        from hitlbayes.report.plot_loo import plot_loo

        return plot_loo(self, **options)

    def __repr__(self) -> str:
        label = " (SYNTHETIC data)" if self.synthetic else ""
        worst = self.by_worker["k_hat"].max()
        return (
            f"Leave one worker out: {self.name}{label}: elpd {self.elpd:.1f} (SE {self.se:.1f}), p_loo "
            f"{self.p_loo:.1f}, {len(self.by_worker)} workers, largest k-hat {worst:.2f}, {len(self.bad)} "
            f"above {K_HAT_LIMIT}"
        )


def leave_one_out(fit: Fit, *, draws: int = DRAWS) -> LeaveOneOut:
    """Expected log predictive density of each worker's data given all others', by importance sampling.

    Parameters
    ----------
    fit : Fit of `hitlbayes.fit_did` or `hitlbayes.fit_mixed`
        In a mixed model the worker is the group with most levels.
    draws : int
        At most this many of the fit's draws, spread over the chains.

    Raises
    ------
    SpecError
        Another study, or an overdispersed count, whose likelihood needs every worker's histogram.
    FitError
        The likelihood is the same in every draw, or not finite: there is nothing to weigh.

    Examples
    --------
    >>> import hitlbayes as hb
    >>> cells = hb.simulate_cells(seed=1, workers=12, periods=6, start=3)
    >>> found = leave_one_out(hb.fit_did(cells, outcome="y", draws=250, progress=False))
    >>> len(found.by_worker)
    12
    """
    from arviz_stats.base import array_stats

    loglik = worker_loglik(fit, draws=draws)
    _check_weighable(loglik, keys_of(fit))
    log_weights, k_hat = array_stats.psislw(loglik.T)
    elpd = logsumexp(log_weights + loglik.T, axis=1)
    weights = np.exp(log_weights)
    gap = np.exp(loglik.T - elpd[:, None]) - 1.0
    names = keys_of(fit)
    table = pd.DataFrame(
        {
            "elpd": elpd,
            "k_hat": k_hat,
            "mcse": np.sqrt(np.sum(weights**2 * gap**2, axis=1)),
            "n": np.bincount(fit.cells["unit_code"], fit.cells["n"], len(names)),
        },
        index=names.rename(fit.unit_name),
    )
    together = logsumexp(loglik, axis=0) - np.log(len(loglik))
    return LeaveOneOut(
        fit.name,
        float(elpd.sum()),
        float(np.sqrt(len(elpd) * np.var(elpd, ddof=1))),
        float(np.sum(together - elpd)),
        table,
        _measure(fit),
        fit.synthetic,
    )


def _check_weighable(loglik: np.ndarray, workers: pd.Index) -> None:
    """Refuse log likelihoods (draws, workers) that no importance weights can be made of."""
    for bad, what in (
        (~np.isfinite(loglik).all(axis=0), "is not finite in some draw"),
        (np.ptp(loglik, axis=0) == 0, "is the same in every draw"),
    ):
        if bad.any():
            named = ", ".join(map(str, workers[bad][:5]))
            raise FitError(
                f"the likelihood of {bad.sum()} of {bad.size} workers ({named}) {what}; "
                "draws that differ were expected. See fit.check(), and fit again."
            )


def worker_loglik(fit: Fit, *, draws: int = DRAWS) -> np.ndarray:
    """Log likelihood of each worker's data, its own effects and shocks integrated out: (draws, workers)."""
    return loglik_of(fit, fit, draws=draws)


def loglik_of(data: Fit, shared: Fit, *, draws: int = DRAWS) -> np.ndarray:
    """The same for the workers of `data`, at draws of what `shared`, a fit to others, knows.

    Both must have been fitted to the same periods, with the same columns: that is what a refit without a
    worker is.
    """
    if data.family == "count" and not _is_poisson(data):
        raise SpecError(
            f"{data.name} is an overdispersed count: its likelihood needs every worker's histogram, which a "
            "fit does not keep; compare Poisson models (priors={'overdispersion': hb.fixed(0)})."
        )
    made = rebuild(data)
    total = shared.posterior["posterior"].sizes["chain"] * shared.posterior["posterior"].sizes["draw"]
    picked = np.unique(np.linspace(0, total - 1, min(draws, total)).astype(int))
    rows, size = unit_data(made), len(made.cells.n)
    at_once = max(1, BLOCK // size)
    step = max(1, min(at_once // usable_cores(), -(-len(picked) // usable_cores())))
    # Filled up with the last: parts of one size share a program.
    filled = np.append(picked, np.repeat(picked[-1:], -len(picked) % step))

    def part(i: int) -> np.ndarray:
        at = shared_draws(shared, made, filled[i * step : (i + 1) * step])
        if data.family == "gaussian":
            precision = made.cells.is_precision
            return gaussian_unit_loglik(rows, at.outer, at.factor, at.sigma, at.shock, is_precision=precision)
        return unit_loglik(data.family, rows, at.outer, at.factor, at.cut, at.shock)

    with session():
        parts = in_threads(part, len(filled) // step, most=at_once)
    return np.concatenate(parts)[: len(picked)]


def compare(models: Mapping[str, LeaveOneOut]) -> pd.DataFrame:
    """Models by their expected log predictive density of a new worker, the best first.

    Parameters
    ----------
    models : name -> `leave_one_out` of a fit to the same data

    Returns
    -------
    DataFrame
        elpd, its difference from the best and that difference's standard error over workers, p_loo, and how
        many workers have a k-hat above .7. A difference within two standard errors says little.

    Raises
    ------
    SpecError
        Other workers or observations, or densities that cannot be compared (a probability of categories
        with a density of means, say).

    Examples
    --------
    >>> import hitlbayes as hb
    >>> cells = hb.simulate_cells(seed=1, workers=20, periods=6, start=3, effect=1.0)
    >>> fits = {str(sd): hb.fit_did(cells, outcome="y", priors={"sd_effect": hb.half_normal(sd)}, draws=250,
    ...                             progress=False) for sd in (0.1, 0.2)}
    >>> compare({name: leave_one_out(fit) for name, fit in fits.items()})["difference"].iloc[0].item()
    0.0
    """
    if len(models) < 2:
        raise SpecError(f"{len(models)} models; expected two or more to compare.")
    measures = {name: found.measure for name, found in models.items()}
    if len(set(measures.values())) > 1:
        told = "; ".join(f"{name}: {measure}" for name, measure in measures.items())
        raise SpecError(f"these densities are of different things and cannot be compared: {told}.")
    first = next(iter(models.values())).by_worker
    for name, found in models.items():
        if not found.by_worker.index.equals(first.index) or not np.allclose(found.by_worker["n"], first["n"]):
            raise SpecError(f"{name!r} was fitted to other workers or observations than the first model.")
    best = max(models, key=lambda name: models[name].elpd)
    rows = {}
    for name in sorted(models, key=lambda name: -models[name].elpd):
        found = models[name]
        gap = (found.by_worker["elpd"] - models[best].by_worker["elpd"]).to_numpy()
        spread = float(np.sqrt(len(gap) * np.var(gap, ddof=1)))
        rows[name] = (found.elpd, float(gap.sum()), spread, found.p_loo, len(found.bad))
    columns = ["elpd", "difference", "se_difference", "p_loo", "bad_k_hat"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("model")


def _is_poisson(fit: Fit) -> bool:
    return str(fit.spec["priors"].get("overdispersion")) == "fixed(0)"


def _measure(fit: Fit) -> str:
    if fit.family == "gaussian":
        means = fit.spec.get("likelihood") == "means"
        return f"density of {'unit-period means of ' if means else ''}{fit.outcome}"
    if fit.family == "ordinal":
        return f"probability of the {len(fit.labels)} categories of {fit.outcome}"
    return f"probability of {fit.outcome} ({fit.family})"

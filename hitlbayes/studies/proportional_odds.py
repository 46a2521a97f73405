"""Does the treatment move all ratings alike? Proportional odds against an effect for each cutpoint.

The ordinal model says that the treatment multiplies the odds of a rating above j by the same factor for
every j. A treatment that turns fours into fives and twos into ones breaks that, and its average effect in
points hides it. Beside the model stands one with an effect gamma_j at each cutpoint
(`hitlbayes.fitting.relaxed`), and the joint posterior of their differences.
"""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from hitlbayes.errors import SpecError
from hitlbayes.fitting.model import Model, correlation_names, scale_names
from hitlbayes.fitting.relaxed import draw_relaxed, fit_relaxed, relaxed_precision, relaxed_rows
from hitlbayes.result import Fit
from hitlbayes.studies.did import did_model
from hitlbayes.studies.mixed import SEED, Device, Sampling, Study, make_fit, sample_model
from hitlbayes.summaries import interval

if TYPE_CHECKING:
    from hitlbayes.chatlog import Panel

SCALES = 8  # draws of the scales that the relaxed posterior is mixed over
EACH = 125  # draws at each of them


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ProportionalOdds:
    """The ordinal fit, and the relaxed model beside it.

    Attributes
    ----------
    fit : Fit
        With one effect for all cutpoints.
    effects : DataArray (draw, cutpoint)
        Relaxed: effect on the log odds of an outcome above each category.
    shares : DataArray (draw, category)
        Relaxed: change in each category's probability on the treated, percentage points.
    probability : float
        Posterior probability outside of the contour through proportional odds: small where effects differ.
    level : float
        Below it the check is failed.
    """

    fit: Fit
    effects: xr.DataArray
    shares: xr.DataArray
    probability: float
    level: float

    @property
    def flagged(self) -> bool:
        """Whether effects differ between cutpoints by more than chance would have it."""
        return self.probability < self.level

    def summary(self, prob: float = 0.95) -> pd.DataFrame:
        """Effect on the log odds above each category, relaxed, and the single one of the ordinal model."""
        rows: dict[Any, Any] = {
            f"above {label.item()}": self.effects.sel(cutpoint=label) for label in self.effects["cutpoint"]
        }
        rows["all alike"] = self.fit.posterior["posterior"]["coef"].sel(term="treatment")
        return _table(rows, prob=prob).rename_axis("effect on log odds")

    def categories(self, prob: float = 0.95) -> pd.DataFrame:
        """Change in each category's probability, percentage points: relaxed, and from the ordinal model."""
        rows = {label.item(): self.shares.sel(category=label) for label in self.shares["category"]}
        table = _table(rows, prob=prob)
        alike = self.fit.effects()["att_probability"].mean(("chain", "draw")).to_numpy()
        return table.assign(all_alike=alike).rename_axis(self.fit.outcome)

    def plot(self, **options: Any):
        """Effects at each cutpoint with their intervals, the single effect behind them."""
        from hitlbayes.report.plot_odds import plot_odds

        return plot_odds(self, **options)

    def __str__(self) -> str:
        verdict = "effects DIFFER between cutpoints" if self.flagged else "no sign that effects differ"
        return f"proportional odds of {self.fit.name}: {verdict} (p = {self.probability:.3f})"

    def __repr__(self) -> str:
        return f"{self}\n{self.summary().to_string(float_format=lambda x: f'{x:.3f}')}"


def check_proportional_odds(
    panel: Panel | pd.DataFrame,
    *,
    fit: Fit | None = None,
    level: float = 0.05,
    draws: int = 1000,
    chains: int = 4,
    seed: int = SEED,
    device: Device | None = None,
    progress: bool | None = None,
    **arguments: Any,
) -> ProportionalOdds:
    """Whether the treatment changes the odds above every category alike, and the relaxed effects.

    Parameters
    ----------
    panel : Panel or DataFrame
    fit : Fit, optional
        The ordinal fit of `hitlbayes.fit_did` to this panel, with these arguments, where there is one; it is
        fitted otherwise.
    level : float
        Flagged where the posterior probability outside of the contour through equal effects is below it.
    draws, chains, seed, device, progress
        Of the ordinal fit, as in `hitlbayes.fit_did`.
    **arguments
        Further keywords of `hitlbayes.fit_did` (outcome, formula, priors, ...).

    Returns
    -------
    ProportionalOdds
        `summary()` (log odds by cutpoint), `categories()` (percentage points), `plot()`, `probability`.

    Raises
    ------
    SpecError
        The outcome is not ordinal, or has two categories, for which there is nothing to check; `fit` is of
        another panel.

    Notes
    -----
    The relaxed posterior is a Laplace approximation at draws of the ordinal fit's scales. Under equal
    effects the probability is about uniform, so that `level` is the rate of false alarms: of 200 simulated
    experiments with one effect 9 were flagged at .05 (95% interval .024 to .083), of 200 with effects from .2
    to .65 all (`tests/studies/test_proportional_odds.py`, marked slow). Where workers'
    own effects vary, their deviation from the mean stays common to the cutpoints.

    Examples
    --------
    >>> import hitlbayes as hb
    >>> cells = hb.simulate_cells(seed=4, family="ordinal", workers=30, periods=6, start=3)
    >>> found = hb.check_proportional_odds(cells, outcome="y", draws=100, chains=2, progress=False)
    >>> found.flagged, found.effects.sizes["cutpoint"]
    (False, 4)
    """
    if not 0 < level < 1:
        raise SpecError(f"level is {level}; expected a probability, such as 0.05.")
    began = perf_counter()
    sampling = Sampling(draws, chains, seed, progress, device)
    study = did_model(panel, **arguments)
    labels = study.model.cells.labels
    if len(labels) < 3:
        raise SpecError(
            f"{study.outcome!r} is {study.model.cells.family} with {len(labels)} categories; proportional "
            "odds are a matter of ordinal outcomes with three or more."
        )
    if fit is None:
        fit = make_fit(study, sample_model(study, sampling), sampling, seconds=perf_counter() - began)
    _check_same(fit, study)
    drawn, shares = _relaxed(study.model, fit, np.random.default_rng(seed))
    effects = xr.DataArray(
        drawn, dims=("draw", "cutpoint"), coords={"cutpoint": list(labels[:-1])}, attrs={"units": "logit"}
    )
    change = xr.DataArray(
        shares,
        dims=("draw", "category"),
        coords={"category": list(labels)},
        attrs={"units": "percentage points"},
    )
    return ProportionalOdds(fit, effects, change, outside(drawn), level)


def _check_same(fit: Fit, study: Study) -> None:
    """Refuse a fit to other cells, or with other columns, than the study's."""
    n, design = study.model.cells.n, study.model.design
    if fit.outcome != study.outcome or len(fit.cells) != len(n) or not np.allclose(fit.cells["n"], n):
        raise SpecError(
            f"fit= is {fit.name} with {len(fit.cells):,} cells; the panel gives {study.name} with {len(n):,}."
        )
    if fit.posterior["posterior"]["term"].to_numpy().tolist() != list(design.names):
        raise SpecError(f"fit= has other columns than {', '.join(design.names)}; give the same arguments.")


def outside(effects: np.ndarray) -> float:
    """Posterior probability outside of the contour through equal effects, from draws (D, J).

    The draws' differences are taken to be normal, so that the probability is that of a chi-square with
    J - 1 degrees of freedom above their squared distance from zero (Box and Tiao 1965,
    doi:10.1093/biomet/52.3-4.589).
    """
    gaps = np.diff(effects, axis=1)
    mean, spread = gaps.mean(axis=0), np.atleast_2d(np.cov(gaps.T))
    from scipy.stats import chi2

    return float(chi2.sf(mean @ np.linalg.solve(spread, mean), gaps.shape[1]))


def _relaxed(model: Model, fit: Fit, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draws of the effects at each cutpoint (D, J), and changes in each category's probability (D, K)."""
    rows, cut = relaxed_rows(model), len(model.cells.labels) - 1
    names = [*scale_names(model.cells, model.structure), *correlation_names(model.structure)]
    posterior = fit.posterior["posterior"]
    found = {name: posterior[name].to_numpy().ravel() for name in names}
    picked = np.linspace(0, len(found[names[0]]) - 1, SCALES).astype(int)
    treated = np.flatnonzero(rows.treated > 0)
    weight = model.cells.n[treated] / model.cells.n[treated].sum()
    inner = rows.inner[treated]
    effects, changes, begin = [], [], None
    for i in picked:
        at = {name: float(values[i]) for name, values in found.items()}
        precision, shock = relaxed_precision(model, at)
        begin = fit_relaxed(rows, precision, float(shock), begin=begin)
        theta = draw_relaxed(begin, rng, EACH)
        noise = at.get("sd_shock", 0.0) * rng.standard_normal((EACH, len(treated)))
        eta = (inner @ theta[:, 2 * cut :].T).T + noise
        without = theta[:, None, :cut] - eta[:, :, None]
        now = without - theta[:, None, cut : 2 * cut]
        above = np.einsum("r,drj->dj", weight, 1 / (1 + np.exp(now)) - 1 / (1 + np.exp(without)))
        changes.append(-100.0 * np.diff(above, axis=1, prepend=0.0, append=0.0))
        effects.append(theta[:, cut : 2 * cut])
    return np.concatenate(effects), np.concatenate(changes)


def _table(rows: dict[Any, xr.DataArray], *, prob: float) -> pd.DataFrame:
    made = {}
    for name, draws in rows.items():
        flat = np.ravel(draws.to_numpy())
        lower, upper = interval(flat, prob=prob)
        made[name] = (flat.mean(), flat.std(), lower, upper, float(np.mean(flat > 0)))
    columns = ["mean", "sd", "lower", "upper", "prob_positive"]
    return pd.DataFrame.from_dict(made, orient="index", columns=columns)

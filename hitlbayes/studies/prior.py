"""What the priors say before any outcome is seen, on the outcome's own scale.

A prior that looks vague for a parameter may be bold for the outcome: a half-normal(1) for the scale of
workers, on the logit, makes most workers' ratings all ones or all fives. So parameters are drawn from
their priors, then workers, periods and shocks from their populations, and out come the effect and the mean
outcome that the model holds possible.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr
from scipy.special import logit

from hitlbayes.errors import SpecError
from hitlbayes.fitting.model import Model, correlation_names, scale_names
from hitlbayes.fitting.population import category_shares, correlated, mean_response
from hitlbayes.spec.priors import Prior
from hitlbayes.studies.did import did_model
from hitlbayes.studies.mixed import SEED, Study
from hitlbayes.summaries import on_scale

if TYPE_CHECKING:
    from hitlbayes.chatlog import Panel


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class PriorPredictive:
    """Draws from the priors and what they imply.

    Attributes
    ----------
    implied : xarray.Dataset
        Dimension draw: `att` in `units`, `mean` outcome, and `share` (draw, category) of an ordinal outcome.
    parameters : xarray.Dataset
        Dimension draw: what was drawn from each prior; coefficients of controls are those of one SD.
    priors : dict
        Parameter -> its prior.
    observed : dict
        The mean and shares in the data, for comparison.
    """

    name: str
    outcome: str
    units: str
    implied: xr.Dataset
    parameters: xr.Dataset
    priors: dict[str, str]
    observed: dict[str, float]
    synthetic: bool
    seed: int

    def summary(self, prob: float = 0.95) -> pd.DataFrame:
        """Median and equal-tailed interval of the implied effect, the implied mean, and each parameter."""
        if not 0 < prob < 1:
            raise SpecError(f"prob is {prob}; expected a probability between 0 and 1.")
        named = {"ATT": self.implied["att"], f"mean {self.outcome}": self.implied["mean"]}
        for k, label in enumerate(self.implied.coords.get("category", ())):
            named[f"P({self.outcome} = {label.item()})"] = self.implied["share"][:, k]
        named |= {name: self.parameters[name] for name in self.priors if name in self.parameters}
        edges = [0.5, (1 - prob) / 2, (1 + prob) / 2]
        rows = {name: np.quantile(values, edges) for name, values in named.items()}
        table = pd.DataFrame.from_dict(rows, orient="index", columns=["median", "lower", "upper"])
        table["observed"] = pd.Series(self.observed).reindex(table.index)
        told = {"ATT": f"implied, {self.units}"} | self.priors
        table["prior"] = [told.get(name, "implied") for name in table.index]
        return table.rename_axis("quantity")

    def __repr__(self) -> str:
        label = " (SYNTHETIC data)" if self.synthetic else ""
        count = self.implied.sizes["draw"]
        head = f"Before any outcome is seen: {self.name}{label}; {count} draws, seed {self.seed}"
        table = self.summary().to_string(float_format=lambda x: f"{x:.3g}", na_rep="")
        return f"{head}\n{table}"


def prior_predictive(
    panel: Panel | pd.DataFrame, *, draws: int = 500, seed: int = SEED, **arguments: Any
) -> PriorPredictive:
    """The average effect on the treated, and the mean outcome, that the priors alone imply.

    Parameters
    ----------
    panel : Panel or DataFrame
    draws, seed : int
    **arguments
        Keywords of `hitlbayes.fit_did` that say what is fitted (outcome, formula, priors, ...).

    Returns
    -------
    PriorPredictive
        It prints a table; `implied` and `parameters` hold the draws.

    Notes
    -----
    The default priors of a Gaussian outcome are centred at its mean and scaled by the SD of its cell means,
    those of other outcomes are on the logit or log scale (`hitlbayes.spec.priors`). The effect is averaged
    over the treated cells by their observations, as in `Fit.effects`.

    Examples
    --------
    >>> import pandas as pd, hitlbayes as hb
    >>> frame = pd.DataFrame([(i, t) for i in range(6) for t in range(4)], columns=["id", "week"])
    >>> frame["arm"], frame["after"] = frame["id"] % 2, (frame["week"] >= 2).astype(int)
    >>> frame["back"] = (frame["id"] + frame["week"]) % 3 == 0
    >>> told = hb.prior_predictive(frame, outcome="back", unit="id", time="week", treated="arm", post="after",
    ...                            family="bernoulli", priors={"treatment": hb.normal(0, 0.5)})
    >>> bool(-60 < told.summary().loc["ATT", "lower"] < -5)
    True
    """
    if draws < 1:
        raise SpecError(f"draws is {draws}; expected at least one.")
    study = did_model(panel, **arguments)
    rng = np.random.default_rng(seed)
    parameters = _parameters(study.model, rng, draws)
    implied = [_implied(study.model, {k: v[i] for k, v in parameters.items()}, rng) for i in range(draws)]
    found = {name: np.array([v[name] for v in implied]) for name in implied[0]}
    data = xr.Dataset({name: (("draw", "category")[: v.ndim], v) for name, v in found.items()})
    data["att"] = on_scale(data["att"], study.units)
    if study.model.cells.labels:
        data = data.assign_coords(category=list(study.model.cells.labels))
    drawn = xr.Dataset({name: (("draw", "cutpoint")[: v.ndim], v) for name, v in parameters.items()})
    told = {name: str(prior) for name, prior in study.model.priors.items()}
    return PriorPredictive(
        study.name,
        study.outcome,
        study.units,
        implied=data,
        parameters=drawn,
        priors=told,
        observed=_observed(study),
        synthetic=study.synthetic,
        seed=seed,
    )


def _parameters(model: Model, rng: np.random.Generator, draws: int) -> dict[str, np.ndarray]:
    """Draws (draws,) of coefficients, scales and correlations; (draws, K - 1) of cutpoints."""
    priors, structure = model.priors, model.structure
    names = [*model.design.names, *scale_names(model.cells, structure)]
    names += ["sigma"] if "sigma" in priors else []
    made = {name: _draw(priors[name], rng, draws) for name in names}
    made |= {name: _draw(priors["rho"], rng, draws) for name in correlation_names(structure)}
    if "cutpoints" in priors:
        shares = rng.dirichlet(np.full(len(model.cells.labels), priors["cutpoints"].scale), draws)
        made["cutpoints"] = logit(np.clip(np.cumsum(shares, axis=1)[:, :-1], 1e-12, 1 - 1e-12))
    return made


def _draw(prior: Prior, rng: np.random.Generator, draws: int) -> np.ndarray:
    if prior.kind == "normal":
        return rng.normal(prior.loc, prior.scale, draws)
    if prior.kind == "half_normal":
        return np.abs(rng.normal(0.0, prior.scale, draws))
    if prior.kind == "lkj":
        return 2.0 * rng.beta(prior.scale, prior.scale, draws) - 1.0
    return np.full(draws, prior.loc)


def _implied(model: Model, value: dict[str, np.ndarray], rng: np.random.Generator) -> dict[str, np.ndarray]:
    """The average effect, the mean outcome and the shares of its categories under one set of parameters."""
    cells, structure, cut = model.cells, model.structure, value.get("cutpoints")
    without, own = _predictors(model, value, rng)
    now = without + structure.exposure * own
    treated = structure.exposure > 0

    def response(eta: np.ndarray) -> np.ndarray:
        return mean_response(cells.family, eta, cutpoints=cut, labels=cells.labels)

    change = response(now[treated]) - response(without[treated])
    made = {
        "att": np.average(change, weights=cells.n[treated]),
        "mean": np.average(response(now), weights=cells.n),
    }
    if cut is not None:
        made["share"] = np.average(category_shares(now, cut), axis=0, weights=cells.n)
    return {name: np.asarray(v) for name, v in made.items()}


def _predictors(
    model: Model, value: dict[str, np.ndarray], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Every cell's linear predictor without treatment, and its unit's effect (R,) each."""
    structure, names = model.structure, list(model.design.names)
    unit, block = structure.unit.codes, structure.block
    level, drift, effect = rng.standard_normal((3, len(structure.unit.labels)))
    own = value["treatment"] + correlated(value["sd_effect"], value["rho_effect"], level, effect)
    controls = [j for j, name in enumerate(names) if name != "treatment"]
    eta = model.design.X[:, controls] @ np.array([value[names[j]] for j in controls])
    eta = eta + value["sd_level"] * level[unit]
    if block == "did":
        change = correlated(value["sd_drift"], value["rho_drift"], level, drift)
        eta += change[unit] * structure.basis[:, 1]
    for group in structure.groups:
        eta += value[f"sd_{group.name}"] * rng.standard_normal(len(group.labels))[group.codes]
    if structure.period is not None:
        pair = pd.factorize(unit * (structure.period.max() + 1) + structure.period)[0]
        eta += value["sd_shock"] * rng.standard_normal(pair.max() + 1)[pair]
    return eta, own[unit]


def _observed(study: Study) -> dict[str, float]:
    """The mean, and the shares of an ordinal outcome's categories, in the data."""
    cells, outcome = study.model.cells, study.outcome
    made = {f"mean {outcome}": float(np.average(cells.mean(), weights=cells.n))}
    if cells.labels:
        shares = cells.stats.sum(axis=0) / cells.stats.sum()
        made |= {f"P({outcome} = {label})": float(s) for label, s in zip(cells.labels, shares, strict=True)}
    return made

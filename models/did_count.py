"""Difference-in-differences of a count: what AI did to how often a worker switches away from a chat.

One row per chat, nothing collapsed, nothing integrated out: the model as the mathematics says it, and the
place to start from for another one. Chat k of worker i in period t:

    y_k ~ Poisson(exp(eta_k)), or
    y_k ~ NegativeBinomial(m_k = exp(eta_k), variance m_k + m_k^2 / phi)
    eta_k   = X_k coef + level_i + change_i post_t + mu_t + delta_it
    mu_t ~ Normal(0, sd_period)          what all workers share in a period
    delta_it ~ Normal(0, sd_shock)       one shock for each worker and period

X holds an intercept, `treatment` (treated worker, after the start) and `treated`,
then `controls`. A worker's level, drift and effect come from three independent standard normals:

    level_i  = sd_level u1
    drift_i  = sd_drift  (rho_drift u1  + sqrt(1 - rho_drift^2) u2)
    effect_i = sd_effect (rho_effect u1 + sqrt(1 - rho_effect^2) u3)

Only change_i enters the likelihood: drift_i for a control worker, drift_i + effect_i for a treated one. So
the model has two variables a worker, the level and that part of the change which the level does not foretell:

    change_i = slope_a level_i + own_change_i,   a = control or treated
    slope_a  = (rho_drift sd_drift + [treated] rho_effect sd_effect) / sd_level
    own_change_i ~ Normal(0, sqrt(sd_drift^2 (1 - rho_drift^2) + [treated] sd_effect^2 (1 - rho_effect^2)))

Source: equation 1 of Wang, Zhu, Feng, Lu and Jia (2026), extended by drift, worker effects and shocks.
The effect is a ratio: exp(treatment) times as many where every worker's effect is alike.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pymc as pm
import pytensor.tensor as pt
from numpy.typing import ArrayLike


def design(chats: pd.DataFrame, *, controls: Sequence[str] = ()) -> pd.DataFrame:
    """Columns of the fixed coefficients, one row per chat.

    Where a control varies within workers, add its mean by worker and by period to `controls` (Mundlak).
    """
    columns = {"intercept": 1.0, "treatment": chats["treated"] * chats["post"], "treated": chats["treated"]}
    return pd.DataFrame({**columns, **{name: chats[name] for name in controls}}, dtype=float)


def normal_effects(name: str, sd: pt.TensorLike, *, dims: str, centered: bool) -> pt.TensorVariable:
    """Normal effects around zero; not centered: sampled in units of their SD, which takes out the funnel."""
    if centered:
        return pm.Normal(name, 0.0, sd, dims=dims)
    return pm.Deterministic(name, sd * pm.Normal(f"{name}_z", dims=dims), dims=dims)


def correlation(name: str, *, lkj: float) -> pt.TensorVariable:
    """A correlation with density proportional to (1 - rho^2)^(lkj - 1): uniform at 1, drawn to zero above."""
    return pm.Deterministic(name, 2.0 * pm.Beta(f"{name}_beta", lkj, lkj) - 1.0)


def worker_effects(
    treated: np.ndarray, *, scales: Sequence[float], lkj: float, centered: bool
) -> tuple[pt.TensorVariable, pt.TensorVariable]:
    """Level of each worker and its change from before to after, `treated` being 0/1 for each worker."""
    sd_level = pm.HalfNormal("sd_level", scales[0])
    sd_drift = pm.HalfNormal("sd_drift", scales[1])
    sd_effect = pm.HalfNormal("sd_effect", scales[2])
    rho_drift = correlation("rho_drift", lkj=lkj)
    rho_effect = correlation("rho_effect", lkj=lkj)
    slope = (rho_drift * sd_drift + treated * rho_effect * sd_effect) / sd_level
    own_variance = sd_drift**2 * (1 - rho_drift**2) + treated * sd_effect**2 * (1 - rho_effect**2)
    level = normal_effects("level", sd_level, dims="worker", centered=centered)
    own = normal_effects("own_change", pt.sqrt(own_variance), dims="worker", centered=centered)
    return level, pm.Deterministic("change", slope * level + own, dims="worker")


def check(chats: pd.DataFrame, *, columns: Sequence[str]) -> None:
    """Refuse incomplete columns, outcomes that are not 0, 1, .., arms that are not 0/1 or that change."""
    missing = [name for name in columns if chats[name].isna().any()]
    if missing:
        raise ValueError(f"missing values in {missing}: leave those chats out before")
    if not ((chats[columns[0]] >= 0) & (chats[columns[0]] % 1 == 0)).all():
        raise ValueError(f"{columns[0]!r} must be whole numbers from 0 up")
    if not chats[["treated", "post"]].isin([0, 1]).all(axis=None):
        raise ValueError("treated and post must be 0 or 1")
    if (chats.groupby("worker_id")["treated"].nunique() > 1).any():
        raise ValueError("some workers have chats with treated = 0 and chats with treated = 1")


def build(
    chats: pd.DataFrame,
    *,
    outcome: str = "switch_aways",
    controls: Sequence[str] = (),
    frequency: str = "D",
    intercept_prior: tuple[float, float] = (0.0, 2.5),
    coef_prior: tuple[ArrayLike, ArrayLike] = (0.0, 1.0),
    dispersion_scale: float | None = 1.0,
    level_scale: float = 0.5,
    drift_scale: float = 0.25,
    effect_scale: float = 0.25,
    period_scale: float = 0.25,
    shock_scale: float = 0.25,
    lkj: float = 2.0,
    centered: bool = False,
) -> pm.Model:
    """Model of a count; `coef[treatment]` is the average worker's effect on the log of the mean.

    Parameters
    ----------
    chats : one row per chat: `worker_id`, `start_time`, `treated`, `post` (0/1), the outcome, the controls.
    outcome : column of whole numbers, zero or more.
    controls : numeric columns for the linear predictor, best standardised.
    frequency : length of a period as pandas writes it: "D" a day, "h" an hour.
    intercept_prior : mean and SD of the intercept's normal prior, on the log scale.
    coef_prior : means and SDs of the other coefficients' normal priors, on the log scale;
        each a number, or one for each column after the intercept.
    dispersion_scale : scale of the half-normal prior of 1 / sqrt(phi), which a Poisson has at zero;
        None: Poisson.
    level_scale, drift_scale, effect_scale, period_scale, shock_scale : scales of the half-normal priors
        of the SDs of worker levels, drifts, effects, periods and worker-period shocks, on the log scale.
    lkj : prior of both correlations, density proportional to (1 - rho^2)^(lkj - 1).
    centered : sample effects on their own scale; better only where every worker and period has much data.

    Examples
    --------
    >>> day = pd.to_datetime(["2024-08-01", "2024-08-20"] * 4)
    >>> chats = pd.DataFrame({"worker_id": [1, 1, 2, 2] * 2, "start_time": day, "treated": [0, 0, 1, 1] * 2,
    ...                       "post": [0, 1] * 4, "switch_aways": [3, 4, 1, 0, 3, 2, 5, 1]})
    >>> model = build(chats)
    >>> draws = pm.sample(model=model)  # doctest: +SKIP
    """
    check(chats, columns=[outcome, "worker_id", "start_time", "treated", "post", *controls])
    X = design(chats, controls=controls)
    worker, workers = pd.factorize(chats["worker_id"], sort=True)
    period, periods = pd.factorize(chats["start_time"].dt.floor(frequency), sort=True)
    cell, cells = pd.factorize(worker * len(periods) + period, sort=True)
    treated = chats.groupby(worker)["treated"].first().to_numpy(dtype=float)  # one entry a worker
    post = chats["post"].to_numpy(dtype=float)
    coords = {"column": X.columns, "worker": workers, "period": periods, "cell": cells}
    with pm.Model(coords=coords) as model:
        mean = np.append(intercept_prior[0], np.broadcast_to(coef_prior[0], X.shape[1] - 1))
        sd = np.append(intercept_prior[1], np.broadcast_to(coef_prior[1], X.shape[1] - 1))
        coef = pm.Normal("coef", mean, sd, dims="column")
        scales = (level_scale, drift_scale, effect_scale)
        level, change = worker_effects(treated, scales=scales, lkj=lkj, centered=centered)
        sd_period = pm.HalfNormal("sd_period", period_scale)
        sd_shock = pm.HalfNormal("sd_shock", shock_scale)
        mu = normal_effects("period_effect", sd_period, dims="period", centered=centered)
        delta = normal_effects("shock", sd_shock, dims="cell", centered=centered)
        eta = X.to_numpy() @ coef + level[worker] + change[worker] * post + mu[period] + delta[cell]

        count = chats[outcome].to_numpy(dtype=int)
        if dispersion_scale is None:
            pm.Poisson(outcome, pt.exp(eta), observed=count)
        else:
            phi = pm.Deterministic("phi", pm.HalfNormal("inverse_sqrt_phi", dispersion_scale) ** -2)
            pm.NegativeBinomial(outcome, mu=pt.exp(eta), alpha=phi, observed=count)
    return model

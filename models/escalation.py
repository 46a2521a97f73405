"""Effects of AI handling by escalation type, from matched chats: when a takeover rescues a chat.

One row per matched chat, nothing collapsed, nothing integrated out: the model as the mathematics says it, and
the place to start from for another one. Chat c of worker w, of type k (an escalation type of AI chats, or
"control"):

    eta_c = X_c coef + type_k + level_w + response_wk [+ pair_j]
    type_k ~ Normal(0, sd_type)              types differ by this much: partial pooling
    level_w ~ Normal(0, sd_worker)           what all chats of a worker share
    response_wk ~ Normal(0, sd_response)     what a worker's chats of one type share beyond it
    pair_j ~ Normal(0, sd_pair)              what a pair shares that the covariates do not say

X holds an intercept (none where cutpoints hold it), `treatment` (1 for AI chats), then `covariates`. The
effect of type k is coef[treatment] + type_k - type_control. A control that serves several types is one row,
so that its likelihood counts once. Then one of

    gaussian   y_c ~ Normal(eta_c, sigma_k)                 a residual SD for each type
    bernoulli  P(y_c = 1) = logistic(eta_c)
    ordinal    P(y_c <= j) = logistic(cutpoint_j - eta_c)   cutpoints: Dirichlet on the shares at eta = 0

Source: equation 2, Table 5 and Appendix C of Wang, Zhu, Feng, Lu and Jia (2026), one model in place of four
regressions. The type is known only after treatment: an effect by type is causal only under principal
ignorability given the matching variables.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import pymc as pm
import pytensor.tensor as pt
from numpy.typing import ArrayLike

SCALES = {"type": 1.0, "worker": 1.0, "response": 0.5, "pair": 0.5}
FAMILIES = ("gaussian", "bernoulli", "ordinal")


def check(chats: pd.DataFrame, *, columns: Sequence[str], family: str, control: str) -> None:
    """Refuse incomplete columns, outcomes that do not fit the family, and chats of one arm alone."""
    missing = [name for name in columns if chats[name].isna().any()]
    if missing:
        raise ValueError(f"missing values in {missing}: leave those chats out before")
    if family not in FAMILIES:
        raise ValueError(f"family is {family!r}; expected one of {FAMILIES}")
    y = chats[columns[0]]
    if family == "bernoulli" and not y.isin([0, 1]).all():
        raise ValueError(f"{columns[0]!r} must be 0 or 1")
    if family == "ordinal" and not ((y >= 1) & (y % 1 == 0)).all():
        raise ValueError(f"{columns[0]!r} must be whole numbers from 1 up")
    if (chats[columns[1]] == control).all() or not (chats[columns[1]] == control).any():
        raise ValueError(f"expected AI chats of some type and chats of type {control!r}")


def effects(name: str, sd: pt.TensorLike, *, dims: str, centered: bool) -> pt.TensorVariable:
    """Normal effects around zero; not centered: sampled in units of their SD, which takes out the funnel."""
    if centered:
        return pm.Normal(name, 0.0, sd, dims=dims)
    return pm.Deterministic(name, sd * pm.Normal(f"{name}_z", dims=dims), dims=dims)


def observe(
    outcome: str, y: np.ndarray, eta: pt.TensorVariable, *, family: str, kind: np.ndarray, **priors: ArrayLike
) -> None:
    """The likelihood of one outcome, with the priors of its own parameters."""
    if family == "gaussian":
        sigma = pm.HalfNormal("sigma", priors["sigma_scale"], dims="type")
        pm.Normal(outcome, eta, sigma[kind], observed=y.astype(float))
    elif family == "bernoulli":
        pm.Bernoulli(outcome, logit_p=eta, observed=y.astype(int))
    else:
        share = pm.Dirichlet("probability", np.full(int(y.max()), priors["concentration"]))
        below = pt.cumsum(share)[:-1]  # P(y <= j) at eta = 0
        cutpoints = pm.Deterministic("cutpoints", pt.log(below) - pt.log1p(-below))
        pm.OrderedLogistic(outcome, eta=eta, cutpoints=cutpoints, compute_p=False, observed=y.astype(int) - 1)


def build(
    chats: pd.DataFrame,
    *,
    outcome: str,
    family: str,
    kind: str = "type",
    control: str = "control",
    worker: str = "worker_id",
    pair: str | None = None,
    covariates: Sequence[str] = (),
    intercept_prior: tuple[float, float] = (0.0, 5.0),
    treatment_scale: float = 1.0,
    coef_scale: ArrayLike = 2.5,
    scales: Mapping[str, float] = SCALES,
    type_sd: float | None = None,
    sigma_scale: float = 2.0,
    concentration: float = 1.0,
    centered: bool = False,
) -> pm.Model:
    """Model of one outcome of matched chats; `effect` is each type's, on the linear predictor.

    Parameters
    ----------
    chats : one row per matched chat: the outcome, its type, its worker, the covariates.
    outcome, family : its column, and "gaussian", "bernoulli" or "ordinal" (whole numbers from 1).
    kind, control : column of types, and what it says of controls.
    worker, pair : columns of workers and, for pair effects, of pairs.
    covariates : numeric columns, best standardised.
    intercept_prior : mean and SD of the intercept's normal prior.
    treatment_scale, coef_scale : SDs of the normal priors around zero of `treatment` and of covariates.
    scales : of the half-normal priors of sd_type, sd_worker, sd_response, sd_pair, by name.
    type_sd : hold sd_type; a large one makes no type say anything about another (unpooled).
    sigma_scale, concentration : of the half-normal residual SDs; of the cutpoints' Dirichlet.
    centered : sample effects on their own scale.

    Examples
    --------
    >>> chats = pd.DataFrame({"type": ["technical", "control", "none", "control"] * 3,
    ...                       "worker_id": [1, 2, 1, 2] * 3, "retrial": [0, 1, 1, 0, 0, 1] * 2})
    >>> model = build(chats, outcome="retrial", family="bernoulli")
    >>> draws = pm.sample(model=model)  # doctest: +SKIP
    """
    used = [outcome, kind, worker, *covariates, *([pair] if pair else [])]
    check(chats, columns=used, family=family, control=control)
    code, kinds = pd.factorize(chats[kind].astype(str), sort=True)
    who, workers = pd.factorize(chats[worker], sort=True)
    own, owns = pd.factorize(who * len(kinds) + code, sort=True)
    columns = {} if family == "ordinal" else {"intercept": np.ones(len(chats))}
    columns |= {"treatment": (chats[kind] != control).to_numpy(float)}
    columns |= {name: chats[name].to_numpy(float) for name in covariates}
    coords = {"column": list(columns), "type": kinds, "worker": workers, "own": owns}
    coords["ai_type"] = [k for k in kinds if k != control]
    mean = {"intercept": intercept_prior[0]}
    sd = {"intercept": intercept_prior[1], "treatment": treatment_scale}
    wide = dict(zip(covariates, np.broadcast_to(coef_scale, len(covariates)), strict=True))
    with pm.Model(coords=coords) as model:
        coef = pm.Normal(
            "coef", [mean.get(c, 0.0) for c in columns], [{**wide, **sd}[c] for c in columns], dims="column"
        )
        sd_type = pm.HalfNormal("sd_type", scales["type"]) if type_sd is None else type_sd
        types = effects("type_effect", sd_type, dims="type", centered=centered)
        sd_worker = pm.HalfNormal("sd_worker", scales["worker"])
        level = effects("level", sd_worker, dims="worker", centered=centered)
        sd_response = pm.HalfNormal("sd_response", scales["response"])
        response = effects("response", sd_response, dims="own", centered=centered)
        eta = np.column_stack(list(columns.values())) @ coef + types[code] + level[who] + response[own]
        if pair:
            which, pairs = pd.factorize(chats[pair], sort=True)
            model.add_coord("pair", pairs)
            shared = effects("pair_effect", pm.HalfNormal("sd_pair", scales["pair"]), dims="pair",
                             centered=centered)  # fmt: skip
            eta = eta + shared[which]
        ai = [k for k, name in enumerate(kinds) if name != control]
        base = types[list(kinds).index(control)]
        treatment = coef[list(columns).index("treatment")]
        pm.Deterministic("effect", treatment + types[ai] - base, dims="ai_type")
        priors = {"sigma_scale": sigma_scale, "concentration": concentration}
        observe(outcome, chats[outcome].to_numpy(), eta, family=family, kind=code, **priors)
    return model

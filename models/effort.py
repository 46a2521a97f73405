"""Effort after a takeover: seven measures, one latent effort per chat, at every level.

One row per takeover, nothing integrated out: the model as the mathematics says it, and the place to start
from for another one. Measure m of takeover k by worker i on day t, on its link's scale:

    eta_km = alpha_m + sum_p x_kp (loading_m kappa_p + own_pm) + loading_m w_i + v_im
             + loading_m r_t + s_tm + loading_m effort_k,          effort_k ~ Normal(0, 1)

    log delay_k ~ Normal(eta, sigma)                        seconds to reply
    rounds_k    ~ NegativeBinomial(exp(eta), 1 / over^2), truncated at zero
    messages_k - rounds_k ~ NegativeBinomial(rounds_k exp(eta), 1 / over^2)
    P(code_k <= j) = logistic(cutpoint_mj - eta)            empathy, information seeking, solution provision
    P(proactive_k) = logistic(eta)

kappa_p ~ Normal(0, 1) is what column p does to effort, in SDs; own_pm ~ Normal(0, (sd_direct c_m)^2), with
c_m = 1/2 on log scales and 1 on logit scales, what it does to measure m beyond that, with one sd_direct for
the columns of type and one for covariates. `text`, the log amount of text, enters the codes alone. Worker and
day effects have the same two parts. The sign of effort is that of the rounds.

Messages are modelled given rounds: two counts of one text would otherwise take the factor for themselves.
Source: Table 6 of Wang, Zhu, Feng, Lu and Jia (2026), which compares means. A difference between types is
causal only where the columns hold all that drives both type and effort.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pymc as pm
import pytensor.tensor as pt

MEASURES = (
    "human_delay",
    "human_rounds",
    "human_messages",
    "empathy",
    "information_seeking",
    "solution_provision",
    "proactivity",
)
CODES = MEASURES[3:6]
LOG_SCALE = np.array([0.5, 0.5, 0.5, 1.0, 1.0, 1.0, 1.0])
CODED = np.array([0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0])


def group_effects(
    name: str, loading: pt.TensorVariable, *, groups: str, scale: float
) -> tuple[pt.TensorVariable, pt.TensorVariable]:
    """Effects of workers or days on every measure, and their SDs: the factor's part first, then each own."""
    sd = pm.HalfNormal(f"sd_{name}", scale, dims="part")
    z = pm.Normal(f"{name}_z", dims=(groups, "part"))
    return (sd * z)[:, 0][:, None] * loading + (sd * z)[:, 1:], sd


def ordinal(name: str, eta: pt.TensorVariable, codes: np.ndarray, *, categories: int) -> None:
    """Cumulative logit; any shares of the categories at eta = 0 are as likely as any (Betancourt 2019)."""
    share = pm.Dirichlet(f"{name}_share", np.ones(categories))
    below = pt.cumsum(share)[:-1]
    cut = pt.log(below) - pt.log1p(-below)
    pm.OrderedLogistic(name, eta=eta, cutpoints=cut, compute_p=False, observed=codes - 1)


def check(takeovers: pd.DataFrame, *, columns: Sequence[str]) -> None:
    """Refuse incomplete columns and takeovers without a human round or with fewer messages than rounds."""
    missing = [name for name in columns if takeovers[name].isna().any()]
    if missing:
        raise ValueError(f"missing values in {missing}: leave those takeovers out before")
    if (takeovers["human_rounds"] < 1).any():
        raise ValueError("human_rounds must be at least 1: the model is truncated at zero")
    if (takeovers["human_messages"] < takeovers["human_rounds"]).any():
        raise ValueError("human_messages must be at least human_rounds: the rest is what is modelled")


def build(
    takeovers: pd.DataFrame,
    *,
    types: Sequence[str],
    covariates: Sequence[str] = (),
    text: str | None = None,
    categories: int = 3,
    intercept_prior: tuple[Sequence[float], float] | None = None,
    unit_scale: float = 0.5,
    day_scale: float = 0.25,
    direct_scale: float = 0.5,
) -> pm.Model:
    """Model of effort; `kappa` of a type is its effect on latent effort in SDs.

    Parameters
    ----------
    takeovers : one row per takeover: `worker_id`, `start_time`, the measures, the columns.
    types : 0/1 columns of the types other than the reference, best centred.
    covariates : numeric columns (log AI rounds, log seconds, sentiment), best standardised.
    text : numeric column, the standardised log amount of text, for the codes alone.
    categories : of each code.
    intercept_prior : centres of the normal priors of delay, rounds, messages per round and proactivity, and
        their SD; by default the logs of what is typical, zero for proactivity, and 2.5.
    unit_scale, day_scale, direct_scale : scales of half-normal priors.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> n = 40
    >>> takeovers = pd.DataFrame({name: rng.integers(1, 4, n) for name in MEASURES})
    >>> takeovers["human_messages"] += takeovers["human_rounds"]
    >>> takeovers = takeovers.assign(proactivity=rng.integers(0, 2, n), emotional=rng.integers(0, 2, n),
    ...     worker_id=rng.integers(0, 5, n), start_time=pd.Timestamp("2024-08-15"))
    >>> model = build(takeovers, types=["emotional"])
    >>> draws = pm.sample(model=model)  # doctest: +SKIP
    """
    check(
        takeovers,
        columns=[*MEASURES, "worker_id", "start_time", *types, *covariates, *([text] if text else [])],
    )
    columns = [*types, *covariates]
    X = takeovers[columns].to_numpy(float)
    worker, workers = pd.factorize(takeovers["worker_id"], sort=True)
    day, days = pd.factorize(takeovers["start_time"].dt.floor("D"), sort=True)
    delay, rounds = takeovers["human_delay"].to_numpy(float), takeovers["human_rounds"].to_numpy()
    extra = takeovers["human_messages"].to_numpy() - rounds
    if intercept_prior is None:
        typical = (np.log(delay).mean(), np.log(rounds.mean()), np.log(extra.mean() / rounds.mean()), 0.0)
        intercept_prior = (typical, 2.5)

    coords = {
        "measure": list(MEASURES),
        "worker": workers,
        "day": days,
        "part": ["effort", *MEASURES],
        "column": columns,
        "kind": ["type", "covariate"],
        "chat": range(len(takeovers)),
        "count": ["human_rounds", "human_messages"],
        "plain": ["human_delay", "human_rounds", "human_messages", "proactivity"],
    }
    with pm.Model(coords=coords) as model:
        anchor = pm.HalfNormal("loading_rounds", 1.0)
        others = pm.Normal("loading_others", 0.0, 1.0, shape=len(MEASURES) - 1)
        loading = pm.Deterministic(
            "loading", pt.concatenate([others[:1], anchor[None], others[1:]]), dims="measure"
        )
        kappa = pm.Normal("kappa", 0.0, 1.0, dims="column")
        sd_direct = pm.HalfNormal("sd_direct", direct_scale, dims="kind")
        kind = np.r_[np.zeros(len(types), int), np.ones(len(covariates), int)]
        own = pm.Normal("own_z", dims=("column", "measure")) * sd_direct[kind][:, None] * LOG_SCALE
        B = pm.Deterministic("coef", kappa[:, None] * loading + own, dims=("column", "measure"))
        of_worker, _ = group_effects("worker", loading, groups="worker", scale=unit_scale)
        of_day, _ = group_effects("day", loading, groups="day", scale=day_scale)
        effort = pm.Normal("effort", dims="chat")
        eta = pt.dot(X, B) + of_worker[worker] + of_day[day] + effort[:, None] * loading
        if text:
            amount = pm.Normal("text", 0.0, 1.0, dims="measure")
            eta = eta + takeovers[text].to_numpy(float)[:, None] * CODED * amount
        alpha = pm.Normal("intercept", np.asarray(intercept_prior[0]), intercept_prior[1], dims="plain")

        pm.Normal("log_delay", alpha[0] + eta[:, 0], pm.HalfNormal("sigma", 1.0), observed=np.log(delay))
        over = pm.HalfNormal("over", 1.0, dims="count")
        mean = pt.exp(alpha[1] + eta[:, 1])
        pm.NegativeBinomial("human_rounds", mu=mean, alpha=over[0] ** -2, observed=rounds)
        zero = -(over[0] ** -2) * pt.log1p(mean * over[0] ** 2)
        pm.Potential("no_takeover_without_a_round", -pt.log(-pt.expm1(zero)).sum())
        more = rounds * pt.exp(alpha[2] + eta[:, 2])
        pm.NegativeBinomial("more_messages", mu=more, alpha=over[1] ** -2, observed=extra)
        for j, name in enumerate(CODES):
            ordinal(name, eta[:, 3 + j], takeovers[name].to_numpy(int), categories=categories)
        pm.Bernoulli(
            "proactivity", logit_p=alpha[3] + eta[:, 6], observed=takeovers["proactivity"].to_numpy()
        )
    return model

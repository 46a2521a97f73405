"""Means and SDs of long runs: the engine's against PyMC's NUTS on chat rows, every parameter and worker.

Standard errors are those between independent runs: a chain's own estimate of its autocorrelation can be too
small (two long chains of the reference were seen 3.7 of their combined errors apart).
"""

from __future__ import annotations

from time import perf_counter

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.special import expit, logit
from scipy.stats import norm, ttest_ind

from hitlbayes.diagnostics import split_r_hat
from hitlbayes.fitting.model import Model
from hitlbayes.fitting.run import run

from .chats import OUTCOMES, chat_log, engine_model, unlike_priors
from .exactness import reference_model, reference_order

RUNS = 16  # of the engine, each with its own seed and adaptation, and chains of the reference
CHAINS, DRAWS = 4, 1000  # of each of the engine's runs
REFERENCE_DRAWS, TUNE = 4000, 1500
FAMILYWISE = 0.01  # chance that a right answer fails: any of some 140 comparisons of a family
LEAST = 4.0  # standard errors that are allowed whatever the number compared
CONVERGED = 1.01
SCALES = ("sd_level", "sd_drift", "sd_effect", "sd_period", "sd_shock", "rho_drift", "rho_effect")


def with_effects(chats: pd.DataFrame, *, seed: int) -> pd.DataFrame:
    """Chats whose outcomes hold worker levels, drifts, effects, days and shocks."""
    rng = np.random.default_rng(seed)
    worker, day = chats["worker_id"].to_numpy(), chats["day"].to_numpy()
    n, pair = worker.max() + 1, worker * (day.max() + 1) + day
    level, drift, effect = (sd * rng.normal(size=n) for sd in (0.6, 0.3, 0.3))
    post, now = chats["post"].to_numpy(), (chats["treated"] * chats["post"]).to_numpy()
    eta = level[worker] + drift[worker] * post + (0.5 + effect[worker]) * now
    eta = eta + 0.3 * rng.normal(size=day.max() + 1)[day] + 0.3 * rng.normal(size=pair.max() + 1)[pair]
    shares = np.array([0.15, 0.25, 0.45, 0.7])
    rating = 1 + (rng.logistic(size=len(eta)) + eta > logit(shares)[:, None]).sum(axis=0)
    x2 = 0.4**2
    return chats.assign(
        log_duration=5.0
        + eta
        + np.array([0.6, 0.7, 0.8, 0.9])[2 * chats["treated"] + post] * rng.normal(size=len(eta)),
        retrial=(rng.uniform(size=len(eta)) < expit(eta - 0.3)).astype(int),
        rating=rating,
        switch_aways=rng.poisson(np.exp(0.3 + eta) * rng.gamma(1 / x2, x2, len(eta))),
    )


def centred(intercept: np.ndarray, coef: np.ndarray, model: Model, sign: float) -> np.ndarray:
    """Intercept or cutpoints (chains, draws, ...) as they are where controls have their means."""
    shift = coef @ model.design.centre
    return intercept + sign * (shift if intercept.ndim == 2 else shift[..., None])


def ours(draws: xr.Dataset, model: Model) -> dict[str, np.ndarray]:
    """Draws (chains, draws) by name, coefficients of standardised columns as the reference has them."""
    design, coef = model.design, draws["coef"].to_numpy()
    found = {name: draws[name].to_numpy() for name in SCALES}
    found |= {name: coef[..., j] * design.scale[j] for j, name in enumerate(design.names)}
    if "intercept" in found:
        found["intercept"] = centred(found["intercept"], coef, model, 1.0)
    if "overdispersion" in draws:
        found["overdispersion"] = draws["overdispersion"].to_numpy()
    if "cutpoints" in draws:
        found |= columns("cutpoint", centred(draws["cutpoints"].to_numpy(), coef, model, -1.0))
    if "sigma" in draws:
        found |= columns("sigma", draws["sigma"].to_numpy())
    for name, there in (("level", "unit_level"), ("change", "unit_change"), ("day", "period")):
        found |= columns(name, draws[there].to_numpy())
    return found


def theirs(draws: xr.Dataset, model: Model) -> dict[str, np.ndarray]:
    """The reference model's draws under the same names."""
    coef = draws["coef"].to_numpy()
    found = {name: draws[name].to_numpy() for name in SCALES}
    found |= {name: coef[..., j] for j, name in enumerate(reference_order(model))}
    if "inverse_sqrt_phi" in draws:
        found["overdispersion"] = draws["inverse_sqrt_phi"].to_numpy()
    for name, there in (("cutpoint", "cutpoints"), ("sigma", "sigma")):
        found |= columns(name, draws[there].to_numpy()) if there in draws else {}
    for name, there in (("level", "level"), ("change", "change"), ("day", "period_effect")):
        found |= columns(name, draws[there].to_numpy())
    return found


def columns(name: str, draws: np.ndarray) -> dict[str, np.ndarray]:
    """Draws (chains, draws, n) as n parameters."""
    return {f"{name}[{j}]": draws[..., j] for j in range(draws.shape[-1])}


def moments(draws: np.ndarray) -> np.ndarray:
    """Mean of each run (runs, ...), and its mean squared deviation from the mean of all: (2, runs)."""
    runs = draws.reshape(len(draws), -1)
    return np.stack([runs.mean(axis=1), np.mean((runs - runs.mean()) ** 2, axis=1)])


def compare(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> pd.DataFrame:
    """Differences of means and variances by Welch's t test of runs, as the normal score of its p-value."""
    rows = {}
    for name, x in a.items():
        y = b[name]
        tests = [ttest_ind(p, q, equal_var=False) for p, q in zip(moments(x), moments(y), strict=True)]
        z = [float(np.sign(test.statistic) * norm.isf(test.pvalue / 2)) for test in tests]
        rows[name] = (*z, (x.mean() - y.mean()) / y.std(), np.log(x.std() / y.std()))
    names = ["mean_z", "sd_z", "mean_off", "log_sd_off"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=names)


def engine_runs(model: Model) -> dict[str, np.ndarray]:
    """Draws (RUNS, CHAINS, DRAWS) by name."""
    runs = [
        ours(run(model, draws=DRAWS, chains=CHAINS, seed=seed).posterior, model)
        for seed in range(1, RUNS + 1)
    ]
    return {name: np.stack([found[name] for found in runs]) for name in runs[0]}


@pytest.mark.slow
@pytest.mark.parametrize("family", ["gaussian", "bernoulli", "ordinal", "count"])
def test_long_runs_agree_within_monte_carlo_error(family: str) -> None:
    pm = pytest.importorskip("pymc")
    chats = with_effects(chat_log(5, workers=25, days=8, start=4), seed=6)
    model = engine_model(chats, family=family, formula=None, priors=unlike_priors(family))
    begun = perf_counter()
    a = engine_runs(model)
    seconds, begun = perf_counter() - begun, perf_counter()
    sampled = pm.sample(
        REFERENCE_DRAWS,
        tune=TUNE,
        chains=RUNS,
        model=reference_model(chats, model, centered=False),
        nuts_sampler="nutpie",
        random_seed=2,
        progressbar=False,
        target_accept=0.95,
    )
    b = theirs(sampled.posterior, model)
    assert set(a) == set(b)
    for draws in (a, b):
        chains = (x.reshape(-1, x.shape[-1]) for x in draws.values())
        assert max(float(split_r_hat(x)) for x in chains) < CONVERGED
    table = compare(a, b)
    limit = max(LEAST, norm.isf(FAMILYWISE / (4 * len(table))))
    worst = table.abs().max()
    print(
        f"{family}: {len(chats)} chats, {len(table)} parameters; {seconds:.0f} s against "
        f"{perf_counter() - begun:.0f} s; "
        f"largest difference of means {worst['mean_z']:.2f} standard errors ({worst['mean_off']:.3f} SD), "
        f"of SDs {worst['sd_z']:.2f} ({100 * worst['log_sd_off']:.1f} %); limit {limit:.2f}"
    )
    assert OUTCOMES[family] in chats
    assert (table[["mean_z", "sd_z"]].abs() < limit).all(axis=None), table[table.abs().max(axis=1) > limit]

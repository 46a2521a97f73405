"""The reference models say what their docstrings say: density, prior, worker block, refusals, recovery."""

from __future__ import annotations

import doctest
import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pymc as pm
import pytest
from pymc.model.transform.conditioning import remove_value_transforms
from scipy import stats
from scipy.special import expit

MODELS = Path(__file__).parents[2] / "models"
OUTCOMES = {
    "did_gaussian": "log_duration",
    "did_bernoulli": "retrial",
    "did_ordinal": "rating",
    "did_count": "switch_aways",
}
SD = {"level": 0.7, "drift": 0.4, "effect": 0.5, "period": 0.3, "shock": 0.2}
RHO = {"drift": -0.6, "effect": 0.45}
DIGITS = 1e-9  # two double-precision sums of a few dozen terms
DRAWS = 4000
CHANCE = 4.5  # standard errors that a right answer exceeds once in 150,000 tries


def load(name: str) -> ModuleType:
    """A model's file as a module, as somebody who copied it out would have it."""
    spec = importlib.util.spec_from_file_location(name, MODELS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def chat_log(seed: int = 1, *, workers: int = 6, days: int = 4, chats: int = 40) -> pd.DataFrame:
    """Synthetic chats with every outcome; some worker-days are empty."""
    rng = np.random.default_rng(seed)
    worker, day = rng.integers(0, workers, chats), rng.integers(0, days, chats)
    return pd.DataFrame(
        {
            "worker_id": [f"w{i}" for i in worker],
            "start_time": pd.Timestamp("2024-08-01 10:00") + pd.to_timedelta(day, unit="D"),
            "treated": worker % 2,
            "post": (day >= days // 2).astype(int),
            "vip": rng.integers(0, 2, chats),
            "log_duration": rng.normal(6.0, 0.5, chats),
            "retrial": rng.integers(0, 2, chats),
            "rating": np.r_[1:6, rng.integers(1, 6, chats - 5)],
            "switch_aways": rng.poisson(2.0, chats),
        }
    )


def point(model: pm.Model, *, seed: int = 2) -> dict[str, np.ndarray]:
    """Values of a centered model's variables, scales and correlations as above and the rest random."""
    rng = np.random.default_rng(seed)
    values = {name: 0.4 * rng.normal(size=np.shape(v)) for name, v in model.initial_point().items()}
    values |= {f"sd_{name}": np.array(sd) for name, sd in SD.items()}
    values |= {f"rho_{name}_beta": np.array((rho + 1) / 2) for name, rho in RHO.items()}
    known = {"sigma": np.array([0.5, 0.6, 0.7, 0.8]), "inverse_sqrt_phi": np.array(0.9)}
    known |= {"probability": np.array([0.1, 0.15, 0.2, 0.25, 0.3])}
    return values | {name: value for name, value in known.items() if name in values}


def predictor(chats: pd.DataFrame, v: dict[str, np.ndarray], *, intercept: bool) -> np.ndarray:
    """The linear predictor of every chat, written out chat by chat."""
    workers, days = sorted(chats["worker_id"].unique()), sorted(chats["start_time"].unique())
    cells = sorted(set(zip(chats["worker_id"], chats["start_time"], strict=True)))
    eta = []
    for chat in chats.itertuples():
        i, t, cell = (
            workers.index(chat.worker_id),
            days.index(chat.start_time),
            (chat.worker_id, chat.start_time),
        )
        columns = [1.0] * intercept + [chat.treated * chat.post, chat.treated, chat.vip]
        slope = (RHO["drift"] * SD["drift"] + chat.treated * RHO["effect"] * SD["effect"]) / SD["level"]
        change = slope * v["level"][i] + v["own_change"][i]
        eta.append(
            np.dot(columns, v["coef"]) + v["level"][i] + change * chat.post + v["period_effect"][t]
            + v["shock"][cells.index(cell)]
        )  # fmt: skip
    return np.array(eta)


def log_prior(
    chats: pd.DataFrame, v: dict[str, np.ndarray], *, intercept: tuple[float, float] | None
) -> float:
    """Log density of the prior at v with the default scales, by scipy."""
    scales = {"level": 0.5, "drift": 0.25, "effect": 0.25, "period": 0.25, "shock": 0.25}
    value = sum(stats.halfnorm.logpdf(SD[name], scale=scale) for name, scale in scales.items())
    value += sum(stats.beta.logpdf((rho + 1) / 2, 2.0, 2.0) for rho in RHO.values())
    coef = v["coef"]
    if intercept:
        value, coef = value + stats.norm.logpdf(coef[0], *intercept), coef[1:]
    treated = chats.groupby("worker_id")["treated"].first().to_numpy()
    own = np.sqrt(
        SD["drift"] ** 2 * (1 - RHO["drift"] ** 2) + treated * SD["effect"] ** 2 * (1 - RHO["effect"] ** 2)
    )
    value += stats.norm.logpdf(coef, 0.0, 1.0).sum() + stats.norm.logpdf(v["own_change"], 0.0, own).sum()
    for name, variable in (("level", "level"), ("period", "period_effect"), ("shock", "shock")):
        value += stats.norm.logpdf(v[variable], 0.0, SD[name]).sum()
    return float(value)


def log_likelihood(name: str, chats: pd.DataFrame, v: dict[str, np.ndarray], eta: np.ndarray) -> float:
    """Log likelihood of the chats and log prior of the family's own parameters, by scipy."""
    y = chats[OUTCOMES[name]].to_numpy()
    if name == "did_gaussian":
        sigma = v["sigma"][2 * chats["treated"] + chats["post"]]
        return stats.norm.logpdf(y, eta, sigma).sum() + stats.halfnorm.logpdf(v["sigma"]).sum()
    if name == "did_bernoulli":
        return stats.bernoulli.logpmf(y, expit(eta)).sum()
    if name == "did_count":
        phi = v["inverse_sqrt_phi"] ** -2.0
        prior = stats.halfnorm.logpdf(v["inverse_sqrt_phi"])
        return stats.nbinom.logpmf(y, phi, phi / (phi + np.exp(eta))).sum() + prior
    below = np.cumsum(v["probability"])[:-1]
    cut = np.r_[-np.inf, np.log(below / (1 - below)), np.inf]
    return np.log(expit(cut[y] - eta) - expit(cut[y - 1] - eta)).sum() + stats.dirichlet.logpdf(
        v["probability"], np.ones(5)
    )


@pytest.mark.parametrize("name", OUTCOMES)
def test_density_is_the_one_that_the_docstring_states(name: str) -> None:
    chats = chat_log()
    model = remove_value_transforms(load(name).build(chats, controls=["vip"], centered=True))
    v = point(model)
    prior = {"did_gaussian": (6.0, 2.0), "did_ordinal": None}.get(name, (0.0, 2.5))
    expected = log_prior(chats, v, intercept=prior)
    expected += log_likelihood(name, chats, v, predictor(chats, v, intercept=prior is not None))
    found = float(model.compile_logp(jacobian=False, mode="FAST_COMPILE")(v))
    assert found == pytest.approx(expected, rel=DIGITS)


@pytest.mark.parametrize("name", ["did_ordinal", "did_gaussian"])
def test_both_parametrizations_are_one_model(name: str) -> None:
    chats = chat_log()
    centered, other = (
        remove_value_transforms(load(name).build(chats, centered=flag)) for flag in (True, False)
    )
    v = point(centered)
    treated = chats.groupby("worker_id")["treated"].first().to_numpy()
    own = np.sqrt(
        SD["drift"] ** 2 * (1 - RHO["drift"] ** 2) + treated * SD["effect"] ** 2 * (1 - RHO["effect"] ** 2)
    )
    units = {"level": SD["level"], "own_change": own, "period_effect": SD["period"], "shock": SD["shock"]}
    z = {f"{k}_z": v[k] / unit for k, unit in units.items()} | {k: x for k, x in v.items() if k not in units}
    jacobian = sum(np.sum(np.log(np.broadcast_to(unit, v[k].shape))) for k, unit in units.items())
    densities = [
        m.compile_logp(jacobian=False, mode="FAST_COMPILE")(x) for m, x in ((centered, v), (other, z))
    ]
    assert densities[0] == pytest.approx(densities[1] - jacobian, rel=DIGITS)


def test_worker_block_has_the_covariance_of_level_drift_and_effect() -> None:
    chats = chat_log(workers=6)
    model = load("did_bernoulli").build(chats)
    held = {f"sd_{name}": sd for name, sd in SD.items()} | {f"rho_{name}": rho for name, rho in RHO.items()}
    fixed = pm.do(model, held)
    level, change = pm.draw([fixed["level"], fixed["change"]], draws=DRAWS, random_seed=3)
    treated = chats.groupby("worker_id")["treated"].first().to_numpy()

    u = np.random.default_rng(4).normal(size=(3, 400_000))  # the docstring's three standard normals
    drift = SD["drift"] * (RHO["drift"] * u[0] + np.sqrt(1 - RHO["drift"] ** 2) * u[1])
    effect = SD["effect"] * (RHO["effect"] * u[0] + np.sqrt(1 - RHO["effect"] ** 2) * u[2])
    for arm in (0, 1):
        expected = np.cov(SD["level"] * u[0], drift + arm * effect)
        found = np.cov(level[:, treated == arm].ravel(), change[:, treated == arm].ravel())
        n = DRAWS * np.sum(treated == arm)
        diagonal = np.diag(expected)
        error = np.sqrt((np.outer(diagonal, diagonal) + expected**2) * (1 / n + 1 / u.shape[1]))
        assert np.all(np.abs(found - expected) < CHANCE * error)


@pytest.mark.parametrize("name", OUTCOMES)
def test_prior_draws_have_the_stated_moments(name: str) -> None:
    model = load(name).build(chat_log(), level_scale=0.8, shock_scale=0.1, lkj=3.0)
    names = ["sd_level", "sd_shock", "rho_drift", "rho_effect"]
    draws = dict(zip(names, pm.draw([model[k] for k in names], draws=DRAWS, random_seed=5), strict=True))
    half_normal = np.sqrt(2 / np.pi)
    for sd, scale in (("sd_level", 0.8), ("sd_shock", 0.1)):
        error = scale * np.sqrt((1 - 2 / np.pi) / DRAWS)
        assert abs(draws[sd].mean() - scale * half_normal) < CHANCE * error
    for rho in ("rho_drift", "rho_effect"):
        # density (1 - rho^2)^(lkj - 1): mean 0, variance 1 / (2 lkj + 1)
        assert abs(draws[rho].mean()) < CHANCE * np.sqrt(1 / 7 / DRAWS)
        assert abs(draws[rho].var() * 7 - 1) < CHANCE * np.sqrt(2 / DRAWS)


@pytest.mark.parametrize("name", OUTCOMES)
def test_examples_run_and_start_at_a_finite_density(name: str) -> None:
    module = load(name)
    assert doctest.testmod(module).failed == 0
    model = module.build(chat_log())
    assert np.isfinite(model.compile_logp(mode="FAST_COMPILE")(model.initial_point()))


@pytest.mark.parametrize(
    ("name", "column", "value", "words"),
    [
        ("did_gaussian", "log_duration", np.inf, "finite"),
        ("did_bernoulli", "retrial", 2, "0 or 1"),
        ("did_ordinal", "rating", 3.5, "whole numbers from 1"),
        ("did_ordinal", "rating", 0, "whole numbers from 1"),
        ("did_ordinal", "rating", np.nan, "missing values"),
        ("did_ordinal", "rating", 6, "expected at most 5"),
        ("did_count", "switch_aways", -1, "whole numbers from 0"),
        ("did_count", "treated", np.nan, "missing values"),
        ("did_count", "post", 2, "0 or 1"),
    ],
)
def test_impossible_chats_are_refused(name: str, column: str, value: float, words: str) -> None:
    chats = chat_log()
    chats[column] = chats[column].astype(float)
    chats.loc[7, column] = value
    more = {"categories": 5} if name == "did_ordinal" else {}
    with pytest.raises(ValueError, match=words):
        load(name).build(chats, **more)


def test_a_worker_in_both_arms_is_refused() -> None:
    chats = chat_log()
    chats.loc[0, "treated"] = 1 - chats.loc[0, "treated"]
    with pytest.raises(ValueError, match="treated = 0 and"):
        load("did_gaussian").build(chats)

"""Simulation-based calibration: parameters and data from the model itself, fitted; where the truth ranks.

    python benchmarks/sbc.py                              # 400 experiments a family, then sbc.csv and figures
    python benchmarks/sbc.py --families count --runs 20   # fewer
    python benchmarks/sbc.py --plot-only                  # table and figures from the ranks that are there

If the fit is the posterior, the rank of a parameter among its own posterior draws is uniform (Talts et al.
2018, arXiv:1804.06788). Parameters come from the priors handed to the fit, drawn here by numpy, and data from
the model as `hitlbayes.studies.did` states it, row by row: nothing but the priors' numbers is shared with the
engine. A process on each core; ranks are appended to a file by family, so a run that was cut off goes on
where it stopped. All sizes are alike, so each family compiles once a process.
"""

from __future__ import annotations

import argparse
import csv
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from multiprocessing import get_context
from multiprocessing.queues import Queue
from pathlib import Path
from time import perf_counter

import numpy as np
import pandas as pd
from scipy.special import expit, logit
from uniform import report

import hitlbayes as hb
from hitlbayes.fitting.model import Model
from hitlbayes.spec.priors import Prior
from hitlbayes.studies.did import did_model
from hitlbayes.studies.mixed import Sampling, make_fit, sample_model
from hitlbayes.versions import usable_cores

HERE = Path(__file__).parent
FAMILIES = ("gaussian", "bernoulli", "ordinal", "count")
WORKERS, DAYS, START, CHATS = 12, 6, 3, 4  # chats of each worker-day
CATEGORIES = 4
PHASES = 4  # arm x period, each with a residual SD (Gaussian)
DRAWS, CHAINS, KEPT = 500, 4, 100  # thinned to this many, of which most are independent
MOST_VALUES = 512  # a histogram of counts is padded to this, so that outcomes share a program
ROLES = {"unit": "worker", "time": "day", "treated": "arm", "post": "after"}

COMMON = {
    "treatment": hb.normal(0.3, 0.7),
    "treated": hb.normal(-0.2, 0.5),
    "treatment, period mean": hb.normal(0.2, 0.4),  # of the column with values -1/2 before and 1/2 after
    "sd_level": hb.half_normal(0.6),
    "sd_drift": hb.half_normal(0.4),
    "sd_effect": hb.half_normal(0.5),
    "sd_period": hb.half_normal(0.4),
    "sd_shock": hb.half_normal(0.4),
    "rho": hb.lkj(2.0),
}
PRIORS: dict[str, dict[str, Prior]] = {
    "gaussian": COMMON | {"intercept": hb.normal(1.0, 0.8), "sigma": hb.half_normal(1.0)},
    "bernoulli": COMMON | {"intercept": hb.normal(-0.3, 0.8)},
    "ordinal": COMMON | {"cutpoints": hb.dirichlet(3.0)},
    "count": COMMON | {"intercept": hb.normal(0.4, 0.5), "overdispersion": hb.half_normal(0.5)},
}


def draw_parameters(family: str, rng: np.random.Generator) -> dict[str, float]:
    """Every hyperparameter from its prior, under the names that `Fit.hyperparameters` gives it."""
    priors = PRIORS[family]
    drawn = {name: _draw(prior, rng) for name, prior in priors.items() if prior.kind != "dirichlet"}
    rho = priors["rho"]
    drawn |= {"rho_drift": _draw(rho, rng), "rho_effect": _draw(rho, rng)}
    if family == "gaussian":
        names = [f"sigma[{arm}, {when}]" for arm in ("control", "treated") for when in ("before", "after")]
        drawn |= {name: _draw(priors["sigma"], rng) for name in names}
    if family == "ordinal":
        shares = rng.dirichlet(np.full(CATEGORIES, priors["cutpoints"].scale))
        cut = logit(np.cumsum(shares)[:-1])
        drawn |= {f"cutpoint[{j + 1}]": float(c) for j, c in enumerate(cut)}
    return {name: value for name, value in drawn.items() if name not in ("rho", "sigma")}


def _draw(prior: Prior, rng: np.random.Generator) -> float:
    if prior.kind == "normal":
        return float(rng.normal(prior.loc, prior.scale))
    if prior.kind == "half_normal":
        return float(abs(rng.normal(0.0, prior.scale)))
    return float(2.0 * rng.beta(prior.scale, prior.scale) - 1.0)  # lkj of a single correlation


def simulate(family: str, rng: np.random.Generator) -> tuple[pd.DataFrame, dict[str, float]]:
    """Chats of one experiment, and the truth about what the fit reports."""
    p = draw_parameters(family, rng)
    grid = pd.DataFrame([(i, t) for i in range(WORKERS) for t in range(DAYS)], columns=["worker", "day"])
    grid["arm"], grid["after"] = grid["worker"] % 2, (grid["day"] >= START).astype(int)
    u = rng.standard_normal((3, WORKERS))
    level = p["sd_level"] * u[0]
    drift, effect = (
        p[f"sd_{name}"] * (p[f"rho_{name}"] * u[0] + np.sqrt(1 - p[f"rho_{name}"] ** 2) * own)
        for name, own in (("drift", u[1]), ("effect", u[2]))
    )
    post = p["treatment, period mean"]
    period = p["sd_period"] * rng.standard_normal(DAYS)
    worker, day = grid["worker"].to_numpy(), grid["day"].to_numpy()
    arm, after = grid["arm"].to_numpy(), grid["after"].to_numpy()
    without = p.get("intercept", 0.0) + p["treated"] * arm + level[worker] + drift[worker] * after
    without = without + post * (after - 0.5) + period[day] + p["sd_shock"] * rng.standard_normal(len(grid))
    own = (p["treatment"] + effect[worker]) * arm * after
    chats = grid.loc[grid.index.repeat(CHATS)].reset_index(drop=True)
    chats["y"] = _outcomes(family, np.repeat(without + own, CHATS), np.repeat(2 * arm + after, CHATS), p, rng)
    now = (arm * after) == 1
    truth = _as_reported(p)
    truth |= {"ATT": float(np.mean(_mean(family, without + own, p)[now] - _mean(family, without, p)[now]))}
    latent = {"level of worker 2": level[1], "effect of worker 2": p["treatment"] + effect[1]}
    latent |= {"drift of worker 1": drift[0], "day 1": period[0]}
    return chats, truth | {name: float(value) for name, value in latent.items()}


def _as_reported(p: dict[str, float]) -> dict[str, float]:
    """Parameters of the columns as they are: half the workers are treated, so the period mean is 0 or 1/2."""
    post = p["treatment, period mean"]
    moved = {name: value + post / 2 for name, value in p.items() if name.startswith("cutpoint")}
    moved |= {name: value - post / 2 for name, value in p.items() if name == "intercept"}
    return p | moved | {"treatment, period mean": 2.0 * post}


def _outcomes(family: str, eta: np.ndarray, phase: np.ndarray, p: dict[str, float], rng) -> object:
    if family == "gaussian":
        sigma = np.array([value for name, value in p.items() if name.startswith("sigma")])
        return rng.normal(eta, sigma[phase])
    if family == "bernoulli":
        return (rng.uniform(size=len(eta)) < expit(eta)).astype(int)
    if family == "ordinal":
        above = rng.uniform(size=len(eta))[:, None] < expit(eta[:, None] - _cutpoints(p))
        return pd.Categorical(1 + above.sum(axis=1), categories=range(1, CATEGORIES + 1), ordered=True)
    # Negative binomial of variance m + (x m)^2: a Poisson whose rate is gamma around m.
    x2 = p["overdispersion"] ** 2
    return rng.poisson(np.exp(eta) * rng.gamma(1.0 / x2, x2, len(eta)))


def _mean(family: str, eta: np.ndarray, p: dict[str, float]) -> np.ndarray:
    """Expected outcome at eta, in the units of `Fit.effects`."""
    if family == "ordinal":
        return 1.0 + expit(eta[:, None] - _cutpoints(p)).sum(axis=1)
    return {"gaussian": eta, "bernoulli": 100.0 * expit(eta), "count": np.exp(eta)}[family]


def _cutpoints(p: dict[str, float]) -> np.ndarray:
    return np.array([value for name, value in p.items() if name.startswith("cutpoint")])


def fit(chats: pd.DataFrame, *, family: str, seed: int) -> hb.Fit:
    """What `hitlbayes.fit_did` does, with the histogram of counts padded to one length."""
    study = did_model(chats, outcome="y", family=family, priors=PRIORS[family], **ROLES)
    if family == "count":
        study = replace(study, model=_padded(study.model))
    sampling = Sampling(DRAWS, CHAINS, seed, False)
    return make_fit(study, sample_model(study, sampling), sampling, seconds=0.0)


def _padded(model: Model) -> Model:
    above = model.data.above
    if len(above) > MOST_VALUES:
        return model  # rare: it compiles a program of its own
    longer = np.concatenate([above, np.zeros(MOST_VALUES - len(above))])
    return replace(model, data=model.data._replace(above=longer))


def reported(made: hb.Fit) -> dict[str, np.ndarray]:
    """Draws (chains, draws) of everything that `simulate` knows the truth of."""
    named = made.hyperparameters() | {"ATT": made.effects()["att"].to_numpy()}
    posterior = made.posterior["posterior"].to_dataset()
    named |= {"level of worker 2": posterior["unit_level"].sel(unit=1).to_numpy()}
    named |= {"effect of worker 2": posterior["unit_effect"].sel(unit=1).to_numpy()}
    named |= {"drift of worker 1": posterior["unit_change"].sel(unit=0).to_numpy()}
    return named | {"day 1": posterior["period"].sel(period_level=0).to_numpy()}


def one(family: str, run: int) -> dict[str, float]:
    """Ranks (0 .. KEPT) of the truth in one experiment, whether the checks passed, and the time."""
    chats, truth = simulate(family, np.random.default_rng([20240815, FAMILIES.index(family), run]))
    begun = perf_counter()
    made = fit(chats, family=family, seed=run)
    seconds = perf_counter() - begun
    step = DRAWS * CHAINS // KEPT
    draws = {name: values.reshape(-1)[::step] for name, values in reported(made).items()}
    if set(draws) != set(truth):
        raise SystemExit(f"{family}: the fit and the simulation differ in {set(draws) ^ set(truth)}")
    ranks = {name: int(np.sum(draws[name] < truth[name])) for name in truth}
    check = made.check()
    return {"run": run, **ranks, "ok": int(check.ok), "ess": check.ess_bulk, "seconds": round(seconds, 2)}


def calibrate(
    family: str, *, runs: int, folder: Path, pool: ProcessPoolExecutor
) -> Iterator[dict[str, float]]:
    """Fit the experiments that are not in the folder's file yet, each appended as it is done."""
    path = folder / f"{family}.csv"
    done = set(pd.read_csv(path)["run"]) if path.exists() else set()
    waiting = [pool.submit(one, family, run) for run in range(runs) if run not in done]
    for future in as_completed(waiting):
        row = future.result()
        with path.open("a", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(row))
            if not done:
                writer.writeheader()
            writer.writerow(row)
        done.add(row["run"])
        yield row


def on_one_core(turns: Queue[int]) -> None:
    """Keep this process to a core of its own: a fit in threads would wait for its neighbours."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[turns.get()]})


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--families", nargs="+", default=FAMILIES, choices=FAMILIES)
    parser.add_argument("--runs", type=int, default=400)
    parser.add_argument("--ranks", type=Path, default=HERE / "sbc", help="folder of the ranks")
    parser.add_argument("--plot-only", action="store_true")
    asked = parser.parse_args(arguments)
    asked.ranks.mkdir(parents=True, exist_ok=True)
    context = get_context("spawn")
    turns = context.Queue()
    for turn in range(usable_cores()):
        turns.put(turn)
    with ProcessPoolExecutor(usable_cores(), context, initializer=on_one_core, initargs=(turns,)) as pool:
        for family in () if asked.plot_only else asked.families:
            for row in calibrate(family, runs=asked.runs, folder=asked.ranks, pool=pool):
                if row["run"] % 20 == 0:
                    print(family, row, flush=True)
    report(
        asked.ranks,
        families=FAMILIES,  # the table holds every family that has ranks, whichever was run
        levels=KEPT + 1,
        table=HERE / "sbc.csv",
        figures=HERE / "figures",
    )


if __name__ == "__main__":
    main()

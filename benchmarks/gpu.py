"""The ordinal model on a processor and on a GPU: chats with continuous covariates, and a platform's panel.

    python benchmarks/gpu.py                              # both cases, every device that JAX finds
    python benchmarks/gpu.py --scale 0.01 --draws 100     # small

It needs numpy, jax, numpyro and threadpoolctl: data are simulated here, and `hitlbayes.inference` imports
nothing more. Each case and device has a process of its own. Where the engine does not import, NumPyro's NUTS
on the plain density is timed in its place, and the output says so.

chats   115,000 ratings by 647 workers in 31 days, 60 columns that differ from chat to chat: nothing collapses
panel   38,000 workers x 31 days of worker-day counts of ratings: what is left of a platform's month
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from measure import measure, peak_gib, processor

sys.path.insert(0, str(Path(__file__).parents[1]))

DAYS, START = 31, 14
CUTPOINTS = np.array([-1.9, -1.6, -1.2, -0.6])
EFFECT = 0.2
SDS = {"level": 0.3, "drift": 0.15, "effect": 0.15, "period": 0.05, "shock": 0.1}
PRIOR_SDS = {"level": 1.0, "drift": 0.5, "effect": 0.5, "period": 0.5, "shock": 0.5}
BEND = 0.1  # logits: the straight part of a scale's coordinate
REPEATS = 20  # of a gradient


@dataclass(frozen=True, slots=True)
class Data:
    """Synthetic ratings: counts (R, 5) of rows in order of day and worker, and what each row has.

    unit, day : (R,) codes; X : (R, P), the treatment first; treated : (N,)
    """

    counts: np.ndarray
    unit: np.ndarray
    day: np.ndarray
    X: np.ndarray
    treated: np.ndarray


def simulate(case: str, *, scale: float, seed: int = 1) -> Data:
    """Ratings of one case; `scale` multiplies the number of workers and, with it, of ratings."""
    rng = np.random.default_rng(seed)
    workers = max(20, round(scale * (647 if case == "chats" else 38_000)))
    treated = rng.permutation(np.arange(workers) % 2)
    if case == "chats":
        rows = round(115_000 / 647 * workers)
        cell = np.sort(rng.integers(0, DAYS * workers, rows))
    else:
        cell = np.arange(DAYS * workers)
    day, unit = np.divmod(cell, workers)
    exposure = treated[unit] * (day >= START)
    more = rng.standard_normal((len(cell), 58 if case == "chats" else 0))
    X = np.column_stack([exposure, treated[unit], more]).astype(float)
    effects = {name: sd * rng.standard_normal(workers) for name, sd in SDS.items()}
    eta = X @ np.r_[EFFECT, 0.0, 0.05 * rng.standard_normal(more.shape[1])]
    eta += (
        effects["level"][unit] + effects["drift"][unit] * (day >= START) + effects["effect"][unit] * exposure
    )
    eta += (SDS["period"] * rng.standard_normal(DAYS))[day]
    eta += (SDS["shock"] * rng.standard_normal(DAYS * workers))[cell]
    n = np.ones(len(cell), int) if case == "chats" else rng.poisson(5.9, len(cell))
    below = np.c_[1 / (1 + np.exp(eta[:, None] - CUTPOINTS)), np.ones(len(cell))]
    return Data(rng.multinomial(n, np.diff(below, axis=1, prepend=0.0)), unit, day, X, treated)


def engine_arguments(data: Data) -> tuple[dict[str, Any], Any]:
    """What `hitlbayes.inference.sampler.sample` takes, and the layout."""
    from hitlbayes.inference.effects import focus_on
    from hitlbayes.inference.expansion import State
    from hitlbayes.inference.problem import Beliefs, Layout, Problem
    from hitlbayes.spec.families import ordinal_statistics

    workers, columns = len(data.treated), data.X.shape[1]
    grid = len(data.unit) == DAYS * workers

    def shaped(a: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(a.reshape(*a.shape[:-1], DAYS, workers) if grid else a)

    layout = Layout("ordinal", "did", columns, 4, (DAYS,), (grid,), workers, workers, DAYS, True, 0)
    post = np.repeat((np.arange(DAYS) >= START).astype(float)[:, None], workers, axis=1)
    problem = Problem(
        stats=shaped(ordinal_statistics(data.counts.astype(float))),
        offset=shaped(np.zeros(len(data.unit))),
        X=shaped(data.X.T),
        groups=(shaped(data.day.astype(np.int32)),),
        shock=np.zeros(0, np.int32) if grid else (data.day * workers + data.unit).astype(np.int32),
        basis=np.stack([np.ones_like(post), post]),
        column=np.zeros(0, np.int32),
        unit_class=data.treated.astype(np.int32),
        categories=data.counts.sum(axis=0).astype(float),
        above=np.zeros(0),
    )
    beliefs = Beliefs(
        coef_loc=np.zeros(columns),
        coef_sd=np.r_[1.0, 1.0, np.full(columns - 2, 2.5)],
        scale_sd=np.array(list(PRIOR_SDS.values())),
        lkj=np.array(2.0),
        aux_sd=np.zeros(0),
        concentration=np.ones(5),
        fixed=np.full(layout.n_hyper, np.nan),
        bend=np.full(layout.n_scales, BEND),
        slope=np.zeros(2),
        sharpness=np.zeros(2),
        shear=np.zeros(()),
    )
    rows = np.flatnonzero(data.X[:, 0] > 0)
    n = data.counts[rows].sum(axis=1).astype(float)
    focus = focus_on(rows, data.unit[rows], n, steps=np.ones(4))
    psi = np.r_[np.full(layout.n_scales, np.arcsinh(0.2 / BEND)), np.zeros(2)]
    outer = np.zeros(layout.n_outer)
    outer[-4:] = np.r_[CUTPOINTS[:1], np.log(np.diff(CUTPOINTS))]
    state = State(psi, outer, np.zeros((workers, 2)), np.zeros((DAYS, workers)))
    return {"state": state, "problem": problem, "beliefs": beliefs, "focus": focus}, layout


def time_engine(case: str, *, scale: float, draws: int, chains: int) -> dict[str, Any]:
    """Cold and warm wall times of sampling, and the treatment's coefficient."""
    import jax

    from hitlbayes.inference.runtime import session
    from hitlbayes.inference.sampler import sample

    data = simulate(case, scale=scale)
    arguments, layout = engine_arguments(data)
    found: dict[str, Any] = {}
    with session():
        for name, seed in (("cold_s", 1), ("warm_s", 2)):
            begun = perf_counter()
            made = sample(*arguments.values(), layout=layout, draws=draws, chains=chains, seed=seed)
            jax.block_until_ready(made.record)
            found[name] = perf_counter() - begun
    kept = made.record.kept
    hyper = [np.abs(kept.psi[..., j]) for j in range(layout.n_scales)]
    outer = [kept.outer[..., j] for j in (*range(layout.n_coef), *range(-4, 0))]
    found |= summary(kept.outer[..., 0], [*hyper, *outer])
    return found | {
        "diverged": int(np.sum(made.record.diverged)),
        "angle": made.angle,
        "sampler": "hitlbayes",
    }


def time_gradients(case: str, *, scale: float, chains: int) -> dict[str, Any]:
    """Milliseconds of the gradient that the sampler takes, for all chains at once, in both precisions."""
    import jax
    import jax.numpy as jnp

    from hitlbayes.inference import hmc
    from hitlbayes.inference.anchor import anchor_at
    from hitlbayes.inference.runtime import session
    from hitlbayes.inference.surrogate import flat

    data = simulate(case, scale=scale)
    arguments, layout = engine_arguments(data)
    with session():
        state, problem, beliefs = jax.tree.map(
            jnp.asarray, tuple(arguments[k] for k in ("state", "problem", "beliefs"))
        )
        anchor = anchor_at(state, problem, beliefs, layout=layout)
        exact = hmc.Target(anchor, problem, beliefs, flat(layout.n_hyper))
        keys = jax.random.split(jax.random.key(1), chains)
        at = jax.vmap(partial(hmc.standard_normal, layout=layout), in_axes=(0, None))
        slope = jax.jit(jax.vmap(partial(hmc.density_and_slope, layout=layout), in_axes=(0, None)))
        found: dict[str, Any] = {}
        for name, t in {"gradient_ms": hmc.single(exact), "gradient_double_ms": exact}.items():
            found[name] = milliseconds(partial(slope, at(keys, t), t))
    return found | {"device": str(jax.devices()[0].device_kind), "rows": len(data.unit)}


def milliseconds(call: Callable[[], Any]) -> float:
    """Median wall time of a call, compiled and computed once before."""
    import jax

    jax.block_until_ready(call())
    times = []
    for _ in range(REPEATS):
        begun = perf_counter()
        jax.block_until_ready(call())
        times.append(perf_counter() - begun)
    return 1e3 * float(np.median(times))


def time_numpyro(case: str, *, scale: float, draws: int, chains: int) -> dict[str, Any]:
    """The same model in plain NumPyro, sampled by its NUTS; for machines where the engine does not import."""
    import jax
    import jax.numpy as jnp
    import numpyro
    from numpyro import distributions as dist
    from numpyro.infer import MCMC, NUTS

    data = simulate(case, scale=scale)
    counts, X, treated = (
        jnp.asarray(data.counts, float),
        jnp.asarray(data.X, float),
        jnp.asarray(data.treated),
    )
    workers, post = len(data.treated), jnp.asarray(data.day >= START, float)

    def model() -> None:
        sd = {name: numpyro.sample(f"sd_{name}", dist.HalfNormal(s)) for name, s in PRIOR_SDS.items()}
        z = {
            name: numpyro.sample(name, dist.Normal().expand([workers]))
            for name in ("level", "drift", "effect")
        }
        period = numpyro.sample("period", dist.Normal().expand([DAYS]))
        shock = numpyro.sample("shock", dist.Normal().expand([DAYS * workers]))
        coef = numpyro.sample("coef", dist.Normal().expand([X.shape[1]]))
        change = sd["drift"] * z["drift"] + sd["effect"] * z["effect"] * treated
        cell = data.day * workers + data.unit
        eta = X @ coef + sd["level"] * z["level"][data.unit] + change[data.unit] * post
        eta = eta + sd["period"] * period[data.day] + sd["shock"] * shock[cell]
        shares = numpyro.sample("shares", dist.Dirichlet(jnp.ones(5)))
        within = jnp.clip(jnp.cumsum(shares)[:-1], 1e-6, 1 - 1e-6)  # single precision may reach one
        below = jax.nn.sigmoid(jax.scipy.special.logit(within) - eta[:, None])
        edges = jnp.concatenate([jnp.zeros_like(eta)[:, None], below, jnp.ones_like(eta)[:, None]], axis=1)
        numpyro.factor("ratings", jnp.sum(counts * jnp.log(jnp.maximum(jnp.diff(edges, axis=1), 1e-9))))

    sampler = MCMC(
        NUTS(model), num_warmup=draws, num_samples=draws, num_chains=chains, chain_method="vectorized",
        progress_bar=False,
    )  # fmt: skip
    begun = perf_counter()
    sampler.run(jax.random.key(1))
    samples = jax.block_until_ready(sampler.get_samples(group_by_chain=True))
    found = {
        "cold_s": perf_counter() - begun,
        "device": str(jax.devices()[0].device_kind),
        "rows": len(data.unit),
    }
    small = [np.asarray(v) for name, v in samples.items() if name.startswith("sd_")]
    coef = np.asarray(samples["coef"])
    return found | summary(coef[..., 0], [*small, *np.moveaxis(coef, -1, 0)]) | {"sampler": "NumPyro NUTS"}


def summary(effect: np.ndarray, parameters: list[np.ndarray]) -> dict[str, float]:
    """Mean, SD and Monte Carlo error of the treatment's coefficient, worst effective size of parameters."""
    from numpyro.diagnostics import effective_sample_size

    ess = min(float(effective_sample_size(np.asarray(a))) for a in parameters)
    error = float(np.std(effect)) / float(effective_sample_size(np.asarray(effect))) ** 0.5
    return {"estimate": float(np.mean(effect)), "sd": float(np.std(effect)), "mcse": error, "ess": ess}


def measured(case: str, *, scale: float, draws: int, chains: int) -> dict[str, Any]:
    """One case on this process's device, by the engine where it imports."""
    options = {"scale": scale, "draws": draws, "chains": chains}
    try:
        import hitlbayes.inference.sampler  # noqa: F401
    except ImportError as error:
        return {**time_numpyro(case, **options), "why": f"the engine does not import: {error}"}
    return {**time_engine(case, **options), "peak_gib": peak_gib()}


def devices(_: str = "") -> dict[str, Any]:
    """Platforms that JAX finds, and versions."""
    import jax
    import numpyro

    found = {d.platform: d.device_kind for d in jax.devices()} | {
        "cpu": f"{processor()}, {len(os.sched_getaffinity(0))} cores"
    }
    return {"devices": found, "jax": jax.__version__, "numpyro": numpyro.__version__, "numpy": np.__version__}


def table(rows: list[dict[str, Any]]) -> str:
    """Measurements as markdown."""
    names = ("cold_s", "warm_s", "gradient_ms", "gradient_double_ms", "ess", "estimate", "sd", "peak_gib")
    heads = ("case", "rows", "device", "sampler", *names)
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * 4 + "--:|" * len(names)]
    for row in rows:
        values = [f"{row[name]:.4g}" if name in row else "–" for name in names]
        how = row["failed"].splitlines()[-1][-150:] if "failed" in row else row["sampler"]
        cells = [row["case"], f"{row['rows']:,}" if "rows" in row else "", row["device"], how, *values]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def agreement(rows: list[dict[str, Any]]) -> str:
    """How far the devices' estimates of one case are apart, in Monte Carlo errors."""
    said = []
    for case in dict.fromkeys(row["case"] for row in rows):
        known = [row for row in rows if row["case"] == case and "failed" not in row]
        for one, other in pairwise(known):
            error = np.hypot(one["mcse"], other["mcse"])
            off = abs(one["estimate"] - other["estimate"]) / error
            said.append(
                f"{case}: {one['device']} and {other['device']} are {off:.1f} Monte Carlo errors apart."
            )
    return "\n".join([*said, f"The data are synthetic; the effect was drawn about {EFFECT}."])


def main() -> None:
    """The command line: JSON to a file, a table to the screen."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", nargs="+", choices=["chats", "panel"], default=["chats", "panel"])
    parser.add_argument("--platforms", nargs="+", default=None, help="as JAX names them: cpu, cuda, ...")
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--draws", type=int, default=500)
    parser.add_argument("--chains", type=int, default=4)
    parser.add_argument("--limit", type=float, default=580.0, help="seconds, of one process")
    parser.add_argument("--json", type=Path, default=Path("gpu.json"))
    asked = parser.parse_args()
    found = measure("gpu", "devices", arguments={}, limit=300.0)
    if "failed" in found:
        raise SystemExit(f"JAX does not start: {found['failed']}")
    platforms = asked.platforms or sorted({"cuda" if p == "gpu" else p for p in found["devices"]})
    rows = []
    for case in asked.cases:
        for name in platforms:
            environment = {"JAX_PLATFORMS": name, "HITLBAYES_CACHE": ""}
            arguments = {"case": case, "scale": asked.scale, "chains": asked.chains}
            run = partial(measure, "gpu", limit=asked.limit, environment=environment)
            first = run("time_gradients", arguments=arguments)
            if "failed" in first:
                print(f"gradients: {first['failed']}", file=sys.stderr, flush=True)
                first = {}
            gradients = {key: value for key, value in first.items() if key not in ("peak_gib", "process_s")}
            one = gradients | run("measured", arguments={**arguments, "draws": asked.draws})
            kind = found["devices"].get("gpu" if name == "cuda" else name, name)
            rows.append({**one, "case": case, "platform": name, "device": kind})
            print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
            asked.json.write_text(json.dumps({"machine": found, "rows": rows}, indent=1))
    versions = ", ".join(f"{name} {found[name]}" for name in ("jax", "numpyro", "numpy"))
    print(f"{versions}; {asked.chains} chains of {asked.draws} draws\n\n{table(rows)}\n\n{agreement(rows)}")


if __name__ == "__main__":
    main()

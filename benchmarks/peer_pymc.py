"""PyMC's NumPyro and nutpie samplers: on the engine's own model of cells, and on rows of chats.

Convergence checks, which PyMC would otherwise run within the time, are off; both samplers keep what they
keep by default.
"""

from __future__ import annotations

import runpy
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from data import load_chats, load_panel
from measure import cold_and_warm

MODELS = Path(__file__).parents[1] / "models"
FILES = {"log_duration": "did_gaussian", "rating": "did_ordinal", "retrial": "did_bernoulli"}
HYPER = ("coef", "cutpoints", "sigma", "sd_", "rho_")


def fit_cells(
    folder: str, *, outcome: str, draws: int, chains: int, warm: bool, sampler: str
) -> dict[str, Any]:
    """The collapsed model, the same in every detail as the engine's."""
    panel = load_panel(folder)
    from hitlbayes.studies.did import did_model

    study = did_model(panel, outcome=outcome)

    def once(seed: int) -> Any:
        from collapsed import build

        return _sample(build(study.model), draws=draws, chains=chains, seed=seed, sampler=sampler)

    posterior, times = cold_and_warm(once, warm=warm)
    design = study.model.design
    j = design.names.index("treatment")
    return {**times, **_summary(posterior, column=j, unit=design.scale[j]), "rows": len(study.model.cells.n)}


def fit_chats(
    folder: str, *, outcome: str, draws: int, chains: int, warm: bool, sampler: str, share: float
) -> dict[str, Any]:
    """The reference model in `models/` on the chats of a share of the workers."""
    chats = load_chats(folder, outcome=outcome, share=share)
    begun = perf_counter()
    build = runpy.run_path(str(MODELS / f"{FILES[outcome]}.py"))["build"]
    posterior = _sample(build(chats, outcome=outcome), draws=draws, chains=chains, seed=1, sampler=sampler)
    times = {"cold_s": perf_counter() - begun}
    column = list(posterior["column"].to_numpy()).index("treatment")
    return {**times, **_summary(posterior, column=column, unit=1.0), "rows": len(chats)}


def _sample(model: Any, *, draws: int, chains: int, seed: int, sampler: str) -> Any:
    import pymc as pm

    return pm.sample(
        draws,
        chains=chains,
        model=model,
        nuts_sampler=sampler,
        random_seed=seed,
        progressbar=False,
        compute_convergence_checks=False,
    )["posterior"]


def _summary(posterior: Any, *, column: int, unit: float) -> dict[str, Any]:
    from hitlbayes.diagnostics import effective_sizes, split_r_hat

    named = [
        v for name, v in posterior.data_vars.items() if str(name).startswith(HYPER) and "_beta" not in name
    ]
    hyper = np.concatenate([v.to_numpy().reshape(*v.shape[:2], -1) for v in named], axis=2)
    bulk, coef = effective_sizes(hyper)[0], posterior["coef"].to_numpy()[..., column] / unit
    sd = float(coef.std())
    return {
        "ess": float(bulk.min()),
        "r_hat": float(np.max(split_r_hat(hyper))),
        "estimate": float(coef.mean()),
        "sd": sd,
        "mcse": sd / float(effective_sizes(coef)[0]) ** 0.5,
    }

"""Small synthetic chat logs, and the engine's model of them, built as `fit_did` builds it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

import hitlbayes as hb
from hitlbayes.fitting.model import Model, build_model
from hitlbayes.spec.cells import cells_of_frame
from hitlbayes.spec.predictor import did_design, needed_columns
from hitlbayes.spec.priors import Prior
from hitlbayes.studies.structure import did_structure

OUTCOMES = {"gaussian": "log_duration", "bernoulli": "retrial", "ordinal": "rating", "count": "switch_aways"}


def chat_log(seed: int, *, workers: int = 7, days: int = 5, start: int = 2) -> pd.DataFrame:
    """Synthetic chats, 0 to 4 a worker-day (some days empty), two discrete covariates, every outcome."""
    rng = np.random.default_rng(seed)
    grid = pd.DataFrame([(i, t) for i in range(workers) for t in range(days)], columns=["worker_id", "day"])
    chats = grid.loc[grid.index.repeat(rng.integers(0, 5, len(grid)))].reset_index(drop=True)
    n = len(chats)
    chats["start_time"] = pd.Timestamp("2024-08-01 09:30") + pd.to_timedelta(chats["day"], unit="D")
    chats["treated"] = (chats["worker_id"] % 2).astype("int8")
    chats["post"] = (chats["day"] >= start).astype("int8")
    chats["vip"], chats["urgency"] = rng.integers(0, 2, n), rng.integers(1, 4, n)
    chats["log_duration"] = rng.normal(6.0, 0.8, n)
    chats["retrial"] = rng.integers(0, 2, n)
    chats["rating"] = np.r_[1:6, rng.choice(np.arange(1, 6), n - 5, p=[0.2, 0.05, 0.1, 0.2, 0.45])]
    chats["switch_aways"] = rng.negative_binomial(2, 0.5, n)
    return chats


def unlike_priors(family: str, *, poisson: bool = False) -> dict[str, Prior]:
    """Priors unlike each other and the defaults, so that no two can be swapped unseen."""
    scales = {"level": 0.5, "drift": 0.25, "effect": 0.3, "period": 0.2, "shock": 0.35}
    priors = {"coef": hb.normal(0.3, 0.6), "treated": hb.normal(-0.2, 1.3), "treatment": hb.normal(0.4, 0.7)}
    priors |= {f"sd_{name}": hb.half_normal(scale) for name, scale in scales.items()} | {"rho": hb.lkj(3.0)}
    if family == "ordinal":
        return priors | {"cutpoints": hb.dirichlet(1.7)}
    priors["intercept"] = hb.normal(5.0 if family == "gaussian" else 0.2, 1.1)
    own = {
        "gaussian": {"sigma": hb.half_normal(0.9)},
        "count": {"overdispersion": hb.fixed(0.0) if poisson else hb.half_normal(0.6)},
    }
    return priors | own.get(family, {})


def engine_model(
    chats: pd.DataFrame, *, family: str, formula: str | None, priors: Mapping[str, Prior]
) -> Model:
    """The engine's model of chat rows: collapsed to cells of worker, day and the formula's columns."""
    frame = chats.rename(columns={"worker_id": "unit", "day": "period"})
    keys = ["unit", "period", "treated", "post", *needed_columns(formula)]
    cells = cells_of_frame(frame, outcome=OUTCOMES[family], family=family, keys=keys)
    structure = did_structure(cells, shock=True, by_phase=True)
    design = did_design(
        cells,
        exposure=structure.exposure,
        treated=cells.keys["treated"].to_numpy(),
        unit=structure.unit.codes,
        period=structure.groups[0].codes,
        formula=formula,
    )
    return build_model(cells, design, structure, priors=priors)


def with_columns(chats: pd.DataFrame, model: Model) -> tuple[pd.DataFrame, list[str]]:
    """Chats with the engine's columns beyond treatment and arm (standardised), and the names of these."""
    others = [name for name in model.design.names if name not in ("intercept", "treatment", "treated")]
    keys = model.cells.keys.rename(columns={"unit": "worker_id", "period": "day"})
    on = list(keys.columns)
    columns = pd.DataFrame(model.design.X, columns=list(model.design.names))[others]
    made = chats[on].merge(keys.assign(cell=np.arange(len(keys))), on=on, how="left", validate="many_to_one")
    extra = columns.add_suffix(" (engine)").iloc[made["cell"].to_numpy()].set_index(chats.index)
    return pd.concat([chats, extra], axis=1), list(extra.columns)

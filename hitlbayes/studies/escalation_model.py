"""The model of matched chats of several escalation types, and the effect of each type from its draws.

For chat c of worker w, of type k (an escalation type of AI-handled chats, or "control"):

    eta_c = x_c' gamma + [AI] (tau + type_k) + theta_w + delta_wk [+ pair_j],    type_k ~ Normal(0, sd_type)

theta_w is the worker's level and delta_wk what a worker's chats of one type share beyond it (a worker's own
response to a type); pairs j share an effect in Gaussian models (`hitlbayes.studies.escalation_pairs`).
Types are a grouping factor whose levels are the types and "control": a type's effect is
tau + type_k - type_control. What "control" adds is shared by all types and by the intercept, so the effects
are exchangeable given tau - type_control and sd_type, which is partial pooling as it is meant. A control that
serves several types is one row: its likelihood counts once.

Unpooled, sd_type is held at a value so large that no type says anything about another: the same model and the
same compiled program, with flat priors.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import xarray as xr
from scipy.sparse import csr_array

from hitlbayes.design.covariates import Covariates
from hitlbayes.design.matched_types import CONTROL
from hitlbayes.fitting.changes import average_changes
from hitlbayes.fitting.model import Model, build_model, outcome_scale
from hitlbayes.fitting.structure import Structure, encode
from hitlbayes.result import Fit
from hitlbayes.spec.cells import Cells, category_values, cells_of_frame
from hitlbayes.spec.predictor import Design, mixed_design
from hitlbayes.spec.priors import Prior, fixed, normal

TREATMENT = "treatment"
KEYS = ("row", "type", "worker")
FLAT = 10.0  # SDs (or logits) between types at which they are as good as unrelated
CHUNK = 2_000_000  # numbers held at once while effects are averaged over chats


def type_cells(
    chats: pd.DataFrame, *, outcome: str, family: str, worker: str, covariates: Covariates
) -> Cells:
    """One cell per chat with a known outcome: its type, its worker and the columns of its covariates."""
    columns = plain_names(list(map(str, covariates.model)))
    frame = covariates.model.set_axis(chats.index).set_axis(columns, axis=1)
    frame = frame.assign(row=np.arange(len(chats)), type=chats["type"].astype(str), worker=chats[worker])
    return cells_of_frame(
        frame.assign(outcome=chats[outcome]).rename(columns={"outcome": outcome}),
        outcome=outcome,
        family=family,
        keys=[*KEYS, *columns],
    )


def plain_names(names: Sequence[str]) -> list[str]:
    """Names of a formula's columns in letters, digits and underscores, each once.

    Examples
    --------
    >>> plain_names(["issue[T.late parcel]", "C(day)[T.2024-08-15]", "vip"])
    ['issue_late_parcel', 'day_2024_08_15', 'vip']
    """
    made: list[str] = []
    for name in names:
        plain = re.sub(r"\W+", "_", re.sub(r"^C\((.*?)\)", r"\1", name).replace("[T.", "_")).strip("_") or "x"
        times = sum(m == plain or m.startswith(f"{plain}__") for m in made)
        made.append(f"{plain}__{times + 1}" if times or plain in KEYS else plain)
    return made


def type_model(cells: Cells, *, pooled: bool, priors: Mapping[str, Prior] | None = None) -> Model:
    """The pooled or the unpooled model, laid out for the samplers."""
    keys = cells.keys
    names = [str(name) for name in keys if name not in KEYS]
    controls = mixed_design(cells, formula=("~ " + " + ".join(f"`{n}`" for n in names)) if names else None)
    treated = (keys["type"] != CONTROL).to_numpy(float)
    design = Design(
        np.column_stack([treated, controls.X]),
        (TREATMENT, *controls.names),
        np.concatenate([[0.0], controls.centre]),
        np.concatenate([[1.0], controls.scale]),
        controls.dropped,
    )
    group, worker, rows = encode(keys["type"], name="type"), encode(keys["worker"], name="worker"), len(keys)
    gaussian = cells.family == "gaussian"
    structure = Structure(
        "level",
        worker,
        (group,),
        np.ones((rows, 1)),
        np.zeros(rows),
        np.zeros(len(worker.labels), int),
        group.codes,  # a worker's chats of one type share a shock
        group.codes if gaussian else np.zeros(rows, int),
        tuple(map(str, group.labels)) if gaussian else ("all",),
    )
    scale = outcome_scale(cells) if gaussian else 1.0
    given = {TREATMENT: normal(0.0, scale)} | dict(priors or {})
    if not pooled:
        given["sd_type"] = fixed(FLAT * scale)
    return build_model(cells, design, structure, priors=given)


def linear_effects(posterior: xr.Dataset, *, types: Sequence[str]) -> xr.DataArray:
    """Draws (chain, draw, type) of each type's effect on the linear predictor."""
    shared = posterior["coef"].sel(term=TREATMENT, drop=True)
    own = posterior["type"].rename(type_level="type")
    effect = shared + own.sel(type=list(types)) - own.sel(type=CONTROL, drop=True)
    return effect.transpose("chain", "draw", "type").reset_coords(drop=True)


def response_effects(fit: Fit, model: Model, *, types: Sequence[str]) -> xr.DataArray:
    """Draws (chain, draw, type) of each type's average effect on its own chats, in the outcome's scale.

    The expected outcome of the type's AI chats less what it would be without the type's effect, averaged over
    these chats: differences of means, probabilities or expected categories.
    """
    posterior = fit.posterior["posterior"].to_dataset()
    linear = linear_effects(posterior, types=types)
    if fit.family == "gaussian":
        return linear
    cells, design = model.cells, model.design
    kind = cells.keys["type"].to_numpy()
    control = [j for j, name in enumerate(design.names) if name != TREATMENT]
    X = (design.X * design.scale + design.centre)[:, control]
    coef = _flat(posterior["coef"])[:, control]
    level = _flat(posterior["worker_level"])
    shock = _flat(posterior["sd_shock"])
    cut = _flat(posterior["cutpoints"]) if "cutpoints" in posterior else None
    base = _flat(posterior["type"].sel(type_level=CONTROL))
    steps = np.diff(category_values(cells.labels)) if cells.family == "ordinal" else np.ones(1)
    effect = np.empty((len(coef), len(types)))
    for k, name in enumerate(types):
        rows = np.flatnonzero(kind == name)
        weights = csr_array(cells.n[None, rows] / cells.n[rows].sum())
        worker = model.structure.unit.codes[rows]
        change = linear.to_numpy().reshape(len(coef), -1)[:, k]
        for part in np.array_split(np.arange(len(coef)), max(1, len(coef) * len(rows) // CHUNK)):
            before = coef[part] @ X[rows].T + level[part][:, worker] + base[part, None]
            moved = average_changes(
                cells.family,
                before,
                np.broadcast_to(change[part, None], before.shape),
                weights,
                cutpoints=None if cut is None else cut[part],
                shock=shock[part],
            )
            effect[part, k] = moved[:, 0] @ steps
    return linear.copy(data=effect.reshape(linear.shape))


def _flat(values: xr.DataArray) -> np.ndarray:
    """Draws of all chains in one axis: (D, ...)."""
    a = values.transpose("chain", "draw", ...).to_numpy()
    return a.reshape(a.shape[0] * a.shape[1], *a.shape[2:])

"""Several treatment effects in one model: one for each label of a treated cell (period, cohort, group).

    eta_it = alpha + arms_it' g + theta_i + a_i Post_t + beta_[label of it] + b_i D_it + mu_t + delta_it

The structure of units, periods and shocks is that of `hitlbayes.studies.did`; only the one effect is
replaced by several, and the arms' columns by those that each effect is measured against. Effects of one
label are averages over its cells by g-computation, shocks averaged over their distribution.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from scipy.sparse import csr_array

from hitlbayes.errors import SpecError
from hitlbayes.fitting.changes import average_changes
from hitlbayes.fitting.model import Model, build_model, outcome_scale
from hitlbayes.fitting.naming import plain_labels
from hitlbayes.fitting.run import Draws
from hitlbayes.fitting.structure import Structure
from hitlbayes.result import Fit
from hitlbayes.spec.cells import Cells, category_values
from hitlbayes.spec.predictor import Design, labelled_design
from hitlbayes.spec.priors import Prior, fixed, normal
from hitlbayes.studies.frames import Source, unit_period_means
from hitlbayes.studies.mixed import Sampling, Study, make_fit, sample_model
from hitlbayes.summaries import on_scale

WEIGHTS = ("chat", "cell")
BLOCK = 4_000_000  # draws x rows that are held at once
FLAT = 2.5  # SD of period effects, in outcome SDs or logits: so wide that they are as good as free


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """Which effect each cell has.

    code : (R,) -1 where a cell has none
    table : (E,) rows that describe the effects, indexed by their names
    transform : (E, E) effects from the model's coefficients; the identity unless they follow a walk
    """

    code: np.ndarray
    table: pd.DataFrame
    transform: np.ndarray

    @property
    def terms(self) -> list[str]:
        """Names of the model's coefficients; those that are no effects say so."""
        plain = np.all(self.transform == np.eye(len(self.table)), axis=0)
        return [n if p else f"part of {n}" for n, p in zip(self.table.index, plain, strict=True)]

    def columns(self) -> pd.DataFrame:
        """The model's columns (R, E), one for each coefficient."""
        rows = np.zeros((len(self.code), len(self.table)))
        has = self.code >= 0
        rows[has] = self.transform[self.code[has]]
        return pd.DataFrame(rows, columns=self.terms)


def labelled_study(
    source: Source,
    *,
    labels: Labels,
    arms: pd.DataFrame,
    structure: Structure,
    name: str,
    priors: Mapping[str, Prior] | None,
    walk: Mapping[str, float] | None = None,
    spec: Mapping[str, Any],
) -> Study:
    """The model of several effects, with its data and priors.

    Parameters
    ----------
    arms : (R, A) columns that the effects are measured against
    priors : those of `hitlbayes.fit_did`; ``effects`` stands for every effect
    walk : coefficient -> SD of its step, in outcome SDs or logits, where effects follow a walk
    """
    cells = source.cells
    design = labelled_design(
        cells,
        effects=labels.columns(),
        arms=arms,
        exposure=structure.exposure,
        unit=structure.unit.codes,
        period=structure.groups[0].codes,
        formula=source.formula,
    )
    check_design(design, labels)
    chosen = _priors(cells, labels=labels, walk=walk or {}, priors=priors)
    told: dict[str, Any] = {"outcome": source.outcome, "formula": source.formula, "block": structure.block}
    told |= {"columns": source.columns, "words": source.words, "groups": [], "walk": dict(walk or {})}
    return Study(
        build_model(cells, design, structure, priors=chosen),
        name=name,
        outcome=source.outcome,
        units=source.units,
        spec={**told, **spec},
        means=unit_period_means(cells, structure.exposure),
        scope=source.scope,
        synthetic=source.synthetic,
    )


def _priors(
    cells: Cells, *, labels: Labels, walk: Mapping[str, float], priors: Mapping[str, Prior] | None
) -> dict[str, Prior]:
    """Effects like the treatment of `fit_did`, steps of a walk as asked, period effects as good as free."""
    given = dict(priors or {})
    scale = outcome_scale(cells) if cells.family == "gaussian" else 1.0
    free = given.pop("effects", normal(0.0, scale))
    if free.kind != "normal":
        raise SpecError(f"the prior of 'effects' is {free}; expected hb.normal(0, scale).")
    made = {name: normal(0.0, walk[name] * scale) if name in walk else free for name in labels.terms}
    return made | {"sd_period": fixed(FLAT * scale)} | given


def fit_labelled(study: Study, *, labels: Labels, sampling: Sampling, seconds) -> Fit:
    """Draws of a model of several effects; `seconds()` says how long it took.

    The group `effects` holds, by weight (chat, cell) and effect: `linear`, the average change in the linear
    predictor; outside of Gaussian models `response` by step, the change in P(outcome > j) or in the mean.
    """
    drawn = sample_model(study, sampling)
    model = study.model
    unit = model.structure.unit.name
    coef = drawn.posterior["coef"]
    own = drawn.posterior[f"{unit}_effect"] - coef.isel(term=0, drop=True)
    effect = coef.sel(term=labels.terms).to_numpy() @ labels.transform.T
    posterior = drawn.posterior.drop_vars(f"{unit}_effect").assign({f"{unit}_own": own})
    drawn = replace(
        drawn, posterior=posterior, effects=_changes(model, drawn, labels, effect, own.to_numpy())
    )
    return make_fit(study, drawn, sampling, seconds=seconds())


def _changes(model: Model, drawn: Draws, labels: Labels, effect: np.ndarray, own: np.ndarray) -> xr.Dataset:
    """Average changes of every effect; `effect` (chain, draw, E), `own` (chain, draw, N)."""
    cells, structure = model.cells, model.structure
    rows = np.flatnonzero(labels.code >= 0)
    weights, size = label_weights(labels.code[rows], cells.n[rows], len(labels.table))
    code, unit, now = labels.code[rows], structure.unit.codes[rows], structure.exposure[rows]
    shape, e = effect.shape[:2], len(labels.table)
    effect, own = effect.reshape(-1, e), own.reshape(-1, own.shape[-1])
    linear, response = [], []
    predictor = _without(model, drawn, rows, labels) if cells.family != "gaussian" else None
    for block in blocks(len(effect), len(rows)):
        change = effect[block][:, code] + own[block][:, unit] * now
        linear.append(average_changes("gaussian", change, change, weights)[..., 0])
        if predictor is not None:
            before = predictor(block) - own[block][:, unit] * now
            cut, shock = (_flat(drawn, name, block) for name in ("cutpoints", "sd_shock"))
            response.append(
                average_changes(cells.family, before, change, weights, cutpoints=cut, shock=shock)
            )
    dims = ("chain", "draw", "weight", "effect")
    data: dict[str, Any] = {"linear": (dims, np.concatenate(linear).reshape(*shape, len(WEIGHTS), e))}
    if response:
        made = np.concatenate(response)
        data["response"] = ((*dims, "step"), made.reshape(*shape, len(WEIGHTS), e, made.shape[-1]))
    data["size"] = (("weight", "effect"), size)
    table = {name: ("effect", plain_labels(column.to_numpy())) for name, column in labels.table.items()}
    return xr.Dataset(data, coords={"effect": list(labels.table.index), "weight": list(WEIGHTS), **table})


def label_weights(code: np.ndarray, n: np.ndarray, effects: int) -> tuple[csr_array, np.ndarray]:
    """Weights (2 E, R) that add to one in each effect, by observation and by cell; sizes (2, E)."""
    place, rows = np.concatenate([code, code + effects]), np.tile(np.arange(len(code)), 2)
    amount = np.concatenate([n, np.ones(len(code))])
    size = np.bincount(place, amount, 2 * effects)
    made = csr_array((amount / size[place], (place, rows)), shape=(2 * effects, len(code)))
    return made, size.reshape(2, effects)


def blocks(draws: int, rows: int) -> Iterator[slice]:
    """Slices of the draws, so that no more than BLOCK numbers are held at once."""
    step = max(1, BLOCK // max(rows, 1))
    for start in range(0, draws, step):
        yield slice(start, min(start + step, draws))


def _without(model: Model, drawn: Draws, rows: np.ndarray, labels: Labels):
    """The linear predictor of rows without effects and shocks, as a function of a slice of draws."""
    structure, design, posterior = model.structure, model.design, drawn.posterior
    others = [j for j, name in enumerate(design.names) if name not in set(labels.terms)]
    X = (design.X * design.scale + design.centre)[rows][:, others]
    unit, second = structure.unit.codes[rows], structure.basis[rows, 1]
    coef = posterior["coef"].to_numpy().reshape(-1, len(design.names))[:, others]
    name = structure.unit.name
    level, change = (_stacked(posterior[f"{name}_{part}"]) for part in ("level", "change"))
    levels = [(_stacked(posterior[g.name]), g.codes[rows]) for g in structure.groups]

    def at(block: slice) -> np.ndarray:
        eta = coef[block] @ X.T + level[block][:, unit] + change[block][:, unit] * second
        for effects, codes in levels:
            eta += effects[block][:, codes]
        return eta

    return at


def _flat(drawn: Draws, name: str, block: slice = slice(None)) -> np.ndarray | None:
    """Draws of a variable, chains one after the other; None where the model has it not."""
    return _stacked(drawn.posterior[name])[block] if name in drawn.posterior else None


def _stacked(values: xr.DataArray) -> np.ndarray:
    return values.to_numpy().reshape(-1, *values.shape[2:])


def grouped(fit: Fit, groups: Mapping[Any, Sequence[str]], *, dim: str, weight: str = "chat") -> xr.DataArray:
    """Draws of effects pooled by their sizes into groups (chain, draw, `dim`), in the fit's units."""
    found = _pooled(fit, groups, dim=dim, weight=weight)
    if fit.family == "gaussian":
        linear = found.isel(step=0, drop=True)
        return on_scale(linear, fit.units).assign_attrs(units=fit.units, weight=weight)
    sizes = np.diff(category_values(fit.labels)) if fit.family == "ordinal" else np.ones(1)
    mean = found @ xr.DataArray(sizes, dims="step")
    return on_scale(mean, fit.units).assign_attrs(units=fit.units, weight=weight)


def grouped_shares(
    fit: Fit, groups: Mapping[Any, Sequence[str]], *, dim: str, weight: str = "chat"
) -> xr.DataArray:
    """Draws of changes in each category's probability, percentage points (chain, draw, `dim`, category)."""
    if fit.family != "ordinal":
        raise SpecError(f"{fit.outcome!r} is {fit.family}; only an ordinal outcome has categories.")
    above = _pooled(fit, groups, dim=dim, weight=weight).transpose("chain", "draw", dim, "step")
    change = -np.diff(above.to_numpy(), axis=-1, prepend=0.0, append=0.0)
    coords = {dim: above[dim], "category": list(fit.labels)}
    return xr.DataArray(100.0 * change, dims=("chain", "draw", dim, "category"), coords=coords)


def _pooled(fit: Fit, groups: Mapping[Any, Sequence[str]], *, dim: str, weight: str) -> xr.DataArray:
    if weight not in WEIGHTS:
        raise SpecError(f"weight is {weight!r}; expected one of: {', '.join(WEIGHTS)}.")
    effects = fit.posterior["effects"].to_dataset().sel(weight=weight, drop=True)
    name = "linear" if fit.family == "gaussian" else "response"
    values = effects[name].expand_dims(step=[0], axis=-1) if name == "linear" else effects[name]
    made = []
    for members in groups.values():
        part, size = values.sel(effect=list(members)), effects["size"].sel(effect=list(members))
        made.append((part * (size / size.sum())).sum("effect"))
    return xr.concat(made, dim=pd.Index(list(groups), name=dim)).transpose("chain", "draw", dim, "step")


def check_design(design: Design, labels: Labels) -> None:
    """Refuse a model whose effects cannot be told apart.

    Raises
    ------
    SpecError
        An effect's column says nothing that others do not.
    """
    lost = [name for name in labels.terms if name not in design.names]
    if lost:
        raise SpecError(
            f"{len(lost)} effects cannot be told from others ({', '.join(lost[:5])}); their cells are all "
            "alike. Use fewer groups or periods."
        )

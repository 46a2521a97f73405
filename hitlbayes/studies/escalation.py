"""What AI handling did to chats of each escalation type, from matched chats.

Escalation is known only after treatment. Controls that look like a type's chats at the start stand in for
what these chats would have been without the AI, which holds under principal ignorability given the matching
variables; every output says so. `hitlbayes.studies.escalation_model` has the model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from time import perf_counter
from typing import Literal

import pandas as pd
import xarray as xr

from hitlbayes.design.matched_types import CONTROL, MatchedTypes
from hitlbayes.errors import SpecError
from hitlbayes.fitting.model import Model
from hitlbayes.result import Fit
from hitlbayes.spec.cells import Cells
from hitlbayes.spec.priors import Prior
from hitlbayes.studies.escalation_chats import check_sizes, covariates_of, default_formula, with_outcome
from hitlbayes.studies.escalation_model import linear_effects, response_effects, type_cells, type_model
from hitlbayes.studies.escalation_pairs import SD_PAIR, pair_codes, sample_with_pairs, with_pair_prior
from hitlbayes.studies.escalation_result import EscalationFit
from hitlbayes.studies.escalation_twin import ols_by_type
from hitlbayes.studies.frames import units_of
from hitlbayes.studies.mixed import SEED, Device, Sampling, Study, make_fit, sample_model
from hitlbayes.summaries import on_scale

FAMILIES = {"log_duration": "gaussian", "retrial": "bernoulli", "rating": "ordinal"}


def fit_escalation(
    matched: MatchedTypes,
    *,
    outcome: str = "rating",
    family: Literal["gaussian", "bernoulli", "ordinal"] | None = None,
    formula: str | None = None,
    worker: str = "worker_id",
    pairs: bool | None = None,
    priors: Mapping[str, Prior] | None = None,
    draws: int = 1000,
    chains: int = 4,
    seed: int = SEED,
    device: Device | None = None,
    progress: bool | None = None,
) -> EscalationFit:
    """Average effect of AI handling on the chats of each escalation type, partially pooled over types.

    Parameters
    ----------
    matched : MatchedTypes
        From `hitlbayes.match_by_escalation`.
    outcome : str
        ``"log_duration"`` (made from `duration`), ``"retrial"``, ``"rating"``, or a column of the chats.
    family : {"gaussian", "bernoulli", "ordinal"}, optional
        Needed for outcomes other than those three.
    formula : str, optional
        Covariates, ``"~ vip + C(issue)"``. By default the matching variables, the worker's age and gender
        where the chats have them, and the chat's day and hour (equation 2).
    worker : str
        Column of the workers.
    pairs : bool, optional
        Whether the members of a pair share an effect; by default they do for Gaussian outcomes, the only ones
        for which they can: of few pairs are both members rated (`hitlbayes.escalation_beside`). A control
        that serves several types belongs to the nearest of the chats it serves.
    priors : mapping, optional
        By name: ``treatment``, ``sd_type``, ``sd_worker``, ``sd_shock`` (a worker's own response to a type),
        ``sd_pair``, ``sigma``, ``cutpoints``, and the covariates' columns.
    draws, chains, seed, device, progress
        As in `hitlbayes.fit_did`.

    Returns
    -------
    EscalationFit

    Raises
    ------
    SchemaError
        Covariates are missing, unless they were matched with ``missing="indicator"``.
    DesignError
        A type, or the controls, have fewer than two chats with a known outcome.
    SpecError
        An unknown outcome or prior.

    Notes
    -----
    Table 5 and equation 2 of Wang, Zhu, Feng, Lu and Jia (2026).

    Examples
    --------
    >>> import hitlbayes as hb
    >>> chats = hb.read_chats(hb.simulate(workers=40, seed=1).chats, synthetic=True)
    >>> matched = hb.match_by_escalation(chats, exact=[], types=["technical", "none"])
    >>> fit = hb.fit_escalation(matched, outcome="log_duration", formula="~ vip", draws=250)
    >>> bool(fit.effects().sel(type="none").mean() < fit.effects().sel(type="technical").mean())
    True
    """
    began = perf_counter()
    sampling = Sampling(draws, chains, seed, progress, device)
    chats = with_outcome(matched, outcome)
    chosen = family or FAMILIES.get(outcome)
    if chosen not in ("gaussian", "bernoulli", "ordinal"):
        raise SpecError(
            f"family is {chosen!r} for outcome {outcome!r}; expected gaussian, bernoulli or ordinal."
        )
    paired = _pairs(pairs, family=chosen)
    types = tuple(matched.matches)
    check_sizes(chats, outcome=outcome, types=types)
    formula = formula or default_formula(matched)
    covariates = covariates_of(chats, formula=formula, missing=matched.settings["missing"])
    cells = type_cells(chats, outcome=outcome, family=chosen, worker=worker, covariates=covariates)
    known = chats[chats[outcome].notna()]
    codes = pair_codes(matched, known) if paired else None
    models = {
        pooling: _model(cells, pooled=pooling == "pooled", paired=paired, priors=priors)
        for pooling in ("pooled", "unpooled")
    }
    spec = {"study": "escalation", "formula": formula, "groups": ["type"], "pairs": paired, "block": "level"}
    fits = {}
    for pooling, model in models.items():
        study = Study(
            model,
            name=f"{outcome} by escalation type, {pooling}",
            outcome=outcome,
            units="linear predictor",
            spec={**spec, "assumption": matched.assumption},
            synthetic=matched.synthetic,
        )
        if codes is None:
            drawn = sample_model(study, sampling)
        else:
            drawn = sample_with_pairs(model, codes, draws=draws, chains=chains, seed=seed)
        fits[pooling] = make_fit(study, drawn, sampling, seconds=perf_counter() - began)
    units = units_of(outcome, family=chosen, panel=outcome in FAMILIES)
    sizes = known["type"].value_counts().reindex(types).to_numpy()
    effects = _effects(fits, models, types=types, units=units).assign(size=("type", sizes))
    return EscalationFit(
        outcome=outcome,
        family=chosen,
        units=units,
        types=types,
        pooled=fits["pooled"],
        unpooled=fits["unpooled"],
        draws=effects.assign_attrs(assumption=matched.assumption, synthetic=int(matched.synthetic)),
        twin=frequentist_twin(matched, outcome=outcome, formula=formula, worker=worker),
        formula=formula,
        assumption=matched.assumption,
        synthetic=matched.synthetic,
        seconds=perf_counter() - began,
    )


def _model(cells: Cells, *, pooled: bool, paired: bool, priors: Mapping[str, Prior] | None) -> Model:
    """The model of types; the SD of pairs is no part of it, and its prior is set apart."""
    given = dict(priors or {})
    of_pairs = given.pop(SD_PAIR, None) if paired else None
    model = type_model(cells, pooled=pooled, priors=given)
    return with_pair_prior(model, of_pairs) if paired else model


def _effects(
    fits: Mapping[str, Fit], models: Mapping[str, Model], *, types: Sequence[str], units: str
) -> xr.Dataset:
    """Draws of the effects by type, in `units` and on the linear predictor, of each way of pooling."""
    data = {}
    for pooling, fit in fits.items():
        data[pooling] = on_scale(response_effects(fit, models[pooling], types=types), units)
        data[f"{pooling}_linear"] = linear_effects(fit.posterior["posterior"].to_dataset(), types=types)
    return xr.Dataset(data, attrs={"units": units}).assign_coords(type=list(types))


def _pairs(asked: bool | None, *, family: str) -> bool:
    if asked and family != "gaussian":
        raise SpecError(f"pairs=True needs a Gaussian outcome; this one is {family}. Leave pairs= out.")
    return family == "gaussian" if asked is None else asked


def frequentist_twin(
    matched: MatchedTypes, *, outcome: str, formula: str | None = None, worker: str = "worker_id"
) -> pd.DataFrame:
    """The paper's own estimator: OLS in each type's matched sample, standard errors clustered by worker.

    Parameters are those of `fit_escalation`; the result is that of `hitlbayes.studies.escalation_twin`.
    """
    chats = with_outcome(matched, outcome)
    covariates = covariates_of(
        chats, formula=formula or default_formula(matched), missing=matched.settings["missing"]
    )
    columns = [f"covariate {j}" for j in range(covariates.model.shape[1])]
    wide = covariates.model.set_axis(chats.index).set_axis(columns, axis=1)
    frame = chats[[outcome, worker, "type"]].join(wide)
    frame["treated"] = (frame["type"] != CONTROL).astype(int)
    samples = {}
    for name, one in matched.matches.items():
        rows = pd.Index(one.frame.index[one.weights > 0])
        samples[name] = frame.loc[rows]
    return ols_by_type(samples, outcome=outcome, worker=worker, treated="treated", columns=columns)

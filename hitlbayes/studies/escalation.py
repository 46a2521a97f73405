"""What AI handling did to chats of each escalation type, from matched chats.

Escalation is known only after treatment. Controls that look like a type's chats at the start stand in for
what these chats would have been without the AI, which holds under principal ignorability given the matching
variables; every output says so. `hitlbayes.studies.escalation_model` has the model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from time import perf_counter
from typing import Literal

import numpy as np
import pandas as pd
import xarray as xr

from hitlbayes.design.escalation import CONTROL, MatchedTypes
from hitlbayes.diagnostics import Check, diagnose, judge
from hitlbayes.errors import SpecError
from hitlbayes.result import Fit, on_scale, summarise
from hitlbayes.spec.priors import Prior
from hitlbayes.studies.escalation_chats import check_sizes, covariates_of, default_formula, with_outcome
from hitlbayes.studies.escalation_model import (
    TREATMENT,
    linear_effects,
    response_effects,
    type_cells,
    type_model,
)
from hitlbayes.studies.escalation_pairs import SD_PAIR, pair_codes, sample_with_pairs, with_pair_prior
from hitlbayes.studies.escalation_twin import ols_by_type
from hitlbayes.studies.frames import units_of
from hitlbayes.studies.mixed import SEED, Device, Sampling, Study, make_fit, sample_model

WORSE = {"rating": "lower", "responded": "lower"}
FAMILIES = {"log_duration": "gaussian", "retrial": "bernoulli", "rating": "ordinal"}


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class EscalationFit:
    """Effects of AI handling by escalation type, under principal ignorability.

    Attributes
    ----------
    outcome, family, units, assumption : str
    types : tuple of str
    pooled, unpooled : Fit
        The models; in `unpooled` no type says anything about another.
    draws : xarray.Dataset
        ``pooled`` and ``unpooled`` (chain, draw, type), effects in `units`; ``pooled_linear`` and
        ``unpooled_linear`` on the linear predictor (log points, logits); ``size`` (type), AI chats with a
        known outcome.
    twin : DataFrame
        The paper's OLS by subsample (`hitlbayes.studies.escalation_twin`): log points, probabilities, points.
    formula : str
        Covariates.
    synthetic : bool
    seconds : float
    """

    outcome: str
    family: str
    units: str
    types: tuple[str, ...]
    pooled: Fit
    unpooled: Fit
    draws: xr.Dataset
    twin: pd.DataFrame
    formula: str
    assumption: str
    synthetic: bool
    seconds: float

    def effects(self, pool: bool = True) -> xr.DataArray:
        """Draws (chain, draw, type) of the average effect on each type's chats, in `units`."""
        effect = self.draws["pooled" if pool else "unpooled"].copy()
        return effect.assign_attrs(
            units=self.units, assumption=self.assumption, synthetic=int(self.synthetic)
        )

    def summary(self, prob: float = 0.95, kind: str = "eti") -> pd.DataFrame:
        """Effect of each type, pooled and unpooled: mean, SD, interval, Pr(> 0), Pr(worst), diagnostics."""
        tables = []
        for pool in (True, False):
            effect, worst = self.effects(pool), self.worst(pool=pool)
            named = {t: effect.sel(type=t).to_numpy() for t in self.types}
            table = summarise(named, prob=prob, kind=kind).rename_axis("type").reset_index()
            table.insert(1, "pooling", "partial" if pool else "none")
            table.insert(6, "prob_positive", [float((named[t] > 0).mean()) for t in table["type"]])
            table.insert(7, "prob_worst", [float(worst[t]) for t in table["type"]])
            tables.append(table)
        made = pd.concat(tables, ignore_index=True)
        made["n"] = self.draws["size"].sel(type=made["type"].tolist()).to_numpy()
        made["units"] = self.units
        made["assumption"] = self.assumption
        return made

    def contrasts(
        self,
        pairs: Sequence[tuple[str, str]] | None = None,
        *,
        pool: bool = True,
        prob: float = 0.95,
        kind: str = "eti",
    ) -> pd.DataFrame:
        """Differences between types, the first less the second, in `units`.

        Parameters
        ----------
        pairs : sequence of (str, str), optional
            All pairs unless given, for instance ``[("emotional", "technical"), ("human", "emotional")]``.
        """
        effect = self.effects(pool)
        wanted = list(pairs) if pairs is not None else list(combinations(self.types, 2))
        unknown = sorted({t for pair in wanted for t in pair} - set(self.types))
        if unknown:
            raise SpecError(f"no type {', '.join(unknown)} in this fit; it has: {', '.join(self.types)}.")
        named = {f"{a} - {b}": (effect.sel(type=a) - effect.sel(type=b)).to_numpy() for a, b in wanted}
        table = summarise(named, prob=prob, kind=kind).rename_axis("contrast").reset_index()
        table.insert(5, "prob_positive", [float((v > 0).mean()) for v in named.values()])
        return table.assign(units=self.units, assumption=self.assumption)

    def worst(self, worse: Literal["higher", "lower"] | None = None, *, pool: bool = True) -> pd.Series:
        """Probability that each type has the worst effect of all.

        Parameters
        ----------
        worse : {"higher", "lower"}, optional
            By default lower ratings and response rates are worse, and higher values of any other outcome.
        """
        chosen = worse or WORSE.get(self.outcome, "higher")
        if chosen not in ("higher", "lower"):
            raise SpecError(f"worse is {worse!r}; expected 'higher' or 'lower'.")
        effect = self.effects(pool).transpose("type", "chain", "draw").to_numpy()
        first = (effect.argmax if chosen == "higher" else effect.argmin)(axis=0).ravel()
        share = np.bincount(first, minlength=len(self.types)) / first.size
        return pd.Series(
            share, index=pd.Index(self.types, name="type"), name=f"prob_worst ({chosen} is worse)"
        )

    def check(self) -> Check:
        """Whether the draws of both models, and of every effect, can be trusted."""
        named: dict[str, np.ndarray] = {}
        stats, k_hats, effective = [], [], []
        for pool, fit in (("pooled", self.pooled), ("unpooled", self.unpooled)):
            named |= {f"{pool} {name}": values for name, values in fit.hyperparameters().items()}
            named |= {f"{pool} {t}": self.draws[pool].sel(type=t).to_numpy() for t in self.types}
            stats.append(fit.posterior["sample_stats"]["diverging"].to_numpy())
            k_hats.append(fit.k_hat)
            effective.append(fit.effective)
        # Type effects trade off with what they share and with the level; what is reported is their sum.
        traded = [f"{pool} {n}" for pool in ("pooled", "unpooled") for n in (TREATMENT, "intercept")]
        named = {n: v for n, v in named.items() if n not in traded and "cutpoint" not in n}
        joined = xr.Dataset({"diverging": (("fit", "chain", "draw"), np.stack(stats))})
        return judge(
            diagnose(named), stats=joined, k_hat=float(np.max(k_hats)), effective=float(np.min(effective))
        )

    def __repr__(self) -> str:
        table = self.summary().query("pooling == 'partial'")
        label = " (SYNTHETIC)" if self.synthetic else ""
        lines = [f"Effect on {self.outcome} by escalation type{label}, {self.units}, {self.assumption}"]
        for row in table.itertuples():
            lines.append(
                f"  {row.type:<10} {row.mean:8.3f} (95% ETI {row.lower:.3f} to {row.upper:.3f}), "
                f"Pr(worst) {row.prob_worst:.2f}, {row.n:,} AI chats"
            )
        return "\n".join([*lines, f"  {self.check()}"])


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
    pairs = _pairs(pairs, family=chosen)
    types = tuple(matched.matches)
    check_sizes(chats, outcome=outcome, types=types)
    formula = formula or default_formula(matched)
    covariates = covariates_of(chats, formula=formula, missing=matched.settings["missing"])
    cells = type_cells(chats, outcome=outcome, family=chosen, worker=worker, covariates=covariates)
    units = units_of(outcome, family=chosen, panel=outcome in FAMILIES)
    given = dict(priors or {})
    of_pairs = given.pop(SD_PAIR, None) if pairs else None
    codes = pair_codes(matched, chats[chats[outcome].notna()]) if pairs else None
    fits, data = {}, {}
    for name in ("pooled", "unpooled"):
        model = type_model(cells, pooled=name == "pooled", priors=given)
        if codes is not None:
            model = with_pair_prior(model, of_pairs)
        spec = {"study": "escalation", "formula": formula, "groups": ["type"], "pairs": pairs}
        study = Study(
            model,
            name=f"{outcome} by escalation type, {name}",
            outcome=outcome,
            units="linear predictor",
            spec={**spec, "block": "level", "assumption": matched.assumption},
            synthetic=matched.synthetic,
        )
        if codes is None:
            drawn = sample_model(study, sampling)
        else:
            drawn = sample_with_pairs(model, codes, draws=draws, chains=chains, seed=seed)
        fit = make_fit(study, drawn, sampling, seconds=perf_counter() - began)
        fits[name] = fit
        data[name] = on_scale(response_effects(fit, model, types=types), units)
        data[f"{name}_linear"] = linear_effects(fit.posterior["posterior"].to_dataset(), types=types)
    known = chats[chats[outcome].notna()]
    size = known["type"].value_counts().reindex(types).to_numpy()
    dataset = xr.Dataset(data).assign(size=("type", size)).assign_coords(type=list(types))
    dataset.attrs = {"units": units, "assumption": matched.assumption, "synthetic": int(matched.synthetic)}
    return EscalationFit(
        outcome=outcome,
        family=chosen,
        units=units,
        types=types,
        pooled=fits["pooled"],
        unpooled=fits["unpooled"],
        draws=dataset,
        twin=frequentist_twin(matched, outcome=outcome, formula=formula, worker=worker),
        formula=formula,
        assumption=matched.assumption,
        synthetic=matched.synthetic,
        seconds=perf_counter() - began,
    )


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

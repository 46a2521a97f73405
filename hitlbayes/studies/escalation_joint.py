"""Several outcomes of matched chats in one model: effects by escalation type on each, and what ties them.

Outcome m of chat k of worker i on day t, with one latent factor per chat (`hitlbayes.fitting.factor`):

    link(y_km) = alpha_m + x_k' B_m + worker_im + day_tm + lambda_m f_k,   f_k ~ Normal(0, 1)
    B_pm       = lambda_m kappa_p + own_pm,                                own_pm ~ Normal(0, (tau_p c_m)^2)

The columns x are types of AI chats (controls being the reference) and covariates. Effects of types are shrunk
towards zero together, over types and outcomes, by as much as the data ask for. A chat without a rating takes
part by its duration and retrial, which is right if ratings are missing by what is observed only. A control
that serves several types is one row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from hitlbayes.design.matched_types import CONTROL, MatchedTypes
from hitlbayes.diagnostics import Check, diagnose, judge
from hitlbayes.errors import SpecError
from hitlbayes.fitting.factor import Data, Layout
from hitlbayes.fitting.factor_effects import Focus, short_of
from hitlbayes.fitting.factor_run import Sampled, sample_factor
from hitlbayes.fitting.progress import follow
from hitlbayes.inference.runtime import session
from hitlbayes.studies.effort_model import INTERCEPT_SD, LOG_SCALE, default_scales
from hitlbayes.studies.escalation_chats import check_sizes, covariates_of, default_formula, with_outcome
from hitlbayes.studies.frames import units_of
from hitlbayes.studies.mixed import SEED, Sampling
from hitlbayes.summaries import on_scale, summarise

OUTCOMES = {"log_duration": "gaussian", "retrial": "bernoulli", "rating": "ordinal"}
NAMES = {"gaussian": "lognormal", "bernoulli": "bernoulli", "ordinal": "ordinal"}
FEWEST = 3  # outcomes that a factor needs


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class JointEscalation:
    """Effects of AI handling by escalation type on several outcomes, from one model.

    Attributes
    ----------
    draws : xarray.Dataset
        ``effect`` (chain, draw, type, outcome) in `units`; ``loading`` (chain, draw, outcome) of the chat's
        factor on the links' scales, positive for the first outcome; scales.
    units : dict of str to str
        By outcome.
    assumption : str
    synthetic : bool
    seconds : float
    """

    draws: xr.Dataset
    units: Mapping[str, str]
    assumption: str
    synthetic: bool
    seconds: float

    def effects(self, outcome: str | None = None) -> xr.DataArray:
        """Draws of the average effect on each type's chats (chain, draw, type, outcome)."""
        if outcome is None:
            return self.draws["effect"]
        if outcome not in self.units:
            raise SpecError(f"no outcome {outcome!r} in this fit; it has: {', '.join(self.units)}.")
        return self.draws["effect"].sel(outcome=outcome).assign_attrs(units=self.units[outcome])

    def summary(self, prob: float = 0.95, kind: str = "eti") -> pd.DataFrame:
        """Effect of each type on each outcome: mean, SD, interval, Pr(> 0), diagnostics, units."""
        tables = []
        for outcome in self.units:
            named = {str(t): self.effects(outcome).sel(type=t).to_numpy() for t in self.draws["type"].values}
            table = summarise(named, prob=prob, kind=kind).rename_axis("type").reset_index()
            table.insert(0, "outcome", outcome)
            table.insert(6, "prob_positive", [float((v > 0).mean()) for v in named.values()])
            tables.append(table.assign(units=self.units[outcome], assumption=self.assumption))
        return pd.concat(tables, ignore_index=True)

    def check(self) -> Check:
        """Whether the draws can be trusted."""
        named: dict[str, np.ndarray] = {}
        for name in ("effect", "loading", "log_sigma", "log_gap", "sd_worker", "sd_day", "sd_direct"):
            values = self.draws[name].to_numpy()
            flat = values.reshape(*values.shape[:2], int(np.prod(values.shape[2:])))
            named |= {f"{name}[{j}]": flat[..., j] for j in range(flat.shape[2])}
        return judge(
            diagnose(named), stats=self.draws[["diverging"]], k_hat=float("nan"), effective=float("nan")
        )

    def __repr__(self) -> str:
        label = " (SYNTHETIC)" if self.synthetic else ""
        shown = self.summary()[["outcome", "type", "mean", "lower", "upper", "prob_positive", "units"]]
        head = f"Effects by escalation type, outcomes jointly{label}, {self.assumption}"
        return "\n".join([head, shown.round(3).to_string(index=False), str(self.check())])


def fit_escalation_jointly(
    matched: MatchedTypes,
    *,
    outcomes: Sequence[str] = tuple(OUTCOMES),
    families: Mapping[str, str] | None = None,
    formula: str | None = None,
    worker: str = "worker_id",
    draws: int = 1500,
    chains: int = 4,
    seed: int = SEED,
    progress: bool | None = None,
) -> JointEscalation:
    """Average effect of AI handling on the chats of each escalation type, on several outcomes at once.

    Parameters
    ----------
    matched : MatchedTypes
        From `hitlbayes.match_by_escalation`.
    outcomes : sequence of str
        Three or more; ``log_duration`` is made from `duration`.
    families : mapping, optional
        Outcome -> {"gaussian", "bernoulli", "ordinal"} of outcomes other than those three; ordinal ones are
        whole numbers from 1.
    formula : str, optional
        Covariates; those of `hitlbayes.fit_escalation` but the day, which has an effect of its own here.
    worker : str
    draws, chains, seed, progress
        As in `hitlbayes.fit_escalation`.

    Returns
    -------
    JointEscalation

    Raises
    ------
    SchemaError, DesignError, SpecError
        As in `hitlbayes.fit_escalation`; fewer than three outcomes.

    Notes
    -----
    Table 5 of Wang, Zhu, Feng, Lu and Jia (2026) has each outcome in a regression of its own.

    Examples
    --------
    >>> import hitlbayes as hb
    >>> chats = hb.read_chats(hb.simulate(workers=60, seed=1).chats, synthetic=True)
    >>> matched = hb.match_by_escalation(chats, exact=[], types=["technical", "none"])
    >>> fit = hb.fit_escalation_jointly(matched, formula="~ vip", draws=100, chains=2)
    >>> effect = fit.effects("log_duration").mean(("chain", "draw"))
    >>> bool(effect.sel(type="none") < effect.sel(type="technical"))
    True
    """
    began = perf_counter()
    Sampling(draws, chains, seed, progress)
    kinds = _families(outcomes, families)
    formula = formula or default_formula(matched).replace(" + C(day)", "")
    chats = _chats(matched, outcomes=outcomes, worker=worker)
    types = tuple(matched.matches)
    for outcome in outcomes:
        check_sizes(chats, outcome=outcome, types=types)
    given = covariates_of(chats, formula=formula, missing=matched.settings["missing"])
    layout, data = _model(chats, given.model.to_numpy(float), kinds=kinds, types=types, worker=worker)
    with session(), follow("escalation, outcomes jointly", show=progress) as report:
        drawn = sample_factor(
            data,
            _focus(chats["type"].to_numpy(), types),
            layout=layout,
            anchor_measure=0,
            draws=draws,
            chains=chains,
            seed=seed,
            progress=report,
        )
    units = {o: units_of(o, family=f, panel=o in OUTCOMES) for o, f in kinds.items()}
    return JointEscalation(
        draws=_dataset(drawn, kinds=kinds, types=types, units=units),
        units=units,
        assumption=matched.assumption,
        synthetic=matched.synthetic,
        seconds=perf_counter() - began,
    )


def _families(outcomes: Sequence[str], families: Mapping[str, str] | None) -> dict[str, str]:
    known = {**OUTCOMES, **(families or {})}
    kinds = {o: known.get(o, "") for o in dict.fromkeys(outcomes)}
    wrong = [f"{o}: {f or 'none'}" for o, f in kinds.items() if f not in NAMES]
    if wrong or len(kinds) < FEWEST:
        raise SpecError(
            f"outcomes are {list(kinds)}, families {', '.join(wrong) or 'known'}; expected at least {FEWEST} "
            f"outcomes, each of one of: {', '.join(NAMES)} (families=)."
        )
    return kinds


def _chats(matched: MatchedTypes, *, outcomes: Sequence[str], worker: str) -> pd.DataFrame:
    """Matched chats sorted by worker, every outcome a number."""
    chats = with_outcome(matched, outcomes[0])
    for outcome in outcomes[1:]:
        chats[outcome] = with_outcome(matched, outcome)[outcome]
    return chats.sort_values(worker, kind="stable")


def _model(
    chats: pd.DataFrame,
    covariates: np.ndarray,
    *,
    kinds: Mapping[str, str],
    types: Sequence[str],
    worker: str,
) -> tuple[Layout, Data]:
    raw = chats[list(kinds)].to_numpy(float).T
    seen = np.isfinite(raw)
    y = np.where(seen, raw, 0.0)
    ordinal = np.array([f == "ordinal" for f in kinds.values()])
    y[ordinal] = np.where(seen[ordinal], y[ordinal] - 1, 0.0)
    spread = covariates.std(axis=0)
    covariates = ((covariates - covariates.mean(axis=0)) / np.where(spread > 0, spread, 1.0))[:, spread > 0]
    is_type = np.array([chats["type"] == t for t in types], float)
    X = np.concatenate([is_type - is_type.mean(axis=1, keepdims=True), covariates.T])
    unit, units = pd.factorize(chats[worker], sort=True)
    period, periods = pd.factorize(chats["day"], sort=True)
    categories = [int(row[s].max()) + 1 if o else 0 for row, s, o in zip(y, seen, ordinal, strict=True)]
    names = tuple(NAMES[f] for f in kinds.values())
    layout = Layout(
        families=names, categories=tuple(categories), columns=len(X), units=len(units), periods=len(periods),
        chats=len(chats), taus=2, per=(-1,) * len(names), floor=(False,) * len(names),
    )  # fmt: skip
    gaussian = np.array([f == "gaussian" for f in kinds.values()])
    centre = [row[s].mean() if g else 0.0 for row, s, g in zip(y, seen, gaussian, strict=True)]
    arrays: dict[str, Any] = {
        "y": y,
        "seen": seen.astype(float),
        "offset": np.zeros_like(y),
        "X": X,
        "unit": unit,
        "period": period,
        "common": np.ones(len(X)),
        "own": np.tile(np.where(gaussian, LOG_SCALE, 1.0), (len(X), 1)),
        "tau_of": np.repeat([0, 1], [len(types), len(X) - len(types)]),
        "centre": np.array(centre),
        "spread": np.full(len(names), INTERCEPT_SD),
    }
    data = Data(**arrays, tallies=(), scales=default_scales())
    return layout, data


def _focus(kind: np.ndarray, types: Sequence[str]) -> Focus:
    """Each type's own chats, weighted alike."""
    rows = np.flatnonzero(kind != CONTROL)
    column = np.array([list(types).index(k) for k in kind[rows]])
    weights = np.array([(column == j) / max(np.sum(column == j), 1) for j in range(len(types))])
    arrays: list[Any] = [rows, column, weights, short_of(np.ones(len(rows)))]
    return Focus(*arrays)


def _dataset(
    drawn: Sampled, *, kinds: Mapping[str, str], types: Sequence[str], units: Mapping[str, str]
) -> xr.Dataset:
    kept, lead = drawn.kept, ("chain", "draw")
    change = np.asarray(kept.averages.own - kept.averages.reference)[..., : len(kinds)]
    slopes = np.asarray(kept.slopes)[:, :, : len(types)]
    effect = []
    for m, (outcome, family) in enumerate(kinds.items()):
        linear = slopes[..., m] if family == "gaussian" else change[..., m]
        effect.append(on_scale(xr.DataArray(linear, dims=(*lead, "type")), units[outcome]))
    data = {
        "effect": xr.concat(effect, dim="outcome").transpose(*lead, "type", "outcome"),
        "loading": ((*lead, "outcome"), np.asarray(kept.psi.loading)),
        "log_sigma": ((*lead, "gaussian"), np.asarray(kept.psi.log_sigma)),
        "log_gap": ((*lead, "gap"), np.asarray(kept.psi.log_gap)),
        "sd_worker": ((*lead, "part"), np.abs(kept.psi.unit)),
        "sd_day": ((*lead, "part"), np.abs(kept.psi.period)),
        "sd_direct": ((*lead, "kind"), np.abs(kept.psi.tau)),
        "diverging": (lead, drawn.diverging),
    }
    return xr.Dataset(data, coords={"type": list(types), "outcome": list(kinds)})

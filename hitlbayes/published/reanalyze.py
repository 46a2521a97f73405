"""What printed estimates imply once their uncertainty, and their kinship, are taken seriously."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from hitlbayes.errors import SpecError
from hitlbayes.published.posterior import group_contrasts, posterior_draws, published_means
from hitlbayes.published.reanalysis import Reanalysis
from hitlbayes.published.tables import table

SEED = 20240815
TABLES = ("2", "3", "4", "5", "6", "7", "A2", "A4")
BY_TYPE = ("5", "6")  # groups are disjoint chats, so that contrasts between them make sense

THRESHOLDS = {
    "log_duration": 0.05,
    "retrial": 0.02,
    "rating": 0.2,
    "concurrency": 0.1,
    "switch_aways": 0.1,
    "away_time": 5.0,
    "away_share": 0.005,
    "human_delay": 1.0,
    "human_rounds": 0.25,
    "human_share": 0.05,
    "human_messages": 0.5,
    "empathy": 0.05,
    "information_seeking": 0.05,
    "solution_provision": 0.05,
    "proactivity": 0.05,
}
TAU_SCALE = {"log_duration": 0.5, "retrial": 0.05, "rating": 0.5}

_UNPRINTED = "covariances between estimates are not printed; a common correlation of {rho:g} is assumed"
_PRINCIPAL = (
    "escalation type is known only after treatment: "
    "effects hold under principal ignorability given the matching variables"
)
_POOLED = "the groups' effects are taken as exchangeable before they are seen"
_FLAT = "flat prior: the posterior is the normal likelihood of the printed estimate"
_MEANS = (
    "posterior of sample means, flat prior; standard errors are the printed intervals' half-widths over 1.96"
)


def reanalyze(
    source: str | pd.DataFrame,
    *,
    prob: float = 0.95,
    pool: bool | None = None,
    groups: Sequence[str] | None = None,
    thresholds: Mapping[str, float] | None = None,
    tau_scale: Mapping[str, float] | None = None,
    correlation: float = 0.0,
    draws: int = 4000,
    seed: int = SEED,
) -> Reanalysis:
    """Posterior of the effects behind printed estimates, partially pooled across escalation types.

    Likelihood: estimate ~ Normal(effect, standard error). Pooled: effect_k ~ Normal(mu, tau) per outcome,
    mu flat, tau ~ half-normal(tau_scale); the scale is integrated by quadrature, so the draws are exact and
    independent.

    Parameters
    ----------
    source : str or DataFrame
        A published table, one of ``"2"`` to ``"7"``, ``"A2"``, ``"A4"``; or estimates of your own, columns
        ``outcome``, ``group``, ``estimate``, ``se`` and optionally ``units``, ``n``: one row per outcome
        and group.
    prob : float
        Probability of intervals in `Reanalysis.summary`.
    pool : bool, optional
        Partial pooling over groups. By default only for Table 5 and for estimates of your own with two
        groups or more.
    groups : sequence of str, optional
        Keep only these groups, for instance the three types that a worker took over:
        ``("technical", "human", "emotional")``.
    thresholds : mapping, optional
        Size of effect that counts, by outcome, in the units printed. Those not named keep the defaults: .05
        log points, 2 percentage points of retrials, .2 rating points; see `THRESHOLDS`.
    tau_scale : mapping, optional
        Scale of the half-normal prior on the standard deviation between groups, by outcome. Defaults: .5
        log points, 5 percentage points of retrials, .5 rating points: type effects within one such scale of
        each other are unsurprising.
    correlation : float
        Common correlation of the estimates' sampling errors. The paper prints none; its types share workers
        and may share control chats, so a positive value is plausible and makes contrasts sharper.
    draws : int
    seed : int

    Returns
    -------
    Reanalysis

    Raises
    ------
    SpecError
        The table has no estimates, a name is misspelt, a prior scale is missing, a standard error is not
        positive.

    Notes
    -----
    The paper: Table 5, section 5.2.2, equation 2. Hierarchy: Rubin (1981, doi:10.3102/10769986006004377).

    Examples
    --------
    >>> r = reanalyze("5")
    >>> s = r.summary().query("quantity == 'effect' and outcome == 'rating'").set_index("group")
    >>> s["mean"].round(1).to_dict()
    {'technical': -0.0, 'human': -0.5, 'emotional': -0.9, 'none': -0.8}
    """
    if not 0 < prob < 1 or draws < 1:
        raise SpecError(
            f"prob must lie between 0 and 1 and draws be positive; {prob} and {draws} were given."
        )
    frame, name = _estimates(source), source if isinstance(source, str) else "given"
    frame = _keep(frame, groups)
    many = frame["group"].nunique() > 1
    by_type = name in BY_TYPE or name == "given"
    pool = (many and name in ("5", "given")) if pool is None else pool
    scales = _by_outcome(frame, TAU_SCALE, tau_scale, what="tau_scale") if pool else {}
    _need_scales(frame, scales, pool=pool)
    sizes = _by_outcome(frame, THRESHOLDS, thresholds, what="thresholds")
    data = posterior_draws(
        frame, scales=scales, correlation=correlation, draws=draws, seed=seed, means=name == "6"
    )
    if many and by_type:
        data = data.assign(contrast=group_contrasts(data["mean" if name == "6" else "effect"]))
    data.attrs = {
        "source": "given" if name == "given" else "published",
        "table": name,
        "correlation": correlation,
        "seed": seed,
    }
    return Reanalysis(
        table=name,
        source=data.attrs["source"],
        draws=data,
        prob=prob,
        thresholds=sizes,
        tau_scale=scales,
        seed=seed,
        notes=_notes(name, pool=pool, correlation=correlation, many=many),
    )


def _estimates(source: str | pd.DataFrame) -> pd.DataFrame:
    """Estimates as one row per outcome and group, checked."""
    if isinstance(source, pd.DataFrame):
        return _check(source)
    if source not in TABLES:
        raise SpecError(
            f"Table {source!r} cannot be re-analysed; those with uncertainty are {', '.join(TABLES)}."
        )
    if source == "6":
        return published_means()
    frame = (
        table(source)
        .query("quantity == 'estimate'")
        .rename(columns={"column": "outcome", "panel": "group", "value": "estimate"})
    )
    return frame[["outcome", "group", "estimate", "se", "units", "n"]].reset_index(drop=True)


def _check(frame: pd.DataFrame) -> pd.DataFrame:
    missing = [c for c in ("outcome", "group", "estimate", "se") if c not in frame.columns]
    if missing:
        raise SpecError(f"The estimates lack the column(s) {', '.join(missing)}.")
    twice = frame.duplicated(["outcome", "group"])
    if twice.any():
        raise SpecError(
            f"{int(twice.sum())} row(s) repeat an outcome and group; "
            f"first at index {frame.index[twice][0]!r}."
        )
    wrong = ~(np.isfinite(frame["estimate"]) & np.isfinite(frame["se"]) & (frame["se"] > 0))
    if wrong.any():
        raise SpecError(
            f"{int(wrong.sum())} row(s) have an estimate that is not finite "
            f"or a standard error that is not positive; first at index {frame.index[wrong][0]!r}."
        )
    units = frame["units"] if "units" in frame else ""
    n = frame["n"] if "n" in frame else np.nan
    out = frame[["outcome", "group", "estimate", "se"]].assign(units=units, n=n)
    return out.astype({"outcome": "str", "group": "str"}).reset_index(drop=True)


def _keep(frame: pd.DataFrame, groups: Sequence[str] | None) -> pd.DataFrame:
    if groups is None:
        return frame
    unknown = sorted(set(groups) - set(frame["group"]))
    if unknown or isinstance(groups, str):
        there = ", ".join(frame["group"].unique())
        raise SpecError(f"groups={groups!r}: expected some of {there}.")
    return frame[frame["group"].isin(list(groups))].reset_index(drop=True)


def _by_outcome(
    frame: pd.DataFrame, defaults: Mapping[str, float], asked: Mapping[str, float] | None, *, what: str
) -> dict[str, float]:
    outcomes = list(frame["outcome"].unique())
    unknown = sorted(set(asked or {}) - set(outcomes))
    if unknown:
        raise SpecError(f"{what} names {', '.join(unknown)}; the outcomes are {', '.join(outcomes)}.")
    both = {**defaults, **(asked or {})}
    bad = [o for o in outcomes if o in both and not both[o] > 0]
    if bad:
        raise SpecError(f"{what} must be positive; it is not for {', '.join(bad)}.")
    return {o: float(both[o]) for o in outcomes if o in both}


def _need_scales(frame: pd.DataFrame, scales: Mapping[str, float], *, pool: bool) -> None:
    lacking = [o for o in frame["outcome"].unique() if o not in scales]
    if pool and lacking:
        raise SpecError(
            f"Pooling {', '.join(lacking)} needs a prior scale: "
            f"pass tau_scale={{{lacking[0]!r}: ...}}, or pool=False."
        )


def _notes(name: str, *, pool: bool, correlation: float, many: bool) -> tuple[str, ...]:
    notes = [_MEANS if name == "6" else _POOLED if pool else _FLAT]
    if many:
        notes.append(_UNPRINTED.format(rho=correlation))
    if name == "5":
        notes.append(_PRINCIPAL)
    return tuple(notes)

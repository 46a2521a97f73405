"""Table 5: effects on AI-eligible chats by escalation type, from matched chats (section 5.2 of the paper)."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hitlbayes.design.escalation import TYPES
from hitlbayes.diagnostics import Check
from hitlbayes.published import table
from hitlbayes.replication.context import Context, twin_unit
from hitlbayes.replication.did import RETRY_FACTOR
from hitlbayes.replication.escalation import matched_of, truth_of_type, with_outcome
from hitlbayes.replication.specs import TableSpec, table_spec
from hitlbayes.replication.store import folder_of, read_json, write_json
from hitlbayes.replication.table_result import TableResult
from hitlbayes.replication.work import Unit
from hitlbayes.report.rows import NORMAL_975, EffectRow, in_units
from hitlbayes.report.wording import outcome_label

TABLE = "5"
OUTCOMES = ("log_duration", "retrial", "rating")
NAMES = {
    "technical": "technical escalation",
    "emotional": "emotional escalation",
    "human": "human-initiated",
    "none": "no escalation",
}
PAIRS = (("emotional", "technical"), ("human", "emotional"))


def units(context: Context) -> list[Unit]:
    """One fit of each outcome over all types, each done once."""
    return [_unit(outcome, context=context) for outcome in OUTCOMES]


def result(context: Context) -> TableResult:
    """Effects by type beside the published ones, with contrasts and the published tables anchored."""
    spec = table_spec(TABLE)
    folders = {o: folder_of(context.root, _unit(o, context=context).key) for o in OUTCOMES}
    records = [row for o in OUTCOMES for row in read_json(folders[o] / "rows.json")]
    rows = [{name: np.nan if value is None else value for name, value in row.items()} for row in records]
    effects = [{name: row[name] for name in EffectRow.__dataclass_fields__} for row in rows]
    failed = dict.fromkeys(f"Table 5, {row['outcome']}" for row in rows if not row["ok"])
    more = {
        name: pd.concat([pd.read_csv(f / f"{name}.csv") for f in folders.values()], ignore_index=True)
        for name in ("contrasts", "types")
    }
    partly = [f for f in folders.values() if (f / "beside.csv").exists()]
    more["beside"] = pd.concat([pd.read_csv(f / "beside.csv") for f in partly], ignore_index=True)
    return TableResult(
        table=TABLE,
        title=spec.title,
        question=spec.question,
        note=spec.note,
        frame=pd.DataFrame(rows),
        effects=pd.DataFrame(effects),
        fits=len(OUTCOMES),
        failed=tuple(failed),
        more=more | {"anchored": _anchored()},
    )


def published_effect(kind: str, *, outcome: str) -> dict[str, float]:
    """Estimate, standard error, observations and R-squared of one cell of the published table.

    Examples
    --------
    >>> published_effect("emotional", outcome="rating")
    {'estimate': -0.928, 'se': 0.176, 'n': 446.0, 'r2': 0.177}
    """
    printed = table(TABLE)
    printed = printed[(printed["panel"] == kind) & (printed["column"] == outcome)].set_index("quantity")
    found = printed["value"].to_dict()
    return {
        "estimate": float(found["estimate"]),
        "se": float(printed["se"].to_dict()["estimate"]),
        "n": float(found["count"]),
        "r2": float(found["r_squared"]),
    }


def _anchored() -> pd.DataFrame:
    from hitlbayes.studies.escalation_anchor import anchor_published

    frames = []
    for outcome in OUTCOMES:
        made = anchor_published(outcome)
        frames += [made.summary().assign(outcome=outcome, source=made.source)]
    return pd.concat(frames, ignore_index=True)


def _unit(outcome: str, *, context: Context) -> Unit:
    spec = table_spec(TABLE)
    return Unit(
        name=f"Table 5, {outcome}, by escalation type",
        key=context.key(what="table5", twin=twin_unit(context).key, outcome=outcome, fit=spec.fit),
        cost=spec.cost.get(outcome, 30.0),
        write=lambda folder: _write(folder, outcome=outcome, spec=spec, context=context),
    )


def _write(folder: Path, *, outcome: str, spec: TableSpec, context: Context) -> None:
    fit, check, attempts = _fit_checked(outcome, spec=spec, context=context)
    pooled = fit.summary().query("pooling == 'partial'").set_index("type")
    kinds = [kind for kind in TYPES if kind in fit.types]
    rows = [_row(fit, pooled.loc[kind], check=check, attempts=attempts, context=context) for kind in kinds]
    write_json(folder / "rows.json", [{k: _plain(v) for k, v in row.items()} for row in rows])
    pairs = [p for p in PAIRS if set(p) <= set(fit.types)]
    fit.contrasts(pairs).assign(outcome=outcome).to_csv(folder / "contrasts.csv", index=False)
    fit.summary().assign(outcome=outcome).to_csv(folder / "types.csv", index=False)
    from hitlbayes.studies.escalation_beside import beside  # starts JAX, as above

    matched = matched_of(context)
    if outcome in matched.pool and matched.pool[outcome].isna().any():  # few pairs have both members known
        other = beside(with_outcome(matched, outcome), outcome=outcome)
        other.reset_index().assign(outcome=outcome).to_csv(folder / "beside.csv", index=False)


def _fit_checked(outcome: str, *, spec: TableSpec, context: Context) -> tuple[Any, Check, int]:
    from hitlbayes.studies.escalation import fit_escalation  # starts JAX, which finished tables do not need

    matched = with_outcome(matched_of(context), outcome)
    asked = {"outcome": outcome, "seed": context.seed, "progress": False, **spec.fit}
    fit = fit_escalation(matched, **asked)
    if (check := fit.check()).ok:
        return fit, check, 1
    fit = fit_escalation(matched, **asked | {"draws": asked.get("draws", 1000) * RETRY_FACTOR})
    return fit, fit.check(), 2


def _row(fit: Any, pooled: pd.Series, *, check: Check, attempts: int, context: Context) -> dict[str, Any]:
    """One type's effect as a row of the report, with what the like-for-like and the checks show."""
    kind = str(pooled.name)
    printed, ols = published_effect(kind, outcome=fit.outcome), fit.twin.loc[kind]
    half = NORMAL_975 * printed["se"]
    shown = {
        "published": printed["estimate"],
        "published_lower": printed["estimate"] - half,
        "published_upper": printed["estimate"] + half,
        "twin": float(ols["estimate"]),
        "twin_lower": float(ols["lower"]),
        "twin_upper": float(ols["upper"]),
    }
    truth = truth_of_type(context, kind=kind, outcome=fit.outcome)
    row = EffectRow(
        label=f"{outcome_label(fit.outcome)}, {NAMES[kind]}",
        outcome=fit.outcome,
        scope=kind,
        units=fit.units,
        weight="chat",
        **{name: float(pooled[name]) for name in ("mean", "sd", "lower", "upper", "prob_positive")},
        **{name: in_units(value, units=fit.units) for name, value in shown.items()},
        printed=printed["estimate"],
        printed_se=printed["se"],
        truth=np.nan if truth is None else in_units(truth, units=fit.units),
        synthetic=fit.synthetic,
        ok=check.ok,
        problems="; ".join(check.problems),
        r_hat=check.r_hat,
        ess_bulk=check.ess_bulk,
        ess_tail=check.ess_tail,
        divergences=float(check.divergences),
    )
    like = {f"published_{name}": printed[name] for name in ("estimate", "se", "n", "r2")}
    like |= {f"twin_{name}": float(ols[name]) for name in ("estimate", "se", "n", "r2")}
    return asdict(row) | like | {
        "posterior_sampler": fit.pooled.sampler,
        "posterior_seconds": float(fit.seconds),
        "posterior_attempts": attempts,
        "posterior_r_hat": check.r_hat,
        "posterior_ess_bulk": check.ess_bulk,
        "posterior_divergences": float(check.divergences),
        "prob_worst": float(pooled["prob_worst"]),
        "assumption": fit.assumption,
        "cells": len(fit.pooled.cells),
        "chats": int(pooled["n"]),
    }  # fmt: skip


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value.item() if isinstance(value, np.generic) else value

"""Table 6: effort after a takeover by type, as it is and at equal terms (sections 5.2.3 and 5.2.4)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from hitlbayes.design.matched_types import CONTROL
from hitlbayes.published import table
from hitlbayes.replication.context import Context, twin_unit
from hitlbayes.replication.did import RETRY_FACTOR
from hitlbayes.replication.escalation import matched_of
from hitlbayes.replication.specs import TableSpec, table_spec
from hitlbayes.replication.store import folder_of, read_json, without_nan, write_json
from hitlbayes.replication.table_result import TableResult
from hitlbayes.replication.work import Unit
from hitlbayes.report.rows import NORMAL_975

TABLE = "6"
OVERLAP = 20  # takeovers of both types at a level of sentiment, at full size
FEWEST = 3  # in small twins
PARTS = ("effects", "survival", "observed", "overlap", "surface")


def units(context: Context) -> list[Unit]:
    """Its one model, fitted once for each set of covariates."""
    return [_unit(context)]


def result(context: Context) -> TableResult:
    """Means by type beside the published ones; `more` holds the effects and what survives."""
    spec, folder = table_spec(TABLE), folder_of(context.root, _unit(context).key)
    told = read_json(folder / "fit.json")
    more = {name: pd.read_csv(folder / f"{name}.csv") for name in PARTS}
    checks = {k: [v] for k, v in told.items() if k != "types"}
    return TableResult(
        table=TABLE,
        title=spec.title,
        question=spec.question,
        note=spec.note,
        frame=beside_published(more["observed"], published=table(TABLE)),
        effects=None,
        fits=int(told["sets"]),
        failed=() if told["ok"] else (f"Table 6: {told['problems']}",),
        more={**more, "checks": pd.DataFrame(checks)},
    )


def beside_published(observed: pd.DataFrame, *, published: pd.DataFrame) -> pd.DataFrame:
    """Means with their 95% intervals by type and measure, as printed and in the twin.

    Parameters
    ----------
    observed : DataFrame
        ``outcome``, ``type``, ``mean``, ``se``, ``n``, of `hitlbayes.fit_effort`.
    published : DataFrame
        `hitlbayes.published.table("6")`.
    """
    half = NORMAL_975 * observed["se"]
    twin = observed.assign(lower=observed["mean"] - half, upper=observed["mean"] + half)
    twin = twin.drop(columns="se").rename(columns=lambda c: c if c in ("outcome", "type") else f"twin_{c}")
    printed = published.rename(
        columns={"row": "type", "column": "outcome", "value": "mean", "note": "printed_note"}
    )[["outcome", "type", "units", "mean", "lower", "upper", "n"]]
    named = {c: f"published_{c}" for c in ("mean", "lower", "upper", "n")}
    made = printed.rename(columns=named).merge(twin, on=["outcome", "type"], how="left")
    return made.assign(synthetic=True)


def _unit(context: Context) -> Unit:
    spec = table_spec(TABLE)
    return Unit(
        name="Table 6, effort after a takeover",
        key=context.key(what="table6", twin=twin_unit(context).key, fit=spec.fit),
        cost=spec.cost.get("effort", 120.0) * max(context.scale, 0.3),
        write=lambda folder: _write(folder, spec=spec, context=context),
    )


def _write(folder: Path, *, spec: TableSpec, context: Context) -> None:
    fit = _fit_checked(spec=spec, context=context)
    check = fit.check()
    fit.summary().to_csv(folder / "effects.csv", index=False)
    fit.survival().to_csv(folder / "survival.csv", index=False)
    fit.observed.to_csv(folder / "observed.csv", index=False)
    fit.overlap.to_csv(folder / "overlap.csv", index=False)
    fit.surface().to_frame().to_csv(folder / "surface.csv", index=False)
    told = {"types": list(fit.types), "sets": len(fit.posterior), "ok": check.ok, "seconds": fit.seconds}
    told |= {"problems": "; ".join(check.problems), "r_hat": check.r_hat, "ess_bulk": check.ess_bulk}
    write_json(folder / "fit.json", without_nan(told))


def _fit_checked(*, spec: TableSpec, context: Context) -> Any:
    from hitlbayes.studies.effort import fit_effort  # starts JAX, which finished tables do not need

    chats = matched_of(context).chats()
    takeovers = chats[~chats["type"].isin((CONTROL, "none"))].drop(columns="type")
    asked = {"seed": context.seed, "progress": False, "synthetic": True, **spec.fit}
    asked["overlap"] = max(FEWEST, round(OVERLAP * context.scale))
    fit = fit_effort(takeovers, **asked)
    if fit.check().ok:
        return fit
    return fit_effort(takeovers, **asked | {"draws": asked.get("draws", 800) * RETRY_FACTOR})

"""Event study of the direct effects: by day since the start, differences before it, and learning."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hitlbayes.replication.context import Context, panel_of, truth_of, twin_unit
from hitlbayes.replication.did import published_estimate
from hitlbayes.replication.slim import checked_fit, open_slim, save_slim
from hitlbayes.replication.specs import Cell, cells, table_spec
from hitlbayes.replication.store import folder_of
from hitlbayes.replication.table_result import TableResult
from hitlbayes.replication.work import Unit
from hitlbayes.report.rows import in_units
from hitlbayes.studies.event_result import EventStudy

TABLE = "event"
SHARE = 0.5  # of the published effect: a difference before the start that would matter


def units(context: Context) -> list[Unit]:
    """One event study of each outcome."""
    return [_unit(cell, context=context) for cell in _cells(context)]


def result(context: Context) -> TableResult:
    """Effects by day; `more` holds what is known of the days before the start, and of learning."""
    spec = table_spec(TABLE)
    folders = [folder_of(context.root, unit.key) for unit in units(context)]
    frames = {
        name: pd.concat([pd.read_csv(folder / f"{name}.csv") for folder in folders], ignore_index=True)
        for name in ("days", "pretrend", "learning")
    }
    days = frames.pop("days")
    failed = days.loc[~days["ok"], "outcome"].unique()
    return TableResult(
        table=TABLE,
        title=spec.title,
        question=spec.question,
        note=spec.note,
        frame=days,
        effects=None,
        fits=len(folders),
        failed=tuple(f"event study, {outcome}" for outcome in failed),
        more=frames,
    )


def studies(context: Context) -> dict[str, EventStudy]:
    """The finished event studies by outcome."""
    return {
        cell.outcome: EventStudy(open_slim(_unit(cell, context=context), context)) for cell in _cells(context)
    }


def notable(outcome: str, *, scope: str, units: str) -> float:
    """Half the published direct effect, in a fit's units: a difference before the start that would matter.

    Examples
    --------
    >>> notable("rating", scope="eligible", units="rating points")
    0.206
    """
    printed = published_estimate("3", scope=scope, outcome=outcome)["estimate"]
    return abs(in_units(SHARE * printed, units=units))


def _cells(context: Context) -> list[Cell]:
    return cells(table_spec(TABLE), seed=context.seed)


def _unit(cell: Cell, *, context: Context) -> Unit:
    return Unit(
        name=f"event study, {cell.outcome}, {cell.scope}",
        key=context.key(
            what="event", twin=twin_unit(context).key, scope=cell.scope, arguments=cell.arguments
        ),
        cost=cell.cost,
        write=lambda folder: _write(folder, cell=cell, context=context),
    )


def _write(folder: Path, *, cell: Cell, context: Context) -> None:
    from hitlbayes.studies.event_study import fit_event_study  # starts JAX, which finished parts do not need

    panel = panel_of(context, scope=cell.scope, period=cell.period)
    study = checked_fit(lambda **more: fit_event_study(panel, **cell.arguments | more), cell.arguments)
    save_slim(study.fit, folder)
    truth = truth_of(context, scope=cell.scope, outcome=cell.outcome, weight="chat")
    told: dict[str, Any] = {"outcome": cell.outcome, "scope": cell.scope}
    days = study.summary().reset_index().assign(**told, ok=study.fit.check().ok)
    days["truth"] = np.nan if truth is None else in_units(truth, units=study.fit.units)
    days.to_csv(folder / "days.csv", index=False)
    pd.DataFrame([told | _before(study, cell)]).to_csv(folder / "pretrend.csv", index=False)
    pd.DataFrame([told | row for row in _learning(study)]).to_csv(folder / "learning.csv", index=False)


def _before(study: EventStudy, cell: Cell) -> dict[str, Any]:
    size = notable(cell.outcome, scope=cell.scope, units=study.fit.units)
    found = study.pretrend(size)
    lower, upper = np.quantile(found.slope, [0.025, 0.975])
    return {
        "units": found.units,
        "days": len(found.by_period),
        "size": size,
        "prob_any_exceeds": found.probability,
        "all_below": found.bound,
        "slope": found.slope.mean(),
        "slope_lower": lower,
        "slope_upper": upper,
    }


def _learning(study: EventStudy) -> list[dict[str, Any]]:
    rows = []
    for name, draws in study.learning().items():
        lower, upper = np.quantile(draws, [0.025, 0.975])
        rows.append(
            {
                "change": str(name).replace("_", " "),
                "mean": float(draws.mean()),
                "lower": lower,
                "upper": upper,
                "prob_positive": float((draws > 0).mean()),
                "units": study.fit.units,
            }
        )
    return rows

"""The model of Table 3 without each of its parts: how well it tells a new worker, and the effect."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from hitlbayes.replication.context import Context, panel_of, twin_unit
from hitlbayes.replication.specs import Cell, cells, table_spec
from hitlbayes.replication.store import folder_of, read_json, write_json
from hitlbayes.replication.table_result import TableResult
from hitlbayes.replication.work import Unit
from hitlbayes.spec.priors import fixed
from hitlbayes.studies.leave_one_out import LeaveOneOut, compare

TABLE = "structures"
FULL = "the model of Table 3"
PARTS = {
    "no worker-day shocks": "sd_shock",
    "no own effects of workers": "sd_effect",
    "no own drift of workers": "sd_drift",
    "no day effects": "sd_period",
}


def units(context: Context) -> list[Unit]:
    """One fit of each structure, with its leave-one-out."""
    return [_unit(cell, name=name, context=context) for cell in _cells(context) for name in (FULL, *PARTS)]


def result(context: Context) -> TableResult:
    """Structures, the best first."""
    spec = table_spec(TABLE)
    frames = []
    for cell in _cells(context):
        folders = {
            name: folder_of(context.root, _unit(cell, name=name, context=context).key)
            for name in (FULL, *PARTS)
        }
        found = compare({name: _left_out(folder) for name, folder in folders.items()})
        effects = {name: read_json(folder / "effect.json") for name, folder in folders.items()}
        frames.append(
            found.join(pd.DataFrame.from_dict(effects, orient="index")).assign(outcome=cell.outcome)
        )
    frame = pd.concat(frames).rename_axis("model").reset_index()
    return TableResult(
        table=TABLE,
        title=spec.title,
        question=spec.question,
        note=spec.note,
        frame=frame,
        effects=None,
        fits=len(frame),
        failed=tuple(f"{row.outcome}, {row.model}" for row in frame[~frame["ok"]].itertuples()),
    )


def _cells(context: Context) -> list[Cell]:
    return cells(table_spec(TABLE), seed=context.seed)


def _unit(cell: Cell, *, name: str, context: Context) -> Unit:
    return Unit(
        name=f"{cell.outcome}, {name}",
        key=context.key(what="structures", twin=twin_unit(context).key, model=name, arguments=cell.arguments),
        cost=cell.cost,
        write=lambda folder: _write(folder, cell=cell, name=name, context=context),
        like="structures",
    )


def _write(folder: Path, *, cell: Cell, name: str, context: Context) -> None:
    from hitlbayes.studies.did import fit_did  # starts JAX, which finished parts do not need
    from hitlbayes.studies.leave_one_out import leave_one_out

    panel = panel_of(context, scope=cell.scope, period=cell.period)
    priors = {} if name == FULL else {PARTS[name]: fixed(0.0)}
    fit = fit_did(panel, **cell.arguments, priors=priors, progress=False)
    left = leave_one_out(fit)
    left.by_worker.rename_axis("worker").reset_index().to_csv(folder / "workers.csv", index=False)
    about = {one: getattr(left, one) for one in ("name", "elpd", "se", "p_loo", "measure", "synthetic")}
    write_json(folder / "about.json", about)
    effect = fit.summary().iloc[0]
    told = {one: float(effect[one]) for one in ("mean", "sd", "lower", "upper")}
    write_json(folder / "effect.json", told | {"units": fit.units, "ok": fit.check().ok})


def _left_out(folder: Path) -> LeaveOneOut:
    by_worker = pd.read_csv(folder / "workers.csv").set_index("worker")
    return LeaveOneOut(by_worker=by_worker, **read_json(folder / "about.json"))

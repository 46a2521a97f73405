"""Difference-in-differences tables: their fits as units of work, their effects beside the published."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hitlbayes.published import table
from hitlbayes.replication.context import Context, panel_of, truth_of, twin_unit
from hitlbayes.replication.estimator import paper_estimator
from hitlbayes.replication.specs import Cell, TableSpec, cells, table_spec
from hitlbayes.replication.store import folder_of, read_json, without_nan, write_json
from hitlbayes.replication.table_result import TableResult
from hitlbayes.replication.work import Unit
from hitlbayes.report.rows import effect_row, in_units
from hitlbayes.result import Fit

RETRY_FACTOR = 3  # a fit that fails its checks is run once more, with this many times the draws
FAITHFUL = {"likelihood": "means", "controls": "lagged", "draws": 300}  # it stands beside
FAITHFUL_COST = 2.5  # seconds of one core, as in the specifications
KEPT = "fit.nc"


def did_units(name: str, *, context: Context) -> list[Unit]:
    """Every fit of a table: the hierarchical model on sufficient statistics and, where asked, on means."""
    spec = table_spec(name)
    found = []
    for cell in cells(spec, seed=context.seed):
        found.append(_unit(cell, spec=spec, context=context, faithful=False))
        if spec.faithful:
            found.append(_unit(cell, spec=spec, context=context, faithful=True))
    return found


def did_result(name: str, *, context: Context) -> TableResult:
    """A table from its finished fits, each effect beside the published estimate and the truth."""
    spec = table_spec(name)
    records, failed = [], []
    for cell in cells(spec, seed=context.seed):
        main = _read(cell, spec=spec, context=context, faithful=False)
        means = _read(cell, spec=spec, context=context, faithful=True) if spec.faithful else None
        records.append(_record(main, means))
        failed += [fit["name"] for fit in (main, means) if fit is not None and not fit["effect"]["ok"]]
    frame = pd.DataFrame(records)
    effects = pd.DataFrame(
        [_effect(cell, spec=spec, context=context) for cell in cells(spec, seed=context.seed)]
    )
    return TableResult(
        table=spec.table,
        title=spec.title,
        question=spec.question,
        note=spec.note,
        frame=frame,
        effects=effects,
        fits=len(did_units(name, context=context)),
        failed=tuple(failed),
    )


def kept_units(name: str, *, context: Context) -> dict[str, Unit]:
    """The units of a table whose fits are kept whole, by outcome."""
    spec = table_spec(name)
    chosen = [cell for cell in cells(spec, seed=context.seed) if cell.outcome in spec.keep]
    return {cell.outcome: _unit(cell, spec=spec, context=context, faithful=False) for cell in chosen}


def kept_fit(unit: Unit, *, context: Context) -> Fit:
    """A finished unit's fit, opened once in a process."""
    return _opened(str(folder_of(context.root, unit.key) / KEPT))


@lru_cache(maxsize=4)
def _opened(path: str) -> Fit:
    from hitlbayes.storage import load

    return load(path)


def published_estimate(name: str, *, scope: str, outcome: str) -> dict[str, float]:
    """Estimate, standard error, observations and R-squared that the paper prints for one fit.

    Examples
    --------
    >>> published_estimate("3", scope="eligible", outcome="rating")
    {'estimate': -0.412, 'se': 0.114, 'n': 3865.0, 'r2': 0.211}
    """
    printed = table(name)
    printed = printed[(printed["panel"] == scope) & (printed["column"] == outcome)].set_index("quantity")
    values, errors = printed["value"].to_dict(), printed["se"].to_dict()
    return {
        "estimate": float(values["estimate"]),
        "se": float(errors["estimate"]),
        "n": float(values["count"]),
        "r2": float(values["r_squared"]),
    }


def _unit(cell: Cell, *, spec: TableSpec, context: Context, faithful: bool) -> Unit:
    arguments = cell.arguments | (FAITHFUL if faithful else {})
    keep = cell.outcome in spec.keep and not faithful
    return Unit(
        name=_name(cell, faithful=faithful),
        key=context.key(
            what="fit",
            twin=twin_unit(context).key,
            table=cell.table,
            scope=cell.scope,
            period=cell.period,
            arguments=arguments,
        ),
        cost=FAITHFUL_COST if faithful else cell.cost,
        write=lambda folder: _write_fit(
            folder,
            cell=cell,
            arguments=arguments,
            context=context,
            faithful=faithful,
            keep=keep,
        ),
        like=like(cell, faithful=faithful),
    )


def like(cell: Cell, *, faithful: bool) -> str:
    """The same word for fits that share compiled programs."""
    return f"{cell.period}, {'means' if faithful else cell.outcome}"


def _name(cell: Cell, *, faithful: bool) -> str:
    return f"Table {cell.table}, {cell.outcome}, {cell.scope}" + (
        ", the paper's likelihood" if faithful else ""
    )


def _write_fit(
    folder: Path,
    *,
    cell: Cell,
    arguments: dict[str, Any],
    context: Context,
    faithful: bool,
    keep: bool,
) -> None:
    panel = panel_of(context, scope=cell.scope, period=cell.period)
    fit, attempts = _fit_checked(panel, arguments)
    if keep:
        fit.save(folder / KEPT)
    printed = published_estimate(cell.table, scope=cell.scope, outcome=cell.outcome)
    effects = {
        weight: _effect_of(fit, cell=cell, weight=weight, printed=printed, context=context)
        for weight in (("cell",) if faithful else ("chat", "cell"))  # the paper's means count every cell once
    }
    record = {
        "name": _name(cell, faithful=faithful),
        "effect": effects["cell" if faithful else "chat"],
        "by_cell": effects["cell"],
        "printed": printed,
        "paper": asdict(paper_estimator(panel.means, outcome=cell.outcome)),
        "cells": len(panel.cells),
        "chats": int(panel.n_chats),
        "seconds": float(fit.seconds),
        "sampler": fit.sampler,
        "seed": int(fit.seed),
        "attempts": attempts,
    }
    fit.tidy().to_csv(folder / "tidy.csv", index=False)
    chat, cell_weight = (np.asarray(fit.effects(weight=how)["att"], np.float32) for how in ("chat", "cell"))
    np.savez_compressed(folder / "effects.npz", chat=chat, cell=cell_weight)
    write_json(folder / "fit.json", without_nan(record))


def _effect_of(
    fit: Any, *, cell: Cell, weight: str, printed: Mapping[str, float], context: Context
) -> dict[str, Any]:
    truth = truth_of(context, scope=cell.scope, outcome=cell.outcome, weight=weight)
    return asdict(
        effect_row(
            fit,
            published=(printed["estimate"], printed["se"]),
            truth=None if truth is None else in_units(truth, units=fit.units),
            weight=weight,
        )
    )


def _fit_checked(panel: Any, arguments: dict[str, Any]) -> tuple[Any, int]:
    from hitlbayes.studies import fit_did  # starts JAX, which finished tables do not need

    fit = fit_did(panel, **arguments, progress=False)
    if fit.check().ok:
        return fit, 1
    more = arguments["draws"] * RETRY_FACTOR
    return fit_did(panel, **arguments | {"draws": more}, progress=False), 2


def _read(cell: Cell, *, spec: TableSpec, context: Context, faithful: bool) -> dict[str, Any]:
    key = _unit(cell, spec=spec, context=context, faithful=faithful).key
    return read_json(folder_of(context.root, key) / "fit.json")


def _effect(cell: Cell, *, spec: TableSpec, context: Context) -> dict[str, Any]:
    effect = _read(cell, spec=spec, context=context, faithful=False)["effect"]
    return {name: math.nan if value is None else value for name, value in effect.items()}


def _record(main: Mapping[str, Any], means: Mapping[str, Any] | None) -> dict[str, Any]:
    effect, paper, printed = main["effect"], main["paper"], main["printed"]
    row = {
        "scope": effect["scope"],
        "outcome": effect["outcome"],
        "units": effect["units"],
        "weight": effect["weight"],
        "published_estimate": printed["estimate"],
        "published_se": printed["se"],
        "published_n": printed["n"],
        "published_r2": printed["r2"],
        "twin_estimate": paper["estimate"],
        "twin_se": paper["se"],
        "twin_n": paper["n"],
        "twin_r2": paper["r2"],
        "truth": effect["truth"],
    }
    for prefix, fit in (("posterior", main), ("faithful", means)):
        if fit is None:
            continue
        found = fit["effect"]
        row |= {f"{prefix}_{name}": found[name] for name in ("mean", "sd", "lower", "upper", "prob_positive")}
        row |= {f"{prefix}_{name}": found[name] for name in ("ok", "r_hat", "ess_bulk", "divergences")}
        row |= {f"{prefix}_{name}": fit[name] for name in ("seconds", "sampler", "attempts", "seed")}
    by_cell = main["by_cell"]
    return (
        row
        | {f"by_cell_{name}": by_cell[name] for name in ("mean", "lower", "upper", "truth")}
        | {
            "cells": main["cells"],
            "chats": main["chats"],
            "synthetic": effect["synthetic"],
            "problems": effect["problems"],
        }
    )

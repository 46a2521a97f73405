"""Proportional odds of the rating effect of Table 3, and the relaxed model beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from hitlbayes.replication.context import Context, panel_of, twin_unit
from hitlbayes.replication.did import kept_fit, kept_units
from hitlbayes.replication.specs import table_spec
from hitlbayes.replication.store import folder_of, read_json, write_json
from hitlbayes.replication.table_result import TableResult
from hitlbayes.replication.work import Unit
from hitlbayes.studies.proportional_odds import ProportionalOdds, check_proportional_odds

TABLE = "odds"
FITS, OUTCOME = "3", "rating"
PARTS = {"effects": "cutpoint", "shares": "category"}


def units(context: Context) -> list[Unit]:
    """The fit of Table 3, and its check."""
    return [kept_units(FITS, context=context)[OUTCOME], _unit(context)]


def result(context: Context) -> TableResult:
    """Effects on the log odds above each category; `more` holds the change in each category."""
    spec = table_spec(TABLE)
    found = check(context)
    return TableResult(
        table=TABLE,
        title=spec.title,
        question=spec.question,
        note=spec.note,
        frame=found.summary().reset_index().assign(p=found.probability, flagged=found.flagged),
        effects=None,
        fits=0,
        failed=(),
        more={"categories": found.categories().reset_index()},
    )


def check(context: Context) -> ProportionalOdds:
    """The finished check."""
    folder = folder_of(context.root, _unit(context).key)
    effects, shares = (_read(folder / f"{name}.csv", dim=dim) for name, dim in PARTS.items())
    fit = kept_fit(kept_units(FITS, context=context)[OUTCOME], context=context)
    told = read_json(folder / "check.json")
    return ProportionalOdds(fit, effects, shares, told["probability"], told["level"])


def _unit(context: Context) -> Unit:
    fit = kept_units(FITS, context=context)[OUTCOME]
    return Unit(
        name="proportional odds of ratings",
        key=context.key(what="odds", fit=fit.key, twin=twin_unit(context).key),
        cost=15.0,
        write=lambda folder: _write(folder, unit=fit, context=context),
        needs=(fit.key,),
    )


def _write(folder: Path, *, unit: Unit, context: Context) -> None:
    (scope,) = table_spec(TABLE).scopes
    found = check_proportional_odds(
        panel_of(context, scope=scope, period="day"),
        outcome=OUTCOME,
        fit=kept_fit(unit, context=context),
        seed=context.seed,
    )
    for name, dim in PARTS.items():
        draws = getattr(found, name)
        pd.DataFrame(draws.to_numpy(), columns=draws[dim].to_numpy()).to_csv(
            folder / f"{name}.csv", index=False
        )
    write_json(folder / "check.json", {"probability": found.probability, "level": found.level})


def _read(path: Path, *, dim: str) -> xr.DataArray:
    frame = pd.read_csv(path)
    labels = np.array([int(name) for name in frame.columns])
    return xr.DataArray(frame.to_numpy(), dims=("draw", dim), coords={dim: labels})

"""Randomisation inference for the headline effects, beside clustered errors, in the synthetic twin."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from scipy.stats import t

from hitlbayes.design.randomization import randomization_test
from hitlbayes.replication.context import Context, panel_of, truth_of, twin_unit
from hitlbayes.replication.specs import TableSpec, table_spec
from hitlbayes.replication.store import folder_of
from hitlbayes.replication.table_result import TableResult
from hitlbayes.replication.work import Unit
from hitlbayes.spec.toml import Scope

TABLE = "randomization"


def units(context: Context) -> list[Unit]:
    """Its tests, each made once."""
    spec = table_spec(TABLE)
    return [_unit(context, scope=scope, outcome=outcome) for scope, outcome in _pairs(spec)]


def result(context: Context) -> TableResult:
    """Its tests, one row each."""
    spec = table_spec(TABLE)
    found = [_unit(context, scope=scope, outcome=outcome) for scope, outcome in _pairs(spec)]
    frames = [pd.read_csv(folder_of(context.root, unit.key) / "test.csv") for unit in found]
    return TableResult(
        table=TABLE,
        title=spec.title,
        question=spec.question,
        note=spec.note,
        frame=pd.concat(frames, ignore_index=True),
        effects=None,
        fits=0,
        failed=(),
    )


def _pairs(spec: TableSpec) -> list[tuple[Scope, str]]:
    return [(scope, outcome) for scope in spec.scopes for outcome in spec.outcomes]


def _unit(context: Context, *, scope: Scope, outcome: str) -> Unit:
    return Unit(
        name=f"randomisation test, {outcome}, {scope}",
        key=context.key(what="randomization", twin=twin_unit(context).key, scope=scope, outcome=outcome),
        cost=1.0,
        write=lambda folder: _write(folder, context=context, scope=scope, outcome=outcome),
    )


def _write(folder: Path, *, context: Context, scope: Scope, outcome: str) -> None:
    found = randomization_test(
        panel_of(context, scope=scope, period="day"), outcome=outcome, seed=context.seed
    )
    row = {
        "scope": scope,
        "outcome": outcome,
        "truth": truth_of(context, scope=scope, outcome=outcome, weight="cell"),
        "estimate": found.effect,
        "se": found.se,
        "p_clustered": float(2 * t.sf(abs(found.effect / found.se), found.units - 1)),
        "p_randomized": found.p_value,
        "lower": found.lower,
        "upper": found.upper,
        "assignments": found.permutations,
        "workers": found.units,
        "synthetic": True,
    }
    pd.DataFrame([row]).to_csv(folder / "test.csv", index=False)

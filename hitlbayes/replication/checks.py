"""Posterior predictive, leave-one-worker-out and prior predictive checks of the fits of Table 3."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from hitlbayes.replication.context import Context, panel_of, twin_unit
from hitlbayes.replication.did import kept_fit, kept_units
from hitlbayes.replication.specs import cells, table_spec
from hitlbayes.replication.store import folder_of, read_json, write_json
from hitlbayes.replication.table_result import TableResult
from hitlbayes.replication.work import Unit
from hitlbayes.studies.leave_one_out import LeaveOneOut
from hitlbayes.studies.posterior import PosteriorPredictive

TABLE = "checks"
FITS = "3"  # the table whose fits are checked
LEFT_OUT_DRAWS = 500  # enough for a k-hat and a sum over workers with a standard error
INDEX = ["group", "statistic"]


def units(context: Context) -> list[Unit]:
    """The fits of Table 3, and the checks of each."""
    kept = kept_units(FITS, context=context)
    return [*kept.values(), *(_unit(outcome, context=context) for outcome in kept)]


def result(context: Context) -> TableResult:
    """One row per fit; `more` holds what the priors imply."""
    spec = table_spec(TABLE)
    rows = []
    for outcome in kept_units(FITS, context=context):
        found, left = replicated(outcome, context=context), left_out(outcome, context=context)
        rows.append(
            {
                "outcome": outcome,
                "statistics": len(found.observed),
                "extreme": len(found.extreme),
                "which": "; ".join(f"{group}, {name}" for group, name in found.extreme.index),
                "elpd": left.elpd,
                "se": left.se,
                "p_loo": left.p_loo,
                "workers": len(left.by_worker),
                "k_hat": left.by_worker["k_hat"].max(),
                "above_limit": len(left.bad),
                "synthetic": left.synthetic,
            }
        )
    priors = [
        pd.read_csv(_folder(outcome, context=context) / "prior.csv").assign(outcome=outcome)
        for outcome in kept_units(FITS, context=context)
    ]
    return TableResult(
        table=TABLE,
        title=spec.title,
        question=spec.question,
        note=spec.note,
        frame=pd.DataFrame(rows),
        effects=None,
        fits=0,
        failed=(),
        more={"priors": pd.concat(priors, ignore_index=True)},
    )


def replicated(outcome: str, *, context: Context) -> PosteriorPredictive:
    """The finished posterior predictive check of one outcome."""
    folder = _folder(outcome, context=context)
    about = read_json(folder / "about.json")["replicated"]
    table = pd.read_csv(folder / "replicated.csv").set_index(INDEX)
    return PosteriorPredictive(
        observed=table["observed"],
        replicated=table.drop(columns="observed").T.reset_index(drop=True),
        **about,
    )


def left_out(outcome: str, *, context: Context) -> LeaveOneOut:
    """The finished leave-one-worker-out of one outcome."""
    folder = _folder(outcome, context=context)
    by_worker = pd.read_csv(folder / "workers.csv").set_index("worker")
    return LeaveOneOut(by_worker=by_worker, **read_json(folder / "about.json")["left_out"])


def _folder(outcome: str, *, context: Context) -> Path:
    return folder_of(context.root, _unit(outcome, context=context).key)


def _unit(outcome: str, *, context: Context) -> Unit:
    fit = kept_units(FITS, context=context)[outcome]
    return Unit(
        name=f"model checks, {outcome}",
        key=context.key(what="checks", fit=fit.key, twin=twin_unit(context).key),
        cost=10.0,
        write=lambda folder: _write(folder, outcome=outcome, unit=fit, context=context),
        needs=(fit.key,),
    )


def _write(folder: Path, *, outcome: str, unit: Unit, context: Context) -> None:
    from hitlbayes.studies.leave_one_out import leave_one_out  # starts JAX, which finished parts do not need
    from hitlbayes.studies.posterior import posterior_predictive
    from hitlbayes.studies.prior import prior_predictive

    fit = kept_fit(unit, context=context)
    found, left = posterior_predictive(fit), leave_one_out(fit, draws=LEFT_OUT_DRAWS)
    table = found.replicated.T.assign(observed=found.observed)
    table.rename_axis(INDEX).reset_index().to_csv(folder / "replicated.csv", index=False)
    left.by_worker.rename_axis("worker").reset_index().to_csv(folder / "workers.csv", index=False)
    write_json(
        folder / "about.json",
        {
            "replicated": {name: getattr(found, name) for name in ("name", "units", "synthetic", "seed")},
            "left_out": {
                name: getattr(left, name) for name in ("name", "elpd", "se", "p_loo", "measure", "synthetic")
            },
        },
    )
    (cell,) = (cell for cell in cells(table_spec(FITS), seed=context.seed) if cell.outcome == outcome)
    panel = panel_of(context, scope=cell.scope, period=cell.period)
    prior_predictive(panel, outcome=outcome, seed=context.seed).summary().reset_index().to_csv(
        folder / "prior.csv", index=False
    )

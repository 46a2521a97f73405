"""Workers' own effects, harm and effects by skill, from the fits of Table 3."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from hitlbayes.replication.context import Context, chats_path
from hitlbayes.replication.did import kept_fit, kept_units
from hitlbayes.replication.specs import table_spec
from hitlbayes.replication.store import folder_of
from hitlbayes.replication.table_result import TableResult
from hitlbayes.replication.work import Unit
from hitlbayes.report.rows import in_units
from hitlbayes.result import Fit

TABLE = "workers"
FITS = "3"  # the table whose fits are looked into
WORSE: dict[str, Literal["lower", "higher"]] = {
    "log_duration": "higher",
    "retrial": "higher",
    "rating": "lower",
}
SURE = 0.95
LEVELS = {1: "lowest third", 2: "middle third", 3: "highest third"}


def units(context: Context) -> list[Unit]:
    """The fits of Table 3, and what is read off each."""
    kept = kept_units(FITS, context=context)
    return [*kept.values(), *(_unit(outcome, fit=fit, context=context) for outcome, fit in kept.items())]


def result(context: Context) -> TableResult:
    """Spread and harm, one row per outcome; `more` holds every worker, and groups of skill."""
    spec = table_spec(TABLE)
    kept = kept_units(FITS, context=context)
    folders = [
        folder_of(context.root, _unit(outcome, fit=fit, context=context).key) for outcome, fit in kept.items()
    ]
    frames = {
        name: pd.concat([pd.read_csv(folder / f"{name}.csv") for folder in folders], ignore_index=True)
        for name in ("spread", "each", "skill")
    }
    return TableResult(
        table=TABLE,
        title=spec.title,
        question=spec.question,
        note=spec.note,
        frame=frames.pop("spread"),
        effects=None,
        fits=0,
        failed=(),
        more=frames,
    )


def _unit(outcome: str, *, fit: Unit, context: Context) -> Unit:
    return Unit(
        name=f"workers' own effects, {outcome}",
        key=context.key(what="workers", fit=fit.key),
        cost=0.3,
        write=lambda folder: _write(folder, outcome=outcome, unit=fit, context=context),
        needs=(fit.key,),
    )


def _write(folder: Path, *, outcome: str, unit: Unit, context: Context) -> None:
    from hitlbayes.studies.workers import effect_by_level, harm

    fit = kept_fit(unit, context=context)
    each = harm(fit, worse=WORSE[outcome])
    truth = _truth(fit, outcome=outcome, context=context)
    shown = each.join(truth).reset_index().assign(outcome=outcome, units=fit.units)
    shown.to_csv(folder / "each.csv", index=False)
    pd.DataFrame([_spread(fit, each=each, truth=truth)]).to_csv(folder / "spread.csv", index=False)
    rows = [_summary(values) | {"skill": LEVELS[k]} for k, values in _by_level(effect_by_level(fit))]
    pd.DataFrame(rows).assign(outcome=outcome, units=fit.units).to_csv(folder / "skill.csv", index=False)


def _spread(fit: Fit, *, each: pd.DataFrame, truth: pd.Series) -> dict[str, Any]:
    sd = fit.hyperparameters()["sd_effect"]
    lower, upper = np.quantile(sd, [0.025, 0.975])
    low, high = each.attrs["harmed_interval"]
    known = each.join(truth).dropna(subset=["truth"])
    return {
        "outcome": fit.outcome,
        "units": fit.units,
        "workers": len(each),
        "sd_effect": float(sd.mean()),
        "sd_lower": lower,
        "sd_upper": upper,
        "harmed": each.attrs["harmed"],
        "harmed_lower": low,
        "harmed_upper": high,
        "surely_harmed": int((each["prob_harm"] > SURE).sum()),
        "truly_harmed": float(
            (known["truth"] < 0 if WORSE[fit.outcome] == "lower" else known["truth"] > 0).mean()
        ),
        "truth_inside": float(known["truth"].between(known["lower"], known["upper"]).mean()),
        "synthetic": fit.synthetic,
    }


def _truth(fit: Fit, *, outcome: str, context: Context) -> pd.Series:
    """Each worker's realised effect in the twin, in the fit's units."""
    known = pd.read_parquet(chats_path(context).with_name("truth_workers.parquet"))
    own = known[known["outcome"] == outcome].set_index("worker_id")[f"att_{fit.scope}"].dropna()
    return own.map(lambda value: in_units(value, units=fit.units)).rename("truth")


def _by_level(draws: Any) -> list[tuple[int, np.ndarray]]:
    return [(int(k), np.ravel(draws.sel(level=k).to_numpy())) for k in draws["level"].to_numpy()]


def _summary(draws: np.ndarray) -> dict[str, float]:
    lower, upper = np.quantile(draws, [0.025, 0.975])
    return {
        "mean": float(draws.mean()),
        "lower": float(lower),
        "upper": float(upper),
        "prob_positive": float((draws > 0).mean()),
    }

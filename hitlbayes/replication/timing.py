"""Figures A5 and A6: when takeovers come and how customers feel by then; and the hazards behind them."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from hitlbayes.replication.context import Context, chats_path, twin_unit
from hitlbayes.replication.specs import TableSpec, table_spec
from hitlbayes.replication.store import folder_of, read_json, without_nan, write_json
from hitlbayes.replication.table_result import TableResult
from hitlbayes.replication.work import Unit
from hitlbayes.twin.rounds import chat_rounds

TABLE = "timing"
PARTS = ("A5", "A6", "hazard", "incidence")
ABANDONED = "retrial"  # no record says which chats were given up; customers who came back are the nearest


def units(context: Context) -> list[Unit]:
    """Both figures and the hazards, computed once."""
    return [_unit(context)]


def result(context: Context) -> TableResult:
    """Hazards at a high over a low sentiment; `more` holds what the figures show."""
    spec, folder = table_spec(TABLE), folder_of(context.root, _unit(context).key)
    told = read_json(folder / "fit.json")
    more = {part: pd.read_csv(folder / f"{part}.csv") for part in PARTS}
    return TableResult(
        table=TABLE,
        title=spec.title,
        question=spec.question,
        note=spec.note,
        frame=pd.read_csv(folder / "ratios.csv"),
        effects=None,
        fits=int(told["fits"]),
        failed=() if told["ok"] else (f"takeover hazards: {told['problems']}",),
        more={**more, "checks": pd.DataFrame([told])},
    )


def _unit(context: Context) -> Unit:
    spec = table_spec(TABLE)
    return Unit(
        name="Figures A5 and A6, takeover hazards",
        key=context.key(what="timing", twin=twin_unit(context).key, fit=spec.fit),
        cost=spec.cost.get("timing", 60.0) * max(context.scale, 0.3),
        write=lambda folder: _write(folder, spec=spec, context=context),
    )


def _write(folder: Path, *, spec: TableSpec, context: Context) -> None:
    # start JAX, which finished parts do not need
    from hitlbayes.studies.timing import fit_timing
    from hitlbayes.studies.timing_curves import sentiment_path, takeover_density

    chats = pq.read_table(chats_path(context)).to_pandas()
    chats = chats[chats["ai"] == 1].reset_index(drop=True)
    rounds = chat_rounds(chats, scope="ai", seed=context.seed)
    density = takeover_density(chats, seed=context.seed, synthetic=True)
    path = sentiment_path(rounds, seed=context.seed, synthetic=True)
    density.to_frame().to_csv(folder / "A5.csv", index=False)
    path.to_frame().to_csv(folder / "A6.csv", index=False)
    asked = {"abandoned": ABANDONED, "seed": context.seed, "synthetic": True, "progress": False, **spec.fit}
    fit = fit_timing(chats, rounds=rounds, **asked)
    fit.hazard().to_csv(folder / "hazard.csv", index=False)
    fit.incidence().to_csv(folder / "incidence.csv", index=False)
    fit.ratios().to_csv(folder / "ratios.csv", index=False)
    check = fit.check()
    told = {"ok": check.ok, "fits": len(fit.fits), "history": fit.history, "seconds": fit.seconds}
    told |= {"problems": "; ".join(check.problems), "r_hat": check.r_hat, "ess_bulk": check.ess_bulk}
    told |= {"A5": density.band, "A6": path.band, "rounds": int(fit.counts["at_risk"].sum())}
    write_json(folder / "fit.json", without_nan(told))

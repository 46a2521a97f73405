"""The effect on retrials with and without chats whose retrial window crosses the end of the experiment."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pandas as pd

from hitlbayes.chatlog import Panel, flag_crossing, panel, read_chats, without
from hitlbayes.replication.context import START, Context, chats_path, panel_of, truth_of, twin_unit
from hitlbayes.replication.did import like
from hitlbayes.replication.specs import cells, table_spec
from hitlbayes.replication.store import folder_of, read_json, without_nan, write_json
from hitlbayes.replication.table_result import TableResult
from hitlbayes.replication.work import Unit
from hitlbayes.report.rows import effect_row, in_units

TABLE = "window"
END = "2024-09-01"  # the AI reached every worker (paper, Section 3.4)
FLAG = "retrial_crosses"
LABELS = {False: "all chats", True: "without chats of the last seven days"}


def units(context: Context) -> list[Unit]:
    """Its two fits, each done once."""
    return [_unit(context, shorter=shorter) for shorter in LABELS]


def result(context: Context) -> TableResult:
    """Both effects, one row each."""
    spec = table_spec(TABLE)
    found = [
        read_json(folder_of(context.root, _unit(context, shorter=shorter).key) / "fit.json")
        for shorter in LABELS
    ]
    frame = pd.DataFrame(found)
    numbers = [name for name in frame.columns if frame[name].isna().any()]  # JSON has no NaN
    frame[numbers] = frame[numbers].astype(float)
    return TableResult(
        table=TABLE,
        title=spec.title,
        question=spec.question,
        note=spec.note,
        frame=frame,
        effects=None,
        fits=len(frame),
        failed=tuple(frame.loc[~frame["ok"], "label"]),
    )


def cells_of(context: Context, *, shorter: bool) -> tuple[Panel, int]:
    """The panel, and how many chats were left out of it."""
    if not shorter:
        return panel_of(context, scope="all", period="day"), 0
    chats = read_chats(str(chats_path(context)), start=START, synthetic=True)
    kept = without(flag_crossing(chats, end=END, name=FLAG), flag=FLAG)
    return panel(kept), chats.n - kept.n


def _unit(context: Context, *, shorter: bool) -> Unit:
    (cell,) = cells(table_spec(TABLE), seed=context.seed)
    return Unit(
        name=f"retrial, {LABELS[shorter]}",
        key=context.key(
            what="window", twin=twin_unit(context).key, shorter=shorter, arguments=cell.arguments
        ),
        cost=cell.cost,
        write=lambda folder: _write(folder, context=context, shorter=shorter),
        like=like(cell, faithful=False),
    )


def _write(folder: Path, *, context: Context, shorter: bool) -> None:
    from hitlbayes.studies import fit_did  # starts JAX, which finished parts do not need

    (cell,) = cells(table_spec(TABLE), seed=context.seed)
    chats, left_out = cells_of(context, shorter=shorter)
    fit = fit_did(chats, **cell.arguments, progress=False)
    truth = None if shorter else truth_of(context, scope="all", outcome=cell.outcome, weight="chat")
    row = asdict(
        effect_row(fit, truth=None if truth is None else in_units(truth, units=fit.units), weight="chat")
    )
    row |= {"label": LABELS[shorter], "chats": chats.n_chats, "left_out": left_out}
    write_json(folder / "fit.json", without_nan(row))

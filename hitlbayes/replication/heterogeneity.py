"""Effects by tenure, by performance before the start, and by issue, in the synthetic twin."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import ibis
import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from hitlbayes.chatlog import Chats, Panel, panel, read_chats
from hitlbayes.replication.context import START, Context, chats_path, panel_of, twin_unit
from hitlbayes.replication.slim import checked_fit, open_slim, save_slim
from hitlbayes.replication.specs import Cell, cells, table_spec
from hitlbayes.replication.store import folder_of
from hitlbayes.replication.table_result import TableResult
from hitlbayes.replication.work import Unit
from hitlbayes.report.rows import in_units
from hitlbayes.spec.toml import Scope
from hitlbayes.studies.heterogeneity import Heterogeneity
from hitlbayes.studies.moderators import before_start, group_of

TABLE = "heterogeneity"
BINS = 3
MONTHS = 12
FEWEST = 20  # chats with the outcome in each arm, before and after: rarer issues are joined
ISSUE = "issue"
REST = "rare ones, joined"
NAMES = {"tenure": "tenure", "before": "performance before the start", "issue": "issue"}


def units(context: Context) -> list[Unit]:
    """One fit for each outcome and grouping."""
    return [_unit(cell, by=by, context=context) for cell in _cells(context) for by in NAMES]


def result(context: Context) -> TableResult:
    """Effects by group, one row each."""
    spec = table_spec(TABLE)
    frames = [pd.read_csv(folder_of(context.root, unit.key) / "groups.csv") for unit in units(context)]
    frame = pd.concat(frames, ignore_index=True)
    failed = frame.loc[~frame["ok"], ["outcome", "by"]].drop_duplicates()
    return TableResult(
        table=TABLE,
        title=spec.title,
        question=spec.question,
        note=spec.note,
        frame=frame,
        effects=None,
        fits=len(frames),
        failed=tuple(f"{row.outcome} by {row.by}" for row in failed.itertuples()),
    )


def fitted(context: Context) -> list[Heterogeneity]:
    """The finished fits, in the order of the units."""
    return [Heterogeneity(open_slim(unit, context)) for unit in units(context)]


def joined_issues(chats: Chats, *, outcome: str, scope: Scope) -> Chats:
    """The chats, their issues with few observations of an outcome in an arm or phase joined."""
    shown = chats.table
    shown = shown if scope == "all" else shown.filter(shown.eligible == (1 if scope == "eligible" else 0))
    column = "duration" if outcome == "log_duration" else outcome
    seen = shown.group_by(["issue", "treated", "post"]).agg(n=shown[column].count()).to_pandas()
    wide = seen.pivot(index="issue", columns=["treated", "post"], values="n").fillna(0)
    enough = wide.index[(wide >= FEWEST).all(axis=1)].tolist()
    named = ibis.ifelse(chats.table.issue.isin(enough), chats.table.issue.cast("string"), REST)
    return replace(chats, table=chats.table.mutate(issue=named))


def _cells(context: Context) -> list[Cell]:
    return cells(table_spec(TABLE), seed=context.seed)


def _unit(cell: Cell, *, by: str, context: Context) -> Unit:
    return Unit(
        name=f"effects by {NAMES[by]}, {cell.outcome}, {cell.scope}",
        key=context.key(
            what="heterogeneity",
            twin=twin_unit(context).key,
            by=by,
            scope=cell.scope,
            arguments=cell.arguments,
        ),
        cost=cell.cost,
        write=lambda folder: _write(folder, cell=cell, by=by, context=context),
        like=f"groups, {cell.outcome}",
    )


def _write(folder: Path, *, cell: Cell, by: str, context: Context) -> None:
    from hitlbayes.studies.heterogeneity import fit_heterogeneity  # starts JAX, as finished parts need not

    split, groups, bins = _groups(cell, by=by, context=context)
    found = checked_fit(
        lambda **more: fit_heterogeneity(split, by=groups, bins=bins, **cell.arguments | more), cell.arguments
    )
    save_slim(found.fit, folder)
    table = found.summary().rename_axis("group").reset_index()
    table["truth"] = np.nan
    if isinstance(groups, pd.Series):
        shown = _truth(split, groups, bins=bins, cell=cell, context=context)
        table["truth"] = [in_units(shown[name], units=found.fit.units) for name in table["group"]]
    told = {"outcome": cell.outcome, "scope": cell.scope, "by": found.by}
    table.assign(**told, ok=found.fit.check().ok).to_csv(folder / "groups.csv", index=False)


def _groups(cell: Cell, *, by: str, context: Context) -> tuple[Panel, str | pd.Series, int | None]:
    """The panel, what its groups are made of, and into how many numbers are cut."""
    if by == "issue":
        chats = read_chats(str(chats_path(context)), start=START, synthetic=True)
        joined = joined_issues(chats, outcome=cell.outcome, scope=cell.scope)
        return panel(joined, scope=cell.scope, by=ISSUE), ISSUE, None
    days = panel_of(context, scope=cell.scope, period=cell.period)
    if by == "tenure":
        return days, _tenure(str(chats_path(context))), BINS
    everything = panel_of(context, scope="all", period=cell.period)
    before = before_start(everything, outcome=cell.outcome).rename(f"own {cell.outcome} before")
    return days, before, BINS


@lru_cache(maxsize=2)
def _tenure(path: str) -> pd.Series:
    """Months of tenure of each worker."""
    workers = pq.read_table(path, columns=["worker_id", "tenure"]).to_pandas().drop_duplicates("worker_id")
    return (MONTHS * workers.set_index("worker_id")["tenure"]).rename("tenure in months")


def _truth(
    days: Panel, groups: pd.Series, *, bins: int | None, cell: Cell, context: Context
) -> dict[str, float]:
    """Simulated effects by group: workers' realised effects, weighted by their treated chats."""
    columns = [f"{cell.outcome}:{k}" for k in days.categories.get(cell.outcome, ())] or [f"{cell.outcome}:n"]
    cells = days.cells.assign(seen=days.cells[columns].sum(axis=1))
    cells = cells[cells["seen"] > 0].copy()  # as the fit has them: quantiles of units are cut among these
    cells["group"] = group_of(cells, by=groups, bins=bins)[1]
    now = cells[(cells["treated"] == 1) & (cells["post"] == 1)]
    known = pd.read_parquet(chats_path(context).with_name("truth_workers.parquet"))
    own = known[known["outcome"] == cell.outcome].set_index("worker_id")[f"att_{cell.scope}"]
    rows = now.assign(effect=now["unit"].map(own)).dropna(subset=["effect"])
    parts = rows.groupby("group", observed=True)
    return {str(name): float(np.average(part["effect"], weights=part["seen"])) for name, part in parts}

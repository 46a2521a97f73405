"""Table 1: means and standard deviations of every variable, published and in the synthetic twin."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from hitlbayes.published import table
from hitlbayes.replication.context import Context, chats_path, twin_unit
from hitlbayes.replication.specs import table_spec
from hitlbayes.replication.store import folder_of
from hitlbayes.replication.table_result import TableResult
from hitlbayes.replication.work import Unit

TABLE = "1"
WORKER_COLUMNS = {"treat": "treated"}  # published name to the chats' column, where they differ


def units(context: Context) -> list[Unit]:
    """Its moments, computed once."""
    return [_unit(context)]


def result(context: Context) -> TableResult:
    """Its moments beside the published ones."""
    spec = table_spec(TABLE)
    return TableResult(
        table=TABLE,
        title=spec.title,
        question=spec.question,
        note=spec.note,
        frame=pd.read_csv(folder_of(context.root, _unit(context).key) / "moments.csv"),
        effects=None,
        fits=0,
        failed=(),
    )


def moments(chats: pd.DataFrame, *, published: pd.DataFrame) -> pd.DataFrame:
    """Mean, SD and count of each published variable, over workers or over chats as printed.

    Parameters
    ----------
    chats : DataFrame
        One row per chat, canonical columns.
    published : DataFrame
        `hitlbayes.published.table("1")`.

    Returns
    -------
    DataFrame
        ``variable``, ``level`` (worker or chat), ``units``, published and twin mean, SD and count, and the
        ratio of the means.
    """
    workers = chats.drop_duplicates("worker_id")
    rows = []
    for printed in published[published["quantity"] == "mean"].to_dict("records"):
        source = workers if printed["panel"] == "worker" else chats
        values = source[WORKER_COLUMNS.get(printed["row"], printed["row"])].dropna().astype(float)
        rows.append(
            {
                "variable": printed["row"],
                "level": printed["panel"],
                "units": printed["units"],
                "published_mean": printed["value"],
                "published_sd": printed["sd"],
                "published_n": printed["n"],
                "twin_mean": values.mean(),
                "twin_sd": values.std(),
                "twin_n": len(values),
                "ratio": values.mean() / printed["value"],
                "synthetic": True,
            }
        )
    return pd.DataFrame(rows)


def _unit(context: Context) -> Unit:
    return Unit(
        name="Table 1",
        key=context.key(what="table1", twin=twin_unit(context).key),
        cost=0.2,
        write=lambda folder: _write(folder, context=context),
    )


def _write(folder: Path, *, context: Context) -> None:
    published = table(TABLE)
    names = {WORKER_COLUMNS.get(name, name) for name in published.loc[published["quantity"] == "mean", "row"]}
    chats = pq.read_table(chats_path(context), columns=["worker_id", *sorted(names)]).to_pandas()
    moments(chats, published=published).to_csv(folder / "moments.csv", index=False)

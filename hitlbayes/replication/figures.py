"""Figures A1 to A4: what is plotted of the synthetic twin, and the hypothetical chat measured."""

from __future__ import annotations

import warnings
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from hitlbayes.chatlog import chats_from_logs
from hitlbayes.design.shares import category_shares, daily_means
from hitlbayes.errors import DataWarning
from hitlbayes.published.tables import fact
from hitlbayes.replication import example_chat
from hitlbayes.replication.context import Context, chats_path, panel_of, twin_unit
from hitlbayes.replication.specs import table_spec
from hitlbayes.replication.store import folder_of
from hitlbayes.replication.table_result import TableResult
from hitlbayes.replication.work import Unit

TABLE = "figures"
PARTS = ("A1", "A3", "A4")
MEASURES = (
    "duration", "rating", "rounds", "messages", "words", "first_words", "avg_delay", "total_delay",
    "concurrency", "active_time", "away_time", "switch_aways", "away_share",
)  # fmt: skip
MONTHS = 12
STATED = {"duration": "example_duration", "rating": "example_rating", "rounds": "example_rounds"}
STATED |= {"messages": "example_messages"}


def units(context: Context) -> list[Unit]:
    """What the figures show, computed once."""
    return [_unit(context)]


def result(context: Context) -> TableResult:
    """The chat of Figure A2, printed and measured; `more` holds what Figures A1, A3 and A4 show."""
    spec = table_spec(TABLE)
    folder = folder_of(context.root, _unit(context).key)
    more = {part: pd.read_csv(folder / f"{part}.csv") for part in PARTS}
    more["A3"]["period"] = pd.to_datetime(more["A3"]["period"])
    return TableResult(
        table=TABLE,
        title=spec.title,
        question=spec.question,
        note=spec.note,
        frame=pd.read_csv(folder / "A2.csv"),
        effects=None,
        fits=0,
        failed=(),
        more=more,
    )


def example_measures() -> pd.Series:
    """Every measure of the hypothetical chat, by `hitlbayes.chats_from_logs`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)  # the other chat is in no session
        logged = chats_from_logs(
            example_chat.messages(), example_chat.clicks(), sessions=example_chat.sessions()
        )
    return logged.to_pandas().iloc[0]


def example_table() -> pd.DataFrame:
    """The hypothetical chat's measures, `published` where the paper states one, `measured` from its logs.

    Examples
    --------
    >>> example_table().dropna()[["measure", "published", "measured"]].values.tolist()[0]
    ['duration', 300.0, 300.0]
    """
    measured = example_measures()
    stated = {name: fact(key) * (60 if name == "duration" else 1) for name, key in STATED.items()}
    rows = [(name, stated.get(name), float(measured[name])) for name in MEASURES]
    return pd.DataFrame(rows, columns=["measure", "published", "measured"])


def _unit(context: Context) -> Unit:
    return Unit(
        name="Figures A1-A4",
        key=context.key(what="figures", twin=twin_unit(context).key),
        cost=0.5,
        write=lambda folder: _write(folder, context=context),
    )


def _write(folder: Path, *, context: Context) -> None:
    chats = pq.read_table(chats_path(context), columns=["worker_id", "treated", "tenure"]).to_pandas()
    workers = chats.drop_duplicates("worker_id").sort_values("worker_id")
    workers = workers.assign(months=MONTHS * workers["tenure"])
    cells = panel_of(context, scope="all", period="day")
    frames = {
        "A1": workers,
        "A2": example_table(),
        "A3": daily_means(cells, outcome="responded"),
        "A4": category_shares(cells, outcome="rating", post=0),
    }
    for name, frame in frames.items():
        frame.to_csv(folder / f"{name}.csv", index=False)

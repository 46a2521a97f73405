"""Table A3: issue categories by period, published and in the twin, there by arm too; and sample ratios."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from hitlbayes.chatlog import read_chats
from hitlbayes.design.ratios import sample_ratio
from hitlbayes.design.shares import composition
from hitlbayes.published import table
from hitlbayes.replication.context import START, Context, chats_path, twin_unit
from hitlbayes.replication.specs import table_spec
from hitlbayes.replication.store import folder_of
from hitlbayes.replication.table_result import TableResult
from hitlbayes.replication.work import Unit

TABLE = "A3"
PARTS = ("issues", "ratios", "joint")


def units(context: Context) -> list[Unit]:
    """Its counts, made once."""
    return [_unit(context)]


def result(context: Context) -> TableResult:
    """Its shares beside the published ones; `more` holds the sample ratios and the joint tests."""
    spec = table_spec(TABLE)
    folder = folder_of(context.root, _unit(context).key)
    issues, ratios, joint = (pd.read_csv(folder / f"{part}.csv") for part in PARTS)
    return TableResult(
        table=TABLE,
        title=spec.title,
        question=spec.question,
        note=spec.note,
        frame=issues,
        effects=None,
        fits=0,
        failed=(),
        more={"ratios": ratios, "joint": joint},
    )


def beside_published(shares: pd.DataFrame, *, published: pd.DataFrame) -> pd.DataFrame:
    """Percent of chats of each issue before and after, printed and in the twin, the twin's also by arm.

    Parameters
    ----------
    shares : DataFrame
        As `hitlbayes.design.shares.composition` returns it.
    published : DataFrame
        `hitlbayes.published.table("A3")`.
    """
    printed = published.pivot(index="row", columns="column", values="value")[["pre", "post"]]
    printed = printed.rename(columns={"pre": "published_before", "post": "published_after"})
    order = list(dict.fromkeys(published["row"]))
    twin = shares.drop(columns=[name for name in map(str, shares) if name.startswith("chats_")]).set_index(
        "level"
    )
    made = printed.loc[order].join(twin.add_prefix("twin_"), how="outer").reindex(
        [*order, *(level for level in twin.index if level not in order)]
    )  # fmt: skip
    return made.rename_axis("issue").reset_index().assign(synthetic=True)


def _unit(context: Context) -> Unit:
    return Unit(
        name="Table A3",
        key=context.key(what="table_a3", twin=twin_unit(context).key),
        cost=2.0,
        write=lambda folder: _write(folder, context=context),
    )


def _write(folder: Path, *, context: Context) -> None:
    chats = read_chats(str(chats_path(context)), start=START, synthetic=True)
    issues = beside_published(composition(chats), published=table(TABLE))
    found = sample_ratio(chats)
    for part, frame in zip(PARTS, (issues, found.table, found.joint), strict=True):
        frame.to_csv(folder / f"{part}.csv", index=False)

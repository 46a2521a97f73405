"""The published tables re-analysed: real numbers, and what they imply."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from hitlbayes.published import decompose_effort, reanalyze
from hitlbayes.replication.context import Context
from hitlbayes.replication.store import code_digest, digest, folder_of, read_json, write_json
from hitlbayes.replication.work import Unit

TABLES = ("2", "3", "4", "5", "6", "7")


@dataclass(frozen=True, slots=True)
class PublishedResults:
    """Re-analyses by table (their summaries), the effort decomposition, and what each assumes."""

    summaries: dict[str, pd.DataFrame]
    effort: pd.DataFrame
    notes: dict[str, list[str]]


def units(context: Context) -> list[Unit]:
    """The re-analysis, computed once; it depends on no synthetic data and on no scale."""
    return [
        Unit(
            name="published tables re-analysed",
            key=_key(context),
            cost=5.0,
            write=lambda folder: _write(folder, seed=context.seed),
        )
    ]


def result(context: Context) -> PublishedResults:
    """The finished re-analysis."""
    folder = folder_of(context.root, _key(context))
    return PublishedResults(
        summaries={name: pd.read_csv(folder / f"reanalysis_{name}.csv") for name in TABLES},
        effort=pd.read_csv(folder / "effort.csv"),
        notes=read_json(folder / "notes.json"),
    )


def _key(context: Context) -> str:
    return digest(what="published", code=code_digest(), seed=context.seed, tables=TABLES)


def _write(folder: Path, *, seed: int) -> None:
    notes = {}
    for name in TABLES:
        found = reanalyze(name, seed=seed)
        found.summary().to_csv(folder / f"reanalysis_{name}.csv", index=False)
        notes[name] = list(found.notes)
    effort = decompose_effort(seed=seed)
    effort.summary().to_csv(folder / "effort.csv", index=False)
    notes["effort"] = list(effort.notes)
    write_json(folder / "notes.json", notes)

"""The replication, from nothing to the report: every result computed once, kept, and put side by side."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pandas as pd
from rich.console import Console

from hitlbayes.errors import SpecError
from hitlbayes.replication.context import SEED, Context, twin_unit
from hitlbayes.replication.lanes import in_lanes
from hitlbayes.replication.published_results import PublishedResults, published_results
from hitlbayes.replication.store import only_one
from hitlbayes.replication.table_result import TableResult
from hitlbayes.replication.tables import PUBLISHED, TABLES, chosen
from hitlbayes.replication.work import Unit, run_units
from hitlbayes.report.export import write_table

STORE = "results"


@dataclass(frozen=True, slots=True)
class Replication:
    """A finished run.

    Attributes
    ----------
    report : Path
        The self-contained HTML file; ``report.md`` beside it says the same, its figures in ``figures/``.
    tables : dict of str to TableResult
        Replicated tables by name.
    published : PublishedResults or None
        The re-analysis of the published tables.
    computed, found : tuple of str
        Units of work done now, and found finished on disk.
    failed : tuple of str
        Fits whose draws failed their checks.
    fits : int
        Number of fits in the tables.
    seconds : float
        Wall time of this run, the report included.
    """

    report: Path
    tables: dict[str, TableResult]
    published: PublishedResults | None
    computed: tuple[str, ...]
    found: tuple[str, ...]
    failed: tuple[str, ...]
    fits: int
    seconds: float


def replicate(
    *,
    out: str | Path = "output",
    scale: float = 1.0,
    seed: int = SEED,
    only: Sequence[str] | None = None,
    lanes: int = 1,
    console: Console | None = None,
) -> Replication:
    """Published tables re-analysed, then the experiment's tables on the synthetic twin, in one report.

    Interrupted, it goes on where it was: each finished fit lies in ``out/results/<key>/``, where the key is a
    hash of the specification, the seed, the data and the versions.

    Parameters
    ----------
    out : str or Path
        Folder of ``report.html``, ``report.md``, ``figures/*.svg``, ``tables/*`` and the results.
    scale : float
        Share of the paper's 647 workers, at most 1.
    seed : int
        Seed of the twin and of every fit.
    only : sequence of str, optional
        Parts to run: ``"published"``, or a name in `hitlbayes.replication.tables.TABLES`.
    lanes : int
        Processes that fit side by side, each on its share of the cores. A script that asks for more than one
        calls this under ``if __name__ == "__main__":``, for each process reads the script again.
    console : rich.console.Console, optional
        Where progress is shown.

    Raises
    ------
    SpecError
        An unknown part, a scale outside (0, 1], or no lane.
    StorageError
        Another run is at work in `out`.

    Notes
    -----
    Tables and figures of Wang, Zhu, Feng, Lu and Jia (2026). Their data are confidential: what is
    estimated on the synthetic twin shows how the methods behave, it is no finding.
    """
    if not 0 < scale <= 1:
        raise SpecError(f"scale={scale:g}: expected a share of the workers above 0 and at most 1")
    if lanes < 1:
        raise SpecError(f"lanes={lanes}: expected one process or more")
    started = time.monotonic()
    parts, out = chosen(only), Path(out)
    context = Context(root=out / STORE, scale=scale, seed=seed)
    with only_one(out):
        work = _units(parts, context=context)
        make = partial(_units, parts, context=context)
        done = run_units(work, root=context.root, console=console, how=in_lanes(make, lanes=lanes))
        tables = {name: TABLES[name].result(context) for name in parts if name != PUBLISHED}
        published = published_results(seed=seed) if PUBLISHED in parts else None
        _write_tables(out / "tables", tables=tables, published=published)
        report = _write_report(out, tables=tables, published=published, context=context, started=started)
    return Replication(
        report=report,
        tables=tables,
        published=published,
        computed=done.computed,
        found=done.found,
        failed=tuple(name for table in tables.values() for name in table.failed),
        fits=sum(table.fits for table in tables.values()),
        seconds=time.monotonic() - started,
    )


def _units(parts: Sequence[str], *, context: Context) -> list[Unit]:
    tables = [name for name in parts if name != PUBLISHED]
    if not tables:
        return []
    twin = twin_unit(context)
    work = {unit.key: unit for name in tables for unit in TABLES[name].units(context)}  # parts share fits
    return [twin, *(replace(unit, needs=(twin.key, *unit.needs)) for unit in work.values())]


def _write_tables(
    folder: Path, *, tables: dict[str, TableResult], published: PublishedResults | None
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    frames: dict[str, pd.DataFrame] = {f"table_{name}": table.frame for name, table in tables.items()}
    for name, table in tables.items():
        frames |= {f"table_{name}_{part}": frame for part, frame in table.more.items()}
    if published is not None:
        frames |= published.frames()
    for name, frame in frames.items():
        frame.to_csv(folder / f"{name}.csv", index=False)
    for name, table in tables.items():
        if table.effects is not None:
            for suffix in (".tex", ".html"):
                write_table(
                    table.effects, folder / f"table_{name}{suffix}", caption=f"{table.title} (synthetic)"
                )


def _write_report(
    out: Path,
    *,
    tables: dict[str, TableResult],
    published: PublishedResults | None,
    context: Context,
    started: float,
) -> Path:
    from hitlbayes.replication.document import replication_pages
    from hitlbayes.report.markdown import with_files

    html, markdown = replication_pages(
        tables=tables, published=published, context=context, seconds=time.monotonic() - started
    )
    path = out / "report.html"
    path.write_text(html, encoding="utf-8")
    path.with_suffix(".md").write_text(with_files(markdown, folder=out / "figures"), encoding="utf-8")
    return path

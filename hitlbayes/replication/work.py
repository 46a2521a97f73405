"""Units of work, done once each and in order, with what is running and the time left."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from hitlbayes.replication.store import folder_of, is_done, write_once


@dataclass(frozen=True, slots=True)
class Unit:
    """One piece of work that is finished or not: a simulation, a table or a fit.

    Attributes
    ----------
    name : str
        What is running, in words: ``"Table 3, rating, eligible"``.
    key : str
        Names the result on disk; changes with everything that the result depends on.
    cost : float
        Expected seconds at full size; only the ratios matter.
    write : callable
        Takes an empty folder and writes the result into it.
    """

    name: str
    key: str
    cost: float
    write: Callable[[Path], None]


@dataclass(frozen=True, slots=True)
class Done:
    """What a run did: names of the units computed now, names of those found on disk, and seconds."""

    computed: tuple[str, ...]
    found: tuple[str, ...]
    seconds: float


def run_units(units: Sequence[Unit], *, root: Path, console: Console | None = None) -> Done:
    """Compute every unit that is not on disk yet.

    Parameters
    ----------
    units : sequence of Unit
        In the order in which they are to be done.
    root : Path
        Folder of the results.
    console : rich.console.Console, optional
        Where progress is shown; a live display on a terminal, one line per unit elsewhere.
    """
    console = console or Console()
    found = [unit for unit in units if is_done(root, unit.key)]
    todo = [unit for unit in units if not is_done(root, unit.key)]
    if found:
        console.print(f"found {len(found)} of {len(units)} results of an earlier run, not computed again")
    started = time.monotonic()
    with _display(console) as progress:
        total = max(sum(unit.cost for unit in todo), 1e-9)
        task = progress.add_task("", total=total, left="")
        spent, left = 0.0, ""
        for number, unit in enumerate(todo, start=1):
            progress.update(task, description=f"{number}/{len(todo)} {unit.name}", left=left)
            began = time.monotonic()
            write_once(root, unit.key, write=unit.write)
            spent += unit.cost
            ended = time.monotonic()
            left = time_left(elapsed=ended - started, done=spent, todo=total - spent)
            progress.update(task, completed=spent, left=left)
            line = f"[{number}/{len(todo)}] {unit.name}: {ended - began:.1f} s"
            console.print(", ".join(part for part in (line, left) if part), markup=False, soft_wrap=True)
    return Done(
        computed=tuple(unit.name for unit in todo),
        found=tuple(unit.name for unit in found),
        seconds=time.monotonic() - started,
    )


def time_left(*, elapsed: float, done: float, todo: float) -> str:
    """What remains, at the pace so far, in words; empty before there is a pace.

    Parameters
    ----------
    elapsed : float
        Seconds so far.
    done, todo : float
        Cost finished and cost to come.

    Examples
    --------
    >>> time_left(elapsed=60.0, done=10.0, todo=30.0)
    'about 3 min left'
    >>> time_left(elapsed=0.0, done=0.0, todo=30.0)
    ''
    """
    if done <= 0 or elapsed <= 0 or todo <= 0:
        return ""
    seconds = elapsed / done * todo
    if seconds < 90:
        return f"about {seconds:.0f} s left"
    return f"about {seconds / 60:.0f} min left"


def result_folder(unit: Unit, *, root: Path) -> Path:
    """Where a finished unit's files lie."""
    return folder_of(root, unit.key)


def _display(console: Console) -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]}"),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )

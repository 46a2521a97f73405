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
        Expected seconds of one core at full size; only the ratios matter.
    write : callable
        Takes an empty folder and writes the result into it.
    needs : tuple of str
        Keys of the units whose results it reads.
    like : str
        The same word for units that share compiled programs.
    """

    name: str
    key: str
    cost: float
    write: Callable[[Path], None]
    needs: tuple[str, ...] = ()
    like: str = ""


# What is running, by name, and the unit that has just been done with its seconds.
Told = Callable[[Sequence[str], tuple[Unit, float] | None], None]
How = Callable[[Sequence[Unit], Path, Told], None]


@dataclass(frozen=True, slots=True)
class Done:
    """What a run did: names of the units computed now, names of those found on disk, and seconds."""

    computed: tuple[str, ...]
    found: tuple[str, ...]
    seconds: float


def run_units(
    units: Sequence[Unit],
    *,
    root: Path,
    console: Console | None = None,
    how: How | None = None,
) -> Done:
    """Compute every unit that is not on disk yet.

    Parameters
    ----------
    units : sequence of Unit
        In the order in which they are to be done, each after those that it needs.
    root : Path
        Folder of the results.
    console : rich.console.Console, optional
        Where progress is shown; a live display on a terminal, one line per unit elsewhere.
    how : callable, optional
        Does units, and tells of each; by default this process does them one by one. See
        `hitlbayes.replication.lanes` for several processes.
    """
    console = console or Console()
    found = [unit for unit in units if is_done(root, unit.key)]
    todo = [unit for unit in units if not is_done(root, unit.key)]
    if found:
        console.print(f"found {len(found)} of {len(units)} results of an earlier run, not computed again")
    started = time.monotonic()
    with _display(console) as progress:
        told = _teller(todo, progress=progress, console=console)
        (how or one_by_one)(todo, root, told)
    return Done(
        computed=tuple(unit.name for unit in todo),
        found=tuple(unit.name for unit in found),
        seconds=time.monotonic() - started,
    )


def one_by_one(todo: Sequence[Unit], root: Path, told: Told) -> None:
    """Do units in this process, in order."""
    for unit in todo:
        told([unit.name], None)
        told([], (unit, seconds_of(unit, root)))


def seconds_of(unit: Unit, root: Path) -> float:
    """Do a unit, and say how long it took."""
    began = time.monotonic()
    write_once(root, unit.key, write=unit.write)
    return time.monotonic() - began


def _teller(todo: Sequence[Unit], *, progress: Progress, console: Console) -> Told:
    """Shows what is running, and a line for each unit that is done."""
    started, total = time.monotonic(), max(sum(unit.cost for unit in todo), 1e-9)
    task = progress.add_task("", total=total, left="")
    count, spent, left = 0, 0.0, ""

    def told(running: Sequence[str], done: tuple[Unit, float] | None) -> None:
        nonlocal count, spent, left
        if done is not None:
            unit, seconds = done
            count, spent = count + 1, spent + unit.cost
            left = time_left(elapsed=time.monotonic() - started, done=spent, todo=total - spent)
            line = f"[{count}/{len(todo)}] {unit.name}: {seconds:.1f} s"
            console.print(", ".join(part for part in (line, left) if part), markup=False, soft_wrap=True)
        shown = f"{count + 1}/{len(todo)} {'; '.join(running)}"
        progress.update(task, description=shown, completed=spent, left=left)

    return told


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

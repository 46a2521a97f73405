"""Units of work in several processes, each on its share of the cores.

Chains fill the cores, but compiling a model, the search for its mode and what is read off its draws do not.
Two fits beside each other do, each with its chains one after the other.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Thread

from hitlbayes.errors import FitError
from hitlbayes.replication.store import write_once
from hitlbayes.replication.work import Told, Unit

Make = Callable[[], Sequence[Unit]]
INTERRUPTED = 130

_units: dict[str, Unit] = {}  # of this process, by key


def run_in_lanes(make: Make, todo: Sequence[Unit], *, root: Path, lanes: int, told: Told) -> None:
    """Do units in `lanes` processes at once, the costliest of those that can begin first.

    Parameters
    ----------
    make : callable
        Makes the units anew in each process, the same keys among them; it can be pickled.
    todo : sequence of Unit
        Which of them are to be done.
    told : callable
        Takes names of the running units, and the unit that has just been done with its seconds (or None).

    Raises
    ------
    FitError
        A process was ended from outside.
    Whatever a unit raises. Running units are then abandoned; finished ones are kept.
    """
    waiting, missing = list(todo), {unit.key for unit in todo}
    running: dict[Future[float], tuple[int, Unit]] = {}
    known: list[set[str]] = [set() for _ in range(lanes)]
    with _processes(make, root=root, lanes=lanes) as pools:
        for unit in needed_by_all(todo):  # done here, while the processes start
            told([unit.name], None)
            began = time.monotonic()
            write_once(root, unit.key, write=unit.write)
            waiting.remove(unit)
            missing.discard(unit.key)
            told([], (unit, time.monotonic() - began))
        while waiting or running:
            for lane in set(range(lanes)) - {lane for lane, _ in running.values()}:
                others = set().union(*(known[other] for other in range(lanes) if other != lane))
                unit = next_unit(waiting, missing=missing, mine=known[lane], others=others)
                if unit is not None:
                    waiting.remove(unit)
                    known[lane].add(unit.like)
                    running[pools[lane].submit(_do, root, unit.key)] = (lane, unit)
            told([unit.name for _, unit in running.values()], None)
            for done in wait(running, return_when=FIRST_COMPLETED).done:
                _, unit = running.pop(done)
                missing.discard(unit.key)
                told([unit.name for _, unit in running.values()], (unit, _seconds(done, unit)))


def needed_by_all(units: Sequence[Unit]) -> list[Unit]:
    """Units whose results every other one reads."""
    return [unit for unit in units if all(unit.key in other.needs for other in units if other is not unit)]


def _seconds(done: Future[float], unit: Unit) -> float:
    try:
        return done.result()
    except BrokenProcessPool as error:
        raise FitError(
            f"the process that did {unit.name!r} was ended from outside, for want of memory perhaps. What is "
            "finished is kept: run again with one process (lanes=1, --lanes 1), which needs less."
        ) from error


def next_unit(
    waiting: Sequence[Unit], *, missing: Collection[str], mine: Collection[str], others: Collection[str]
) -> Unit | None:
    """The unit that a process should do next: the costliest whose needs are there, if any.

    Units that are alike share compiled programs, so a process prefers those like what it has done, and those
    like nothing that another has done.

    Parameters
    ----------
    missing : collection of str
        Keys of results that are not there yet.
    mine, others : collection of str
        What this process and the others have done units `like`.

    Examples
    --------
    >>> a, b = (Unit(name=n, key=n, cost=c, write=print, like=n) for n, c in (("a", 1.0), ("b", 2.0)))
    >>> next_unit([a, b], missing=(), mine=(), others=()).name
    'b'
    >>> next_unit([a, b], missing=(), mine=(), others=("b",)).name
    'a'
    """
    ready = [unit for unit in waiting if not set(unit.needs) & set(missing)]
    ours = [unit for unit in ready if not unit.like or unit.like in mine or unit.like not in others]
    return max(ours or ready, key=lambda unit: unit.cost, default=None)


@contextmanager
def _processes(make: Make, *, root: Path, lanes: int) -> Iterator[list[ProcessPoolExecutor]]:
    """One process a lane; they end with the block, and where this process ends, whatever ends it."""
    context = get_context("spawn")  # JAX's threads do not live through a fork
    theirs, ours = context.Pipe(duplex=False)
    with ExitStack() as stack:
        pools = [
            stack.enter_context(ProcessPoolExecutor(1, context, _begin, (make, theirs))) for _ in range(lanes)
        ]
        try:
            for lane, pool in enumerate(pools):
                with _on(share_of(lane, lanes=lanes)):
                    pool.submit(os.getpid)  # starts the process
            yield pools
        except BaseException:
            ours.close()  # or the pools would wait for what is running
            raise


@contextmanager
def _on(cores: Sequence[int]) -> Iterator[None]:
    """What is started in the block runs on these cores: libraries count theirs when they are imported."""
    if not cores:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def share_of(lane: int, *, lanes: int) -> list[int]:
    """Cores of one lane: each has every `lanes`-th of those that this process may use."""
    known = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    return known[lane::lanes] or known


def _begin(make: Make, lifeline: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process decides
    Thread(target=_end_with, args=(lifeline,), daemon=True).start()
    _units.update({unit.key: unit for unit in make()})


def _end_with(lifeline: Connection) -> None:
    """End this process when the other end of the pipe is closed."""
    lifeline.poll(None)
    os._exit(INTERRUPTED)


def _do(root: Path, key: str) -> float:
    began = time.monotonic()
    write_once(root, key, write=_units[key].write)
    return time.monotonic() - began

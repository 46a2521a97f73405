"""Units of work in several processes, each on its share of the cores.

Chains fill the cores, but compiling a model, the search for its mode and what is read off its draws do not.
Two fits beside each other do, each with its chains one after the other.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Thread

from hitlbayes.errors import FitError
from hitlbayes.replication.work import How, Told, Unit, one_by_one, seconds_of

Make = Callable[[], Sequence[Unit]]

_units: dict[str, Unit] = {}  # of this process, by key


def in_lanes(make: Make, *, lanes: int) -> How:
    """A way of doing units: in `lanes` processes at once, the costliest of those that can begin first.

    Parameters
    ----------
    make : callable
        Makes the units anew in each process, the same keys among them; it can be pickled.

    Raises
    ------
    FitError
        Where it is used: a process was ended from outside.
    Whatever a unit raises. Running units are then abandoned; finished ones are kept.
    """

    def run(todo: Sequence[Unit], root: Path, told: Told) -> None:
        first = needed_by_all(todo)
        rest = [unit for unit in todo if unit not in first]
        if len(rest) < 2 or lanes == 1:
            one_by_one(todo, root, told)
            return
        with _processes(make, lanes=min(lanes, len(rest))) as pools:
            one_by_one(first, root, told)  # here, while the processes start
            _share_out(rest, root, told, pools=pools)

    return run


def _share_out(todo: Sequence[Unit], root: Path, told: Told, *, pools: Sequence[ProcessPoolExecutor]) -> None:
    """Give each process that is idle its next unit, until all are done."""
    lanes = range(len(pools))
    waiting, missing = list(todo), {unit.key for unit in todo}
    running: dict[Future[float], tuple[int, Unit]] = {}
    known: list[set[str]] = [set() for _ in lanes]
    while waiting or running:
        for lane in set(lanes) - {lane for lane, _ in running.values()}:
            others = set().union(*(known[other] for other in lanes if other != lane))
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
    """Units that need nothing, and whose results every other one reads."""
    free, tied = ([unit for unit in units if bool(unit.needs) is some] for some in (False, True))
    return [unit for unit in free if tied and all(unit.key in other.needs for other in tied)]


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
def _processes(make: Make, *, lanes: int) -> Iterator[list[ProcessPoolExecutor]]:
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
    os._exit(1)


def _do(root: Path, key: str) -> float:
    return seconds_of(_units[key], root)

"""Units of work in several processes: each done once, after what it needs, and none left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
from rich.console import Console

from hitlbayes.errors import FitError, SpecError
from hitlbayes.replication.lanes import in_lanes, share_of
from hitlbayes.replication.runner import replicate
from hitlbayes.replication.store import is_done
from hitlbayes.replication.work import Unit, run_units

PATIENCE = 60.0  # seconds; two interpreters start within a few
QUIET = Console(quiet=True)

# A unit that lasts until its process is ended, in each of two processes.
WORKER = """
import os, sys, time
from functools import partial
from pathlib import Path
from rich.console import Console
from hitlbayes.replication.lanes import in_lanes
from hitlbayes.replication.work import Unit, run_units

def hang(folder, log):
    (log / str(os.getpid())).write_text("")
    time.sleep(600)

def make(log):
    return [Unit(name=n, key=n, cost=1.0, write=partial(hang, log=log)) for n in "ab"]

if __name__ == "__main__":
    root, log = map(Path, sys.argv[1:])
    made = partial(make, log)
    run_units(made(), root=root, console=Console(quiet=True), how=in_lanes(made, lanes=2))
"""


def write(folder: Path, *, name: str, log: Path, reads: tuple[str, ...]) -> None:
    for one in reads:
        assert is_done(folder.parent, one), f"{name} was begun before {one} was done"
    with (log / name).open("a") as handle:
        handle.write(f"{os.getpid()}\n")
    (folder / "made").write_text(name)


def chain(log: Path) -> list[Unit]:
    """Eight units: the costliest needs all others but one, which needs it."""
    few = tuple("abcdef")
    units = [Unit(n, n, 1.0, partial(write, name=n, log=log, reads=())) for n in few]
    units.append(Unit("g", "g", 9.0, partial(write, name="g", log=log, reads=few), needs=few))
    return [*units, Unit("h", "h", 1.0, partial(write, name="h", log=log, reads=("g",)), needs=("g",))]


def refuse(folder: Path) -> None:
    raise FitError("not these data")


def die(folder: Path) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def alone(task) -> list[Unit]:
    return [Unit(name=n, key=n, cost=1.0, write=task) for n in "ab"]


def test_each_unit_is_done_once_and_after_what_it_needs(tmp_path) -> None:
    make = partial(chain, tmp_path / "log")
    (tmp_path / "log").mkdir()
    done = run_units(make(), root=tmp_path / "results", console=QUIET, how=in_lanes(make, lanes=2))
    said = {path.name: path.read_text().split() for path in (tmp_path / "log").iterdir()}
    assert set(done.computed) == set(said) == set("abcdefgh")
    assert all(len(pids) == 1 for pids in said.values())
    assert {said["a"][0], said["d"][0]} <= {pid for pids in said.values() for pid in pids} - {
        str(os.getpid())
    }
    again = run_units(make(), root=tmp_path / "results", console=QUIET, how=in_lanes(make, lanes=2))
    assert (again.computed, len(again.found)) == ((), 8)


def test_an_error_of_a_unit_is_raised_here(tmp_path) -> None:
    make = partial(alone, refuse)
    with pytest.raises(FitError, match="not these data"):
        run_units(make(), root=tmp_path, console=QUIET, how=in_lanes(make, lanes=2))
    assert not is_done(tmp_path, "a")


def test_a_process_that_dies_ends_the_run(tmp_path) -> None:
    make = partial(alone, die)
    with pytest.raises(FitError, match=r"ended from outside.*lanes=1"):
        run_units(make(), root=tmp_path, console=QUIET, how=in_lanes(make, lanes=2))
    assert not is_done(tmp_path, "a")


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_processes_end_with_the_first(tmp_path, how) -> None:
    script, log = tmp_path / "script.py", tmp_path / "log"
    script.write_text(WORKER)
    log.mkdir()
    first = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path / "results"), str(log)], stderr=subprocess.DEVNULL
    )
    wait_for(lambda: len(list(log.iterdir())) == 2)
    os.kill(first.pid, how)
    first.wait(PATIENCE)
    pids = [int(path.name) for path in log.iterdir()]
    assert first.pid not in pids
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))


def test_lanes_share_the_cores() -> None:
    known = set(share_of(0, lanes=1))
    assert known == set().union(*(share_of(lane, lanes=2) for lane in range(2)))


def test_no_lane_is_refused(tmp_path) -> None:
    with pytest.raises(SpecError, match="one process or more"):
        replicate(out=tmp_path, lanes=0, only=["1"], console=QUIET)


def test_parts_in_lanes_are_those_of_one_process(tmp_path) -> None:
    many, one = (
        replicate(out=tmp_path / str(lanes), scale=0.05, lanes=lanes, only=["1", "A1", "A3"], console=QUIET)
        for lanes in (2, 1)
    )
    assert set(many.computed) == set(one.computed)
    for name, table in one.tables.items():
        assert table.frame.equals(many.tables[name].frame)


def wait_for(condition) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "the other processes did not get there"
        time.sleep(0.02)

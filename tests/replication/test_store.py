from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console

from hitlbayes.errors import StorageError
from hitlbayes.replication.store import code_digest, digest, is_done, only_one, write_once
from hitlbayes.replication.work import Unit, run_units, time_left

PATIENCE = 30.0  # seconds; a new interpreter starts within a few

# Three units that write two files each and say when they are half done; the second never ends unless told to.
WORKER = """
import sys, time
from pathlib import Path
from rich.console import Console
from hitlbayes.replication.store import only_one
from hitlbayes.replication.work import Unit, run_units

root, log, hang = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] == "hang"

def write(name):
    def inside(folder):
        (folder / "first").write_text(name)
        with log.open("a") as handle:
            handle.write(name + "\\n")
        if hang and name == "b":
            time.sleep(600)
        (folder / "second").write_text(name)
    return inside

with only_one(root):
    run_units([Unit(name=n, key=n, cost=1.0, write=write(n)) for n in "abc"], root=root / "results",
              console=Console(quiet=True))
"""


def launch(root: Path, log: Path, how: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", WORKER, str(root), str(log), how])


def wait_for(condition) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "the other process did not get there"
        time.sleep(0.02)


def test_killed_run_goes_on_and_repeats_nothing(tmp_path):
    root, log = tmp_path / "out", tmp_path / "log"
    first = launch(root, log, "hang")
    wait_for(lambda: log.exists() and log.read_text() == "a\nb\n")
    os.kill(first.pid, signal.SIGKILL)
    assert first.wait() == -signal.SIGKILL
    assert is_done(root / "results", "a")
    assert not is_done(root / "results", "b")
    second = launch(root, log, "finish")
    assert second.wait(PATIENCE) == 0
    assert log.read_text() == "a\nb\nb\nc\n"
    results = root / "results"
    left = sorted(str(path.relative_to(results)) for path in results.rglob("*") if path.is_file())
    assert left == ["a/first", "a/second", "b/first", "b/second", "c/first", "c/second"]


def test_two_runs_in_one_folder_are_refused(tmp_path):
    log = tmp_path / "log"
    first = launch(tmp_path, log, "hang")
    try:
        wait_for(lambda: log.exists() and log.read_text() == "a\nb\n")
        with pytest.raises(StorageError, match="another run"), only_one(tmp_path):
            pass
    finally:
        first.kill()
        first.wait()
    with only_one(tmp_path):
        pass


def test_failure_leaves_nothing_behind(tmp_path):
    def write(folder: Path) -> None:
        (folder / "half").write_text("")
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        write_once(tmp_path, "key", write=write)
    assert list(tmp_path.iterdir()) == []


def test_finished_work_is_not_called_again(tmp_path):
    calls = []
    unit = Unit(name="u", key="k", cost=1.0, write=lambda folder: calls.append(folder))
    quiet = Console(quiet=True)
    assert run_units([unit], root=tmp_path, console=quiet).computed == ("u",)
    again = run_units([unit], root=tmp_path, console=quiet)
    assert (again.computed, again.found, len(calls)) == ((), ("u",), 1)


def test_keys_change_with_every_part():
    parts = {"seed": 1, "arguments": {"draws": 500}, "scope": "all"}
    assert digest(**parts) == digest(**dict(reversed(parts.items())))
    others = [{**parts, "seed": 2}, {**parts, "arguments": {"draws": 501}}, {**parts, "scope": "eligible"}]
    assert len({digest(**parts), *(digest(**other) for other in others)}) == 4
    assert len(code_digest()) == 12


def test_time_left_is_proportional_to_cost():
    assert time_left(elapsed=30.0, done=10.0, todo=20.0) == "about 60 s left"
    assert time_left(elapsed=30.0, done=10.0, todo=200.0) == "about 10 min left"

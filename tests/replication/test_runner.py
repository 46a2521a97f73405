from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from hitlbayes.errors import SpecError
from hitlbayes.published import table
from hitlbayes.replication.runner import STORE, replicate
from hitlbayes.replication.store import is_done
from hitlbayes.replication.table1 import moments

SCALE = 0.05  # 32 workers: the smallest twin in which every day has chats in both arms
PATIENCE = 600.0  # seconds; three fits compile and run within two minutes on two cores
QUIET = Console(quiet=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("output")


@pytest.fixture(scope="module")
def run(folder):
    return replicate(out=folder, scale=SCALE, only=["published", "1", "A2"], console=QUIET)


def test_table_a2_has_its_three_fits_beside_the_published_estimates(run):
    frame = run.tables["A2"].frame.set_index("scope")
    assert frame.loc[["all", "eligible", "ineligible"], "published_estimate"].tolist() == [
        -0.005,
        0.004,
        -0.003,
    ]
    assert frame.loc["all", "published_n"] == 15_172
    assert (frame["synthetic"]).all()
    assert (frame["posterior_lower"] < frame["posterior_mean"]).all()
    assert frame[["twin_estimate", "twin_se", "truth"]].notna().all(axis=None)
    assert (frame["weight"] == "chat").all()
    assert run.fits == 6  # each outcome twice: sufficient statistics, and the paper's likelihood


def test_each_weight_stands_beside_its_own_truth(run, folder):
    frame = run.tables["A2"].frame.set_index("scope")
    simulated = pd.read_csv(next(folder.rglob("truth.csv"))).query("outcome == 'concurrency'")
    known = simulated.pivot(index="scope", columns="weight", values="att").loc[frame.index]
    np.testing.assert_array_equal(frame["truth"], known["chat"])
    np.testing.assert_array_equal(frame["by_cell_truth"], known["cell"])
    assert "averaged over worker-periods instead of chats" in run.report.read_text()


def test_tables_are_written_as_they_are_shown(run, folder):
    written = pd.read_csv(folder / "tables" / "table_A2.csv")
    np.testing.assert_allclose(written["posterior_mean"], run.tables["A2"].frame["posterior_mean"])
    assert {"published_5.csv", "published_effort.csv", "table_1.csv"} <= {
        path.name for path in (folder / "tables").iterdir()
    }


def test_report_is_one_file_that_labels_its_sources(run):
    html = run.report.read_text()
    assert "Synthetic data" in html
    assert "Published numbers" in html
    assert "Table A2. Effects on concurrency" in html
    outside = [
        link for link in re.findall(r'(?:src|href)="([^"]+)"', html) if not link.startswith(("data:", "#"))
    ]
    assert outside == []


def test_nothing_is_computed_twice(run, folder):
    again = replicate(out=folder, scale=SCALE, only=["published", "1", "A2"], console=QUIET)
    assert again.computed == ()
    assert set(again.found) == set(run.computed)
    pd.testing.assert_frame_equal(again.tables["A2"].frame, run.tables["A2"].frame)


def test_another_seed_is_another_run(run, folder):
    other = replicate(out=folder, scale=SCALE, seed=1, only=["1"], console=QUIET)
    assert set(other.computed) == {"synthetic twin", "Table 1"}


def test_published_part_needs_no_twin(tmp_path):
    done = replicate(out=tmp_path, only=["published"], console=QUIET)
    assert (done.computed, done.tables, done.fits) == ((), {}, 0)
    assert "Synthetic data" not in done.report.read_text()


@pytest.mark.parametrize("scale", [0.0, -1.0, 1.5])
def test_scale_outside_its_range(scale, tmp_path):
    with pytest.raises(SpecError, match="above 0 and at most 1"):
        replicate(out=tmp_path, scale=scale, console=QUIET)


def test_moments_count_workers_once():
    chats = pd.DataFrame(
        {
            "worker_id": [1, 1, 1, 2],
            "age": [20.0, 20.0, 20.0, 40.0],
            "duration": [10.0, 20.0, 30.0, 40.0],
            "rating": pd.array([5, None, 1, None], dtype="Int64"),
        }
    )
    published = table("1")[lambda t: t["row"].isin(["age", "duration", "rating"])]
    found = moments(chats, published=published).set_index("variable")
    assert found["twin_mean"].to_dict() == {"age": 30.0, "duration": 25.0, "rating": 3.0}
    assert found["twin_n"].to_dict() == {"age": 2, "duration": 4, "rating": 2}


@pytest.mark.slow
def test_killed_replication_refits_nothing(tmp_path):
    command = [sys.executable, "-m", "hitlbayes.cli", "replicate", "--scale", str(SCALE), "--only", "A2"]
    command += ["--out", str(tmp_path)]
    first = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    finished = _wait_for_results(tmp_path / STORE, first, count=3)
    os.kill(first.pid, signal.SIGKILL)
    assert first.wait() == -signal.SIGKILL
    stamps = {key: (tmp_path / STORE / key).stat().st_mtime_ns for key in finished}
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert done.returncode in (0, 3), done.stderr
    assert f"found {len(finished)} of 7 results" in done.stdout
    assert {key: (tmp_path / STORE / key).stat().st_mtime_ns for key in finished} == stamps
    assert len([path for path in (tmp_path / STORE).iterdir() if is_done(tmp_path / STORE, path.name)]) == 7


def _wait_for_results(root, process, *, count: int) -> list[str]:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and process.poll() is None:
        found = [path.name for path in root.glob("*") if not path.name.endswith(".partial")]
        if len(found) >= count:
            return found
        time.sleep(0.02)
    raise AssertionError(f"the run ended or stalled before {count} results")

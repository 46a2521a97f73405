"""Draws in a folder: the same draws, whatever happens on the way, and only of the same run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import hitlbayes as hb
from hitlbayes.errors import SpecError
from hitlbayes.slices import by_draws, weighted

from .. import small_fits

SINGLE = 1e-6  # relative: single precision keeps seven digits
ROUNDING = 1e-12  # of sums in another order
OPTIONS = {"family": "ordinal", "outcome": "stars", "draws": 120, "chains": 2, "progress": False}
LONG = 4000  # draws: 80 blocks a chain, so that a kill comes before the last of them

SCRIPT = """
import sys
from tests import small_fits
from tests.fitting.test_store import fit
fit(sys.argv[1], draws=int(sys.argv[2]))
"""


def fit(store: str | Path | None, **options) -> hb.Fit:
    return hb.fit_did(small_fits.chats(), store=store, **{**OPTIONS, **small_fits.COLUMNS, **options})


@cache
def in_memory() -> hb.Fit:
    return fit(None)


@pytest.fixture(scope="module")
def stored(tmp_path_factory) -> tuple[hb.Fit, Path]:
    folder = tmp_path_factory.mktemp("stored") / "stars"
    return fit(folder), folder


def assert_same_draws(a: hb.Fit, b: hb.Fit) -> None:
    for group in ("posterior", "effects", "sample_stats"):
        left, right = (f.posterior[group].to_dataset() for f in (a, b))
        assert list(left.data_vars) == list(right.data_vars)
        xr.testing.assert_identical(left, right)
        assert {v: left[v].dtype for v in left} == {v: right[v].dtype for v in right}


def test_draws_are_those_in_memory(stored):
    kept, folder = stored
    assert_same_draws(in_memory(), kept)
    assert_same_draws(kept, fit(folder))  # a whole run is read again


def test_results_are_those_in_memory(stored, tmp_path):
    kept, plain = stored[0], in_memory()
    pd.testing.assert_frame_equal(kept.tidy(), plain.tidy())
    assert kept.check() == plain.check()
    xr.testing.assert_identical(kept.worker_effects(), plain.worker_effects())
    pd.testing.assert_frame_equal(kept.worker_diagnostics(), plain.worker_diagnostics())
    for ending in ("nc", "zarr"):
        again = hb.load(kept.save(tmp_path / f"stars.{ending}"))
        assert_same_draws(again, plain)


def test_a_gaussian_fit_goes_on_with_the_missing_blocks(tmp_path, monkeypatch):
    from hitlbayes.fitting import blocks
    from hitlbayes.fitting import stored as runs

    options = {"family": "gaussian", "outcome": "score", "draws": 150}
    plain, seen = fit(None, **options), []

    def interrupted(store, chain, block, **arrays):
        if len(seen) == 4:  # in the second chain, whose blocks begin within a batch
            raise KeyboardInterrupt
        seen.append((chain, block))
        blocks.put(store, chain, block, **arrays)

    with monkeypatch.context() as patched:
        patched.setattr(runs, "put", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fit(tmp_path / "score", **options)
    assert seen == [(0, 0), (0, 1), (0, 2), (1, 0)]
    kept = fit(tmp_path / "score", **options).posterior["posterior"]
    for name, values in plain.posterior["posterior"].data_vars.items():
        found = kept[name].to_numpy()
        if found.dtype == np.float32:
            np.testing.assert_allclose(found, values, rtol=SINGLE, atol=SINGLE)
        else:
            np.testing.assert_array_equal(found, values)


def test_a_killed_run_goes_on_from_its_last_block(tmp_path):
    whole = fit(tmp_path / "whole", draws=LONG)
    folder, root = tmp_path / "killed", Path(__file__).parents[2]
    run = subprocess.Popen([sys.executable, "-c", SCRIPT, str(folder), str(LONG)], cwd=root)
    try:
        while run.poll() is None and not any(folder.glob("chain-*/state.npz")):
            time.sleep(0.01)
        assert run.poll() is None
        os.kill(run.pid, signal.SIGKILL)
    finally:
        run.kill()
        run.wait()
    blocks = LONG // 50
    there = [_blocks(folder, chain) for chain in (0, 1)]
    assert 0 < sum(there) < 2 * blocks
    chain = int(np.argmin(there))
    # What a kill in the middle of a write leaves: a chunk cut short beyond the blocks that count.
    (folder / f"units.zarr/unit_level/{chain}.{there[chain]}.0").write_bytes(b"cut")
    assert_same_draws(whole, fit(folder, draws=LONG))


def _blocks(folder: Path, chain: int) -> int:
    path = folder / f"chain-{chain}" / "state.npz"
    if not path.exists():
        return 0
    with np.load(path) as file:
        return int(file["blocks"])


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"outcome": "returned", "family": "bernoulli"}, "data"),
        ({"seed": 1}, "seed"),
        ({"draws": 200}, r"draws \(120 there, 200 here\)"),
        ({"priors": {"treatment": hb.normal(0, 0.1)}}, "priors"),
    ],
)
def test_another_run_is_refused(stored, change, what):
    with pytest.raises(SpecError, match=f"another run; it differs in .*{what}.*remove this one"):
        fit(stored[1], **change)


def test_folders_of_something_else_are_refused(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(SpecError, match="something else than draws"):
        fit(tmp_path)
    with pytest.raises(SpecError, match="expected a folder"):
        fit(tmp_path / "thesis.txt")
    with pytest.raises(SpecError, match="expected a folder"):
        fit(tmp_path / "no" / "where")


def test_units_draws_stay_in_their_folder(stored):
    _, folder = stored
    kept = fit(folder)
    kept.tidy(), kept.check(), kept.worker_effects(), kept.worker_diagnostics()
    lazily = {"posterior": ("unit_level", "unit_change", "unit_effect"), "effects": ("unit_average",)}
    for group, name in ((g, n) for g, names in lazily.items() for n in names):
        assert not kept.posterior[group][name].variable._in_memory


def test_parts_of_draws_make_up_the_whole():
    values = xr.DataArray(np.random.default_rng(1).normal(size=(2, 7, 5)), dims=("chain", "draw", "unit"))
    parts = list(by_draws(values, at_once=15))
    assert [p.shape for p in parts] == 2 * [(3, 5), (3, 5), (1, 5)]
    np.testing.assert_array_equal(np.concatenate(parts).ravel(), values.to_numpy().ravel())
    weights = np.arange(5.0)
    np.testing.assert_allclose(
        weighted(values, weights, at_once=15), values.to_numpy() @ weights, rtol=ROUNDING, atol=ROUNDING
    )

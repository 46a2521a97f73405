"""Fits in files: what comes back is what was saved, and what is not a fit is refused."""

from __future__ import annotations

import dataclasses
import shutil

import h5py
import numpy as np
import pandas as pd
import pytest
import xarray as xr

import hitlbayes as hb
from hitlbayes.errors import SpecError, StorageError

from . import small_fits as fits

FITS = {"gaussian": fits.gaussian, "ordinal": fits.ordinal, "mixed": fits.mixed}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    return fits.gaussian().save(tmp_path_factory.mktemp("saved") / "score.nc")


def assert_same(a: hb.Fit, b: hb.Fit, *, but: tuple[str, ...] = ()) -> None:
    """Every field and every result is equal, bit for bit."""
    for name in [f.name for f in dataclasses.fields(a) if f.init]:
        one, two = getattr(a, name), getattr(b, name)
        if isinstance(one, pd.DataFrame):
            pd.testing.assert_frame_equal(one.drop(columns=list(but)), two.drop(columns=list(but)))
        elif isinstance(one, xr.DataTree):
            for group in one.children:
                left, right = (
                    tree[group].to_dataset().drop_vars(but, errors="ignore") for tree in (one, two)
                )
                xr.testing.assert_identical(left, right)
                assert {v: left[v].dtype for v in left} == {v: right[v].dtype for v in right}
        elif isinstance(one, float):
            np.testing.assert_equal(one, two)
        else:
            assert one == two, name
    pd.testing.assert_frame_equal(a.tidy(), b.tidy())
    pd.testing.assert_frame_equal(a.summary(prob=0.9, kind="hdi"), b.summary(prob=0.9, kind="hdi"))
    assert a.check() == b.check()


@pytest.mark.parametrize("ending", ["nc", "zarr"])
@pytest.mark.parametrize("name", FITS)
def test_a_fit_comes_back_as_it_was(name, ending, tmp_path):
    fit = FITS[name]()
    path = fit.save(tmp_path / f"fit.{ending}")
    again = hb.load(path)
    assert_same(fit, again)
    assert list(fit.posterior["posterior"].data_vars) == list(again.posterior["posterior"].data_vars)
    assert fit.frequentist == again.frequentist
    if name != "mixed":
        for weight in ("chat", "cell"):
            xr.testing.assert_identical(fit.effects(weight), again.effects(weight))
        xr.testing.assert_identical(fit.worker_effects(), again.worker_effects())
        xr.testing.assert_identical(fit.period_effects(), again.period_effects())
    assert [p.name for p in tmp_path.iterdir()] == [f"fit.{ending}"]  # nothing is left beside it


def test_texts_categories_and_stamps_survive(saved):
    again = hb.load(saved)
    assert again.cells["unit"].dtype == "str"
    assert again.cells["issue"].cat.categories.tolist() == ["bill", "login", "other"]
    assert again.cells["period"].dtype == fits.chats()["day"].dtype
    assert again.posterior["posterior"]["period_level"].dtype == fits.chats()["day"].dtype
    assert again.spec == fits.gaussian().spec
    assert again.versions["jax"] == fits.gaussian().versions["jax"]


@pytest.mark.parametrize("name", FITS)
def test_anonymised_fits_hold_no_label_of_a_unit(name, tmp_path):
    fit = FITS[name]()
    path = fit.save(tmp_path / "fit.nc", anonymize=True)
    again = hb.load(path)
    key = fit.unit_name
    assert_same(fit, again, but=(key,))
    assert fit.frequentist == again.frequentist
    assert again.cells.drop_duplicates(key)[key].tolist() == list(range(1, 13))
    assert again.posterior["posterior"][key].to_numpy().tolist() == list(range(1, 13))
    with h5py.File(path) as file:
        stored = repr([file[n][()] for n in _datasets(file)])
    assert "agent-" not in stored
    assert fit.cells[key].iloc[0] == "agent-00"  # the fit itself keeps its labels


def _datasets(file) -> list[str]:
    found: list[str] = []
    file.visititems(lambda name, item: found.append(name) if isinstance(item, h5py.Dataset) else None)
    return found


def test_labels_in_another_column_are_not_given_away(tmp_path):
    fit = fits.gaussian()
    leaking = dataclasses.replace(fit, cells=fit.cells.assign(desk=fit.cells["unit"] + ""))
    with pytest.raises(StorageError, match="'desk'"):
        leaking.save(tmp_path / "fit.nc", anonymize=True)
    own = dataclasses.replace(fit, spec={**fit.spec, "formula": "~ C(unit)"})
    with pytest.raises(StorageError, match="'unit'"):
        own.save(tmp_path / "fit.nc", anonymize=True)


@pytest.mark.parametrize(
    ("variable", "what"),
    [("cells/column_8", "cells"), ("means/column_3", "means"), ("posterior/coef", "draws")],
)
def test_changed_contents_are_refused(saved, tmp_path, variable, what):
    path = tmp_path / "changed.nc"
    shutil.copy(saved, path)
    with h5py.File(path, "r+") as file:
        values = file[variable][()]
        values.flat[0] += 1e-9
        file[variable][...] = values
    with pytest.raises(StorageError, match=f"the {what} in .* changed or damaged; save the fit again"):
        hb.load(path)


@pytest.mark.parametrize(("version", "words"), [(99, "later hitlbayes"), (0, "fit again and save")])
def test_another_format_version_is_refused(saved, tmp_path, version, words):
    path = tmp_path / "other.nc"
    shutil.copy(saved, path)
    with h5py.File(path, "r+") as file:
        file.attrs["hitlbayes_format"] = version
    with pytest.raises(StorageError, match=f"format version {version}.*{words}"):
        hb.load(path)


def test_files_of_something_else_are_refused(saved, tmp_path):
    with pytest.raises(StorageError, match="no file"):
        hb.load(tmp_path / "nowhere.nc")
    text = tmp_path / "notes.nc"
    text.write_text("not netCDF")
    with pytest.raises(StorageError, match="cannot be read"):
        hb.load(text)
    cut = tmp_path / "cut.nc"
    cut.write_bytes(saved.read_bytes()[:5000])
    with pytest.raises(StorageError, match="cannot be read"):
        hb.load(cut)
    foreign = tmp_path / "weather.nc"
    xr.Dataset({"rain": ("day", [1.0])}).to_netcdf(foreign, engine="h5netcdf")
    with pytest.raises(StorageError, match="not a fit saved by hitlbayes"):
        hb.load(foreign)
    folder = tmp_path / "other.zarr"
    folder.mkdir()
    with pytest.raises(StorageError, match="cannot be read"):
        hb.load(folder)
    part = tmp_path / "part.nc"
    shutil.copy(saved, part)
    with h5py.File(part, "r+") as file:
        del file["cells/column_0"]
    with pytest.raises(StorageError, match="is incomplete"):
        hb.load(part)


def test_paths_that_cannot_be_written_are_refused(tmp_path):
    fit = fits.gaussian()
    with pytest.raises(StorageError, match=r"expected a path in \.nc or \.zarr"):
        fit.save(tmp_path / "fit.pkl")
    with pytest.raises(StorageError, match="does not exist"):
        fit.save(tmp_path / "missing" / "fit.nc")
    mine = tmp_path / "mine.zarr"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years of work")
    with pytest.raises(StorageError, match="something else than a fit"):
        fit.save(mine)
    assert (mine / "thesis.txt").read_text() == "years of work"


def test_saving_again_replaces_a_fit(tmp_path):
    fit = fits.gaussian()
    for ending in ("nc", "zarr"):
        path = fit.save(tmp_path / f"fit.{ending}")
        other = dataclasses.replace(fit, name="again")
        assert hb.load(other.save(path)).name == "again"


def test_results_are_kept_but_cannot_be_changed_from_outside():
    fit = fits.gaussian()
    before = fit.effects()["att"].to_numpy().copy()
    taken = fit.effects()
    taken["att"] *= 2
    table = fit.summary()
    table["mean"] = 0.0
    workers = fit.worker_effects()
    workers += 1.0
    np.testing.assert_array_equal(fit.effects()["att"], before)
    assert fit.summary()["mean"].iloc[0] == before.mean()
    assert not np.array_equal(fit.worker_effects(), workers)
    with pytest.raises(SpecError, match="expected 'chat' or 'cell'"):
        fit.effects("day")

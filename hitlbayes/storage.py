"""Fits in files: draws, cells, means and specification, from which every result can be computed again.

A file has the groups of `Fit.posterior` (as xarray and arviz read them), `cells` and `means` (a variable
per column, see `hitlbayes.spec.codec`), and one JSON text, `about/json`, with the specification, versions,
descriptions of the columns and SHA-256 sums of cells, means and draws.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from hitlbayes.errors import StorageError
from hitlbayes.result import Fit
from hitlbayes.slices import by_draws
from hitlbayes.spec.codec import decode_frame, digest, encode_frame, plain
from hitlbayes.spec.predictor import needed_columns

FORMAT = 1
MARK = "hitlbayes_format"
FRAMES = ("cells", "means")
NUMBERS = ("k_hat", "effective", "seconds")  # NaN is not JSON


def save_fit(fit: Fit, path: str | Path, *, anonymize: bool = False) -> Path:
    """Write a fit to a netCDF file (.nc) or a zarr folder (.zarr).

    Parameters
    ----------
    fit : Fit
    path : str or Path
        A file or folder that a fit was saved to before is replaced.
    anonymize : bool
        Replace the units' labels by 1 .. N, in the order of the labels, wherever they occur.
        Other columns stay as they are.

    Returns
    -------
    Path

    Raises
    ------
    StorageError
        Another ending, no such folder, a folder that holds something else, or labels of units that also
        stand in another column.

    Examples
    --------
    >>> fit.save("rating.nc", anonymize=True)  # doctest: +SKIP
    """
    path = _checked(Path(path))
    tree = _tree(anonymized(fit) if anonymize else fit)
    # Written beside its place and moved there, so that an interruption leaves no half file under its name.
    folder = Path(tempfile.mkdtemp(prefix=".hitlbayes-", dir=path.parent))
    try:
        made = folder / path.name
        if path.suffix == ".nc":
            tree.to_netcdf(made, engine="h5netcdf")
        else:
            tree.to_zarr(made, mode="w", zarr_format=2)
            if path.exists():
                shutil.rmtree(path)
        os.replace(made, path)
    except OSError as problem:
        raise StorageError(f"the fit could not be written to {path}: {problem}.") from problem
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return path


def load(path: str | Path) -> Fit:
    """A fit that `Fit.save` wrote; it gives the same effects, summary, checks and frequentist twin.

    Parameters
    ----------
    path : str or Path
        A .nc file or a .zarr folder.

    Raises
    ------
    StorageError
        No such file, a file of something else, another format version, or contents that have changed.

    Examples
    --------
    >>> import hitlbayes as hb
    >>> cells = hb.simulate_cells(seed=1, workers=20, periods=6, start=3)
    >>> path = hb.fit_did(cells, outcome="y", draws=250, progress=False).save("y.nc")
    >>> hb.load(path).outcome
    'y'
    """
    path = Path(path)
    if not path.exists():
        raise StorageError(f"there is no file {path}.")
    tree = _read(path)
    found = tree.attrs.get(MARK)
    if found is None:
        raise StorageError(f"{path} is not a fit saved by hitlbayes; save one with fit.save({path.name!r}).")
    if int(found) != FORMAT:
        raise StorageError(
            f"{path} has format version {found}, this hitlbayes reads version {FORMAT}: "
            + ("install a later hitlbayes, or fit again." if found > FORMAT else "fit again and save.")
        )
    try:
        return _fit(tree, path)
    except (KeyError, ValueError, TypeError, IndexError) as problem:
        raise StorageError(f"{path} is incomplete ({problem!r}); save the fit again.") from problem


def anonymized(fit: Fit) -> Fit:
    """The fit with its units' labels replaced by 1 .. N in draws, cells and means.

    Raises
    ------
    StorageError
        Another column holds units' labels, or the formula is made of them.
    """
    name, cells = fit.unit_name, fit.cells
    _refuse_other_labels(fit)
    code = cells["unit_code"].to_numpy() + 1
    means = fit.means
    if means is not None:
        number = pd.Series(code, index=cells[name]).groupby(level=0, observed=True).first()
        means = means.assign(**{name: number.loc[means[name]].to_numpy()})
    tree = fit.posterior.copy()
    size = tree["posterior"].sizes[name]
    tree["posterior"] = tree["posterior"].to_dataset().assign_coords({name: np.arange(1, size + 1)})
    return replace(fit, posterior=tree, cells=cells.assign(**{name: code}), means=means)


def _refuse_other_labels(fit: Fit) -> None:
    name = fit.unit_name
    label = fit.cells[name].astype(str)
    own = {"unit_code", "exposure", "n", *(c for c in fit.cells if str(c).startswith("statistic_"))}
    others = [c for c in fit.cells.columns if c != name and c not in own]
    held = [
        c
        for c in others
        if (fit.cells[c].astype(str) == label).all()
        or (not pd.api.types.is_numeric_dtype(fit.cells[c]) and fit.cells[c].astype(str).isin(label).any())
    ]
    held += [name] if name in needed_columns(fit.spec.get("formula")) else []
    if held:
        raise StorageError(
            f"{', '.join(map(repr, held))} in formula or groups gives the units' labels away; fit without, "
            "or save without anonymize=True."
        )


def _checked(path: Path) -> Path:
    if path.suffix not in (".nc", ".zarr"):
        raise StorageError(f"{path.name!r} ends in {path.suffix!r}; expected a path in .nc or .zarr.")
    if not path.parent.is_dir():
        raise StorageError(f"the folder {path.parent} does not exist; make it first.")
    if path.is_dir() and (path.suffix == ".nc" or not _is_fit(path)):
        raise StorageError(f"the folder {path} holds something else than a fit; choose another path.")
    return path


def _is_fit(folder: Path) -> bool:
    attributes = folder / ".zattrs"
    return attributes.is_file() and MARK in json.loads(attributes.read_text())


def _tree(fit: Fit) -> xr.DataTree:
    tree = fit.posterior.copy()
    simple = [f.name for f in fields(fit) if f.init and f.name not in ("posterior", *FRAMES)]
    about: dict[str, Any] = {"fit": {name: getattr(fit, name) for name in simple}, "sums": {}}
    for name in NUMBERS:
        about["fit"][name] = _finite(about["fit"][name])
    about["draws"] = {name: _listed(group) for name, group in fit.posterior.children.items()}
    about["sums"]["draws"] = _draws_digest(fit.posterior)
    for name in FRAMES:
        frame = getattr(fit, name)
        if frame is None:
            continue
        arrays, about[name] = encode_frame(frame)
        about["sums"][name] = digest(arrays, about[name])
        columns = {f"column_{j}": ("row", array) for j, array in enumerate(arrays)}
        tree[name] = xr.Dataset(columns)
        for j, column in enumerate(about[name]):
            tree[name][f"column_{j}"].attrs["name"] = str(column["name"])
    tree["about"] = xr.Dataset({"json": ((), json.dumps(about, default=_plain, allow_nan=False))})
    tree.attrs[MARK] = FORMAT
    return tree


def _read(path: Path) -> xr.DataTree:
    engine = "zarr" if path.is_dir() else "h5netcdf"
    try:
        with xr.open_datatree(path, engine=engine) as tree:
            return tree.load()
    except Exception as problem:  # each engine has errors of its own for what it cannot read
        raise StorageError(
            f"{path} cannot be read ({type(problem).__name__}: {problem}); expected a .nc file or "
            ".zarr folder written by fit.save(path)."
        ) from problem


def _fit(tree: xr.DataTree, path: Path) -> Fit:
    about = json.loads(tree["about/json"].item())
    frames: dict[str, Any] = dict.fromkeys(FRAMES)
    for name in FRAMES:
        if name not in about:
            continue
        arrays = [tree[name][f"column_{j}"].to_numpy() for j in range(len(about[name]))]
        _compare(digest(arrays, about[name]), about["sums"][name], what=name, path=path)
        frames[name] = decode_frame(arrays, about[name])
    groups = {name: _restored(tree[name].to_dataset(), listed) for name, listed in about["draws"].items()}
    posterior = xr.DataTree.from_dict(groups)
    _compare(_draws_digest(posterior), about["sums"]["draws"], what="draws", path=path)
    simple = about["fit"]
    for name in NUMBERS:
        simple[name] = math.nan if simple[name] is None else simple[name]
    simple["labels"] = tuple(simple["labels"])
    return Fit(posterior=posterior, **frames, **simple)


def _listed(group: xr.DataTree) -> dict[str, Any]:
    """What files change: the order of variables, the dtypes of coordinates (times become nanoseconds)."""
    coords = {str(name): values.dtype.str for name, values in group.coords.items()}
    return {"variables": list(map(str, group.data_vars)), "coords": coords}


def _restored(draws: xr.Dataset, listed: Mapping[str, Any]) -> xr.Dataset:
    coords = {name: draws[name].astype(dtype) for name, dtype in listed["coords"].items()}
    return draws.assign_coords(coords)[listed["variables"]]


def _draws_digest(tree: xr.DataTree) -> str:
    made = hashlib.sha256()
    for what, array in _arrays(tree):
        made.update(what.encode())
        for part in by_draws(array):
            made.update(np.ascontiguousarray(part.to_numpy()).tobytes())
    return made.hexdigest()


def _arrays(tree: xr.DataTree) -> Iterator[tuple[str, xr.DataArray]]:
    for group in sorted(tree.children):
        for name in sorted(map(str, tree[group].variables)):
            array = tree[group].to_dataset()[name]
            yield f"{group}/{name}{array.shape}", array


def _compare(found: str, expected: str, *, what: str, path: Path) -> None:
    if found != expected:
        raise StorageError(
            f"the {what} in {path} are not those that were saved (sum {found[:12]}, expected "
            f"{expected[:12]}): the file was changed or damaged; save the fit again."
        )


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else plain(value)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None

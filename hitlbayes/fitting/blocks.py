"""Draws kept in a folder, a block of a chain at a time, so that a run goes on where it stopped.

    about.json            what the run was asked for (`hitlbayes.fitting.fingerprint`)
    start.npz             what follows from warm-up
    units.zarr            draws of the units' variables (chain, draw, unit), a block of all units a chunk
    chain-0/block-3.npz   the small arrays of a block
    chain-0/state.npz     how many blocks of the chain count, and what it goes on from

A block is written first, the state last and in one move. What lies beyond the number of blocks that the
state names was cut short, and is written again, whole. Two processes in one folder do no harm: the same
run makes the same bytes.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import zarr

from hitlbayes.errors import SpecError, StorageError

ABOUT, START, UNITS, STATE = "about.json", "start.npz", "units.zarr", "state.npz"


@dataclass(frozen=True, slots=True, eq=False)
class Store:
    """An open folder of draws.

    block : draws of a chain that are written together
    units : arrays (chains, draws rounded up to whole blocks, N) in single precision, by name
    """

    folder: Path
    chains: int
    draws: int
    block: int
    units: Mapping[str, zarr.Array]

    @property
    def blocks(self) -> int:
        """Blocks of a whole chain."""
        return -(-self.draws // self.block)


def open_store(
    folder: str | Path,
    *,
    about: Mapping[str, str],
    dims: Mapping[str, str],
    units: int,
    chains: int,
    draws: int,
    block: int,
) -> Store:
    """A folder for a run, new or of the same run.

    Parameters
    ----------
    about : what the run was asked for, by what it is called
    dims : the units' variables, and the name of their last dimension of length `units`

    Raises
    ------
    SpecError
        The folder is of another run, or holds something else.
    """
    folder = Path(folder)
    if not folder.parent.is_dir() or folder.is_file():
        raise SpecError(f"store is {str(folder)!r}; expected a folder, new or of an earlier run.")
    folder.mkdir(exist_ok=True)
    if (folder / ABOUT).exists():
        _refuse_another(folder, about)
    elif any(folder.iterdir()):
        raise SpecError(f"the folder {folder} holds something else than draws; give another in store=.")
    else:
        _replace(folder / ABOUT, json.dumps(about, indent=1).encode())
    for chain in range(chains):
        (folder / f"chain-{chain}").mkdir(exist_ok=True)
    whole = -(-draws // block) * block
    shape, chunks = (chains, whole, units), (1, block, units)
    arrays = _arrays(folder / UNITS, dims, shape, chunks, new=not (folder / START).exists())
    return Store(folder, chains, draws, block, arrays)


def begun(store: Store) -> list[np.ndarray] | None:
    """What `begin` kept, or None."""
    path = store.folder / START
    return _listed(_read(path)) if path.exists() else None


def begin(store: Store, arrays: Sequence[np.ndarray]) -> None:
    """Keep what follows from warm-up."""
    _write(store.folder / START, _numbered(arrays))


def reached(store: Store, chain: int) -> tuple[int, list[np.ndarray]]:
    """How many blocks of a chain count, and what it goes on from."""
    path = store.folder / f"chain-{chain}" / STATE
    if not path.exists():
        return 0, []
    found = _read(path)
    return int(found.pop("blocks")), _listed(found)


def put(
    store: Store,
    chain: int,
    block: int,
    *,
    units: Mapping[str, np.ndarray],
    small: Mapping[str, np.ndarray],
    state: Sequence[np.ndarray] = (),
) -> None:
    """Keep a block: its arrays (draws of the block, ...) by name, then the state of its chain."""
    rows = slice(block * store.block, (block + 1) * store.block)
    for name, array in store.units.items():
        whole = np.full(array.chunks[1:], np.nan, np.float32)  # a whole chunk never reads what lies there
        whole[: len(units[name])] = units[name]
        array[chain, rows] = whole
    folder = store.folder / f"chain-{chain}"
    _write(folder / f"block-{block}.npz", dict(small))
    _write(folder / STATE, {"blocks": np.array(block + 1), **_numbered(state)})


def small_draws(store: Store) -> dict[str, np.ndarray]:
    """The small arrays (chains, draws, ...) by name, of a whole run."""
    chains = []
    for chain in range(store.chains):
        parts = [_read(store.folder / f"chain-{chain}" / f"block-{b}.npz") for b in range(store.blocks)]
        chains.append({name: np.concatenate([part[name] for part in parts]) for name in parts[0]})
    return {name: np.stack([chain[name][: store.draws] for chain in chains]) for name in chains[0]}


def lazy_units(store: Store) -> xr.Dataset:
    """The units' variables (chain, draw, unit): read where they are used, and not kept in memory."""
    found = xr.open_dataset(
        str(store.folder / UNITS),
        engine="zarr",
        chunks=None,
        cache=False,
        decode_cf=False,
        consolidated=False,
    )
    found = found.isel(draw=slice(0, store.draws)).drop_encoding()
    return found.assign({name: found[name].drop_attrs() for name in store.units})[list(store.units)]


def _refuse_another(folder: Path, about: Mapping[str, str]) -> None:
    try:
        there = json.loads((folder / ABOUT).read_text())
    except ValueError as problem:
        raise StorageError(f"{folder / ABOUT} cannot be read; remove the folder.") from problem
    names = [name for name in about if there.get(name) != about[name]]
    if names:
        raise SpecError(
            f"the folder {folder} holds draws of another run; it differs in "
            + ", ".join(f"{name} ({there.get(name)} there, {about[name]} here)" for name in names)
            + ". Give another folder in store=, or remove this one."
        )


def _arrays(
    path: Path, dims: Mapping[str, str], shape: tuple[int, ...], chunks: tuple[int, ...], *, new: bool
) -> dict[str, zarr.Array]:
    # Before warm-up is done nothing in the arrays counts.
    if not new:
        group: Any = zarr.open_group(path, mode="r+")
        return {name: group[name] for name in dims}
    group = zarr.open_group(path, mode="w", zarr_format=2)
    return {
        name: group.create_array(
            name,
            shape=shape,
            chunks=chunks,
            dtype="float32",
            fill_value=np.nan,
            compressors=None,  # the mantissas are noise
            attributes={"_ARRAY_DIMENSIONS": ["chain", "draw", dim]},
        )
        for name, dim in dims.items()
    }


def _numbered(arrays: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    return {f"array_{j}": np.asarray(a) for j, a in enumerate(arrays)}


def _listed(found: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    return [found[f"array_{j}"] for j in range(len(found))]


def _read(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (OSError, ValueError) as problem:
        raise StorageError(
            f"{path} cannot be read ({problem}); remove the folder {path.parent} and fit again."
        ) from problem


def _write(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as file:
        np.savez(file, allow_pickle=False, **arrays)
    os.replace(file.name, path)


def _replace(path: Path, content: bytes) -> None:
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as file:
        file.write(content)
    os.replace(file.name, path)

"""Finished work on disk: a folder named by all that the result depends on, there whole or not at all."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import hitlbayes.errors as errors
from hitlbayes.versions import versions

_PACKAGE = Path(errors.__file__).parent
# What only displays results; a change there does not change a number.
_DISPLAY = (
    "report/",
    "cli.py",
    "replication/document",
    "replication/runner.py",
    "replication/commands.py",
    "replication/work.py",
    "replication/lanes.py",
)
_PARTIAL = ".partial"


def digest(**parts: Any) -> str:
    """Twelve hexadecimal digits that change when any part does.

    Parameters
    ----------
    **parts
        Anything that JSON can write, or whose text says all that matters.

    Examples
    --------
    >>> digest(seed=1, outcome="rating") == digest(outcome="rating", seed=1)
    True
    >>> digest(seed=1) == digest(seed=2)
    False
    """
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def file_digest(path: Path) -> str:
    """Twelve hexadecimal digits of a file's content."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()[:12]


@cache
def code_digest() -> str:
    """Twelve hexadecimal digits of the sources that compute and of the versions that they run on."""
    parts = {
        name: file_digest(_PACKAGE / name)
        for name in sorted(path.relative_to(_PACKAGE).as_posix() for path in _PACKAGE.rglob("*.*"))
        if name.endswith((".py", ".toml", ".csv", ".json")) and not name.startswith(_DISPLAY)
    }
    # The number of cores changes how long a result takes; of what it is, the last digits of sums, and with
    # them which draws of the posterior chains come to.
    found = {name: value for name, value in versions().items() if name != "cores"}
    return digest(sources=parts, versions=found)


def folder_of(root: Path, key: str) -> Path:
    """Where the result with this key lies, or would lie."""
    return root / key


def is_done(root: Path, key: str) -> bool:
    """Whether the result with this key is on disk."""
    return folder_of(root, key).is_dir()


def write_once(root: Path, key: str, *, write: Callable[[Path], None]) -> Path:
    """The folder of a result, written by `write` into a temporary folder that is renamed when it is whole.

    Parameters
    ----------
    root : Path
        Folder of all results; made where it does not exist.
    key : str
        Name of the result, from `digest`.
    write : callable
        Takes an empty folder and writes the result's files into it. Not called where the result is there.

    Raises
    ------
    Whatever `write` raises; nothing is left behind then.
    """
    target = folder_of(root, key)
    if target.is_dir():
        return target
    partial = root / f"{key}{_PARTIAL}"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        write(partial)
        os.rename(partial, target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return target


@contextmanager
def only_one(root: Path) -> Iterator[None]:
    """Hold a folder for this process; a second one is refused, and a killed one lets go.

    Raises
    ------
    StorageError
        Another process is at work in the folder.
    """
    root.mkdir(parents=True, exist_ok=True)
    with (root / ".lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise errors.StorageError(
                f"another run is at work in {root}: wait for it, or give another folder with --out"
            ) from None
        yield


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file; NaN is refused, since other readers of JSON refuse it."""
    path.write_text(json.dumps(value, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def without_nan(values: Mapping[str, Any]) -> dict[str, Any]:
    """The same values, within records of records too, None where a number is not finite, as JSON has it."""

    def known(value: Any) -> Any:
        if isinstance(value, Mapping):
            return without_nan(value)
        return None if isinstance(value, float) and not np.isfinite(value) else value

    return {key: known(value) for key, value in values.items()}


def read_json(path: Path) -> Any:
    """The content of a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))

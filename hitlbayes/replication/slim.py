"""Fits of several effects on disk without what each worker has of its own, which the report does not show."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol, TypeVar

import xarray as xr

from hitlbayes.replication.context import Context
from hitlbayes.replication.did import RETRY_FACTOR
from hitlbayes.replication.store import folder_of
from hitlbayes.replication.work import Unit
from hitlbayes.result import Fit
from hitlbayes.storage import load

FILE = "fit.nc"


class Fitted(Protocol):
    """What is behind an event study, or effects by group."""

    @property
    def fit(self) -> Fit: ...


F = TypeVar("F", bound=Fitted)


def checked_fit(make: Callable[..., F], arguments: Mapping[str, Any]) -> F:
    """What `make` fits; once more with more draws where these failed their checks."""
    made = make(progress=False)
    if made.fit.check().ok:
        return made
    return make(progress=False, draws=arguments["draws"] * RETRY_FACTOR)


def save_slim(fit: Fit, folder: Path) -> Path:
    """Write a fit of several effects without the draws of its units."""
    draws = fit.posterior["posterior"].to_dataset()
    tree = {name: group.to_dataset() for name, group in fit.posterior.children.items()}
    slim = replace(fit, posterior=xr.DataTree.from_dict(tree | {"posterior": draws.drop_dims(fit.unit_name)}))
    return slim.save(folder / FILE)


def open_slim(unit: Unit, context: Context) -> Fit:
    """The fit of a finished unit, opened once in a process."""
    return _opened(str(folder_of(context.root, unit.key) / FILE))


@lru_cache(maxsize=16)
def _opened(path: str) -> Fit:
    return load(path)

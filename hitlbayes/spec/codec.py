"""A frame's columns as plain numeric arrays with a description, and back, dtype for dtype.

netCDF and zarr hold numbers. Texts and categories become codes, times whole numbers, missing values of
nullable columns positions; the description, which JSON can hold, says how to undo that.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from hitlbayes.errors import DataWarning

Description = dict[str, Any]


def encode_frame(frame: pd.DataFrame) -> tuple[list[np.ndarray], list[Description]]:
    """Every column as an array (rows,) and its description."""
    pairs = [encode(frame[name]) for name in frame.columns]
    return [array for array, _ in pairs], [
        {"name": plain(name), **about} for name, (_, about) in zip(frame.columns, pairs, strict=True)
    ]


def decode_frame(arrays: Sequence[np.ndarray], columns: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """The frame of `encode_frame`, with a RangeIndex."""
    made = {about["name"]: decode(array, about) for array, about in zip(arrays, columns, strict=True)}
    return pd.DataFrame(made)


def digest(arrays: Sequence[np.ndarray], columns: Sequence[Mapping[str, Any]]) -> str:
    """SHA-256 of encoded columns: names, descriptions and every value."""
    made = hashlib.sha256(json.dumps(list(columns), sort_keys=True).encode())
    for array in arrays:
        made.update(np.ascontiguousarray(array).tobytes())
    return made.hexdigest()


def encode(values: pd.Series) -> tuple[np.ndarray, Description]:
    """A column as an array and its description.

    Examples
    --------
    >>> encode(pd.Series(["b", "a", "b"], dtype="str"))
    (array([0, 1, 0], dtype=int32), {'kind': 'text', 'dtype': 'str', 'levels': ['b', 'a']})
    """
    dtype = values.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        levels, about = encode(pd.Series(dtype.categories))
        about = {"kind": "category", "ordered": bool(dtype.ordered), "of": about, "levels": levels.tolist()}
        return values.cat.codes.to_numpy(np.int32), about
    if isinstance(dtype, pd.DatetimeTZDtype):
        stamps, about = encode(values.dt.tz_convert("UTC").dt.tz_localize(None))
        return stamps, about | {"tz": str(dtype.tz)}
    if isinstance(dtype, np.dtype) and dtype.kind in "mM":
        return values.to_numpy().view(np.int64), {"kind": "time", "dtype": dtype.str}
    if isinstance(dtype, np.dtype) and dtype.kind in "iufb":
        return values.to_numpy(), {"kind": "number", "dtype": dtype.str}
    whole = getattr(dtype, "numpy_dtype", np.dtype(object))
    if whole.kind in "iufb":
        filled = values.to_numpy(whole, na_value=whole.type(0))
        gone = np.flatnonzero(values.isna()).tolist()
        return filled, {"kind": "nullable", "dtype": str(dtype), "missing": gone}
    return _encode_text(values)


def _encode_text(values: pd.Series) -> tuple[np.ndarray, Description]:
    codes, levels = pd.factorize(values)
    about: Description = {"kind": "text", "dtype": str(values.dtype)}
    if len(levels) and all(type(v) is dt.date for v in levels):
        about["kind"] = "date"
    elif not all(isinstance(v, str) for v in levels):
        about["dtype"] = "str"
        text = f"column {values.name!r} ({values.dtype}) is stored as text."
        warnings.warn(text, DataWarning, stacklevel=5)
    return codes.astype(np.int32), about | {"levels": [str(v) for v in levels]}


def decode(array: np.ndarray, about: Mapping[str, Any]) -> pd.Series:
    """The column of `encode`."""
    kind = about["kind"]
    if kind == "category":
        levels = decode(np.array(about["levels"]), about["of"])
        categories = pd.Index(levels)
        return pd.Series(pd.Categorical.from_codes(array, categories=categories, ordered=about["ordered"]))
    if kind == "time":
        made = pd.Series(array.astype(np.int64).view(about["dtype"]))
        return made.dt.tz_localize("UTC").dt.tz_convert(about["tz"]) if "tz" in about else made
    if kind == "number":
        return pd.Series(array.astype(about["dtype"]))
    if kind == "nullable":
        made = pd.Series(array).astype(about["dtype"])
        made[about["missing"]] = pd.NA
        return made
    texts = np.array([*about["levels"], None], object)  # code -1 is the last: missing
    if kind == "date":
        texts[:-1] = [dt.date.fromisoformat(v) for v in about["levels"]]
    return pd.Series(texts[array.astype(int)], dtype=about["dtype"])


def plain(value: Any) -> Any:
    """A value as JSON holds it: numpy scalars as Python's, other objects as text."""
    if isinstance(value, np.generic):
        return value.item()
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)

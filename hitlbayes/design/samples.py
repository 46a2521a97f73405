"""Rows of a frame coded for comparisons of arms: variables as numbers, units, blocks and weights, checked."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from hitlbayes.errors import SchemaError, SpecError

MANY_LEVELS = 30  # of a text column: more are no categories


def variables_of(
    frame: pd.DataFrame, *, columns: Sequence[str], others: Sequence[str | None]
) -> dict[str, np.ndarray]:
    """Numbers by variable; text becomes a 0/1 variable for each level, missing where the text is."""
    names = [columns] if isinstance(columns, str) else list(columns)
    wanted = [*names, *(name for name in others if name is not None)]
    if not names:
        raise SpecError("columns= is empty.\n  expected: the variables to compare.")
    if absent := [name for name in wanted if name not in frame.columns]:
        raise SchemaError(f"columns {absent} are missing.\n  found: {', '.join(map(str, frame.columns))}")
    made: dict[str, np.ndarray] = {}
    for name in names:
        values = frame[name]
        if pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
            made[name] = values.astype(float).to_numpy(dtype=float, na_value=np.nan)
            continue
        levels = sorted(values.dropna().astype(str).unique())
        if len(levels) > MANY_LEVELS:
            raise SchemaError(
                f"column {name!r} has {len(levels):,} levels.\n  expected: at most {MANY_LEVELS}."
            )
        for value in levels:
            is_it = (values.astype(str) == value).astype(float)
            made[f"{name}: {value}"] = is_it.where(values.notna()).to_numpy()
    return made


def units_of(
    frame: pd.DataFrame, *, treated: str, unit: str | None, blocks: str | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Unit codes of the rows, the arm of each unit, and its block."""
    arm = frame[treated]
    if not arm.isin([0, 1]).all():
        raise SchemaError(f"column {treated!r} holds other values than 0 and 1, or none.")
    if unit is None:
        in_blocks = None if blocks is None else frame[blocks].to_numpy()
        return np.arange(len(frame)), arm.to_numpy(int), in_blocks
    if frame[unit].isna().any():
        raise SchemaError(f"column {unit!r} is missing in {int(frame[unit].isna().sum()):,} rows.")
    code, _ = pd.factorize(frame[unit], sort=True)
    by_unit = pd.DataFrame({"arm": arm.to_numpy(int), "code": code})
    if (by_unit.groupby("code")["arm"].nunique() > 1).any():
        raise SchemaError(
            f"some of {unit!r} are in both arms.\n  expected: {treated!r} constant within a unit."
        )
    arms = by_unit.groupby("code")["arm"].first().to_numpy()
    if blocks is None:
        return code, arms, None
    by_block = frame[blocks].groupby(code)
    if (by_block.nunique() != 1).any():
        raise SchemaError(f"some of {unit!r} are in several blocks, or in none.")
    return code, arms, by_block.first().to_numpy()


def weights_of(frame: pd.DataFrame, *, weights: str) -> np.ndarray:
    w = frame[weights].to_numpy(dtype=float)
    if not np.all(np.isfinite(w)) or np.any(w < 0):
        raise SchemaError(f"column {weights!r} holds missing or negative weights.")
    return w

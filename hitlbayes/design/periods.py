"""One outcome of units over periods, checked and coded for regressions under other assignments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from hitlbayes.chatlog import Panel
from hitlbayes.errors import DesignError, SchemaError, SpecError


@dataclass(frozen=True, slots=True, eq=False)
class UnitPeriods:
    """Rows sorted by unit.

    Attributes
    ----------
    outcome : (n,)
    unit : (n,) codes in ascending order
    period : (n,) codes
    start : (units,) 0 for never treated, k for the k-th start
    exposure : (starts + 1, periods) 0/1: treated in a period, by start
    regressors : (n, k) sparse: a column for each period, then the controls
    weights : (n,) or None
    blocks : (units,) or None
    dropped : rows without outcome, control or weight
    synthetic : whether the data are simulated
    """

    outcome: np.ndarray
    unit: np.ndarray
    period: np.ndarray
    start: np.ndarray
    exposure: np.ndarray
    regressors: Any
    weights: np.ndarray | None
    blocks: np.ndarray | None
    dropped: int
    synthetic: bool


def unit_periods(
    data: Panel | pd.DataFrame,
    *,
    outcome: str,
    columns: Mapping[str, str | None],
    weights: str | None,
    controls: Sequence[str],
    blocks: str | None,
) -> UnitPeriods:
    """Code a panel's means, or a frame of unit-periods; parameters as in `randomization_test`.

    Raises
    ------
    SchemaError
        A column is missing, a unit has a period twice, or a block or arm changes within a unit.
    DesignError
        Nothing is treated, or treatment is switched off again.
    """
    frame, weights, synthetic = _frame(data, outcome=outcome, weights=weights)
    names = {role: name for role, name in columns.items() if name is not None}
    if columns.get("treatment"):
        names = {role: name for role, name in names.items() if role not in ("treated", "post")}
    optional = {"weights": weights, "blocks": blocks}
    names |= {role: name for role, name in optional.items() if name is not None}
    wanted = [outcome, *names.values(), *controls]
    if absent := [name for name in wanted if name not in frame.columns]:
        raise SchemaError(f"columns {absent} are missing.\n  found: {', '.join(map(str, frame.columns))}")
    made = (
        frame[[outcome, *controls]]
        .astype(float)
        .set_axis(["y", *(f"x{k}" for k in range(len(controls)))], axis=1)
    )
    made = made.assign(**{role: frame[name].to_numpy() for role, name in names.items()})
    keys = [role for role in names if role not in ("weights",)]
    if gaps := {names[role]: int(made[role].isna().sum()) for role in keys if made[role].isna().any()}:
        raise SchemaError(f"missing values: {gaps}.\n  expected: unit, period, arm and block on every row.")
    if made.duplicated(["unit", "time"]).any():
        raise SchemaError(
            f"{int(made.duplicated(['unit', 'time']).sum()):,} rows repeat a unit and period.\n"
            "  expected: one row per unit and period\n  to do: average them, with weights= for their number."
        )
    made["exposed"] = _exposed(made, names=names)
    whole = made.sort_values(["unit", "time"], kind="stable")
    numbers = ["y", *(name for name in map(str, whole) if name.startswith("x"))]
    kept = whole.loc[np.isfinite(whole[numbers].to_numpy(float)).all(axis=1)]
    if "weights" in kept:
        kept = kept.loc[kept["weights"].fillna(0).astype(float) > 0]
    return _coded(kept, dropped=len(whole) - len(kept), synthetic=synthetic)


def _frame(
    data: Panel | pd.DataFrame, *, outcome: str, weights: str | None
) -> tuple[pd.DataFrame, str | None, bool]:
    if not isinstance(data, Panel):
        return data, weights, bool(data.attrs.get("synthetic", False))
    if weights not in (None, "chats"):
        raise SpecError(f"weights={weights!r} with a panel.\n  expected: None, or 'chats'.")
    if outcome not in data.means.columns:
        raise SpecError(f"the panel has no outcome {outcome!r}.\n  found: {', '.join(data.outcomes)}.")
    if weights is None:
        return data.means, None, data.synthetic
    parts = [f"{outcome}:{k}" for k in data.categories.get(outcome, ())] or [f"{outcome}:n"]
    if parts[0] not in data.cells.columns:
        parts = ["n"]
    seen = data.cells.assign(chats=data.cells[parts].sum(axis=1)).groupby(["unit", "period"])["chats"].sum()
    return data.means.merge(seen.reset_index(), on=["unit", "period"], how="left"), "chats", data.synthetic


def _exposed(made: pd.DataFrame, *, names: Mapping[str, str]) -> np.ndarray:
    """1 where the unit is treated in the period."""
    flags = ["treatment"] if "treatment" in made else ["treated", "post"]
    for role in flags:
        if not made[role].isin([0, 1]).all():
            raise SchemaError(f"column {names[role]!r} holds other values than 0 and 1.")
    if flags == ["treated", "post"]:
        several = made.groupby("unit")["treated"].nunique() > 1
        if several.any():
            raise SchemaError(
                f"{int(several.sum()):,} units change arm; column {names['treated']!r} is the arm."
            )
    exposed = made[flags].astype(int).prod(axis=1).to_numpy()
    if not exposed.any() or exposed.all():
        raise DesignError("nothing is treated, or everything is.\n  expected: both, in some period.")
    return exposed


def _coded(kept: pd.DataFrame, *, dropped: int, synthetic: bool) -> UnitPeriods:
    unit, _ = pd.factorize(kept["unit"], sort=True)
    period, periods = pd.factorize(kept["time"], sort=True)
    exposed = kept["exposed"].to_numpy()
    units = int(unit.max()) + 1
    never = len(periods)
    first = np.full(units, never)
    np.minimum.at(first, unit, np.where(exposed == 1, period, never))
    first = _common_start(kept, first=first, unit=unit, period=period, never=never)
    if np.any(exposed != (period >= first[unit])):
        raise DesignError(
            "some units are treated and then not again, or a period is after the start for some and before "
            "it for others.\n  expected: treatment that stays on from a unit's start."
        )
    starts = np.unique(first[first < never])
    code = np.where(first < never, np.searchsorted(starts, first) + 1, 0)
    exposure = np.zeros((len(starts) + 1, len(periods)), dtype=np.int8)
    exposure[1:] = np.arange(len(periods))[None, :] >= starts[:, None]
    dummies = sparse.csr_array((np.ones(len(kept)), (np.arange(len(kept)), period)))
    controls = kept[[name for name in map(str, kept) if name.startswith("x")]].to_numpy()
    regressors = sparse.hstack([dummies, sparse.csr_array(controls)]).tocsr() if controls.size else dummies
    blocks = kept.groupby("unit", sort=True)["blocks"].agg(["first", "nunique"]) if "blocks" in kept else None
    if blocks is not None and (blocks["nunique"] > 1).any():
        raise SchemaError("a unit is in several blocks.\n  expected: one block a unit.")
    return UnitPeriods(
        outcome=kept["y"].to_numpy(),
        unit=unit,
        period=period,
        start=code,
        exposure=exposure,
        regressors=regressors,
        weights=kept["weights"].to_numpy(float) if "weights" in kept else None,
        blocks=None if blocks is None else blocks["first"].to_numpy(),
        dropped=dropped,
        synthetic=synthetic,
    )


def _common_start(
    kept: pd.DataFrame, *, first: np.ndarray, unit: np.ndarray, period: np.ndarray, never: int
) -> np.ndarray:
    """The start of each unit's arm, also of treated units that are not seen in their first treated period."""
    if "post" not in kept:
        return first
    start = int(period[kept["post"].to_numpy() == 1].min())
    treated = np.zeros(len(first), dtype=bool)
    treated[unit] = kept["treated"].to_numpy() == 1
    return np.where(treated, start, never)

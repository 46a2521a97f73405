"""Covariates by formula, as a propensity score and as a balance table need them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import pandas as pd
from formulaic import Formula
from formulaic.errors import FormulaicError

from hitlbayes.errors import SchemaError, SpecError

Missing = Literal["refuse", "indicator"]
UNKNOWN = "(missing)"
SHOWN = 5


@dataclass(frozen=True, slots=True)
class Covariates:
    """Columns of a formula `treatment ~ covariates`.

    Attributes
    ----------
    treatment : str
        Name of the treatment's column.
    treated : (n,) booleans
    model : DataFrame
        Columns of a regression: one level of each category is left out.
    shown : DataFrame
        Columns of a balance table: every level.
    filled : dict
        Column -> missing values that an indicator stands for.
    """

    treatment: str
    treated: np.ndarray
    model: pd.DataFrame
    shown: pd.DataFrame
    filled: dict[str, int]


def read_covariates(frame: pd.DataFrame, *, formula: str, missing: Missing = "refuse") -> Covariates:
    """Treatment and covariates of every row, checked.

    Parameters
    ----------
    frame : DataFrame
        Not changed.
    formula : str
        ``"treat ~ age + C(region)"``; text columns are categories.
    missing : {"refuse", "indicator"}
        With ``"indicator"`` missing numbers become the column's mean, missing categories a level of
        their own, and a 0/1 column says where.

    Raises
    ------
    SpecError
        A formula that cannot be read, or that names no treatment or an absent column.
    SchemaError
        A treatment other than 0 and 1, one arm only, or missing values, by column with their counts.

    Examples
    --------
    >>> frame = pd.DataFrame({"treat": [0, 1, 0, 1], "age": [30, 40, 50, 60], "job": list("abca")})
    >>> found = read_covariates(frame, formula="treat ~ age + job")
    >>> found.model.columns.tolist(), found.shown.columns.tolist()
    (['age', 'job[T.b]', 'job[T.c]'], ['age', 'job[a]', 'job[b]', 'job[c]'])
    """
    if missing not in get_args(Missing):
        raise SpecError(f"missing is {missing!r}; expected 'refuse' or 'indicator'.")
    treatment, right = _parsed(formula)
    names = sorted(map(str, right.required_variables))
    absent = [n for n in [treatment, *names] if n not in frame.columns]
    if absent:
        raise SpecError(
            f"formula {formula!r} names {', '.join(absent)}; the data have: {', '.join(map(str, frame))}."
        )
    treated = treatment_of(frame, treatment)
    complete, indicators = _without_gaps(frame[names], missing=missing)
    try:
        model, shown = (
            right.get_model_matrix(complete, output="pandas", na_action="raise", ensure_full_rank=reduce)
            for reduce in (True, False)
        )
    except FormulaicError as problem:
        raise SpecError(f"formula {formula!r} cannot be read: {problem}") from problem
    return Covariates(
        treatment,
        treated,
        _columns(model, indicators),
        _columns(shown, indicators),
        {name: int(frame[name].isna().sum()) for name in names if frame[name].isna().any()},
    )


def treatment_of(frame: pd.DataFrame, name: str) -> np.ndarray:
    """A column of 0 and 1 as booleans, with rows in both arms."""
    values = frame[name]
    odd = ~values.isin([0, 1]).to_numpy()
    if odd.any():
        raise SchemaError(
            f"{name!r} is neither 0 nor 1 in {int(odd.sum()):,} of {len(frame):,} rows (first at index "
            f"{frame.index[odd][0]!r}: {values[odd].iloc[0]!r})."
        )
    treated = values.to_numpy(dtype=bool)
    if treated.all() or not treated.any():
        raise SchemaError(
            f"{name!r} is {int(treated.any())} in all {len(frame):,} rows; expected rows in both arms."
        )
    return treated


def refuse_gaps(frame: pd.DataFrame, names: list[str], *, to_do: str) -> None:
    """Refuse missing values, with their number in each column."""
    gaps = {name: int(n) for name in names if (n := frame[name].isna().sum())}
    if gaps:
        rows = frame.index[frame[list(gaps)].isna().any(axis=1).to_numpy()]
        counts = ", ".join(f"{name} ({n:,})" for name, n in gaps.items())
        raise SchemaError(
            f"missing values in {counts}: {len(rows):,} of {len(frame):,} rows, the first at index "
            f"{', '.join(map(str, rows[:SHOWN]))}.\n  to do: {to_do}"
        )


def _parsed(formula: str) -> tuple[str, Formula]:
    try:
        parsed = Formula(formula)
    except FormulaicError as problem:
        raise SpecError(f"formula {formula!r} cannot be read: {problem}") from problem
    left = getattr(parsed, "lhs", None)
    if left is None or len(left.required_variables) != 1 or len(list(left)) != 1:
        raise SpecError(
            f"formula {formula!r} names no treatment; expected for example 'treat ~ age + C(region)'."
        )
    return str(next(iter(left.required_variables))), parsed.rhs


def _without_gaps(frame: pd.DataFrame, *, missing: Missing) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Covariates without missing values, and the columns that say where they were."""
    if missing == "refuse":
        to_do = "fill them in, leave those rows out, or pass missing='indicator'."
        refuse_gaps(frame, list(map(str, frame)), to_do=to_do)
        return frame, frame[[]]
    complete, indicators = frame.copy(), frame[[]].copy()
    for name in frame:
        gap = frame[name].isna()
        if not gap.any():
            continue
        indicators[f"{name} missing"] = gap.to_numpy(dtype=float)
        if pd.api.types.is_numeric_dtype(frame[name]):
            numbers = frame[name].astype(float)
            complete[name] = numbers.fillna(numbers.mean() if gap.any() and not gap.all() else 0.0)
        else:
            complete[name] = frame[name].astype(object).where(~gap, UNKNOWN)
    return complete, indicators


def _columns(matrix: pd.DataFrame, indicators: pd.DataFrame) -> pd.DataFrame:
    columns = pd.DataFrame(matrix).drop(columns="Intercept", errors="ignore").astype(float)
    # an unknown category is its own indicator; of a number it is the column that says so
    added = [n for n in map(str, indicators) if f"{n.removesuffix(' missing')}[{UNKNOWN}]" not in columns]
    return pd.concat([columns, indicators[added].set_axis(columns.index)], axis=1)

"""The columns of the linear predictor: treatment, arm, controls, and the means of what varies.

Unit and period effects are random, so anything that varies between units and periods and is correlated
with them must bring its unit and period means along (Mundlak 1978): the treatment's when the panel is
unbalanced or starts are staggered, and each control's.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
from formulaic import Formula
from formulaic.errors import DataMismatchWarning, FormulaicError

from hitlbayes.errors import SpecError
from hitlbayes.spec.cells import Cells, refuse

COLLINEAR = 1e-8  # share of a column's variance that must be left once the columns before it are taken out


@dataclass(frozen=True, slots=True, eq=False)
class Design:
    """Columns of the linear predictor.

    X : (R, P) covariates, centred and scaled where they are controls
    names : (P,) their names
    centre, scale : (P,) what was taken off and divided by: SDs, or the difference of a binary column's values
    dropped : columns left out because others already say the same
    """

    X: np.ndarray
    names: tuple[str, ...]
    centre: np.ndarray
    scale: np.ndarray
    dropped: tuple[str, ...]


def did_design(
    cells: Cells,
    *,
    exposure: np.ndarray,
    treated: np.ndarray,
    unit: np.ndarray,
    period: np.ndarray,
    formula: str | None,
) -> Design:
    """Columns of a difference-in-differences: treatment first, then arm, Mundlak means and controls.

    Parameters
    ----------
    exposure, treated : (R,) whether the cell is treated now; whether its unit ever is
    unit, period : (R,) codes
    """
    controls = control_columns(cells.keys, formula)
    first = pd.DataFrame({"treatment": exposure.astype(float)})
    if cells.family != "ordinal":
        first["intercept"] = 1.0
    first["treated"] = treated.astype(float)
    means = pd.DataFrame(
        {
            "treatment, unit mean": _mean_by(exposure, unit),
            "treatment, period mean": _mean_by(exposure, period),
        }
    )
    means = pd.concat([means, _mundlak(controls, unit, period)], axis=1)
    return _assemble(first, pd.concat([controls, means], axis=1))


def labelled_design(
    cells: Cells,
    *,
    effects: pd.DataFrame,
    arms: pd.DataFrame,
    exposure: np.ndarray,
    unit: np.ndarray,
    period: np.ndarray,
    formula: str | None,
) -> Design:
    """Columns of a model with several treatment effects: theirs first, then arms, Mundlak means and controls.

    Parameters
    ----------
    effects, arms : (R, E), (R, A) columns that enter as they are
    exposure : (R,) whether the cell is treated now
    unit, period : (R,) codes
    """
    controls = control_columns(cells.keys, formula)
    first = effects.astype(float)
    if cells.family != "ordinal":
        first["intercept"] = 1.0
    means = pd.DataFrame({"treatment, unit mean": _mean_by(exposure, unit)})
    means = pd.concat([means, _mundlak(controls, unit, period)], axis=1)
    return _assemble(pd.concat([first, arms.astype(float)], axis=1), pd.concat([controls, means], axis=1))


def _mundlak(controls: pd.DataFrame, unit: np.ndarray, period: np.ndarray) -> pd.DataFrame:
    """Unit and period means of every control."""
    means = {}
    for name in controls:
        means[f"{name}, unit mean"] = _mean_by(controls[name].to_numpy(), unit)
        means[f"{name}, period mean"] = _mean_by(controls[name].to_numpy(), period)
    return pd.DataFrame(means, index=controls.index)


def mixed_design(cells: Cells, *, formula: str | None) -> Design:
    """Columns of a mixed model: an intercept (where there are cutpoints they hold it) and the formula's."""
    first = pd.DataFrame(index=cells.keys.index)
    if cells.family != "ordinal":
        first["intercept"] = 1.0
    return _assemble(first, control_columns(cells.keys, formula))


def control_columns(keys: pd.DataFrame, formula: str | None) -> pd.DataFrame:
    """The formula's columns but its intercept, one row per cell.

    Raises
    ------
    SpecError
        A formula that cannot be read, or that names a column that is not there.
    SchemaError
        Missing values in a control.
    """
    if formula is None or _is_constant(formula):
        return pd.DataFrame(index=keys.index)
    try:
        parsed = Formula(formula if "~" in formula else "~ " + formula)
        _complete(keys, parsed, formula)
        matrix = parsed.get_model_matrix(keys, output="pandas", na_action="raise")
    except FormulaicError as problem:
        raise SpecError(f"formula {formula!r} cannot be read: {problem}") from problem
    return _without_intercept(matrix)


def columns_like(new: pd.DataFrame, *, keys: pd.DataFrame, formula: str | None) -> pd.DataFrame:
    """The formula's columns for new rows, its categories, centres and knots as they are for `keys`.

    Raises
    ------
    SpecError
        A column is missing, a category is new, or the formula does not reach the new values.
    SchemaError
        Missing values in a control.
    """
    if formula is None or _is_constant(formula):
        return pd.DataFrame(index=new.index)
    parsed = Formula(formula if "~" in formula else "~ " + formula)
    _complete(new, parsed, formula)
    fitted = parsed.get_model_matrix(keys, output="pandas", na_action="raise").model_spec
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", DataMismatchWarning)
            matrix = fitted.get_model_matrix(new, output="pandas", na_action="raise")
    except (FormulaicError, DataMismatchWarning) as problem:
        raise SpecError(
            f"the columns of formula {formula!r} cannot be made for the new rows: {problem}; keep to the "
            "categories and ranges that were fitted."
        ) from problem
    return _without_intercept(matrix)


def _is_constant(formula: str) -> bool:
    return formula.replace(" ", "") in ("", "~1", "1")


def _complete(frame: pd.DataFrame, parsed: Formula, formula: str) -> None:
    """Refuse a frame without the formula's columns, or with missing values in them."""
    names = sorted(map(str, parsed.required_variables))
    if missing := [name for name in names if name not in frame.columns]:
        raise SpecError(
            f"formula {formula!r} names {', '.join(missing)}; the data have: {', '.join(map(str, frame))}."
        )
    for name in names:
        what = f"missing values in control {name!r}"
        refuse(frame, frame[name].isna(), what, "fill them in or leave those rows out")


def _without_intercept(matrix: pd.DataFrame) -> pd.DataFrame:
    columns = pd.DataFrame(matrix).drop(columns="Intercept", errors="ignore")
    return columns.astype(float).reset_index(drop=True)


def needed_columns(formula: str | None) -> list[str]:
    """Names of the columns that a formula uses."""
    return sorted(map(str, Formula(formula).required_variables)) if formula else []


def _mean_by(value: np.ndarray, code: np.ndarray) -> np.ndarray:
    count = np.bincount(code)
    return (np.bincount(code, value) / np.maximum(count, 1))[code]


def _assemble(first: pd.DataFrame, others: pd.DataFrame) -> Design:
    """Keep the first columns as they are, standardise the others, leave out what is already said."""
    frame = pd.concat([first, others], axis=1).astype(float)
    X, names = frame.to_numpy(), list(map(str, frame.columns))
    keep = _independent(X, always=min(1, first.shape[1]))
    kept = [j for j in range(X.shape[1]) if keep[j]]
    X = X[:, kept]
    own = np.array([names[j] in first.columns for j in kept], bool)
    centre = np.where(own, 0.0, X.mean(axis=0) if len(X) else 0.0)
    scale = np.where(own, 1.0, _steps(X))
    dropped = tuple(n for n, k in zip(names, keep, strict=True) if not k)
    return Design((X - centre) / scale, tuple(names[j] for j in kept), centre, scale, dropped)


def _steps(X: np.ndarray) -> np.ndarray:
    """What priors count as one step of each column: the difference of its two values, else its SD.

    A rare binary column has a small SD, and a prior for one SD of it would allow it anything.
    """
    binary = np.array([len(np.unique(x)) == 2 for x in X.T], bool)
    return np.where(binary, np.ptp(X, axis=0), X.std(axis=0)) if len(X) else np.ones(X.shape[1])


def _independent(X: np.ndarray, *, always: int) -> np.ndarray:
    """Which columns add something to those before them (and to a constant)."""
    keep = np.zeros(X.shape[1], bool)
    basis = np.full((len(X), 1), 1.0 / np.sqrt(max(len(X), 1)))
    for j in range(X.shape[1]):
        x = X[:, j]
        constant = np.ptp(x) == 0
        rest = x - basis @ (basis.T @ x)
        rest = rest - basis @ (basis.T @ rest)
        left = rest @ rest / max(np.sum((x - x.mean()) ** 2), 1e-300)
        keep[j] = j < always or (constant and x[0] == 1.0) or (not constant and left > COLLINEAR)
        if keep[j] and not constant:
            basis = np.column_stack([basis, rest / np.sqrt(rest @ rest)])
    return keep

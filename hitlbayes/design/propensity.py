"""Propensity scores by unpenalised logistic regression, with separation found and said."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog
from scipy.special import expit

from hitlbayes.errors import DataWarning, DesignError, FitError

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

EXTREME = 10.0
"""Log odds from which the arms may be separated: the linear programme that decides is run only then."""
SLACK = 1e-6
"""Signed distances below this are rounding of that programme, whose own tolerance is 1e-7."""
COLLINEAR = 1e-9
"""Share of a standardised column's spread that must be left once the columns before it are out."""
STEPS = 100
SHOWN = 5


@dataclass(frozen=True, slots=True)
class Propensity:
    """Probability of treatment (n,) and its log odds (n,), infinite where covariates foretell the arm.

    Attributes
    ----------
    probability, logit : (n,) arrays
    left_out : tuple of str
        Columns that others already say, or that are constant.
    foretold : dict
        Rows of each arm (``treated``, ``control``) whose arm covariates foretell.
    foretold_by : tuple of str
        Those covariates.
    """

    probability: Floats
    logit: Floats
    left_out: tuple[str, ...]
    foretold: dict[str, int]
    foretold_by: tuple[str, ...]


def propensity_scores(X: Floats, treated: Bools, *, names: Sequence[str]) -> Propensity:
    """Probability of treatment given covariates, by maximum likelihood.

    Where some covariates foretell the arm of some rows (no control has a certain issue, say), coefficients
    run off to infinity. Those rows get the probability that they tend to, 0 or 1; the others are fitted
    without them, which is the limit of maximum likelihood. A warning counts the treated ones.

    Parameters
    ----------
    X : (n, p) covariates without an intercept
    treated : (n,)
    names : (p,)

    Raises
    ------
    DesignError
        The covariates foretell the arm of every row: no two rows of different arms are comparable.
    FitError
        The likelihood was not maximised.

    Examples
    --------
    >>> x = np.array([[0.0], [0.0], [1.0], [1.0], [1.0], [0.0]])
    >>> arm = np.array([True, False, True, True, False, False])
    >>> propensity_scores(x, arm, names=["x"]).probability.round(3).tolist()
    [0.333, 0.333, 0.667, 0.667, 0.667, 0.333]
    """
    logit = np.where(treated, np.inf, -np.inf)
    Z, kept = _standardised(X)
    left_out = tuple(n for n, keep in zip(names, kept, strict=True) if not keep)
    open_rows = np.ones(len(treated), bool)
    culprits: set[str] = set()
    while True:
        part, columns = _standardised(Z[open_rows])
        found = _fit(part, treated[open_rows])
        if found is not None and np.abs(found).max() < EXTREME:
            break
        direction = _separating(part, treated[open_rows])
        if direction is None:
            if found is None:
                raise FitError(
                    f"the propensity score did not converge in {STEPS} steps on {len(part):,} rows and "
                    f"{part.shape[1]} columns.\n  to do: look for columns with extreme values."
                )
            break
        side = part @ direction[1:] + direction[0]
        known = np.sort(np.asarray(names)[kept][columns][np.abs(direction[1:]) > SLACK])
        culprits |= set(known.tolist())
        at = np.flatnonzero(open_rows)
        open_rows[at[np.abs(side) > SLACK]] = False
        _refuse_complete(treated[open_rows], culprits)
    foretold = {"treated": int((~open_rows & treated).sum()), "control": int((~open_rows & ~treated).sum())}
    if foretold["treated"]:
        _warn(foretold["treated"], culprits)
    logit[open_rows] = found
    return Propensity(expit(logit), logit, left_out, foretold, tuple(sorted(culprits)))


def _fit(Z: Floats, treated: Bools) -> Floats | None:
    """Log odds at the maximum of the likelihood; None where it was not reached."""
    if not Z.shape[1]:
        share = treated.mean()
        return np.full(len(Z), np.log(share / (1 - share)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from sklearn.linear_model import LogisticRegression  # slow to import, and needed for this alone

        model = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-12, max_iter=STEPS)
        model.fit(Z, treated)
    odds = model.decision_function(Z)
    return odds if model.n_iter_[0] < STEPS and np.isfinite(odds).all() else None


def _separating(Z: Floats, treated: Bools) -> Floats | None:
    """A direction in which no row lies on the wrong side and some on the right one; None if there is none.

    Konis (2007): maximise the sum of signed predictors subject to each being at least zero.
    """
    sign = np.where(treated, 1.0, -1.0)
    rows, times = np.unique(sign[:, None] * np.column_stack([np.ones(len(Z)), Z]), axis=0, return_counts=True)
    found = linprog(-times @ rows, A_ub=-rows, b_ub=np.zeros(len(rows)), bounds=(-1, 1), method="highs")
    if not found.success:
        raise FitError(f"the check for separated arms failed: {found.message}")
    return found.x if np.any(rows @ found.x > SLACK) else None


def _standardised(X: Floats) -> tuple[Floats, Bools]:
    """Columns with mean zero and SD one, less those that are constant or said by those before them."""
    spread = X.std(axis=0)
    centred = X - X.mean(axis=0)
    kept = spread > COLLINEAR * np.maximum(1.0, np.abs(X).max(axis=0, initial=0.0))
    scaled = centred / np.where(kept, spread, 1.0)
    # Gram-Schmidt on the columns' cross-products: a pivot near zero is a column that others already say.
    gram = scaled.T @ scaled / max(len(X), 1)
    for j in range(gram.shape[0]):
        if not kept[j] or gram[j, j] < COLLINEAR:
            kept[j] = False
            continue
        gram[j + 1 :, j + 1 :] -= np.outer(gram[j + 1 :, j], gram[j, j + 1 :]) / gram[j, j]
    return scaled[:, kept], kept


def _refuse_complete(treated: Bools, culprits: set[str]) -> None:
    if treated.all() or not treated.any():
        raise DesignError(
            f"the covariates foretell the arm of every row (by {_listed(culprits)}): treated and controls "
            "cannot be compared.\n  to do: leave out what the treatment itself sets, or match exactly on "
            "fewer covariates."
        )


def _warn(treated: int, culprits: set[str]) -> None:
    warnings.warn(
        f"covariates foretell the treatment of {treated:,} treated rows (by {_listed(culprits)}): their "
        "propensity is 1 and no control is comparable. Set a caliper to leave them out.",
        DataWarning,
        stacklevel=3,
    )


def _listed(names: set[str]) -> str:
    shown = sorted(names)[:SHOWN]
    return ", ".join(shown) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")

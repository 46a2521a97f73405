"""What takeovers are compared at: covariates without gaps, and the columns of the predictor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from hitlbayes.errors import SchemaError
from hitlbayes.spec.cells import refuse
from hitlbayes.spec.predictor import control_columns

SETS = ("raw", "clock", "sentiment")
COLLINEAR = 1e-6  # share of a column's variance left by those before it below which it says nothing new


@dataclass(frozen=True, slots=True)
class Roles:
    """Names of the columns that say who took over, when, why, and after how much AI."""

    type: str
    reference: str
    unit: str
    time: str
    ai_rounds: str
    seconds: str
    sentiment: str
    text: str


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """Columns of the predictor, centred; those of covariates have unit variance.

    X : DataFrame (n rows), its columns named by what they say
    group : for each "type", "clock", "sentiment", "control" or "text"
    centre, scale : what was taken off and divided by
    """

    X: pd.DataFrame
    group: tuple[str, ...]
    centre: np.ndarray
    scale: np.ndarray

    def masked(self, adjust: str) -> np.ndarray:
        """Columns (P, n) of one set: those that it does not adjust for are zero."""
        used = {"raw": ("type", "control"), "clock": ("type", "control", "clock", "text")}
        keep = used.get(adjust, ("type", "control", "clock", "text", "sentiment"))
        return np.array([self.X[c] * (g in keep) for c, g in zip(self.X, self.group, strict=True)], float)


def covariates_of(
    frame: pd.DataFrame, *, roles: Roles, missing: str
) -> tuple[pd.DataFrame, pd.DataFrame, tuple[str, ...]]:
    """Covariates as numbers without gaps, indicators of what was missing, and notes of how many."""
    names = list(dict.fromkeys([roles.ai_rounds, roles.seconds, roles.sentiment, roles.text]))
    values = frame[names].apply(pd.to_numeric, errors="coerce").astype(float)
    for name in (roles.ai_rounds, roles.seconds, roles.text):
        refuse(
            frame,
            values[name] <= 0,
            f"values of {name!r} that are not above zero",
            "rounds, seconds and messages at a takeover are counted from one; correct them",
        )
    gaps = values.isna().sum()
    gaps = gaps[gaps > 0]
    told = [f"{name} is missing in {n:,} of {len(frame):,} takeovers" for name, n in gaps.items()]
    if len(gaps) and missing == "refuse":
        rows = ", ".join(map(str, frame.index[values.isna().any(axis=1)][:5]))
        raise SchemaError(
            f"{'; '.join(told)} (the first at index {rows}). Fill them in, leave those "
            "rows out, or say missing='indicator' to adjust for being missing."
        )
    flags = pd.DataFrame({f"{name} missing": values[name].isna().astype(float) for name in gaps.index})
    notes = tuple(f"{text}; set to the mean, with an indicator" for text in told)
    return values.fillna(values.mean()), flags, notes


def columns_of(
    frame: pd.DataFrame,
    filled: pd.DataFrame,
    flags: pd.DataFrame,
    *,
    roles: Roles,
    types: tuple[str, ...],
    formula: str | None,
) -> Columns:
    """The predictor's columns; those that say nothing that a column before them does not are left out."""
    rounds, seconds = (_unit(np.log(filled[c])) for c in (roles.ai_rounds, roles.seconds))
    sentiment = _unit(filled[roles.sentiment])
    raw: dict[str, tuple[str, pd.Series]] = {f"type {t}": ("type", frame["type"] == t) for t in types[1:]}
    raw |= {str(name): ("control", values) for name, values in control_columns(frame, formula).items()}
    raw |= {
        "log AI rounds": ("clock", rounds),
        "log seconds": ("clock", seconds),
        "log AI rounds, squared": ("clock", rounds**2),
        "log seconds, squared": ("clock", seconds**2),
        "sentiment": ("sentiment", sentiment),
        "sentiment, squared": ("sentiment", sentiment**2),
        "sentiment x log AI rounds": ("sentiment", sentiment * rounds),
    }
    raw |= {str(name): ("clock", values) for name, values in flags.items()}
    raw |= {"log text": ("text", np.log(filled[roles.text]))}
    X = pd.DataFrame({name: np.asarray(values, float) for name, (_, values) in raw.items()})
    kept = [name for name in map(str, X) if _adds(X[name].to_numpy(), X, before=name)]
    X, group = X[kept], tuple(raw[name][0] for name in kept)
    centre = X.mean().to_numpy()
    scale = np.array([1.0 if g == "type" else X[c].std(ddof=0) for c, g in zip(kept, group, strict=True)])
    return Columns(X.sub(centre).div(scale), group, centre, scale)


def _unit(values: pd.Series) -> pd.Series:
    spread = values.std(ddof=0)
    return (values - values.mean()) / (spread if spread > 0 else 1.0)


def _adds(values: np.ndarray, X: pd.DataFrame, *, before: str) -> bool:
    """Whether a column says something that a constant and the columns before it do not."""
    earlier = X.iloc[:, : X.columns.get_loc(before)].to_numpy()
    basis = np.column_stack([np.ones(len(X)), earlier])
    rest = values - basis @ np.linalg.lstsq(basis, values, rcond=None)[0]
    return bool(np.var(rest) > COLLINEAR * np.var(values)) if np.ptp(values) > 0 else False

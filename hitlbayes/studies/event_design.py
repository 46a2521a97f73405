"""Cohorts, periods relative to the start, and which of them are compared with whom.

A cohort is the units that start in one period. Its effects are a full set, one for each of its periods but
the reference, so that no unit that is already treated serves as a control for another: each effect is the
cohort's change since the reference less the change of those that it is compared with (the group-time
effects of Callaway and Sant'Anna 2021, doi:10.1016/j.jeconom.2020.12.001).
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd

from hitlbayes.errors import DataWarning, DesignError, SpecError
from hitlbayes.spec.cells import SHOWN
from hitlbayes.spec.columns import calendar_days
from hitlbayes.studies.labelled import Labels

NEVER = -1
COMPARISONS = ("never", "not_yet")


@dataclass(frozen=True, slots=True, eq=False)
class Timing:
    """When each cell happens.

    cohort : (R,) position of its unit's first treated period; NEVER where there is none
    relative : (R,) periods since then; 0 where there is none
    period : (R,) position of its own period
    labels : the periods
    """

    cohort: np.ndarray
    relative: np.ndarray
    period: np.ndarray
    labels: np.ndarray


def timing(keys: pd.DataFrame) -> Timing:
    """Cohort and relative period of cells with unit, period and treated with post, or treatment.

    Periods are counted in their order, days where stamps are finer. Where starts are staggered, a unit
    starts in the first period in which it is observed treated.

    Raises
    ------
    DesignError
        A treatment that ends, or a unit that is treated from its first period on.
    """
    code, labels = pd.factorize(calendar_days(keys["period"]), sort=True)
    unit = pd.factorize(keys["unit"])[0]
    if "treatment" in keys:
        start = _starts(keys, unit, code)[unit]
    else:
        first = code[keys["post"].to_numpy() > 0].min()
        start = np.where(keys["treated"].to_numpy() > 0, first, NEVER)
    relative = np.where(start == NEVER, 0, code - start)
    return Timing(start, relative, code, np.asarray(labels))


def _starts(keys: pd.DataFrame, unit: np.ndarray, code: np.ndarray) -> np.ndarray:
    """Position of each unit's first treated period (N,)."""
    now = keys["treatment"].to_numpy() > 0
    frame = pd.DataFrame({"unit": unit, "code": code, "now": now})
    start = frame[now].groupby("unit")["code"].min().reindex(range(unit.max() + 1))
    first = frame.groupby("unit")["code"].min()
    shown = keys["unit"].groupby(unit).first()
    ended = frame.loc[~now & (code > start.to_numpy()[unit]), "unit"].unique()
    if len(ended):
        raise DesignError(
            f"the treatment ends for {len(ended)} units ({_list(shown[ended])}); effects by period since the "
            "start need a treatment that lasts. Leave out what follows its end, or use hb.fit_did."
        )
    always = first.index[(start == first).to_numpy()]
    if len(always):
        raise DesignError(
            f"{len(always)} units are treated from their first period on ({_list(shown[always])}); they have "
            "no period before the start. Leave them out."
        )
    last = frame[~now].groupby("unit")["code"].max()
    gap = int((start - last > 1).sum())
    if gap:
        warnings.warn(
            f"{gap} units are not observed in the period before the first in which they are treated; their "
            "start is taken to be that first period.",
            DataWarning,
            stacklevel=2,
        )
    return start.fillna(NEVER).to_numpy(int)


def event_labels(time: Timing, *, reference: int, comparison: str, walk: float | None) -> Labels:
    """The effects of every cohort and relative period but the reference.

    Parameters
    ----------
    reference : relative period, before the start, at which effects are zero
    comparison : "never": with units that never start, periods before the start get coefficients too;
        "not_yet": with those too that have not started yet, whose periods before the start are controls
    walk : effects follow a random walk with steps of this SD, away from the reference and from the start

    Raises
    ------
    SpecError, DesignError
        A reference that is not before the start or not observed in each cohort, or periods without anybody
        to compare with.
    """
    if comparison not in COMPARISONS:
        raise SpecError(f"comparison is {comparison!r}; expected one of: {', '.join(COMPARISONS)}.")
    if reference >= 0:
        raise SpecError(f"reference is {reference}; expected a period before the start, such as -1.")
    if walk is not None and not walk > 0:
        raise SpecError(f"walk is {walk}; expected a positive SD of its steps, such as 0.1, or None.")
    treated = time.cohort != NEVER
    has = treated & (time.relative >= 0)
    if comparison == "never":
        has = treated & (time.relative != reference)
    _check_reference(time, treated, reference)
    _check_comparison(time, has, treated, comparison)
    _say_unseen(time, treated)
    pairs = pd.DataFrame({"cohort": time.cohort[has], "relative": time.relative[has]})
    table = pairs.drop_duplicates().sort_values(["cohort", "relative"], ignore_index=True)
    place = pd.Series(range(len(table)), index=pd.MultiIndex.from_frame(table))
    code = np.full(len(treated), -1)
    code[has] = place.loc[list(pairs.itertuples(index=False, name=None))].to_numpy()
    transform = np.eye(len(table)) if walk is None else walk_of(table, reference=reference)
    several = table["cohort"].nunique() > 1
    table["start"] = [str(label) for label in time.labels[table["cohort"]]]
    table.index = pd.Index([_name(row, several) for row in table.itertuples()])
    return Labels(code, table.drop(columns="cohort"), transform)


def walk_of(table: pd.DataFrame, *, reference: int) -> np.ndarray:
    """Effects (E, E) as sums of a walk's steps, outwards from the reference, and from the start on anew.

    Examples
    --------
    >>> table = pd.DataFrame({"cohort": 0, "relative": [-3, -2, 0, 1]})
    >>> walk_of(table, reference=-1).astype(int).tolist()
    [[1, 1, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 1, 1]]
    """
    cohort, relative = (table[name].to_numpy() for name in ("cohort", "relative"))
    side = _side(relative, reference)
    same = (cohort[:, None] == cohort) & (side[:, None] == side)
    away = np.abs(relative - np.where(side == 2, 0, reference))
    return (same & (away <= away[:, None])).astype(float)


def walk_steps(labels: Labels, *, reference: int, walk: float | None) -> dict[str, float]:
    """SD of the step behind each coefficient; the first effect after the start is free, and not in it."""
    if walk is None:
        return {}
    side = _side(labels.table["relative"].to_numpy(), reference)
    first = labels.transform.sum(axis=1) == 1
    free = dict(zip(labels.terms, first & (side == 2), strict=True))
    return {name: walk for name in labels.terms if not free[name]}


def _side(relative: np.ndarray, reference: int) -> np.ndarray:
    return np.where(relative >= 0, 2, (relative > reference).astype(int))


def cohort_columns(time: Timing) -> pd.DataFrame:
    """One column per cohort: what its units are before any effect."""
    found = np.unique(time.cohort[time.cohort != NEVER])
    names = ["treated"] if len(found) == 1 else [f"cohort {time.labels[g]}" for g in found]
    return pd.DataFrame({name: time.cohort == g for name, g in zip(names, found, strict=True)}).astype(float)


def _name(row, several: bool) -> str:
    when = f"period {row.relative:+d}" if row.relative else "period 0"
    return f"cohort {row.start}, {when}" if several else when


def _check_reference(time: Timing, treated: np.ndarray, reference: int) -> None:
    cohorts = np.unique(time.cohort[treated])
    seen = np.unique(time.cohort[treated & (time.relative == reference)])
    lost = np.setdiff1d(cohorts, seen)
    if len(lost):
        raise DesignError(
            f"{len(lost)} of {len(cohorts)} cohorts are never observed in the reference period {reference} "
            f"(starts: {_list(time.labels[lost])}); choose another reference= or leave them out."
        )


def _say_unseen(time: Timing, treated: np.ndarray) -> None:
    """Warn of a cohort's periods in which none of its units is observed: they have no effect to estimate."""
    cohorts, periods = np.unique(time.cohort[treated]), np.unique(time.period)
    seen = pd.MultiIndex.from_arrays([time.cohort[treated], time.period[treated]])
    unseen = pd.MultiIndex.from_product([cohorts, periods]).difference(seen)
    if len(unseen):
        cells = [f"{time.labels[period]} (relative period {period - start})" for start, period in unseen]
        warnings.warn(
            f"{len(cells)} periods in which no treated unit of a cohort is observed have no effect in the "
            f"results: {_list(cells)}.",
            DataWarning,
            stacklevel=2,
        )


def _check_comparison(time: Timing, has: np.ndarray, treated: np.ndarray, comparison: str) -> None:
    others = ~treated if comparison == "never" else ~(treated & (time.relative >= 0))
    alone = np.setdiff1d(np.unique(time.period[has]), np.unique(time.period[others]))
    if not len(alone):
        return
    what = "never treated" if comparison == "never" else "not yet treated"
    hint = 'Use comparison="not_yet", or leave' if comparison == "never" and treated.all() else "Leave"
    raise DesignError(
        f"in {len(alone)} periods there is no unit {what} to compare with ({_list(time.labels[alone])}). "
        f"{hint} these periods out."
    )


def _list(values) -> str:
    values = list(values)
    return ", ".join(map(str, values[:SHOWN])) + (", ..." if len(values) > SHOWN else "")

"""The treatment structure of a panel: who is treated when, and whether that identifies an effect."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from hitlbayes.errors import DesignError, SpecError
from hitlbayes.fitting.structure import Structure, crossed, encode
from hitlbayes.spec.cells import SHOWN, Cells
from hitlbayes.spec.columns import calendar_days

PHASES = ("control, before", "control, after", "treated, before", "treated, after")
ALL = ("all",)
TAKEN = (
    *("chain", "draw", "term", "phase", "coef", "sigma", "cutpoints", "cutpoint", "overdispersion"),
    *("level", "drift", "effect", "shock"),  # sd_level is a unit's
)


def did_structure(cells: Cells, *, shock: bool, by_phase: bool, groups: Sequence[str] = ()) -> Structure:
    """Units, periods, further groups and treatment of a difference-in-differences.

    Where the keys hold `treated` and `post`, a unit's block is (level, drift), a treated unit's effect
    added to its drift; where they hold `treatment` (staggered starts), it is (level, effect). Periods
    finer than a day share their day's effect (paper, Table A4); their shocks stay their own.
    """
    keys = cells.keys
    unit, period = encode(keys["unit"], name="unit"), encode(calendar_days(keys["period"]), name="period")
    if "treatment" in keys:
        exposure = keys["treatment"].to_numpy(float)
        ever = np.bincount(unit.codes, exposure, len(unit.labels)) > 0
        block, second, unit_class = "slope", exposure, np.zeros(len(unit.labels), int)
    else:
        treated, post = (keys[c].to_numpy(float) for c in ("treated", "post"))
        exposure, second = treated * post, post
        ever = np.bincount(unit.codes, treated, len(unit.labels)) > 0
        block, unit_class = "did", ever.astype(int)
    phase = (2 * ever[unit.codes] + (second > 0)).astype(int) if by_phase else np.zeros(len(keys), int)
    return Structure(
        block,
        unit,
        (period, *crossed(cells.keys, groups)),
        np.column_stack([np.ones(len(keys)), second]),
        exposure,
        unit_class,
        encode(keys["period"], name="period").codes if shock else None,
        phase,
        PHASES if by_phase else ALL,
    )


def check_names(groups: Sequence[str], *, also: Sequence[str] = ()) -> Sequence[str]:
    """Refuse groups whose names could not tell their draws from other draws.

    Raises
    ------
    SpecError
        A name that is taken (`also` are further such names) or given twice, holds a slash, or begins like
        that of a scale or correlation.
    """
    if isinstance(groups, str):
        raise SpecError(f"groups is {groups!r}; expected a list of column names, for example [{groups!r}].")
    bad = [g for g in groups if g in (*TAKEN, *also) or "/" in str(g) or str(g).startswith(("sd_", "rho_"))]
    bad += [g for g in dict.fromkeys(groups) if list(groups).count(g) > 1]
    bad += [g for g in groups if g in {f"{h}_{p}" for h in groups for p in ("level", "change", "effect")}]
    if bad:
        raise SpecError(f"{', '.join(map(repr, bad))} cannot name a group here; rename or remove the column.")
    return groups


def ever_treated(structure: Structure) -> np.ndarray:
    """Whether each cell's unit is treated at any time (R,)."""
    ever = np.bincount(structure.unit.codes, structure.exposure) > 0
    return ever[structure.unit.codes]


def check_treatment(cells: Cells) -> None:
    """Refuse data in which a difference-in-differences has nothing to compare.

    Raises
    ------
    DesignError
        A unit in both arms, a single arm, no period before or after the start, an arm in which the outcome
        is never observed, a single period, or fewer than two units in an arm.
    """
    keys = cells.keys
    _check_binary(keys)
    if keys["period"].nunique() < 2:
        raise DesignError(
            f"there is one period, {keys['period'].iloc[0]}; a difference-in-differences needs two or more."
        )
    if "treatment" in keys:
        _check_staggered(keys)
        return
    arms = keys.groupby("unit", observed=True)["treated"].nunique()
    both = arms.index[arms > 1]
    if len(both):
        shown = ", ".join(map(str, both[:SHOWN]))
        raise DesignError(
            f"{len(both)} units are in both arms ({shown}); `treated` must not change within a unit."
        )
    counts = keys.groupby("treated")["unit"].nunique()
    for arm, word in ((1, "treated"), (0, "control")):
        if counts.get(arm, 0) < 2:
            raise DesignError(
                f"{counts.get(arm, 0)} {word} units with an observed outcome; at least two an arm are needed."
            )
    for arm, word in ((1, "treated"), (0, "control")):
        for post, when in ((0, "before"), (1, "after")):
            if not ((keys["treated"] == arm) & (keys["post"] == post)).any():
                raise DesignError(
                    f"no {word} unit has an observed outcome {when} the start; the effect needs both arms "
                    "before and after."
                )


def _check_staggered(keys: pd.DataFrame) -> None:
    exposure = keys.groupby("unit", observed=True)["treatment"].agg(["min", "max"])
    if not (exposure["max"] > 0).any():
        raise DesignError("no unit is ever treated: `treatment` is 0 in every row.")
    if (exposure["min"] > 0).all():
        raise DesignError(
            "every unit is treated from its first period on: there is no period before any start."
        )
    if not ((exposure["min"] == 0) & (exposure["max"] > 0)).any():
        raise DesignError("no treated unit is observed before its start; the effect needs units that change.")


def _check_binary(keys: pd.DataFrame) -> None:
    for column in ("treatment", "treated", "post"):
        if column in keys:
            other = ~keys[column].isin([0, 1])
            if other.any():
                found = keys[column][other].iloc[0]
                raise DesignError(f"{column!r} is {found!r} in {int(other.sum())} cells; expected 0 or 1.")


def varies_within(cells: Cells) -> bool:
    """Whether the data can tell a unit-period's shock from the noise of its observations."""
    if cells.is_precision:
        return False
    several = cells.n.max() > 1
    return bool(several and np.any(cells.stats[:, 1] > 0)) if cells.family == "gaussian" else bool(several)

"""From a panel, or a frame of rows at any level, to the cells that a study is fitted to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from hitlbayes.errors import DesignError, SchemaError, SpecError
from hitlbayes.spec.cells import Cells, cells_of_frame, cells_of_panel
from hitlbayes.spec.columns import by_role, others, roles
from hitlbayes.spec.predictor import needed_columns

if TYPE_CHECKING:
    from hitlbayes.chatlog import Panel

LAGGED = ("lag_customer_tenure", "lag_vip", "lag_concurrency", "lag_volume")
ROLES = ("unit", "period", "treated", "post")
FRAME_DEFAULTS = {"unit": "unit", "time": "period"}
LOGS = ("log_duration", "log_mean_duration")


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """The cells of one outcome, and what is to be said about them.

    columns : role -> the user's column
    words : what a unit and a period are called in plots
    """

    cells: Cells
    outcome: str
    name: str
    units: str
    formula: str | None
    columns: dict[str, str]
    scope: str | None = None
    synthetic: bool = False
    words: dict[str, str] = field(default_factory=dict)


def from_frame(
    frame: pd.DataFrame,
    *,
    outcome: str | None,
    family: str | None = None,
    likelihood: str = "cells",
    controls: str = "none",
    unit: str = "unit",
    time: str = "period",
    treated: str | None = None,
    treated_level: object = None,
    post: str | None = None,
    treatment: str | None = None,
    trials: str | None = None,
    precision: str | None = None,
    formula: str | None = None,
    groups: Sequence[str] = (),
) -> Source:
    """A frame's rows collapsed to cells of unit, period, treatment and the formula's columns.

    Parameters are those of `hitlbayes.fit_did`.
    """
    if outcome is None or family is None:
        raise SpecError("a frame needs outcome= and family=, for example outcome='y', family='gaussian'.")
    if likelihood != "cells":
        raise SpecError("likelihood='means' needs a panel; average a frame by unit and period yourself.")
    if controls != "none":
        raise SpecError("controls='lagged' needs a panel; for a frame name the columns in formula=.")
    columns = roles(unit=unit, time=time, treated=treated, post=post, treatment=treatment)
    made = by_role(frame, columns=columns, treated_level=treated_level)
    if treated_level is not None and not made["treated"].any():
        found = sorted(map(str, frame[treated].unique()))[:10]
        raise SchemaError(f"{treated!r} is never {treated_level!r}; it is: {', '.join(found)}.")
    keys = [*needed_columns(formula), *groups]
    kept = others(frame, values=[outcome, trials, precision], keys=keys, columns=columns)
    cells = cells_of_frame(
        pd.concat([made, frame[kept]], axis=1),
        outcome=outcome,
        family=family,
        keys=[*columns, *keys],
        trials=trials,
        precision=precision,
    )
    synthetic = bool(frame.attrs.get("synthetic", False))
    units = units_of(outcome, family=family)
    return Source(cells, outcome, outcome, units, formula, columns, synthetic=synthetic)


def from_panel(
    panel: Panel,
    *,
    outcome: str,
    family: str | None = None,
    likelihood: str = "cells",
    controls: str = "none",
    formula: str | None = None,
    **columns: object,
) -> Source:
    """A panel's cells of one outcome, or its unit-period means, with lagged controls where asked for.

    Parameters are those of `hitlbayes.fit_did`; `columns`, which name those of a frame, must be its defaults.
    """
    stray = [name for name, value in columns.items() if value not in (None, FRAME_DEFAULTS.get(name))]
    if stray:
        raise SpecError(f"{', '.join(stray)} given with a panel: these name a frame's columns; leave out.")
    cells = _panel_cells(panel, outcome=outcome, family=family, likelihood=likelihood)
    if controls == "lagged":
        cells = _with_lags(cells, panel)
        formula = " + ".join([formula or "~ 1", *LAGGED])
    elif controls != "none":
        raise SpecError(f"controls is {controls!r}; expected 'none' or 'lagged'.")
    measured = panel.outcomes.get(outcome, cells.family)
    return Source(
        replace(cells, drops=_chats_left_out(panel, outcome=outcome) | (cells.drops or {})),
        outcome,
        f"{outcome}, {panel.scope} chats",
        units_of(outcome, family=measured, panel=True),
        formula,
        {role: role for role in ROLES},
        scope=panel.scope,
        synthetic=panel.synthetic,
        words={"unit": "worker", "period": getattr(panel, "period", "day")},
    )


def _chats_left_out(panel: Panel, *, outcome: str) -> dict[str, int]:
    """Chats that the panel left out and that a fit of this outcome therefore does not see, by reason."""
    drops = getattr(panel, "drops", None)  # simulated cells leave out nothing, and do not say so
    if drops is None:
        return {}
    others = {f"{name} missing" for name in panel.outcomes if name != outcome}
    told = zip(drops["reason"], drops["rows"], strict=True)
    return {f"chats: {why}": int(n) for why, n in told if why not in others and " left out: " not in why}


def _panel_cells(panel: Panel, *, outcome: str, family: str | None, likelihood: str) -> Cells:
    why = getattr(panel, "left_out", {}).get(outcome)
    if why:
        raise DesignError(f"the panel left {outcome!r} out: it is {why} in scope {panel.scope!r}.")
    if likelihood == "cells":
        known = panel.outcomes.get(outcome)
        if family is not None and known is not None and family != known:
            raise SpecError(f"{outcome!r} is {known} in this panel; leave family={family!r} out.")
        return cells_of_panel(panel, outcome=outcome)
    if likelihood != "means":
        raise SpecError(f"likelihood is {likelihood!r}; expected 'cells' or 'means'.")
    if family not in (None, "gaussian"):
        raise SpecError(f"likelihood='means' is Gaussian; leave family={family!r} out.")
    return cells_of_frame(_means(panel), outcome=outcome, family="gaussian", keys=list(ROLES))


def _means(panel: Panel) -> pd.DataFrame:
    means = getattr(panel, "means", None)
    if means is None:
        raise SpecError("this panel has no unit-period means; make one with hb.panel(chats).")
    return means


def _with_lags(cells: Cells, panel: Panel) -> Cells:
    """Add the panel's lagged controls; cells without a previous period are left out, and counted."""
    means = _means(panel)
    if missing := [name for name in LAGGED if name not in means]:
        raise SpecError(
            f"the panel has no {', '.join(missing)}: its chats lack the columns; use controls='none'."
        )
    lags = means[["unit", "period", *LAGGED]]
    keys = cells.keys.merge(lags, on=["unit", "period"], how="left", validate="many_to_one")
    known = keys[list(LAGGED)].notna().all(axis=1).to_numpy()
    if not known.any():
        raise SpecError("no cell has all lagged controls (" + ", ".join(LAGGED) + "); use controls='none'.")
    return replace(cells, keys=keys).take(known, reason="cells without a previous period")


def unit_period_means(cells: Cells, exposure: np.ndarray, *, controls: Sequence[str] = ()) -> pd.DataFrame:
    """Unit-period means of the outcome, as the frequentist twin takes them.

    Cells of one unit and period are averaged by their observations; the means themselves are not weighted,
    except by a precision.
    """
    n, keys = cells.n, ["unit", "period"]
    frame = cells.keys[keys].assign(exposure=exposure, total=cells.mean() * n, n=n)
    frame = frame.assign(**{c: cells.keys[c] * n for c in controls})
    sums = frame.groupby(keys, as_index=False, observed=True).agg(
        {"exposure": "max", "total": "sum", "n": "sum", **{c: "sum" for c in controls}}
    )
    sums["outcome"] = sums["total"] / sums["n"]
    for c in controls:
        sums[c] = sums[c] / sums["n"]
    extra = {"precision": sums["n"]} if cells.is_precision else {}
    return sums[[*keys, "exposure", "outcome", *controls]].assign(**extra)


def units_of(outcome: str, *, family: str, panel: bool = False) -> str:
    """Units in which the effect on an outcome is reported.

    Parameters
    ----------
    family : how the outcome is measured, chat by chat
    panel : the outcome has the name and the units of a chat log's schema

    Examples
    --------
    >>> units_of("rating", family="ordinal"), units_of("retrial", family="bernoulli")
    ('rating points', 'percentage points')
    >>> units_of("log_duration", family="gaussian", panel=True), units_of("y", family="gaussian")
    ('percent', 'outcome units')
    >>> units_of("avg_delay", family="gaussian", panel=True)
    'seconds'
    """
    if family == "bernoulli":
        return "percentage points"
    if family == "ordinal":
        return "rating points" if outcome == "rating" else "points"
    if family == "count":
        return "count per chat" if panel else "count"
    if not panel:
        return "outcome units"
    return "percent" if outcome in LOGS else _measured(outcome)


def _measured(outcome: str) -> str:
    from hitlbayes.chatlog.schema import variables

    known = variables().get(outcome)
    unit = known.unit if known is not None else ""
    return "percentage points" if unit == "share" else unit or "outcome units"

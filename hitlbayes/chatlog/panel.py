"""The unit-by-period panel: `panel` orchestrates the collapse; `Panel` (frame.py) holds what came back."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import ibis.expr.types as ir
import numpy as np
import pandas as pd

from hitlbayes.chatlog.by import covariates
from hitlbayes.chatlog.collapse import Outcome, Period, collapse, histogram, keyed, merge_cells
from hitlbayes.chatlog.design import check_design, observed, unseen
from hitlbayes.chatlog.frame import Chats, Panel
from hitlbayes.chatlog.lags import CONTROLS, Lag, lagged
from hitlbayes.chatlog.outcomes import Outcomes, resolve
from hitlbayes.chatlog.read import read_chats
from hitlbayes.errors import DataWarning, DesignError, SchemaError, SpecError

Scope = Literal["all", "eligible", "ineligible"]
HISTOGRAMS = ("switch_aways",)
LAGGED = "lagged "


def panel(
    chats: Any,
    *,
    scope: Scope = "all",
    period: Period = "day",
    by: str | Sequence[str] | Mapping[str, Sequence[float] | None] = (),
    outcomes: Outcomes = None,
    lag: Lag = "worked",
    histograms: str | Sequence[str] = HISTOGRAMS,
) -> Panel:
    """Exact sufficient statistics of outcomes per unit, period and discrete covariate (paper, Section 4.1).

    Parameters
    ----------
    chats : Chats, or anything that `read_chats` takes
    scope : {"all", "eligible", "ineligible"}
        Which chats: all, or those that the `eligible` column marks 1 or 0.
    period : {"day", "hour"}
        In the experiment's time zone.
    by : str, sequence, or mapping of column to bin edges
        Discrete chat columns that split the cells ("hour" is the hour of the day unless the log has such a
        column). A mapping bins numeric ones: ``{"first_words": [0, 10, 50]}`` makes [0, 10), [10, 50), [50,
        inf); None: no bins.
    outcomes : str, sequence, or mapping of name to family or categories, optional
        By default every performance measure that the log has. For your own columns give the family, or the
        categories of an ordinal one: ``{"csat": (1, 2, 3), "revenue": "gaussian"}``.
    lag : {"worked", "calendar"}
        Which period is the previous one in the lagged controls; see `hitlbayes.chatlog.lags.lagged`.
    histograms : sequence of str
        Count outcomes whose whole distribution is kept per cell (by default chat switch-aways, where
        present).

    Returns
    -------
    Panel

    Raises
    ------
    DesignError
        An empty scope, one arm only, nothing before or after the start, or a named outcome never seen in an
        arm.
    SchemaError
        A column that is asked for is missing, or breaks its rule.
    SpecError
        A scope, period, lag, outcome or covariate that does not exist, or a covariate with too many levels.

    Examples
    --------
    >>> log = pd.DataFrame({
    ...     "worker_id": ["a", "a", "b", "b"], "treated": [1, 1, 0, 0], "retrial": [0, 1, 0, 0],
    ...     "start_time": pd.to_datetime(["2024-08-14 09:00", "2024-08-15 09:00"] * 2), "post": [0, 1, 0, 1],
    ... })
    >>> panel(log, outcomes="retrial").cells[["unit", "period", "n", "retrial:successes"]]
      unit     period  n  retrial:successes
    0    a 2024-08-14  1                  0
    1    a 2024-08-15  1                  1
    2    b 2024-08-14  1                  0
    3    b 2024-08-15  1                  0
    """
    _check_choices(scope=scope, period=period, lag=lag)
    chats = chats if isinstance(chats, Chats) else read_chats(chats)
    table, drops = _in_scope(chats, scope=scope)
    chosen, values, named = resolve(table, outcomes=outcomes, ratings=chats.ratings, observed=chats.observed)
    splits = covariates(table, by=by, period=period)
    if both := sorted(set(splits) & set(values)):
        raise SpecError(
            f"{', '.join(map(repr, both))}: in by= and in outcomes=.\n  expected: one or the other."
        )
    conditions = _conditions(table) if scope == "all" and not splits else {}
    source = keyed(table, period=period, columns={**splits, **values, **conditions})
    cells = collapse(source, by=list(splits), outcomes=chosen, averages=list(conditions))
    check_design(cells, scope=scope)
    cells = cells.drop(columns="post_high")
    left_out = _unseen(cells, outcomes=chosen, named=named, scope=scope)
    kept = {name: outcome for name, outcome in chosen.items() if name not in left_out}
    cells = cells.drop(columns=[c for c in cells.columns if c.split(":")[0] in left_out and ":" in c])
    history = cells if conditions else _history(chats.table, period=period)
    history = history.rename(columns=lambda name: name.removeprefix(LAGGED))
    cells = cells.drop(columns=list(conditions))
    return Panel(
        cells=cells,
        means=_means(cells, outcomes=kept, lags=lagged(history, period=period, lag=lag)),
        outcomes={name: outcome.family for name, outcome in kept.items()},
        categories={name: outcome.categories for name, outcome in kept.items() if outcome.categories},
        histograms={
            name: histogram(source, by=list(splits), name=name, cells=cells)
            for name in _distributions(histograms, outcomes=kept)
        },
        drops=_drops(cells, outcomes=kept, scope_drops=chats.drops | drops, left_out=left_out),
        left_out=left_out,
        scope=scope,
        period=period,
        by=tuple(splits),
        lag=lag,
        synthetic=chats.synthetic,
        n_chats=int(cells["n"].sum()),
        tz=chats.tz,
        start=chats.start,
    )


def _check_choices(*, scope: str, period: str, lag: str) -> None:
    for name, value, allowed in (
        ("scope", scope, get_args(Scope)),
        ("period", period, get_args(Period)),
        ("lag", lag, get_args(Lag)),
    ):
        if value not in allowed:
            raise SpecError(
                f"{name}={value!r} is not known.\n  expected: one of {', '.join(map(repr, allowed))}."
            )


def _distributions(histograms: str | Sequence[str], *, outcomes: Mapping[str, Outcome]) -> list[str]:
    """Count outcomes whose histogram is kept; a name that the user gave must be one of them."""
    names = (histograms,) if isinstance(histograms, str) else tuple(histograms)
    counts = [name for name, outcome in outcomes.items() if outcome.family == "count"]
    unknown = [name for name in names if name not in counts]
    if unknown and names != HISTOGRAMS:
        raise SpecError(
            f"histograms= names {', '.join(map(repr, unknown))}.\n  expected: count outcomes of the panel: "
            f"{', '.join(map(repr, counts)) or 'it has none'}."
        )
    return [name for name in names if name in counts]


def _in_scope(chats: Chats, *, scope: Scope) -> tuple[ir.Table, dict[str, int]]:
    """The chats of the scope, and how many lie outside it and why."""
    table = chats.table
    if scope == "all":
        return table, {}
    if "eligible" not in table.columns:
        raise SchemaError(
            f"column 'eligible' is missing, and scope={scope!r} needs it.\n"
            "  expected: 1 where the AI could have handled the chat, 0 where not, for both arms and both "
            "periods\n"
            "  to do: map your own column, columns={'eligible': 'your name'}, or use scope='all'."
        )
    want = int(scope == "eligible")
    totals = table.aggregate(
        outside=table.count(where=table.eligible == 1 - want),
        unknown=table.count(where=table.eligible.isnull()),
    )
    counts = totals.to_pandas().iloc[0]
    if counts["unknown"]:
        warnings.warn(
            f"{int(counts['unknown']):,} chats have no 'eligible' and are in neither scope.",
            DataWarning,
            stacklevel=3,
        )
    drops = {
        f"outside scope {scope!r} (eligible = {1 - want})": int(counts["outside"]),
        f"outside scope {scope!r} (eligible missing)": int(counts["unknown"]),
    }
    return table.filter(table.eligible == want), drops


def _unseen(
    cells: pd.DataFrame, *, outcomes: Mapping[str, Outcome], named: bool, scope: str
) -> dict[str, str]:
    problems = unseen(cells, outcomes=outcomes)
    if problems and (named or len(problems) == len(outcomes)):
        raise DesignError(
            "\n".join(f"outcome {name!r} is {why} in scope {scope!r}." for name, why in problems.items())
            + "\n  expected: values of the outcome in both arms, before and after the start"
            + "\n  to do: choose other outcomes=, or another scope."
        )
    for name, why in problems.items():
        warnings.warn(f"outcome {name!r} is left out of the panel: {why}.", DataWarning, stacklevel=3)
    return problems


def _conditions(table: ir.Table) -> dict[str, ir.Column]:
    """What is lagged, under a name that no outcome has."""
    sources = [source for source in CONTROLS.values() if source and source in table.columns]
    return {f"{LAGGED}{name}": table[name].cast("float64") for name in sources}


def _history(table: ir.Table, *, period: Period) -> pd.DataFrame:
    """Every unit's volume and mean conditions per period, over all of its chats."""
    chats = keyed(table, period=period, columns=_conditions(table))
    means = {name: chats[name].mean() for name in chats.columns if name.startswith(LAGGED)}
    rows = chats.group_by(["unit", "period"]).agg(n=chats.count(), **means).to_pandas()
    return rows.astype({"period": "datetime64[us]"})


def _means(cells: pd.DataFrame, *, outcomes: Mapping[str, Outcome], lags: pd.DataFrame) -> pd.DataFrame:
    """One row per unit and period: the plain mean of each outcome over its chats, and the lagged controls."""
    split = cells.duplicated(["unit", "period"]).any()
    merged = merge_cells(cells, keys=["unit", "period"], outcomes=outcomes) if split else cells
    means = merged[["unit", "period", "treated", "post", "n"]].copy()
    for name, outcome in outcomes.items():
        seen = observed(merged, name=name, outcome=outcome).replace(0, np.nan)
        if outcome.family == "bernoulli":
            means[name] = merged[f"{name}:successes"] / seen
        elif outcome.family == "ordinal":
            means[name] = sum(k * merged[f"{name}:{k}"] for k in outcome.categories) / seen
        else:
            means[name] = merged[f"{name}:mean"]
    if "duration" in outcomes:
        means["log_mean_duration"] = np.log(means["duration"])
    return means.merge(lags, on=["unit", "period"], how="left", validate="one_to_one")


def _drops(
    cells: pd.DataFrame,
    *,
    outcomes: Mapping[str, Outcome],
    scope_drops: Mapping[str, int],
    left_out: Mapping[str, str],
) -> pd.DataFrame:
    """Every row that some analysis will not see: reason, rows. Nothing else is dropped."""
    total = int(cells["n"].sum())
    rows = dict(scope_drops)
    for name, outcome in outcomes.items():
        missing = total - int(observed(cells, name=name, outcome=outcome).sum())
        rows[f"{name} missing"] = missing
    rows |= {f"{name} left out: {why}": total for name, why in left_out.items()}
    kept = {reason: count for reason, count in rows.items() if count}
    return pd.DataFrame({"reason": list(kept), "rows": list(kept.values())}).astype(
        {"reason": "str", "rows": "int64"}
    )

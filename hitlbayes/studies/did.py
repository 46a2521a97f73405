"""Difference-in-differences: what the treatment did to those who got it.

For chat k of worker i in period t, with D_it = 1 for treated workers after the start, the linear predictor is

    eta_it = alpha + g Treated_i + theta_i + a_i Post_t + (beta + b_i) D_it + mu_t + delta_it  [+ x_it' gamma]

    theta_i   the worker's level                    mu_t      what all workers share in a period
    a_i       the worker's own drift                delta_it  what one worker's period has of its own
    b_i       the treated worker's own effect       beta      the average effect, on the link's scale

and the outcome is Gaussian (log duration, times), Bernoulli (retrial), ordinal (rating) or a count. It is the
paper's equation 1 with two changes: effects of workers and days are random, and a chat, not a worker-day's
mean, is what is observed. The drift is learned from the control workers too. Without it, workers who change
by themselves would pass as workers who respond differently, and beta's interval would be too narrow.

Random effects need the unit and period means of what varies (Mundlak 1978): of D_it where the panel is
unbalanced, and of every control. Covariances of a worker's (level, drift, effect) are estimated.

What is reported is never beta but the average effect on the treated on the outcome's own scale, by
g-computation: the expected outcome of treated chats with the treatment, less without it. In the ordinal,
Bernoulli and count models, trends are assumed parallel on the link's scale.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from hitlbayes.errors import SchemaError, SpecError
from hitlbayes.fitting.model import build_model, crossed
from hitlbayes.result import Fit
from hitlbayes.spec.cells import Cells, cells_of_frame, cells_of_panel
from hitlbayes.spec.predictor import did_design, needed_columns
from hitlbayes.spec.priors import Prior
from hitlbayes.studies.mixed import SEED, Sampling, make_fit, sample_model
from hitlbayes.studies.structure import check_treatment, did_structure, varies_within

if TYPE_CHECKING:
    from hitlbayes.chatlog import Panel

LAGGED = ("lag_customer_tenure", "lag_vip", "lag_concurrency", "lag_volume")
UNITS = {"bernoulli": "percentage points", "ordinal": "points", "count": "count"}


def fit_did(
    panel: Panel | pd.DataFrame,
    *,
    outcome: str | None = None,
    likelihood: Literal["cells", "means"] = "cells",
    controls: Literal["none", "lagged"] = "none",
    unit: str = "unit",
    time: str = "period",
    treated: str | None = None,
    treated_level: object = None,
    post: str | None = None,
    treatment: str | None = None,
    family: str | None = None,
    trials: str | None = None,
    precision: str | None = None,
    formula: str | None = None,
    groups: Sequence[str] = (),
    priors: Mapping[str, Prior] | None = None,
    draws: int = 1000,
    chains: int = 4,
    seed: int = SEED,
    progress: bool | None = None,
) -> Fit:
    """Average treatment effect on the treated, on the outcome's own scale, from a hierarchical model.

    Parameters
    ----------
    panel : Panel or DataFrame
        `hitlbayes.panel(chats)`, or a frame of rows at any level (chats, unit-periods). Never changed.
    outcome : str
        For a panel ``"rating"`` by default; for a frame it must be given.
    likelihood : {"cells", "means"}
        ``"cells"`` is exact for the chats; ``"means"`` is the paper's: unweighted unit-period means, Gaussian.
    controls : {"none", "lagged"}
        The paper's lagged controls (customer tenure, VIP share, concurrency, volume). Lagged concurrency and
        volume are themselves affected by the treatment, so the headline leaves them out.
    unit, time, treated, post, treatment : str
        A frame's columns. Give `treated` (the unit's arm, 1 where it equals `treated_level`) and `post` (0/1),
        or `treatment` (0/1, treated now) where starts are staggered.
    family : {"gaussian", "bernoulli", "ordinal", "count"}
        For a panel it follows from the outcome.
    trials, precision : str, optional
        Column of trials (bernoulli); column of weights w (gaussian), with likelihood
        y_it ~ Normal(eta_it, sigma^2 / w_it), w scaled to mean one.
    formula : str, optional
        Controls, for example ``"~ x + C(z)"``.
    groups : sequence of str
        Further columns with a random intercept each.
    priors : mapping, optional
        By name: treatment, treated, sd_level, sd_drift, sd_effect, sd_period, sd_shock, rho, sigma,
        cutpoints; see `hitlbayes.spec.priors`. ``{"sd_shock": hb.fixed(0)}`` leaves an effect out.
    draws, chains, seed : int
        Draws of each chain; the same seed gives the same draws.
    progress : bool, optional
        Show a progress bar; by default where the output is a terminal.

    Returns
    -------
    Fit
        `effects()`, `summary()`, `check()`, `plot()`, `report(path)`, `save(path)`; the frequentist twin
        (two-way fixed effects on unit-period means, clustered by unit) in `frequentist`.

    Raises
    ------
    SchemaError, DesignError, SpecError
        What was found, in which rows, what was expected, and what to do.

    Notes
    -----
    Source: section 4.2, equation 1 of Wang, Zhu, Feng, Lu and Jia (2026).

    Examples
    --------
    >>> import numpy as np, pandas as pd, hitlbayes as hb
    >>> rng = np.random.default_rng(3)
    >>> frame = pd.DataFrame([(i, t) for i in range(20) for t in range(6)], columns=["id", "week"])
    >>> frame["arm"], frame["after"] = frame["id"] % 2, (frame["week"] >= 3).astype(int)
    >>> frame["y"] = 0.5 * frame["arm"] * frame["after"] + rng.normal(size=len(frame))
    >>> fit = hb.fit_did(frame, outcome="y", unit="id", time="week", treated="arm", post="after",
    ...                  family="gaussian", draws=250)
    >>> bool(-1 < fit.effects()["att"].mean() < 2)
    True
    """
    began = _now()
    sampling = Sampling(draws, chains, seed, progress)
    if isinstance(panel, pd.DataFrame):
        if outcome is None or family is None:
            raise SpecError("a frame needs outcome= and family=, for example outcome='y', family='gaussian'.")
        columns = _frame_columns(panel, unit, time, treated, treated_level, post, treatment)
        extra = [*needed_columns(formula), *groups]
        cells = _cells_of_frame(panel, columns, outcome, family, extra, trials, precision)
        about = {"name": outcome, "scope": None, "synthetic": bool(panel.attrs.get("synthetic", False))}
    else:
        outcome = outcome or "rating"
        cells = _cells_of_panel(panel, outcome, family, likelihood)
        about = {
            "name": f"{outcome}, {panel.scope} chats",
            "scope": panel.scope,
            "synthetic": panel.synthetic,
        }
        formula = " + ".join(filter(None, [formula or "~ 1", *(LAGGED if controls == "lagged" else ())]))
    if controls == "lagged":
        cells = _with_lags(cells, panel)
    check_treatment(cells)
    chats = likelihood == "cells" and varies_within(cells)
    structure = did_structure(cells, shock=chats, by_phase=chats)
    structure = _with_groups(structure, cells, groups)
    design = did_design(
        cells,
        exposure=structure.exposure,
        treated=_ever_treated(structure),
        unit=structure.unit.codes,
        period=structure.groups[0].codes,
        formula=formula,
    )
    model = build_model(cells, design, structure, priors=priors)
    drawn = sample_model(model, sampling, name=about["name"])
    spec = {
        "study": "did",
        "outcome": outcome,
        "likelihood": likelihood,
        "controls": controls,
        "formula": formula,
        "groups": list(groups),
        "block": structure.block,
    }
    means = unit_period_means(cells, structure.exposure, controls=LAGGED if controls == "lagged" else ())
    return make_fit(
        model,
        drawn,
        sampling,
        outcome=outcome,
        units=_units(outcome, cells, isinstance(panel, pd.DataFrame)),
        spec=spec,
        began=began,
        means=means,
        **about,
    )


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


def _now() -> float:
    return time.perf_counter()


def _frame_columns(frame, unit, period, treated, treated_level, post, treatment) -> pd.DataFrame:
    """Unit, period and treatment columns of a frame under their canonical names."""
    roles = {"unit": unit, "period": period}
    if treatment is not None:
        if treated is not None or post is not None:
            raise SpecError("give either treatment= (treated now), or treated= and post=, not both.")
        roles["treatment"] = treatment
    elif treated is None or post is None:
        raise SpecError(
            "a frame needs treated= and post= (arm and period), or treatment= where starts are staggered."
        )
    else:
        roles |= {"treated": treated, "post": post}
    missing = {role: column for role, column in roles.items() if column not in frame.columns}
    if missing:
        told = ", ".join(f"{role}={column!r}" for role, column in missing.items())
        raise SchemaError(f"no such column: {told}; the frame has: {', '.join(map(str, frame.columns))}.")
    made = frame[list(roles.values())].set_axis(list(roles), axis=1)
    if treated_level is not None:
        if not (made["treated"] == treated_level).any():
            raise SchemaError(
                f"{treated!r} is never {treated_level!r}; it is: {sorted(map(str, made['treated'].unique()))[:10]}."
            )
        made["treated"] = (made["treated"] == treated_level).astype(int)
    return made


def _cells_of_frame(frame, columns: pd.DataFrame, outcome, family, extra, trials, precision) -> Cells:
    others = [c for c in dict.fromkeys([outcome, *extra, trials, precision]) if c is not None]
    missing = [c for c in others if c not in frame.columns]
    if missing:
        raise SchemaError(
            f"no column {', '.join(map(repr, missing))}; the frame has: {', '.join(map(str, frame.columns))}."
        )
    kept = [c for c in others if c not in columns]
    whole = pd.concat([columns, frame[kept]], axis=1)
    keys = [*columns.columns, *dict.fromkeys(extra)]
    return cells_of_frame(
        whole, outcome=outcome, family=family, keys=keys, trials=trials, precision=precision
    )


def _cells_of_panel(panel: Panel, outcome: str, family: str | None, likelihood: str) -> Cells:
    if likelihood == "cells":
        return cells_of_panel(panel, outcome=outcome, family=family)
    if likelihood != "means":
        raise SpecError(f"likelihood is {likelihood!r}; expected 'cells' or 'means'.")
    return cells_of_frame(
        panel.means, outcome=outcome, family="gaussian", keys=["unit", "period", "treated", "post"]
    )


def _with_lags(cells: Cells, panel: Panel | pd.DataFrame) -> Cells:
    """Add the panel's lagged controls; cells without a previous period are left out, and counted."""
    if isinstance(panel, pd.DataFrame):
        raise SpecError("controls='lagged' needs a panel; for a frame name the columns in formula=.")
    lags = panel.means[["unit", "period", *LAGGED]]
    keys = cells.keys.merge(lags, on=["unit", "period"], how="left", validate="many_to_one")
    whole = Cells(
        keys, cells.family, cells.n, cells.stats, cells.labels, cells.values, cells.is_precision, cells.drops
    )
    return whole.take(
        keys[list(LAGGED)].notna().all(axis=1).to_numpy(), reason="cells without a previous period"
    )


def _with_groups(structure, cells: Cells, groups: Sequence[str]):
    from dataclasses import replace

    return replace(structure, groups=structure.groups + crossed(cells.keys, groups)) if groups else structure


def _ever_treated(structure) -> np.ndarray:
    ever = np.bincount(structure.unit.codes, structure.exposure) > 0
    return ever[structure.unit.codes]


def _units(outcome: str, cells: Cells, is_frame: bool) -> str:
    if cells.family == "gaussian" and not is_frame and outcome.startswith("log_"):
        return "percent"
    if cells.family == "gaussian" and not is_frame and outcome == "retrial":
        return "percentage points"
    return UNITS.get(cells.family, "outcome units") if outcome != "rating" else "rating points"

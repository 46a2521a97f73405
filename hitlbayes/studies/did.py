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

from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from hitlbayes.fitting.model import build_model
from hitlbayes.result import Fit
from hitlbayes.spec.predictor import did_design
from hitlbayes.spec.priors import Prior
from hitlbayes.studies.frames import LAGGED, from_frame, from_panel, unit_period_means
from hitlbayes.studies.mixed import SEED, Device, Sampling, Study, make_fit, sample_model
from hitlbayes.studies.structure import (
    check_names,
    check_treatment,
    did_structure,
    ever_treated,
    varies_within,
)

if TYPE_CHECKING:
    from hitlbayes.chatlog import Panel


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
    device: Device | None = None,
    store: str | Path | None = None,
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
        ``"cells"`` is exact for the chats; ``"means"`` is the paper's: unweighted unit-period means,
        Gaussian.
    controls : {"none", "lagged"}
        The paper's lagged controls (customer tenure, VIP share, concurrency, volume). Lagged concurrency and
        volume are themselves affected by the treatment, so the headline leaves them out.
    unit, time, treated, post, treatment : str
        A frame's columns. Give `treated` (the unit's arm, 1 where it equals `treated_level`) and `post`
        (0/1), or `treatment` (0/1, treated now) where starts are staggered.
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
    device : {"cpu", "gpu"}, optional
        Where to compute. By default on an accelerator where there is one and a gradient is work enough for
        it; `Fit.sampler` then says why.
    store : str or Path, optional
        Folder in which draws are kept, a block at a time: a run that is cut short, by Ctrl-C or a kill, goes
        on from the last whole block when the same call is made again, and gives the same draws. Units' draws
        are then read from the folder where they are used, in single precision, so that memory does not grow
        with draws x units; keep the folder as long as the fit. A folder of another run is refused.
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
    began = perf_counter()
    sampling = Sampling(draws, chains, seed, progress, device, store)
    study = did_model(
        panel,
        outcome=outcome,
        likelihood=likelihood,
        controls=controls,
        unit=unit,
        time=time,
        treated=treated,
        treated_level=treated_level,
        post=post,
        treatment=treatment,
        family=family,
        trials=trials,
        precision=precision,
        formula=formula,
        groups=groups,
        priors=priors,
    )
    drawn = sample_model(study, sampling)
    return make_fit(study, drawn, sampling, seconds=perf_counter() - began)


def did_model(
    panel: Panel | pd.DataFrame,
    *,
    outcome: str | None = None,
    likelihood: Literal["cells", "means"] = "cells",
    controls: Literal["none", "lagged"] = "none",
    groups: Sequence[str] = (),
    priors: Mapping[str, Prior] | None = None,
    **columns: Any,
) -> Study:
    """The model that `fit_did` fits, with its data and priors, before anything is drawn.

    Parameters are those of `fit_did`; `columns` are its keywords from `unit` to `formula`.
    """
    check_names(groups, also=("unit", "period"))
    asked = {"likelihood": likelihood, "controls": controls, **columns}
    if isinstance(panel, pd.DataFrame):
        source = from_frame(panel, outcome=outcome, groups=groups, **asked)
    else:
        source = from_panel(panel, outcome=outcome or "rating", **asked)
    cells = source.cells
    check_treatment(cells)
    # A unit-period's own shock, and residual SDs by arm and period, need several observations in each.
    chats = likelihood == "cells" and varies_within(cells)
    structure = did_structure(cells, groups=groups, shock=chats, by_phase=chats)
    design = did_design(
        cells,
        exposure=structure.exposure,
        treated=ever_treated(structure),
        unit=structure.unit.codes,
        period=structure.groups[0].codes,
        formula=source.formula,
    )
    lagged = LAGGED if controls == "lagged" else ()
    spec = {
        "study": "did",
        "outcome": source.outcome,
        "likelihood": likelihood,
        "controls": controls,
        "formula": source.formula,
        "groups": list(groups),
        "block": structure.block,
        "columns": source.columns,
        "treated_level": columns.get("treated_level"),
        "words": source.words,
    }
    return Study(
        build_model(cells, design, structure, priors=priors),
        name=source.name,
        outcome=source.outcome,
        units=source.units,
        spec=spec,
        means=unit_period_means(cells, structure.exposure, controls=lagged),
        scope=source.scope,
        synthetic=source.synthetic,
    )

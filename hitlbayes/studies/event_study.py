"""Event study: the effect by period relative to the start of the treatment.

The model is that of `hitlbayes.studies.did` with one effect for each period but a reference before the start
(`hitlbayes.studies.labelled`); where starts are staggered, one for each cohort and period
(`hitlbayes.studies.event_design`). Effects are independent a priori, because a walk would shrink the
differences before the start that the study is there to show; where a walk is asked for, it does not cross
the start. Period effects are as good as free: what everybody shares in a period is not shrunk.
"""

from __future__ import annotations

from collections.abc import Mapping
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from hitlbayes.spec.priors import Prior
from hitlbayes.studies.event_design import cohort_columns, event_labels, timing, walk_steps
from hitlbayes.studies.event_result import EventStudy
from hitlbayes.studies.frames import from_frame, from_panel
from hitlbayes.studies.labelled import Labels, fit_labelled, labelled_study
from hitlbayes.studies.mixed import SEED, Device, Sampling, Study
from hitlbayes.studies.structure import check_treatment, did_structure, varies_within

if TYPE_CHECKING:
    from hitlbayes.chatlog import Panel


def fit_event_study(
    panel: Panel | pd.DataFrame,
    *,
    outcome: str | None = None,
    reference: int = -1,
    comparison: Literal["never", "not_yet"] = "never",
    walk: float | None = None,
    likelihood: Literal["cells", "means"] = "cells",
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
    priors: Mapping[str, Prior] | None = None,
    draws: int = 1000,
    chains: int = 4,
    seed: int = SEED,
    device: Device | None = None,
    progress: bool | None = None,
) -> EventStudy:
    """Average effect on the treated by period relative to the start, on the outcome's own scale.

    Parameters
    ----------
    panel : Panel or DataFrame
        `hitlbayes.panel(chats)`, or a frame of rows at any level. Never changed.
    reference : int
        Period before the start, relative to it, at which effects are zero.
    comparison : {"never", "not_yet"}
        Compare with units that never start (effects before the start are estimated too), or also with those
        that start later, whose periods before their start then count as untreated.
    walk : float, optional
        Effects follow a random walk with steps of this SD (in SDs of the outcome's cell means, or logits),
        away from the reference before the start, and from the first effect on after it. By default they are
        independent.
    treated, post, treatment : str
        A frame's columns. Give `treated` and `post`, or `treatment` (0/1, treated now) where starts are
        staggered: one effect for each cohort and period is then estimated.
    priors : mapping, optional
        As in `hitlbayes.fit_did`; ``effects`` is the prior of every effect (after a walk's beginning, of the
        first).
    outcome, likelihood, unit, time, treated_level, family, trials, precision, formula
        As in `hitlbayes.fit_did`; so are draws, chains, seed, device and progress.

    Returns
    -------
    EventStudy
        `effects(by)`, `pretrend(size)`, `summary()`, `plot()`, and the `fit`.

    Raises
    ------
    SchemaError, DesignError, SpecError
        What was found, in which rows, what was expected, and what to do.

    Notes
    -----
    Cohort-by-period effects never use treated units as controls (Goodman-Bacon 2021,
    doi:10.1016/j.jeconom.2021.03.014; Callaway and Sant'Anna 2021, doi:10.1016/j.jeconom.2020.12.001).
    Differences before the start that are small say nothing about trends that part after it.

    Examples
    --------
    >>> import hitlbayes as hb
    >>> cells = hb.simulate_cells(seed=2, workers=30, periods=6, start=3, effect=0.5)
    >>> study = hb.fit_event_study(cells, outcome="y", draws=250, progress=False)
    >>> study.effects().sizes["relative"], bool(study.effects("overall").mean() > 0.2)
    (5, True)
    >>> study.pretrend(size=1.0).probability < 0.05
    True
    """
    began = perf_counter()
    sampling = Sampling(draws, chains, seed, progress, device)
    study, labels = event_model(
        panel,
        outcome=outcome,
        reference=reference,
        comparison=comparison,
        walk=walk,
        likelihood=likelihood,
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
        priors=priors,
    )
    return EventStudy(
        fit_labelled(study, labels=labels, sampling=sampling, seconds=lambda: perf_counter() - began)
    )


def event_model(
    panel: Panel | pd.DataFrame,
    *,
    outcome: str | None = None,
    reference: int = -1,
    comparison: str = "never",
    walk: float | None = None,
    likelihood: Literal["cells", "means"] = "cells",
    priors: Mapping[str, Prior] | None = None,
    **columns: Any,
) -> tuple[Study, Labels]:
    """The model that `fit_event_study` fits, and its effects, before anything is drawn."""
    if isinstance(panel, pd.DataFrame):
        source = from_frame(panel, outcome=outcome, likelihood=likelihood, **columns)
    else:
        source = from_panel(panel, outcome=outcome or "rating", likelihood=likelihood, **columns)
    cells = source.cells
    check_treatment(cells)
    moments = timing(cells.keys)
    labels = event_labels(moments, reference=reference, comparison=comparison, walk=walk)
    chats = likelihood == "cells" and varies_within(cells)
    spec = {
        "study": "event_study",
        "likelihood": likelihood,
        "reference": reference,
        "comparison": comparison,
        "treated_level": columns.get("treated_level"),
    }
    study = labelled_study(
        source,
        labels=labels,
        arms=cohort_columns(moments),
        structure=did_structure(cells, shock=chats, by_phase=chats),
        name=f"{source.name}, by period since the start",
        priors=priors,
        walk=walk_steps(labels, reference=reference, walk=walk),
        spec=spec,
    )
    return study, labels

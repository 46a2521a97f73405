"""Event study: the effect by period relative to the start of the treatment.

The model is that of `hitlbayes.studies.did` with one effect for each period but a reference before the start
(`hitlbayes.studies.labelled`); where starts are staggered, one for each cohort and period
(`hitlbayes.studies.event_design`). Effects are independent a priori, because a walk would shrink the
differences before the start that the study is there to show; where a walk is asked for, it does not cross
the start. Period effects are as good as free: what everybody shares in a period is not shrunk.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
import xarray as xr

from hitlbayes.errors import SpecError
from hitlbayes.result import Fit, interval
from hitlbayes.spec.priors import Prior
from hitlbayes.studies.event_design import cohort_columns, event_labels, timing, walk_steps
from hitlbayes.studies.event_twin import event_twin
from hitlbayes.studies.frames import from_frame, from_panel
from hitlbayes.studies.labelled import Labels, fit_labelled, grouped, grouped_shares, labelled_study
from hitlbayes.studies.mixed import SEED, Device, Sampling, Study
from hitlbayes.studies.pretrend import PreTrend, pretrend
from hitlbayes.studies.structure import check_treatment, did_structure, varies_within

if TYPE_CHECKING:
    from hitlbayes.chatlog import Panel

By = Literal["relative", "start", "effect", "overall"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class EventStudy:
    """A fitted event study: a `Fit` seen by period relative to the start.

    ``EventStudy(hb.load(path))`` opens one that was saved.
    """

    fit: Fit

    def __post_init__(self) -> None:
        if self.fit.spec.get("study") != "event_study":
            raise SpecError(f"{self.fit.name} is no event study; make one with hb.fit_event_study.")

    @property
    def reference(self) -> int:
        """The relative period at which effects are zero."""
        return int(self.fit.spec["reference"])

    def effects(self, by: By = "relative", *, weight: str = "chat") -> xr.DataArray:
        """Draws of effects in the fit's units: (chain, draw, `by`).

        Parameters
        ----------
        by : {"relative", "start", "effect", "overall"}
            By period relative to the start, pooled over cohorts by their sizes; by cohort, over its treated
            periods; each cohort and period by itself; over everything treated (chain, draw).
        weight : {"chat", "cell"}
            Average over observations, or over unit-periods.

        Notes
        -----
        Effects are those of the treated units at their own levels and period effects; shocks are averaged
        over their distribution. Relative periods hold different cohorts where starts are staggered.
        """
        made = grouped(self.fit, self._groups(by), dim=by, weight=weight)
        return made.isel({by: 0}, drop=True) if by == "overall" else made

    def shares(self, by: By = "relative", *, weight: str = "chat") -> xr.DataArray:
        """Draws of the change in the probability of each category (percentage points), ordinal outcomes."""
        made = grouped_shares(self.fit, self._groups(by), dim=by, weight=weight)
        return made.isel({by: 0}, drop=True) if by == "overall" else made

    def pretrend(self, size: float) -> PreTrend:
        """Joint posterior probability that an effect before the start exceeds a size, in the fit's units.

        Parameters
        ----------
        size : smallest difference before the start that would matter

        Raises
        ------
        SpecError
            No effects before the start were estimated, or the size is not positive.
        """
        draws = self.effects()
        before = draws.sel(relative=draws["relative"] < 0)
        return pretrend(before, size=size, reference=self.reference)

    def summary(self, prob: float = 0.95, kind: str = "eti", *, by: By = "relative") -> pd.DataFrame:
        """Effects: mean, SD, interval, probability of being positive, and the frequentist twin beside them.

        The twin (estimate, standard error clustered by unit) is on the scale of unit-period means: log
        points where the units are percent, shares where they are percentage points.
        """
        draws = self.effects(by)
        columns = {"all treated": draws} if by == "overall" else {
            label.item(): draws.sel({by: label.item()}) for label in draws[by]
        }  # fmt: skip
        rows = []
        for values in columns.values():
            flat = np.ravel(values.to_numpy())
            lower, upper = interval(flat, prob=prob, kind=kind)
            rows.append((flat.mean(), flat.std(), lower, upper, np.mean(flat > 0)))
        names = ["mean", "sd", "lower", "upper", "prob_positive"]
        table = pd.DataFrame(rows, index=pd.Index(list(columns), name=by), columns=names)
        twin = self.frequentist(by)
        return table.assign(twin=twin["estimate"], twin_se=twin["se"], units=self.fit.units)

    def frequentist(self, by: By = "relative") -> pd.DataFrame:
        """The same effects by least squares on unit-period means: estimate and standard error by unit.

        Unit and period fixed effects and the same saturated columns; with never-treated units and a balanced
        panel these are the group-time effects of Callaway and Sant'Anna (2021).
        """
        groups = self._groups(by)
        return event_twin(self.fit, groups, labels=self._labels, dim=by)

    def plot(self, **options: Any):
        """Effects by relative period with their intervals, the reference and the frequentist twin."""
        from hitlbayes.report.plot_event import plot_event

        return plot_event(self, **options)

    def save(self, path: str | Path) -> Path:
        """Write the fit to one file; ``EventStudy(hb.load(path))`` reads it."""
        return self.fit.save(path)

    def __repr__(self) -> str:
        fit, label = self.fit, " (SYNTHETIC data)" if self.fit.synthetic else ""
        head = f"Event study: {fit.name}{label}; {fit.units}, 95% ETI; reference period {self.reference}"
        shown = self.summary()[["mean", "lower", "upper", "prob_positive", "twin", "twin_se"]]
        return f"{head}\n{shown.to_string(float_format=lambda x: f'{x:.3f}')}\n{fit.check()}"

    def _table(self) -> pd.DataFrame:
        effects = self.fit.posterior["effects"].to_dataset()
        columns = {name: effects[name].to_numpy() for name in ("relative", "start")}
        return pd.DataFrame(columns, index=effects["effect"].to_numpy())

    def _groups(self, by: str) -> dict[Any, list[str]]:
        """Names of the effects in each group."""
        table = self._table()
        if by == "effect":
            return {name: [name] for name in table.index}
        after = table[table["relative"] >= 0]
        if by == "overall":
            return {"all treated": list(after.index)}
        if by not in ("relative", "start"):
            raise SpecError(f"by is {by!r}; expected 'relative', 'start', 'effect' or 'overall'.")
        table = table if by == "relative" else after
        return {key: list(part.index) for key, part in table.groupby(by)}

    def _labels(self, keys: pd.DataFrame) -> Labels:
        told = self.fit.spec
        return event_labels(
            timing(keys), reference=told["reference"], comparison=told["comparison"], walk=None
        )


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

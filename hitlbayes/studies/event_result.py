"""An event study that was fitted: its effects pooled as asked, and what they say together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import xarray as xr

from hitlbayes.errors import SpecError
from hitlbayes.result import Fit
from hitlbayes.studies.event_design import event_labels, timing
from hitlbayes.studies.event_twin import event_twin
from hitlbayes.studies.labelled import Labels, grouped, grouped_shares
from hitlbayes.studies.pretrend import PreTrend, pretrend
from hitlbayes.summaries import interval

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

    def learning(self, *, weight: str = "chat") -> xr.Dataset:
        """Draws of how the effect changes with time since the start: does it grow as workers learn?

        Returns
        -------
        Dataset
            `per_period` and `per_doubling` (chain, draw): the slope of the straight line through the effects
            after the start against the periods since then, and against the base-2 logarithm of one plus
            these, in the fit's units. Where starts are staggered, later periods hold earlier cohorts only.

        Raises
        ------
        SpecError
            There is one period after the start.
        """
        draws = self.effects(weight=weight)
        after = draws.sel(relative=draws["relative"] >= 0)
        if after.sizes["relative"] < 2:
            raise SpecError("there is one period after the start; learning needs two or more.")
        made = {}
        for name, clock in (
            ("per_period", after["relative"]),
            ("per_doubling", np.log2(1 + after["relative"])),
        ):
            away = (clock - clock.mean()).astype(float)
            made[name] = (after * away).sum("relative") / float((away**2).sum())
        return xr.Dataset(made, attrs={"units": self.fit.units})

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

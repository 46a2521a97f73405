"""A fitted model: its draws, its effects on the outcome's own scale, its verdict on itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from hitlbayes.diagnostics import Check, diagnose, diagnose_units, judge
from hitlbayes.errors import SpecError
from hitlbayes.frequentist import Frequentist, two_way_fixed_effects
from hitlbayes.slices import AT_ONCE, weighted
from hitlbayes.spec.cells import category_values
from hitlbayes.spec.columns import calendar_days
from hitlbayes.summaries import on_scale, summarise


@dataclass(frozen=True, eq=False, repr=False)
class Fit:
    """A fitted model.

    Attributes
    ----------
    name, outcome, family, units : str
        What was estimated, and the units of its effect.
    posterior : xarray.DataTree
        Groups posterior, effects, sample_stats; dimensions chain and draw.
    cells : DataFrame
        The sufficient statistics it was fitted to: unit, exposure, n, and statistics.
    means : DataFrame or None
        Unit-period means behind the frequentist twin.
    spec : dict
        Everything that was asked for, priors and seed included.
    synthetic : bool
        Whether the data are simulated.
    versions : dict
        Of the packages that made the draws.
    """

    name: str
    outcome: str
    family: str
    units: str
    posterior: xr.DataTree
    cells: pd.DataFrame
    means: pd.DataFrame | None
    spec: Mapping[str, Any]
    labels: tuple
    unit_name: str
    synthetic: bool
    scope: str | None
    seed: int
    seconds: float
    sampler: str
    k_hat: float
    effective: float
    drops: Mapping[str, int] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    _known: dict[Any, Any] = field(default_factory=dict, init=False)

    def effects(self, weight: str = "chat") -> xr.Dataset:
        """Draws of the average effect on the treated, on the outcome's own scale.

        Parameters
        ----------
        weight : {"chat", "cell"}
            Average over observations, or over unit-periods.

        Returns
        -------
        xarray.Dataset
            `att` (chain, draw) in `units`; for an ordinal outcome also `att_probability`
            (chain, draw, category) in percentage points. Effects average over the treated cells' own
            realised shocks.

        Raises
        ------
        SpecError
            The model has no treatment, or the weight is unknown.
        """
        if weight not in ("chat", "cell"):
            raise SpecError(f"weight is {weight!r}; expected 'chat' or 'cell'.")
        self._needs_treatment()
        return self._once(("effects", weight), lambda: self._effects(weight)).copy(deep=True)

    def _effects(self, weight: str) -> xr.Dataset:
        data: dict[str, Any] = {}
        if self.family == "gaussian":
            linear = weighted(self._own(), self._unit_weights(weight))
            data["att"] = on_scale(linear, self.units)
        else:
            step = self._group("effects")["average"].sel(weight=weight, drop=True)
            sizes = (
                np.diff(category_values(self.labels))
                if self.family == "ordinal"
                else np.ones(step.sizes["step"])
            )
            data["att"] = on_scale(step @ xr.DataArray(sizes, dims="step"), self.units)
            if self.family == "ordinal":
                data["att_probability"] = _category_change(step, self.labels)
        return xr.Dataset(data, attrs={"units": self.units, "weight": weight, "shocks": "realised"})

    def worker_effects(self) -> xr.DataArray:
        """Draws of each treated unit's own effect (chain, draw, unit), in `units`."""
        self._needs_treatment()
        if self._own().size > AT_ONCE:
            return self._worker_effects()
        return self._once("worker_effects", self._worker_effects).copy()

    def _worker_effects(self) -> xr.DataArray:
        treated = self._unit_weights("chat") > 0
        if self.family == "gaussian":
            own = self._own()
        else:
            own = self._group("effects")["unit_average"]
            labels = self._group("posterior")[self.unit_name].to_numpy()
            own = own.rename({own.dims[-1]: self.unit_name}).assign_coords({self.unit_name: labels})
        own = on_scale(own.isel({self.unit_name: np.flatnonzero(treated)}), self.units)
        own = own.rename({self.unit_name: "unit"} if self.unit_name != "unit" else {})
        return own.assign_attrs(units=self.units, unit=self._word("unit"))

    def period_effects(self) -> xr.DataArray:
        """Draws of the period effects on the linear predictor (chain, draw, period).

        Attributes: `units`, `period` (what a period is called), `start` (the first treated period).
        """
        posterior = self._group("posterior")
        if "period" not in posterior:
            raise SpecError("this model has no period effects.")
        effects = posterior["period"].rename({"period_level": "period"})
        attrs = {"units": self._link_units(), "period": self._word("period")}
        periods, treated = effects["period"].to_numpy(), (self.cells["exposure"] > 0).to_numpy()
        if treated.any() and periods.dtype.kind != "U":  # texts have no place between two others
            first = periods[pd.factorize(calendar_days(self.cells["period"]), sort=True)[0][treated].min()]
            attrs["start"] = pd.Timestamp(first).isoformat() if periods.dtype.kind == "M" else first.item()
        return effects.assign_attrs(attrs)

    def summary(self, prob: float = 0.95, kind: str = "eti") -> pd.DataFrame:
        """Reported effects: mean, SD, interval, probability of being positive, diagnostics, units."""
        return self._once(("summary", prob, kind), lambda: self._summary(prob, kind)).copy()

    def _summary(self, prob: float, kind: str) -> pd.DataFrame:
        draws = self._reported()
        table = summarise({name: values for name, (values, _) in draws.items()}, prob=prob, kind=kind)
        table.insert(4, "prob_positive", [float(np.mean(v > 0)) for v, _ in draws.values()])
        table["units"] = [units for _, units in draws.values()]
        table.index.name = "estimand"
        return table

    def tidy(self, prob: float = 0.95, kind: str = "eti") -> pd.DataFrame:
        """Every hyperparameter, coefficient and reported effect, a row each."""
        return self._once(("tidy", prob, kind), lambda: self._tidy(prob, kind)).copy()

    def _tidy(self, prob: float, kind: str) -> pd.DataFrame:
        named = self.hyperparameters() | {name: values for name, (values, _) in self._reported().items()}
        return summarise(named, prob=prob, kind=kind).rename_axis("term").reset_index()

    def hyperparameters(self) -> dict[str, np.ndarray]:
        """Draws (chains, draws) of coefficients, scales, correlations, residual SDs, cutpoints, by name."""
        found: dict[str, np.ndarray] = {}
        for name, values in self._group("posterior").data_vars.items():
            if values.ndim == 2:
                found[str(name)] = values.to_numpy()
            elif name in ("coef", "cutpoints", "sigma"):
                a, labels = values.to_numpy(), _labels_of(values, str(name))
                found |= {label: a[..., j] for j, label in enumerate(labels)}
        return found

    def check(self) -> Check:
        """Whether the draws can be trusted (r_hat, bulk and tail ESS, divergences, k-hat)."""
        return self._check

    def worker_diagnostics(self) -> pd.DataFrame:
        """r_hat, bulk and tail ESS of every unit's level, change and effect on the linear predictor.

        Returns
        -------
        DataFrame
            A row for each unit, with columns (variable, r_hat | ess_bulk | ess_tail); NaN for constants.
            Of thousands of units some exceed the limits of `check()` by chance.
        """
        posterior, names = self._group("posterior"), ("level", "change", "effect")
        parts = [f"{self.unit_name}_{name}" for name in names]
        return pd.concat({n: diagnose_units(posterior[n]) for n in parts if n in posterior}, axis=1)

    @cached_property
    def _check(self) -> Check:
        named = self.hyperparameters() | {name: values for name, (values, _) in self._reported().items()}
        stats = self.posterior["sample_stats"].to_dataset()
        return judge(diagnose(named), stats=stats, k_hat=self.k_hat, effective=self.effective)

    @cached_property
    def frequentist(self) -> Frequentist | None:
        """Two-way fixed effects on unit-period means, clustered by unit; None without a treatment."""
        if self.means is None:
            return None
        controls = [
            c for c in self.means.columns if c not in ("unit", "period", "exposure", "outcome", "precision")
        ]
        weights = "precision" if "precision" in self.means else None
        return two_way_fixed_effects(self.means, outcome="outcome", controls=controls, weights=weights)

    def save(self, path: str | Path, *, anonymize: bool = False) -> Path:
        """Write draws, cells and specification to one file (.nc) or folder (.zarr)."""
        from hitlbayes.storage import save_fit

        return save_fit(self, path, anonymize=anonymize)

    def plot(self, kind: str = "effect", **options: Any):
        """A figure of the fit: effect, workers, periods, categories or checks."""
        from hitlbayes.report.plots import plot

        return plot(self, kind=kind, **options)

    def report(self, path: str | Path) -> Path:
        """Write a self-contained HTML report."""
        from hitlbayes.report.fit_report import fit_report

        return fit_report(self, path)

    def predict(self, newdata: pd.DataFrame, *, treatment: float | None = None) -> xr.DataArray:
        """Draws of the mean response for new rows (chain, draw, row); see `hitlbayes.predict.predict`."""
        from hitlbayes.predict import predict

        return predict(self, newdata, treatment=treatment)

    def __repr__(self) -> str:
        from hitlbayes.report.summary import summary_text

        return summary_text(self)

    def _repr_html_(self) -> str:
        from hitlbayes.report.summary import summary_html

        return summary_html(self)

    def _once(self, key: Any, make: Callable[[], Any]) -> Any:
        """What `make` returns, computed the first time that it is asked for under this key."""
        if key not in self._known:
            self._known[key] = make()
        return self._known[key]

    def _word(self, role: str) -> str:
        return self.spec.get("words", {}).get(role, role)

    def _link_units(self) -> str:
        """Units of the linear predictor."""
        if self.family != "gaussian":
            return "log points" if self.family == "count" else "logit"
        return {"percent": "log points", "percentage points": "share"}.get(self.units, self.units)

    def _needs_treatment(self) -> None:
        if f"{self.unit_name}_effect" not in self.posterior["posterior"]:
            raise SpecError(f"{self.name} has no treatment; effects exist for fits of `fit_did`.")

    def _own(self) -> xr.DataArray:
        return self._group("posterior")[f"{self.unit_name}_effect"]

    def _group(self, name: str) -> xr.Dataset:
        group = self.posterior[name]
        assert isinstance(group, xr.DataTree)
        return group.to_dataset()

    def _unit_weights(self, weight: str) -> np.ndarray:
        """Each unit's share of the treated cells (N,), in the order of the draws' units."""
        treated = self.cells[self.cells["exposure"] > 0]
        amount = treated["n"].to_numpy() if weight == "chat" else np.ones(len(treated))
        by_unit = np.bincount(treated["unit_code"], amount, self._own().sizes[self.unit_name])
        return by_unit / by_unit.sum()

    def _reported(self) -> dict[str, tuple[np.ndarray, str]]:
        """Reported effects (chains, draws) and their units, by estimand."""
        if f"{self.unit_name}_effect" not in self.posterior["posterior"]:
            return {}
        found = {}
        for weight, words in (("chat", "ATT"), ("cell", "ATT, cells weighted equally")):
            effects = self.effects(weight)
            found[words] = (effects["att"].to_numpy(), self.units)
            if weight == "chat" and "att_probability" in effects:
                for k, label in enumerate(self.labels):
                    values = effects["att_probability"].to_numpy()[..., k]
                    found[f"change in P({self.outcome} = {label})"] = (values, "percentage points")
        return found


def _category_change(step: xr.DataArray, labels: tuple) -> xr.DataArray:
    """Change in the probability of each category (percentage points) from the changes above each cutpoint."""
    above = step.to_numpy()
    nothing = np.zeros_like(above[..., :1])
    change = -np.diff(np.concatenate([nothing, above, nothing], axis=-1), axis=-1)
    return xr.DataArray(100.0 * change, dims=("chain", "draw", "category"), coords={"category": list(labels)})


def _labels_of(values: xr.DataArray, name: str) -> list[str]:
    if name == "coef":
        return [str(v) for v in values["term"].to_numpy()]
    if name == "cutpoints":
        return [f"cutpoint[{j + 1}]" for j in range(values.shape[-1])]
    phases = values["phase"].to_numpy() if "phase" in values.coords else range(values.shape[-1])
    return [f"sigma[{p}]" for p in phases]

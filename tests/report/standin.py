"""A small fit made of arrays, for the display layer alone."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import xarray as xr

from hitlbayes.errors import SpecError

CHAINS, DRAWS = 4, 500


@dataclass(frozen=True)
class Check:
    ok: bool = True
    problems: tuple[str, ...] = ()
    r_hat: float | None = 1.003
    ess_bulk: float | None = 1060.0
    ess_tail: float | None = 1120.0
    divergences: int | None = 0
    k_hat: float | None = None


@dataclass(frozen=True)
class Frequentist:
    estimate: float = -0.412
    se: float = 0.114
    lower: float = -0.636
    upper: float = -0.188
    n: int = 3865
    r2: float = 0.211
    clusters: int | None = 647
    formula: str = "rating ~ d | unit + period"


@dataclass(frozen=True)
class ArrayFit:
    att: np.ndarray
    name: str = "rating_eligible"
    outcome: str = "rating"
    family: str = "ordinal"
    units: str = "rating points"
    synthetic: bool = True
    scope: str | None = "eligible"
    seed: int = 20240815
    seconds: float = 16.2
    sampler: str = "split HMC"
    frequentist: Frequentist | None = field(default_factory=Frequentist)
    verdict: Check = field(default_factory=Check)
    units_n: int = 302
    spec: dict = field(default_factory=lambda: {"priors": {"treatment": "normal(0, 1)"}})
    drops: dict = field(default_factory=lambda: {"rating missing": 563_515})
    versions: dict = field(default_factory=lambda: {"hitlbayes": "0.1.0", "jax": "0.10.0"})
    cells: pd.DataFrame = field(default_factory=lambda: pd.DataFrame({"unit": [1, 2], "n": [3.0, 4.0]}))

    def effects(self, *, weight: str = "chat") -> xr.Dataset:
        data = {"att": (("chain", "draw"), self.att)}
        coords = {}
        if self.family == "ordinal":
            shape = np.array([9.0, 2.0, -0.5, -1.5, -9.0])
            data["att_probability"] = (("chain", "draw", "category"), -self.att[..., None] * 2.2 * shape / 2)
            coords["category"] = [1, 2, 3, 4, 5]
        return xr.Dataset(data, coords=coords, attrs={"units": self.units, "weight": weight})

    def worker_effects(self) -> xr.DataArray:
        rng = np.random.default_rng(3)
        own = rng.normal(0, 0.3, self.units_n)
        values = self.att[..., None] + own + rng.normal(0, 0.25, (*self.att.shape, self.units_n))
        names = [f"w{i:03d}" for i in range(self.units_n)]
        return xr.DataArray(
            values, dims=("chain", "draw", "unit"), coords={"unit": names}, attrs={"unit": "worker"}
        )

    def period_effects(self) -> xr.DataArray:
        rng = np.random.default_rng(4)
        days = pd.date_range("2024-08-01", periods=31)
        values = np.sin(np.arange(31) * 2 * np.pi / 7) * 0.1 + rng.normal(0, 0.03, (*self.att.shape, 31))
        return xr.DataArray(
            values,
            dims=("chain", "draw", "period"),
            coords={"period": days},
            attrs={"units": "logit", "period": "day", "start": "2024-08-15"},
        )

    def summary(self, *, prob: float = 0.95, kind: str = "eti") -> pd.DataFrame:
        lower, upper = np.quantile(self.att, [(1 - prob) / 2, (1 + prob) / 2])
        row = {"mean": self.att.mean(), "sd": self.att.std(), "lower": lower, "upper": upper}
        rest = {
            "prob_positive": (self.att > 0).mean(),
            "ess_bulk": 1800.0,
            "ess_tail": 1750.0,
            "r_hat": 1.001,
        }
        return pd.DataFrame([row | rest | {"units": self.units}], index=pd.Index(["att"], name="estimand"))

    def tidy(self, *, prob: float = 0.95, kind: str = "eti") -> pd.DataFrame:
        terms = [
            "beta",
            "gamma",
            *(f"cutpoint[{k}]" for k in range(1, 5)),
            "sd_level",
            "sd_drift",
            "sd_effect",
        ]
        rng = np.random.default_rng(5)
        n = len(terms)
        mean = rng.normal(size=n)
        return pd.DataFrame(
            {
                "term": terms,
                "mean": mean,
                "sd": 0.1,
                "lower": mean - 0.2,
                "upper": mean + 0.2,
                "ess_bulk": rng.integers(1060, 2000, n).astype(float),
                "ess_tail": rng.integers(1060, 2000, n).astype(float),
                "r_hat": 1 + rng.uniform(0, 0.003, n),
            }
        )

    def check(self) -> Check:
        return self.verdict


def array_fit(*, mean: float = -0.40, sd: float = 0.1, seed: int = 1, **changes: object) -> ArrayFit:
    draws = np.random.default_rng(seed).normal(mean, sd, (CHAINS, DRAWS))
    return ArrayFit(att=draws, **changes)  # type: ignore[arg-type]


class MixedFit(ArrayFit):
    """A model without treatment: it has terms and no effect."""

    def effects(self, *, weight: str = "chat") -> xr.Dataset:
        raise SpecError("this model has no treatment, so it has no effect.")

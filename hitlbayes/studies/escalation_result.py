"""Effects by escalation type, as they are read: draws, tables, contrasts, which type is worst, checks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
import pandas as pd
import xarray as xr

from hitlbayes.diagnostics import Check, diagnose, judge
from hitlbayes.errors import SpecError
from hitlbayes.result import Fit
from hitlbayes.studies.escalation_model import TREATMENT
from hitlbayes.summaries import summarise

WORSE = {"rating": "lower", "responded": "lower"}


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class EscalationFit:
    """Effects of AI handling by escalation type, under principal ignorability.

    Attributes
    ----------
    outcome, family, units, assumption : str
    types : tuple of str
    pooled, unpooled : Fit
        The models; in `unpooled` no type says anything about another.
    draws : xarray.Dataset
        ``pooled`` and ``unpooled`` (chain, draw, type), effects in `units`; ``pooled_linear`` and
        ``unpooled_linear`` on the linear predictor (log points, logits); ``size`` (type), AI chats with a
        known outcome.
    twin : DataFrame
        The paper's OLS by subsample (`hitlbayes.studies.escalation_twin`): log points, probabilities, points.
    formula : str
        Covariates.
    synthetic : bool
    seconds : float
    """

    outcome: str
    family: str
    units: str
    types: tuple[str, ...]
    pooled: Fit
    unpooled: Fit
    draws: xr.Dataset
    twin: pd.DataFrame
    formula: str
    assumption: str
    synthetic: bool
    seconds: float

    def effects(self, pool: bool = True) -> xr.DataArray:
        """Draws (chain, draw, type) of the average effect on each type's chats, in `units`."""
        effect = self.draws["pooled" if pool else "unpooled"].copy()
        return effect.assign_attrs(
            units=self.units, assumption=self.assumption, synthetic=int(self.synthetic)
        )

    def summary(self, prob: float = 0.95, kind: str = "eti") -> pd.DataFrame:
        """Effect of each type, pooled and unpooled: mean, SD, interval, Pr(> 0), Pr(worst), diagnostics."""
        tables = []
        for pool in (True, False):
            effect, worst = self.effects(pool), self.worst(pool=pool)
            named = {t: effect.sel(type=t).to_numpy() for t in self.types}
            table = summarise(named, prob=prob, kind=kind).rename_axis("type").reset_index()
            table.insert(1, "pooling", "partial" if pool else "none")
            table.insert(6, "prob_positive", [float((named[t] > 0).mean()) for t in table["type"]])
            table.insert(7, "prob_worst", [float(worst[t]) for t in table["type"]])
            tables.append(table)
        made = pd.concat(tables, ignore_index=True)
        made["n"] = self.draws["size"].sel(type=made["type"].tolist()).to_numpy()
        made["units"] = self.units
        made["assumption"] = self.assumption
        return made

    def contrasts(
        self,
        pairs: Sequence[tuple[str, str]] | None = None,
        *,
        pool: bool = True,
        prob: float = 0.95,
        kind: str = "eti",
    ) -> pd.DataFrame:
        """Differences between types, the first less the second, in `units`.

        Parameters
        ----------
        pairs : sequence of (str, str), optional
            All pairs unless given, for instance ``[("emotional", "technical"), ("human", "emotional")]``.
        """
        effect = self.effects(pool)
        wanted = list(pairs) if pairs is not None else list(combinations(self.types, 2))
        unknown = sorted({t for pair in wanted for t in pair} - set(self.types))
        if unknown:
            raise SpecError(f"no type {', '.join(unknown)} in this fit; it has: {', '.join(self.types)}.")
        named = {f"{a} - {b}": (effect.sel(type=a) - effect.sel(type=b)).to_numpy() for a, b in wanted}
        table = summarise(named, prob=prob, kind=kind).rename_axis("contrast").reset_index()
        table.insert(5, "prob_positive", [float((v > 0).mean()) for v in named.values()])
        return table.assign(units=self.units, assumption=self.assumption)

    def worst(self, worse: Literal["higher", "lower"] | None = None, *, pool: bool = True) -> pd.Series:
        """Probability that each type has the worst effect of all.

        Parameters
        ----------
        worse : {"higher", "lower"}, optional
            By default lower ratings and response rates are worse, and higher values of any other outcome.
        """
        chosen = worse or WORSE.get(self.outcome, "higher")
        if chosen not in ("higher", "lower"):
            raise SpecError(f"worse is {worse!r}; expected 'higher' or 'lower'.")
        effect = self.effects(pool).transpose("type", "chain", "draw").to_numpy()
        first = (effect.argmax if chosen == "higher" else effect.argmin)(axis=0).ravel()
        share = np.bincount(first, minlength=len(self.types)) / first.size
        return pd.Series(
            share, index=pd.Index(self.types, name="type"), name=f"prob_worst ({chosen} is worse)"
        )

    def check(self) -> Check:
        """Whether the draws of both models, and of every effect, can be trusted."""
        named: dict[str, np.ndarray] = {}
        stats, k_hats, effective = [], [], []
        for pool, fit in (("pooled", self.pooled), ("unpooled", self.unpooled)):
            named |= {f"{pool} {name}": values for name, values in fit.hyperparameters().items()}
            named |= {f"{pool} {t}": self.draws[pool].sel(type=t).to_numpy() for t in self.types}
            stats.append(fit.posterior["sample_stats"]["diverging"].to_numpy())
            k_hats.append(fit.k_hat)
            effective.append(fit.effective)
        # Type effects trade off with what they share and with the level; what is reported is their sum.
        traded = [f"{pool} {n}" for pool in ("pooled", "unpooled") for n in (TREATMENT, "intercept")]
        named = {n: v for n, v in named.items() if n not in traded and "cutpoint" not in n}
        joined = xr.Dataset({"diverging": (("fit", "chain", "draw"), np.stack(stats))})
        return judge(
            diagnose(named), stats=joined, k_hat=float(np.max(k_hats)), effective=float(np.min(effective))
        )

    def __repr__(self) -> str:
        table = self.summary().query("pooling == 'partial'")
        label = " (SYNTHETIC)" if self.synthetic else ""
        lines = [f"Effect on {self.outcome} by escalation type{label}, {self.units}, {self.assumption}"]
        for row in table.itertuples():
            lines.append(
                f"  {row.type:<10} {row.mean:8.3f} (95% ETI {row.lower:.3f} to {row.upper:.3f}), "
                f"Pr(worst) {row.prob_worst:.2f}, {row.n:,} AI chats"
            )
        return "\n".join([*lines, f"  {self.check()}"])

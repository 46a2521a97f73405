"""What a re-analysis of printed figures returns: posterior draws, and tables that are views of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from hitlbayes.errors import SpecError


@dataclass(frozen=True, slots=True)
class Reanalysis:
    """Posterior of effects or means given printed estimates and their uncertainty.

    Attributes
    ----------
    table : str
        The published table, or ``"given"`` for a user's own estimates.
    source : str
        ``"published"`` or ``"given"``; never synthetic.
    draws : xarray.Dataset
        Dimensions chain (1), draw, outcome, group; independent draws. ``effect`` (or ``mean`` for Table 6)
        on the printed scale; ``percent``, ``100 (exp(effect) - 1)``, of outcomes in log points;
        ``contrast`` over ``pair`` where groups are disjoint; ``population_mean`` and ``tau`` where pooled.
        ``estimate`` and ``se`` (outcome, group) are the input; where means were given with sizes, ``sd`` is
        what the interval and the size imply.
    prob : float
        Probability of the intervals unless `summary` is told otherwise.
    thresholds : mapping
        Size that counts as relevant, by outcome, in its units.
    tau_scale : mapping
        Scale of the half-normal prior on the standard deviation between groups, by outcome; empty if
        unpooled.
    seed : int
    notes : tuple of str
        What the numbers assume.
    """

    table: str
    source: str
    draws: xr.Dataset
    prob: float
    thresholds: Mapping[str, float]
    tau_scale: Mapping[str, float]
    seed: int
    notes: tuple[str, ...]

    @property
    def pooled(self) -> bool:
        """Whether groups borrow strength from each other."""
        return bool(self.tau_scale)

    def summary(self, prob: float | None = None, kind: str = "eti") -> pd.DataFrame:
        """One row per effect and contrast: printed estimate, posterior, and probabilities of sign and size.

        Parameters
        ----------
        prob : float, optional
            Probability of the interval; the result's own by default.
        kind : {"eti", "hdi"}
            Equal-tailed or highest-density.

        Returns
        -------
        DataFrame
            ``outcome``, ``quantity`` (effect, mean, contrast, percent, tau), ``group``, ``units``,
            ``estimate``, ``se`` (as printed, or implied by the interval), ``mean``, ``sd``, ``lower``,
            ``upper``, ``prob_positive``, ``threshold``, ``prob_above`` (beyond + threshold), ``prob_below``
            (beyond - threshold), ``source``.
        """
        prob = self.prob if prob is None else prob
        quantities = ("effect", "mean", "percent", "contrast", "tau")
        rows = [
            row for name in quantities if name in self.draws for row in self._rows(name, prob=prob, kind=kind)
        ]
        frame = pd.DataFrame(rows)
        frame["source"] = self.source
        frame.attrs.update(source=self.source, table=self.table, prob=prob, kind=kind, seed=self.seed)
        return frame

    def _rows(self, name: str, *, prob: float, kind: str) -> list[dict[str, Any]]:
        values = self.draws[name].stack(sample=("chain", "draw"), create_index=False).transpose("sample", ...)
        outcomes = [str(o) for o in values["outcome"].values]
        labels = [d for d in values.dims if d not in ("sample", "outcome")]
        groups = [str(g) for g in values[labels[0]].values] if labels else [""]
        cube = values.values.reshape(values.sizes["sample"], len(outcomes), len(groups))
        rows = []
        for i, outcome in enumerate(outcomes):
            for j, group in enumerate(groups):
                if np.isnan(cube[:, i, j]).all():
                    continue
                sized = name in ("effect", "contrast")
                threshold = self.thresholds.get(outcome, np.nan) if sized else np.nan
                row: dict[str, Any] = {"outcome": outcome, "quantity": name, "group": group}
                row["units"] = self._units(name, outcome)
                row |= self._printed(name, outcome, group)
                row |= describe(cube[:, i, j], prob=prob, kind=kind, threshold=threshold)
                rows.append(row)
        return rows

    def _units(self, name: str, outcome: str) -> str:
        return "percent" if name == "percent" else str(self.draws["units"].sel(outcome=outcome).item())

    def _printed(self, name: str, outcome: str, group: str) -> dict[str, float]:
        given = self.draws[["estimate", "se"]].sel(outcome=outcome)
        if name in ("effect", "mean"):
            return {v: float(given[v].sel(group=group)) for v in ("estimate", "se")}
        if name != "contrast":
            return {"estimate": np.nan, "se": np.nan}
        pair = self.draws["pair"].sel(pair=group)
        a, b = (given.sel(group=str(pair[c].item())) for c in ("minuend", "subtrahend"))
        rho = float(self.draws.attrs["correlation"])
        variance = a["se"] ** 2 + b["se"] ** 2 - 2 * rho * a["se"] * b["se"]
        return {"estimate": float(a["estimate"] - b["estimate"]), "se": float(np.sqrt(variance))}

    def __repr__(self) -> str:
        groups = ", ".join(str(g) for g in self.draws["group"].values)
        how = f"partially pooled over {groups}" if self.pooled else f"unpooled ({groups})"
        what = "given estimates" if self.source == "given" else f"published Table {self.table}"
        return f"Reanalysis of {what}: {how}; {self.draws.sizes['draw']} draws, seed {self.seed}"


def describe(
    draws: np.ndarray, *, prob: float, kind: str, threshold: float = float("nan")
) -> dict[str, float]:
    """Mean, SD, interval and tail probabilities of one quantity's draws (n,)."""
    lower, upper = interval(draws, prob=prob, kind=kind)
    sized = np.isfinite(threshold)
    return {
        "mean": float(draws.mean()),
        "sd": float(draws.std(ddof=1)),
        "lower": lower,
        "upper": upper,
        "prob_positive": float((draws > 0).mean()),
        "threshold": float(threshold),
        "prob_above": float((draws > threshold).mean()) if sized else np.nan,
        "prob_below": float((draws < -threshold).mean()) if sized else np.nan,
    }


def interval(draws: np.ndarray, *, prob: float, kind: str = "eti") -> tuple[float, float]:
    """Equal-tailed (``"eti"``) or highest-density (``"hdi"``) interval of draws (n,).

    Examples
    --------
    >>> import numpy as np
    >>> interval(np.arange(101.0), prob=0.9, kind="hdi")
    (0.0, 90.0)
    """
    if not 0 < prob < 1:
        raise SpecError(f"The probability of an interval lies between 0 and 1; prob={prob} was asked for.")
    if kind == "eti":
        low, high = np.quantile(draws, [(1 - prob) / 2, (1 + prob) / 2])
    elif kind == "hdi":
        ordered = np.sort(draws)
        held = int(np.ceil(prob * len(ordered)))
        start = int(np.argmin(ordered[held - 1 :] - ordered[: len(ordered) - held + 1]))
        low, high = ordered[start], ordered[start + held - 1]
    else:
        raise SpecError(
            f"Intervals are 'eti' (equal-tailed) or 'hdi' (highest-density); {kind!r} is neither."
        )
    return float(low), float(high)

"""What the mechanical decomposition of workers' share of rounds returns."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
import xarray as xr

from hitlbayes.published.reanalysis import describe

MORE_IS_LESS = ("human_delay",)  # a longer delay is less effort; of every other measure, less is less


@dataclass(frozen=True, slots=True)
class EffortDecomposition:
    """Mechanical decomposition of the human share of rounds, with what is left of the effort measures.

    Attributes
    ----------
    draws : xarray.Dataset
        Dimensions chain (1), draw. Over ``group``: ``human_rounds``, ``human_share``, ``ai_rounds``,
        ``total_rounds``, ``messages_per_round``. Over ``comparison``: the quantities of `split_share_gap`.
        Over ``measure`` and ``comparison``: ``difference`` from the reference and ``standardized`` (in SDs
        between chats, the two types' root mean square).
    reference : str
    source : str
        ``"published"`` or ``"given"``.
    prob : float
    seed : int
    notes : tuple of str
    """

    draws: xr.Dataset
    reference: str
    source: str
    prob: float
    seed: int
    notes: tuple[str, ...]

    def summary(self, prob: float | None = None, kind: str = "eti") -> pd.DataFrame:
        """Rounds by type and the split of the gap, one row per quantity and type.

        Returns
        -------
        DataFrame
            ``quantity``, ``group``, ``mean``, ``sd``, ``lower``, ``upper``, ``prob_positive``, ``source``.
        """
        prob = self.prob if prob is None else prob
        rows = [
            {"quantity": str(name), "group": str(label)}
            | describe(self.draws[name].sel({dim: label}).values.ravel(), prob=prob, kind=kind)
            for dim in ("group", "comparison")
            for name in self.draws
            if set(self.draws[name].dims) == {"chain", "draw", dim}
            for label in self.draws[dim].values
        ]
        frame = pd.DataFrame(rows).drop(columns=["threshold", "prob_above", "prob_below"])
        frame["source"] = self.source
        return frame

    def left_to_explain(self, prob: float | None = None, kind: str = "eti") -> pd.DataFrame:
        """Effort measures that differ from the reference once the arithmetic of the share is set aside.

        Returns
        -------
        DataFrame
            ``measure``, ``group``, ``difference`` and its interval, ``standardized``, ``prob_less_effort``,
            and ``status``: ``"arithmetic"`` (the share: a consequence of rounds), ``"lower"``, ``"higher"``
            or ``"not told apart"`` (the interval holds zero). Less effort is a longer delay, and less of
            every other measure.
        """
        prob = self.prob if prob is None else prob
        rows = []
        for measure in map(str, self.draws["measure"].values):
            for group in map(str, self.draws["comparison"].values):
                at = self.draws.sel(measure=measure, comparison=group)
                d = describe(at["difference"].values.ravel(), prob=prob, kind=kind)
                less = d["prob_positive"] if measure in MORE_IS_LESS else 1 - d["prob_positive"]
                rows.append(
                    {
                        "measure": measure,
                        "group": group,
                        "difference": d["mean"],
                        "lower": d["lower"],
                        "upper": d["upper"],
                        "standardized": float(at["standardized"].mean()),
                        "prob_less_effort": less,
                        "status": _status(measure, d["lower"], d["upper"]),
                    }
                )
        return pd.DataFrame(rows).assign(source=self.source)

    def __repr__(self) -> str:
        parts = [
            f"{g} {float(self.draws['fraction_ai'].sel(comparison=g).mean()):.0%}"
            for g in map(str, self.draws["comparison"].values)
        ]
        return (
            f"EffortDecomposition ({self.source}; reference {self.reference}): "
            f"part of the gap in the human share of rounds that AI rounds bring: {', '.join(parts)}"
        )


def _status(measure: str, lower: float, upper: float) -> str:
    if measure == "human_share":
        return "arithmetic"
    if lower < 0 < upper:
        return "not told apart"
    return "lower" if upper <= 0 else "higher"

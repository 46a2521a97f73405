"""Chats of each escalation type with the controls that stand in for them: pairs, sizes, balance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from hitlbayes.design.balance import balance
from hitlbayes.design.matched import Matched

CONTROL = "control"
ASSUMPTION = "under principal ignorability given the matching variables"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class MatchedTypes:
    """AI chats of every escalation type, each type with controls of its own choosing.

    Attributes
    ----------
    pool : DataFrame
        Eligible chats after the start, sorted by worker and time, with the workers' averages before it.
    matches : dict
        Escalation type -> `Matched`; its index labels are those of the pool.
    left_out : dict
        Why chats after the start are not in the pool, and how many.
    assumption : str
        What every effect by type rests on.
    settings : dict
    """

    pool: pd.DataFrame
    matches: Mapping[str, Matched]
    left_out: Mapping[str, int]
    settings: Mapping[str, Any]
    assumption: str = ASSUMPTION

    @property
    def synthetic(self) -> bool:
        """Whether the chats are simulated."""
        return bool(self.pool.attrs.get("synthetic", False))

    def sizes(self) -> pd.DataFrame:
        """Treated chats of each type, how many were matched, and why the others were not.

        One row per type: ``treated``, ``matched``, ``controls``, then one column per reason.
        """
        rows = {}
        for name, matched in self.matches.items():
            found = matched.pairs["treated_row"].nunique()
            rows[name] = {
                "treated": int(matched.treated.sum()), "matched": found, "controls": len(matched.pairs)
            } | matched.unmatched["why"].value_counts().to_dict()  # fmt: skip
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("type").fillna(0).astype(int)

    def balance(self) -> pd.DataFrame:
        """`hitlbayes.balance` of every type; index (type, covariate)."""
        tables = {name: balance(matched) for name, matched in self.matches.items()}
        return pd.concat(tables, names=["type"])

    def pairs(self) -> pd.DataFrame:
        """Pairs of every type: ``type``, ``pair``, ``treated``, ``control`` (labels of the pool), gaps."""
        tables = [m.pairs.assign(type=name) for name, m in self.matches.items()]
        pairs = pd.concat(tables, ignore_index=True)
        pairs["pair"] = pairs.groupby(["type", "treated_row"], sort=False).ngroup()
        return pairs[["type", "pair", "treated", "control", "gap", "gap_sd"]]

    def chats(self) -> pd.DataFrame:
        """Matched chats, each once: ``type`` (of an AI chat, else "control"), ``serves``, ``weight``.

        A control that serves several types is one row; ``serves`` counts the types, and ``weight`` sums what
        it weighs in them.
        """
        weight = np.zeros(len(self.pool))
        serves = np.zeros(len(self.pool), int)
        kind = np.full(len(self.pool), CONTROL, dtype=object)
        for name, matched in self.matches.items():
            at = self.pool.index.get_indexer(matched.frame.index)
            weight[at] += matched.weights
            serves[at] += matched.weights > 0
            kind[at[matched.treated]] = name
        made = self.pool.assign(type=kind, serves=serves, weight=weight)[serves > 0]
        made.attrs = dict(self.pool.attrs)
        return made

    def __repr__(self) -> str:
        chats = self.chats()
        controls = chats[chats["type"] == CONTROL]
        lines = [
            f"Chats matched by escalation type{' (SYNTHETIC)' if self.synthetic else ''}, {self.assumption}"
        ]
        lines += [
            f"  {name:<10} {row['matched']:,} of {row['treated']:,} chats with {row['controls']:,} controls"
            for name, row in self.sizes().iterrows()
        ]
        shared = int((controls["serves"] > 1).sum())
        lines.append(f"  {len(controls):,} control chats in all, {shared:,} of them serve several types")
        lines += [f"  left out  {n:,}: {why}" for why, n in self.left_out.items()]
        return "\n".join(lines)

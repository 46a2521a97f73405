"""What comes of matching: pairs, weights, and which treated rows have no control."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Matched:
    """Treated rows and the controls that were chosen for them.

    Attributes
    ----------
    frame : DataFrame
        The rows that were given, all of them.
    treated : (n,) booleans
    covariates : DataFrame
        Columns of the formula, every level of a category, one row per row of the frame.
    distance : (n,) numbers
        Probability of treatment, its log odds, or what was given.
    pairs : DataFrame
        In the order in which they were made: ``treated`` and ``control`` (index labels), ``treated_row`` and
        ``control_row`` (positions), ``gap`` (difference in distance), ``gap_sd`` (in its SDs over all rows).
    weights : (n,) numbers
        1 for a matched treated row; a control has the share that its treated row gives it, scaled so that
        controls sum to their number; 0 for what was left.
    unmatched : DataFrame
        Treated rows without a control: ``index``, ``row``, ``why``.
    settings : dict
        What was asked for, and what was found on the way: ``left_out`` columns, ``filled`` gaps, rows whose
        arm is ``foretold`` (`hitlbayes.design.propensity`).
    """

    frame: pd.DataFrame
    treated: np.ndarray
    covariates: pd.DataFrame
    distance: np.ndarray
    pairs: pd.DataFrame
    weights: np.ndarray
    unmatched: pd.DataFrame
    settings: Mapping[str, Any]

    @property
    def synthetic(self) -> bool:
        """Whether the rows are simulated (`frame.attrs["synthetic"]`)."""
        return bool(self.frame.attrs.get("synthetic", False))

    def data(self) -> pd.DataFrame:
        """Matched rows with ``subclass`` (one per treated row), ``weight`` and ``distance``."""
        treated, control = (self.pairs[f"{arm}_row"].to_numpy() for arm in ("treated", "control"))
        subclass = pd.factorize(treated)[0]
        rows = np.concatenate([treated, control])
        # With several controls a treated row is in several pairs, and once in the data.
        rows, first = np.unique(rows, return_index=True)
        made = self.frame.iloc[rows].copy()
        made["subclass"] = np.concatenate([subclass, subclass])[first]
        made["weight"], made["distance"] = self.weights[rows], self.distance[rows]
        return made

    def __repr__(self) -> str:
        n, treated = len(self.treated), int(self.treated.sum())
        controls = len(self.pairs)
        found = self.pairs["treated_row"].nunique()
        lines = [
            f"Matched{' (SYNTHETIC)' if self.synthetic else ''}: {found:,} of {treated:,} treated rows with "
            f"{controls:,} of {n - treated:,} controls",
            f"  order     {self.settings['order']}, {self.settings['ratio']} control(s) each, no reuse",
            f"  largest   gap of a pair {self.pairs['gap_sd'].max():.3f} SD of the distance",
        ]
        lines += [f"  unmatched {k:,}: {why}" for why, k in self.unmatched["why"].value_counts().items()]
        foretold = self.settings["foretold"]
        if any(foretold.values()):
            count = f"{foretold['treated']:,} treated and {foretold['control']:,} control rows"
            lines.append(f"  foretold  {count}, by {', '.join(self.settings['foretold_by'])}")
        for what, names in (("left out", self.settings["left_out"]), ("filled", self.settings["filled"])):
            lines += [f"  {what:<9} {', '.join(names)}"] if names else []
        return "\n".join(lines)

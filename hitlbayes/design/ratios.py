"""Sample-ratio checks: do arms and periods have the chats that random assignment would give them?

A large log makes every difference significant where chats are taken as independent; workers were assigned, so
workers are what is compared.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from hitlbayes.chatlog import Chats
from hitlbayes.design.assignments import SEED, assignments, p_value
from hitlbayes.design.clusters import Contrast, clustered_p, clustered_se, contrast, joint_p
from hitlbayes.design.counts import TIMES, levels_of, worker_counts
from hitlbayes.errors import DesignError, SchemaError

JOINT = ["measure", "period", "levels", "p_independent", "p_randomized"]
SHARES = ("eligible", "responded")
MIX = ("issue",)


@dataclass(frozen=True, slots=True, eq=False)
class SampleRatios:
    """Numbers and kinds of chats by arm and period.

    Attributes
    ----------
    workers : dict
        Workers by arm, {0: control, 1: treated}.
    expected : float
        Planned share of treated workers.
    p_workers : float
        Exact binomial p-value of the workers' split.
    table : DataFrame
        `measure` (chats per worker, days per worker, a share, or a level of a mix), `period` ("before",
        "after", or "change": after less before), `treated`, `control`, `difference`, `se` (clustered by
        worker), `p_independent` (chi-squared test of chats as if they were independent), `p_clustered` and
        `p_randomized` (among other assignments of workers).
    joint : DataFrame
        The levels of each mix together: `measure`, `period`, `levels`, `p_independent`, `p_randomized`.
    synthetic : bool
    """

    workers: dict[int, int]
    expected: float
    p_workers: float
    table: pd.DataFrame
    joint: pd.DataFrame
    synthetic: bool = False

    def __repr__(self) -> str:
        total = sum(self.workers.values())
        lines = [
            "Sample ratios" + (" (SYNTHETIC)" if self.synthetic else ""),
            f"{self.workers[1]:,} of {total:,} workers treated ({self.workers[1] / total:.1%}, planned "
            f"{self.expected:.1%}): p = {self.p_workers:.3f}",
            self.table.to_string(index=False, float_format=lambda v: f"{v:.4g}"),
            self.joint.to_string(index=False, float_format=lambda v: f"{v:.4g}"),
        ]
        return "\n".join(lines)


def sample_ratio(
    chats: Chats,
    *,
    shares: Sequence[str] | None = None,
    mix: Sequence[str] | None = None,
    expected: float = 0.5,
    permutations: int = 2000,
    seed: int = SEED,
) -> SampleRatios:
    """Volume, eligibility, response and issue mix by arm and period, against other assignments of workers.

    Parameters
    ----------
    chats : Chats
    shares : sequence of str, optional
        0/1 columns ("responded": whether a chat was rated); by default eligible and responded, where present.
    mix : sequence of str, optional
        Columns with levels; by default issue, where present.
    expected : float
        Planned share of treated workers.
    permutations, seed : int

    Returns
    -------
    SampleRatios

    Raises
    ------
    SchemaError, DesignError

    Notes
    -----
    Before the start any difference is chance. After it, volume and mix can also be an effect: where treatment
    changes who is served, effects per chat compare different chats.

    Examples
    --------
    >>> from hitlbayes.chatlog import read_chats
    >>> from hitlbayes.twin import simulate
    >>> chats = read_chats(simulate(workers=20, scale=0.1).chats, start="2024-08-15", synthetic=True)
    >>> found = sample_ratio(chats, permutations=50)
    >>> found.joint[["measure", "period", "levels"]].values.tolist()[0]
    ['issue', 'before', 11]
    """
    if not 0 < expected < 1:
        raise DesignError(
            f"expected={expected}.\n  expected: the planned share of treated workers, in (0, 1)."
        )
    known = list(chats.table.columns) + (["responded"] if "rating" in chats.table.columns else [])
    chosen = [name for name in SHARES if name in known] if shares is None else list(shares)
    mixed = [name for name in MIX if name in known] if mix is None else list(mix)
    if absent := [name for name in [*chosen, *mixed] if name not in known]:
        raise SchemaError(f"columns {absent} are missing.\n  found: {', '.join(known)}")
    levels = {name: levels_of(chats.table, name=name) for name in mixed}
    arm, numbers = worker_counts(chats.table, shares=chosen, levels=levels)
    drawn = assignments(arm, permutations=permutations, seed=seed)
    each = np.ones((2, len(arm)))
    rows = _rows("chats per worker", numbers["chats"], size=each, arms=drawn.arms, test=_volume_p)
    rows += _rows("days per worker", numbers["days"], size=each, arms=drawn.arms, test=None)
    for name in chosen:
        rows += _rows(name, numbers[name], size=numbers[f"{name}:n"], arms=drawn.arms, test=_share_p)
    joint = []
    for name in mixed:
        keys, size = [f"{name}: {level}" for level in levels[name]], numbers[f"{name}:n"]
        for key in keys:
            rows += _rows(key, numbers[key], size=size, arms=drawn.arms, test=_share_p)
        joint += _joint(name, [numbers[key] for key in keys], size=size, arms=drawn.arms)
    return SampleRatios(
        workers=chats.workers,
        expected=expected,
        p_workers=_binomial(int(arm.sum()), total=len(arm), share=expected),
        table=pd.DataFrame(rows),
        joint=pd.DataFrame(joint, columns=JOINT),
        synthetic=chats.synthetic,
    )


def _contrasts(total: np.ndarray, *, size: np.ndarray, arms: np.ndarray) -> dict[str, Contrast]:
    """Differences between arms before, after, and in the change; total and size are (2, workers)."""
    before, after = (contrast(x, size=n, arms=arms) for x, n in zip(total, size, strict=True))
    return {"before": before, "after": after, "change": after.minus(before)}


def _rows(
    name: str,
    total: np.ndarray,
    *,
    size: np.ndarray,
    arms: np.ndarray,
    test: Callable[..., float] | None,
) -> list[dict[str, object]]:
    """One measure before, after, and in the change."""
    arm, units = arms[0], arms.shape[1]
    means = {a: [float(total[t, arm == a].sum() / size[t, arm == a].sum()) for t in (0, 1)] for a in (1, 0)}
    level = {a: {"before": m[0], "after": m[1], "change": m[1] - m[0]} for a, m in means.items()}
    number = {"before": size[0].sum(), "after": size[1].sum(), "change": size.sum()}
    rows: list[dict[str, object]] = []
    for time, found in _contrasts(total, size=size, arms=arms).items():
        independent = np.nan
        if test is not None and time in TIMES:
            t = TIMES.index(time)
            independent = test(total[t], size=size[t], arm=arm)
        rows.append(
            {
                "measure": name,
                "period": time,
                "treated": level[1][time],
                "control": level[0][time],
                "difference": float(found.difference[0]),
                "se": clustered_se(found, units=units, rows=number[time]),
                "p_independent": independent,
                "p_clustered": clustered_p(found, units=units, rows=number[time]),
                "p_randomized": p_value(found.studentized()),
            }
        )
    return rows


def _volume_p(total: np.ndarray, *, size: np.ndarray, arm: np.ndarray) -> float:
    """Chi-squared test of the arms' chats against their numbers of workers, as if chats were independent."""
    from scipy.stats import chisquare

    events = np.array([total[arm == a].sum() for a in (1, 0)])
    return float(chisquare(events, events.sum() * np.array([arm.mean(), 1 - arm.mean()])).pvalue)


def _share_p(total: np.ndarray, *, size: np.ndarray, arm: np.ndarray) -> float:
    """Chi-squared test of two shares of chats, as if chats were independent."""
    events, trials = (np.array([x[arm == a].sum() for a in (1, 0)]) for x in (total, size))
    return _chi_squared(np.array([events, trials - events]))


def _chi_squared(table: np.ndarray) -> float:
    from scipy.stats import chi2_contingency

    kept = table[table.sum(axis=1) > 0]
    return float(chi2_contingency(kept, correction=False).pvalue) if len(kept) > 1 else np.nan


def _joint(
    name: str, totals: Sequence[np.ndarray], *, size: np.ndarray, arms: np.ndarray
) -> list[dict[str, object]]:
    """All levels of a mix together, before, after, and in the change."""
    contrasts = [_contrasts(total, size=size, arms=arms) for total in totals]
    rows: list[dict[str, object]] = []
    for time in (*TIMES, "change"):
        independent = np.nan
        if time in TIMES:
            t = TIMES.index(time)
            independent = _chi_squared(np.array([[x[t, arms[0] == a].sum() for a in (1, 0)] for x in totals]))
        rows.append(
            {
                "measure": name,
                "period": time,
                "levels": len(totals),
                "p_independent": independent,
                "p_randomized": joint_p(np.column_stack([found[time].difference for found in contrasts])),
            }
        )
    return rows


def _binomial(successes: int, *, total: int, share: float) -> float:
    from scipy.stats import binomtest

    return float(binomtest(successes, total, share).pvalue)

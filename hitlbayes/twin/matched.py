"""The paper's matched comparison by escalation type (equation 2, Appendix C), for calibration."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from hitlbayes.twin.estimator import Estimate, Floats, Ints, clustered
from hitlbayes.twin.sections import TYPES

CALIPER = 0.2
"""Largest distance of a pair, in standard deviations of the propensity score (MatchIt's std.caliper)."""
CUSTOMER = ("vip", "customer_tenure", "customer_chats")
CHAT = ("initial_sentiment", "initial_urgency")
RIDGE = 1e-6
"""Penalty on standardised dummies: keeps rare issues from separating the arms."""


def matched_effects(chats: pd.DataFrame) -> dict[str, dict[str, Estimate]]:
    """Effect of AI handling by escalation type: one-to-one matching, then OLS with covariates, clustered by
    worker.

    Parameters
    ----------
    chats : DataFrame
        Canonical columns with `escalation`.

    Returns
    -------
    dict
        Type -> outcome (log_duration, retrial, rating) -> Estimate. Paper, Section 5.2 and Appendix C.
    """
    pool = _pool(chats)
    features = _features(pool, names=(*CUSTOMER, *CHAT))
    control = pool["ai"].to_numpy() == 0
    out = {}
    for name in TYPES:
        rows = np.nonzero(control | (pool["escalation"] == name).to_numpy())[0]
        score = propensity(features[rows], treated=~control[rows])
        pairs = match(score, treated=~control[rows])
        chosen = rows[np.concatenate([pairs[:, 0], pairs[:, 1]])]
        out[name] = _regress(pool.iloc[chosen], features=features[chosen])
    return out


def propensity(features: Floats, *, treated: NDArray[np.bool_]) -> Floats:
    """Logistic propensity score, shape (rows,)."""
    spread = features.std(axis=0)
    scaled = (features - features.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    model = LogisticRegression(C=1 / RIDGE / len(treated), max_iter=200).fit(scaled, treated)
    return model.predict_proba(scaled)[:, 1]


def match(score: Floats, *, treated: NDArray[np.bool_], caliper: float = CALIPER) -> Ints:
    """Greedy nearest neighbours without replacement, largest score first: (treated row, control row)."""
    order = np.argsort(score[~treated], kind="stable")
    controls = np.nonzero(~treated)[0][order]
    values = score[controls]
    free = _Free(values.size)
    limit = caliper * score.std()
    pairs = []
    for row in np.nonzero(treated)[0][np.argsort(-score[treated], kind="stable")]:
        spot = int(np.searchsorted(values, score[row]))
        low, high = free.below(spot), free.above(spot)
        left = score[row] - values[low] if low >= 0 else np.inf
        right = values[high] - score[row] if high < values.size else np.inf
        if min(left, right) > limit:
            continue
        taken = low if left <= right else high
        pairs.append((row, controls[taken]))
        free.take(taken)
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


class _Free:
    """Free positions 0..size-1; nearest one below or from a position on, by path-halving pointers."""

    def __init__(self, size: int) -> None:
        # position p is entry p + 1 of `down` (entry 0: none left) and entry p of `up` (entry size: none left)
        self._down, self._up = list(range(size + 1)), list(range(size + 1))

    def below(self, spot: int) -> int:
        return _root(self._down, spot) - 1

    def above(self, spot: int) -> int:
        return _root(self._up, spot)

    def take(self, position: int) -> None:
        self._down[position + 1], self._up[position] = position, position + 1


def _root(pointers: list[int], spot: int) -> int:
    while pointers[spot] != spot:
        pointers[spot] = pointers[pointers[spot]]
        spot = pointers[spot]
    return spot


def _pool(chats: pd.DataFrame) -> pd.DataFrame:
    """Eligible chats after the start with the workers' averages from before it."""
    before = chats[chats["post"] == 0]
    days = before["start_time"].dt.normalize()
    by_worker = before.groupby("worker_id")
    past = pd.DataFrame(
        {
            "past_duration": by_worker["duration"].mean(),
            "past_rounds": by_worker["rounds"].mean(),
            "past_resolution": 1 - by_worker["retrial"].mean(),
            "past_rating": by_worker["rating"].mean().astype(float),
            "past_volume": by_worker.size() / days.groupby(before["worker_id"]).nunique(),
        }
    )
    pool = chats[(chats["post"] == 1) & (chats["eligible"] == 1)].join(past, on="worker_id")
    return pool[pool["past_rating"].notna()].reset_index(drop=True)


def _features(pool: pd.DataFrame, *, names: tuple[str, ...]) -> Floats:
    worker = [n for n in pool.columns if n.startswith("past_")] + ["tenure"]
    numbers = pool[[*names, *worker]].to_numpy(dtype=float)
    return np.hstack([numbers, pd.get_dummies(pool["issue"]).to_numpy(dtype=float)[:, 1:]])


def _regress(sample: pd.DataFrame, *, features: Floats) -> dict[str, Estimate]:
    when = sample["start_time"]
    dummies = [pd.get_dummies(v).to_numpy(dtype=float)[:, 1:] for v in (when.dt.day, when.dt.hour)]
    people = sample[["age", "male"]].to_numpy(dtype=float)
    design = np.hstack(
        [sample[["ai"]].to_numpy(dtype=float), features, people, *dummies, np.ones((len(sample), 1))]
    )
    outcomes = {
        "log_duration": np.log(sample["duration"].to_numpy()),
        "retrial": sample["retrial"].to_numpy(dtype=float),
        "rating": sample["rating"].to_numpy(dtype=float, na_value=np.nan),
    }
    worker = sample["worker_id"].to_numpy()
    return {name: _ols(y, design=design, worker=worker) for name, y in outcomes.items()}


def _ols(y: Floats, *, design: Floats, worker: Ints) -> Estimate:
    used = ~np.isnan(y)
    rest = design[used, 1:]
    both = np.column_stack([design[used, 0], y[used]])
    # rare dummies can be empty among rated chats: least squares by SVD drops what is collinear
    coefficients, _, rank, _ = np.linalg.lstsq(rest, both, rcond=1e-10)
    clean = both - rest @ coefficients
    cluster = np.unique(worker[used], return_inverse=True)[1]
    return clustered(clean[:, :1], y=clean[:, 1], total=y[used], cluster=cluster, absorbed=int(rank))

"""Synthetic matched chats of two to four escalation types, made quickly and with known effects."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.special import expit

import hitlbayes as hb
from hitlbayes.design.matched_types import MatchedTypes

TYPES = ("technical", "emotional", "human", "none")
SIZES = {"technical": 60, "emotional": 20, "human": 20, "none": 40}


def matched_types(
    effects: dict[str, float],
    *,
    seed: int,
    sizes: dict[str, int] = SIZES,
    workers: int = 20,
    sd_worker: float = 0.3,
) -> MatchedTypes:
    """Chats of each type with as many controls; a fifth of the controls serve the next type as well.

    `y` is Gaussian with SD one and the effects given; `again` is 0/1 and `stars` 1 to 4 with these effects
    on the logit scale. Workers have levels, `x` matters.
    """
    rng = np.random.default_rng(seed)
    frames, links = [], []
    start = 0
    for name, n in sizes.items():
        kind = np.r_[np.full(n, name), np.full(n, "control")]
        frames.append(pd.DataFrame({"escalation": kind}))
        links.append((name, start + np.arange(n), start + n + np.arange(n)))
        start += 2 * n
    pool = pd.concat(frames, ignore_index=True)
    ai = (pool["escalation"] != "control").to_numpy()
    pool["worker_id"] = np.where(ai, 0, workers) + rng.integers(0, workers, len(pool))
    pool["start_time"] = pd.Timestamp("2024-08-15 10:00") + pd.to_timedelta(
        rng.integers(0, 2, len(pool)), "D"
    )
    pool["x"] = rng.normal(size=len(pool))
    tau = pool["escalation"].map({"control": 0.0, **effects}).to_numpy(float)
    eta = tau + 0.5 * pool["x"].to_numpy() + sd_worker * rng.normal(size=2 * workers)[pool["worker_id"]]
    pool["y"] = eta + rng.normal(size=len(pool))
    pool["again"] = (rng.random(len(pool)) < expit(eta)).astype(int)
    pool["stars"] = 1 + np.digitize(eta + rng.logistic(size=len(pool)), [-1.0, 0.0, 1.0])
    pool.attrs["synthetic"] = True
    settings = {"covariates": ["x"], "missing": "refuse"}
    return MatchedTypes(pool, _matches(pool, links, effects), {}, settings)


def _matches(pool: pd.DataFrame, links: list, effects: dict[str, float]) -> dict[str, hb.Matched]:
    matches = {}
    for j, (name, treated, control) in enumerate(links):
        shared = control.copy()
        if j:  # the first fifth of the controls are those of the type before
            k = min(len(control), len(links[j - 1][2])) // 5
            shared[:k] = links[j - 1][2][:k]
        rows = np.r_[treated, shared]
        frame = pool.loc[rows].assign(
            escalated=np.r_[np.ones(len(treated)), np.zeros(len(shared))].astype(int)
        )
        frame.attrs = dict(pool.attrs)
        n = len(treated)
        pairs = pd.DataFrame(
            {
                "treated": treated, "control": shared, "treated_row": np.arange(n),
                "control_row": n + np.arange(n), "gap": 0.0, "gap_sd": 0.0,
            }
        )  # fmt: skip
        nobody = pd.DataFrame({"index": [], "row": [], "why": []})
        matches[name] = hb.Matched(
            frame, np.arange(2 * n) < n, frame[["x"]], np.zeros(2 * n), pairs, np.ones(2 * n), nobody, {}
        )
    return matches

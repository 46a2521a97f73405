"""The effects that the synthetic experiment really had, by g-computation over its own chats."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy.special import expit

from hitlbayes.twin.outcomes import Bools, Exposure, OwnEffects, Response, expected_rating
from hitlbayes.twin.sections import TYPES, Effects
from hitlbayes.twin.workers import Floats, Terms

UNITS = {
    "log_duration": "log points",
    "retrial": "probability",
    "rating": "rating points",
    "responded": "probability",
    "concurrency": "count per chat",
    "away_share": "share",
    "away_time": "seconds",
    "switch_aways": "count per chat",
}


@dataclasses.dataclass(frozen=True, slots=True)
class Truth:
    """What is known about a synthetic experiment.

    Attributes
    ----------
    att : DataFrame
        Realised average effect on treated chats: scope, outcome, weight ("chat" or "cell"), att, units, n.
        Ratings: over chats that were rated.
    types : DataFrame
        The same for AI chats by escalation type, weighted by chat.
    workers : DataFrame
        One row per worker and outcome: level, drift, own deviations (link's scale) and realised effects by
        scope.
    days : DataFrame
        Day effects by outcome, on the link's scale.
    effects : Effects
        The parameters behind them.
    """

    att: pd.DataFrame
    types: pd.DataFrame
    workers: pd.DataFrame
    days: pd.DataFrame
    effects: Effects


def chat_effects(
    responses: dict[str, Response], *, cutpoints: tuple[float, ...], sd: float, length: Floats
) -> dict[str, Floats]:
    """Effect on each chat on the outcome's own scale: expected outcome with AI less without."""
    log_duration, away = responses["duration"], responses["away"]
    with_ai = np.exp(log_duration.base + log_duration.shift + sd * length) * expit(away.base + away.shift)
    without = np.exp(log_duration.base + sd * length) * expit(away.base)
    rating, switches = responses["rating"], responses["switches"]
    return {
        "log_duration": log_duration.shift,
        "retrial": _difference(expit, responses["retrial"]),
        "rating": _difference(lambda eta: expected_rating(eta, cutpoints=cutpoints), rating),
        "responded": _difference(expit, responses["response"]),
        "concurrency": responses["concurrency"].shift,
        "away_share": _difference(expit, away),
        "away_time": with_ai - without,
        "switch_aways": _difference(np.exp, switches),
    }


def average_effects(effects: dict[str, Floats], *, exposure: Exposure, rated: Bools) -> pd.DataFrame:
    """Realised effect on the treated by scope, outcome and weight."""
    scopes = {"all": exposure.ai | exposure.spill, "eligible": exposure.ai, "ineligible": exposure.spill}
    rows = []
    for scope, part in scopes.items():
        for outcome, effect in effects.items():
            chosen = part & rated if outcome == "rating" else part
            sums = np.bincount(exposure.cell[chosen], weights=effect[chosen])
            counts = np.bincount(exposure.cell[chosen])
            cells = counts > 0
            both = {
                "chat": sums.sum() / max(counts.sum(), 1),
                "cell": (sums[cells] / counts[cells]).mean() if cells.any() else 0.0,
            }
            rows += [(scope, outcome, w, v, UNITS[outcome], int(counts.sum())) for w, v in both.items()]
    return pd.DataFrame(rows, columns=["scope", "outcome", "weight", "att", "units", "n"])


def type_effects(effects: dict[str, Floats], *, exposure: Exposure, rated: Bools) -> pd.DataFrame:
    """Realised effect on AI chats by escalation type, weighted by chat."""
    rows = []
    for index, name in enumerate(TYPES):
        part = exposure.ai & (exposure.stratum == index)
        for outcome, effect in effects.items():
            chosen = part & rated if outcome == "rating" else part
            value = float(effect[chosen].mean()) if chosen.any() else np.nan
            rows.append((name, outcome, value, UNITS[outcome], int(chosen.sum())))
    return pd.DataFrame(rows, columns=["escalation", "outcome", "att", "units", "n"])


def worker_effects(
    effects: dict[str, Floats],
    *,
    exposure: Exposure,
    rated: Bools,
    terms: dict[str, Terms],
    own: dict[str, OwnEffects],
    worker_ids: np.ndarray,
) -> pd.DataFrame:
    """Workers' levels, drifts, own deviations and realised effects of the three main outcomes."""
    frames = []
    for name, outcome in (("duration", "log_duration"), ("retrial", "retrial"), ("rating", "rating")):
        frame = pd.DataFrame({"worker_id": worker_ids, "outcome": outcome})
        frame["level"], frame["drift"] = terms[name].level, terms[name].drift
        frame["eligible_level"], frame["eligible_drift"] = (
            terms[name].eligible_level,
            terms[name].eligible_drift,
        )
        frame["own_eligible"], frame["own_spillover"] = own[name].eligible, own[name].spillover
        parts = {"all": exposure.ai | exposure.spill, "eligible": exposure.ai, "ineligible": exposure.spill}
        for scope, part in parts.items():
            chosen = part & rated if name == "rating" else part
            sums = np.bincount(exposure.worker[chosen], effects[outcome][chosen], worker_ids.size)
            counts = np.bincount(exposure.worker[chosen], minlength=worker_ids.size)
            frame[f"att_{scope}"] = np.divide(sums, counts, out=np.full(sums.size, np.nan), where=counts > 0)
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)


def _difference(link: Callable[[Floats], Floats], response: Response) -> Floats:
    out = np.zeros(response.base.size)
    moved = response.shift != 0
    base = response.base[moved]
    out[moved] = link(base + response.shift[moved]) - link(base)
    return out

"""The drawn experiment as one table with the canonical columns, one row per chat."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pandas as pd
from numpy.random import Generator
from numpy.typing import NDArray

from hitlbayes.twin.chats import Arrivals, Intake
from hitlbayes.twin.handling import Takeover
from hitlbayes.twin.messages import Transcript
from hitlbayes.twin.outcomes import Response
from hitlbayes.twin.parameters import Parameters
from hitlbayes.twin.sections import TYPES
from hitlbayes.twin.workers import Floats, Ints, Roster

TAKEOVER_COUNTS = (
    "takeover_sentiment",
    "human_rounds",
    "human_messages",
    "empathy",
    "information_seeking",
    "solution_provision",
    "proactivity",
)


@dataclasses.dataclass(frozen=True, slots=True)
class Draws:
    """Everything that was drawn, before it becomes a table."""

    roster: Roster
    people: tuple[Floats, Ints, Floats]
    arrivals: Arrivals
    intake: Intake
    responses: dict[str, Response]
    ai: Ints
    takeover: Takeover
    transcript: Transcript


def assemble(draws: Draws, *, parameters: Parameters, rng: Generator) -> pd.DataFrame:
    """Canonical columns; nullable where a chat can lack the value (rating, takeover)."""
    columns = _experiment(draws, parameters=parameters)
    columns |= _outcomes(draws)
    columns |= _people(draws)
    columns |= _takeover(draws, duration=columns["duration"], rng=rng)
    return pd.DataFrame(columns, copy=False)


def _experiment(draws: Draws, *, parameters: Parameters) -> dict[str, Any]:
    roster, arrivals = draws.roster, draws.arrivals
    cell = arrivals.cell
    first = np.datetime64(parameters.experiment.first, "s")
    seconds = roster.day[cell] * 86_400 + arrivals.second
    return {
        "chat_id": np.arange(1, cell.size + 1, dtype=np.int64),
        "worker_id": (roster.worker[cell] + 1).astype(np.int32),
        "start_time": first + seconds.astype("timedelta64[s]"),
        "treated": roster.treated[cell].astype(np.int8),
        "post": roster.post[cell].astype(np.int8),
        "eligible": arrivals.eligible.astype(np.int8),
        "issue": _labels(draws.intake.issue, names=parameters.issues.names),
    }


def _outcomes(draws: Draws) -> dict[str, Any]:
    values = {name: response.value for name, response in draws.responses.items()}
    duration, share = values["duration"], np.round(values["away"], 4)
    away = np.round(share * duration, 1)
    text = draws.transcript
    delay = np.round(text.avg_delay, 2)
    return {
        "duration": duration,
        "retrial": values["retrial"],
        "rating": pd.arrays.IntegerArray(values["rating"], values["response"] == 0),
        "rounds": text.rounds.astype(np.int32),
        "messages": text.messages.astype(np.int32),
        "words": text.words.astype(np.int32),
        "avg_delay": delay,
        "total_delay": np.round(delay * text.rounds, 2),
        "concurrency": values["concurrency"],
        "active_time": np.round(duration - away, 1),
        "away_time": away,
        "switch_aways": values["switches"],
        "away_share": share,
    }


def _people(draws: Draws) -> dict[str, Any]:
    age, male, tenure = draws.people
    worker, intake = draws.roster.worker[draws.arrivals.cell], draws.intake
    return {
        "age": age[worker],
        "male": male[worker].astype(np.int8),
        "tenure": tenure[worker],
        "customer_chats": intake.customer_chats.astype(np.int32),
        "customer_tenure": np.round(intake.customer_tenure, 2),
        "vip": intake.vip.astype(np.int8),
        "initial_sentiment": intake.initial_sentiment.astype(np.int8),
        "initial_urgency": intake.initial_urgency.astype(np.int8),
        "first_words": intake.first_words.astype(np.int32),
    }


def _takeover(draws: Draws, *, duration: Floats, rng: Generator) -> dict[str, Any]:
    size, takeover = draws.arrivals.cell.size, draws.takeover
    taken = draws.ai[takeover.taken]
    handled = np.zeros(size, dtype=np.int8)
    handled[draws.ai] = 1
    codes = np.full(size, -1, dtype=np.int8)
    codes[draws.ai] = draws.arrivals.stratum[draws.ai]
    progress = takeover.progress[takeover.taken]
    # an AI round takes less time than a worker's: the clock at takeover runs behind the share of rounds
    odds = 0.6 * progress / (1 - progress) * np.exp(0.3 * rng.standard_normal(taken.size))
    columns: dict[str, Any] = {
        "ai": handled,
        "escalation": _labels(codes, names=TYPES),
        "ai_rounds": _nullable(takeover.ai_rounds, rows=draws.ai, size=size),
        "takeover_seconds": _floats(np.round(duration[taken] * odds / (1 + odds), 1), rows=taken, size=size),
        "human_delay": _floats(np.round(takeover.human_delay[takeover.taken], 2), rows=taken, size=size),
    }
    for name in TAKEOVER_COUNTS:
        columns[name] = _nullable(getattr(takeover, name)[takeover.taken], rows=taken, size=size)
    return columns


def _labels(codes: NDArray[np.int8], *, names: tuple[str, ...]) -> Any:
    """Text column from codes; null at -1."""
    return pd.Categorical.from_codes(codes.astype(np.int64), categories=pd.Index(names)).astype("str")


def _nullable(values: Ints, *, rows: Ints, size: int) -> pd.arrays.IntegerArray:
    data, missing = np.zeros(size, dtype=np.int16), np.ones(size, dtype=bool)
    data[rows], missing[rows] = values, False
    return pd.arrays.IntegerArray(data, missing)


def _floats(values: Floats, *, rows: Ints, size: int) -> Floats:
    data = np.full(size, np.nan)
    data[rows] = values
    return data

"""What happens inside an AI-handled chat: AI rounds, takeover, and the worker's effort after it."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.special import ndtr

from hitlbayes.twin.sections import Escalation
from hitlbayes.twin.workers import Floats, Ints

TIE_HUMAN_LENGTH, TIE_AI_LENGTH = 0.4, 0.1
"""Correlation of latent human and AI rounds with the chat's log duration; AI rounds take little time."""
TIE_EXTRA_ROUNDS = 0.5
"""Latent correlation of messages beyond one a round with human rounds."""
COUNT_TIE = 0.4
"""What that latent correlation comes to between the counts; used to split the variance of messages."""


@dataclasses.dataclass(frozen=True, slots=True)
class Takeover:
    """One entry per AI chat; entries after `ai_rounds` are meaningful only where `taken`.

    Rounds and messages are counts, delays seconds a reply, codes 1-3 (proactivity 0/1), `progress` the share
    of rounds gone at takeover.
    """

    taken: NDArray[np.bool_]
    ai_rounds: Ints
    human_rounds: Ints
    human_messages: Ints
    human_delay: Floats
    takeover_sentiment: Ints
    progress: Floats
    empathy: Ints
    information_seeking: Ints
    solution_provision: Ints
    proactivity: Ints


def draw_takeover(
    escalation: Escalation, *, stratum: NDArray[np.int8], worker: Ints, length: Floats, rng: Generator
) -> Takeover:
    """Takeover and effort of AI chats given type (index into `TYPES`), worker and standardised length."""
    taken = stratum > 0
    kind = np.maximum(stratum.astype(int) - 1, 0)
    sentiment = 1 + rng.binomial(4, (_by(escalation.takeover_sentiment, kind) - 1) / 4)
    effort = _effort(escalation, kind=kind, sentiment=sentiment, worker=worker, rng=rng)
    # what the AI has got done need not be done again, whatever the worker's effort
    left = rng.standard_normal(kind.size)
    done = _mix(length, rng=rng, weight=TIE_AI_LENGTH, also=left, also_weight=-escalation.trade)
    ai_mean = np.where(taken, _by(escalation.ai_rounds, kind), escalation.ai_only_rounds)
    ai_sd = np.where(taken, _by(escalation.ai_rounds_sd, kind), escalation.ai_only_rounds_sd)
    ai_rounds = _counts(ai_mean, sd=ai_sd, latent=done, floor=1, rng=rng)
    rest = np.sqrt(1 - escalation.loading**2 - TIE_HUMAN_LENGTH**2)
    latent = escalation.loading * effort + TIE_HUMAN_LENGTH * length + rest * left
    rounds_mean, rounds_sd = _by(escalation.human_rounds, kind), _by(escalation.human_rounds_sd, kind)
    human_rounds = _counts(rounds_mean, sd=rounds_sd, latent=latent, floor=1, rng=rng)
    extra_mean = _by(escalation.human_messages, kind) - rounds_mean
    extra_sd = _remaining_sd(_by(escalation.human_messages_sd, kind), part=rounds_sd, tie=COUNT_TIE)
    extra_latent = _mix(latent, rng=rng, weight=TIE_EXTRA_ROUNDS)
    extra = _counts(extra_mean, sd=extra_sd, latent=extra_latent, floor=0, rng=rng)
    slow = -_mix(effort, rng=rng, weight=escalation.loading)
    delay = _lognormal(
        _by(escalation.human_delay, kind), sd=_by(escalation.human_delay_sd, kind), latent=slow
    )
    codes = {
        name: _code(escalation, name=name, kind=kind, latent=_mix(effort, rng=rng, weight=escalation.loading))
        for name in ("empathy", "information_seeking", "solution_provision")
    }
    ready = ndtr(_mix(effort, rng=rng, weight=escalation.loading))
    return Takeover(
        taken=taken,
        ai_rounds=ai_rounds,
        human_rounds=human_rounds,
        human_messages=human_rounds + extra,
        human_delay=delay,
        takeover_sentiment=sentiment,
        progress=ai_rounds / (ai_rounds + human_rounds),
        proactivity=(ready > 1 - _by(escalation.proactivity, kind)).astype(np.int64),
        **codes,
    )


def code_probabilities(mean: Floats, *, sd: Floats) -> tuple[Floats, Floats]:
    """Probabilities of codes 2 and 3 on a 1-3 scale with this mean and standard deviation."""
    first = mean - 1
    second = sd**2 + first**2
    three = (second - first) / 2
    return first - 2 * three, three


def _effort(escalation: Escalation, *, kind: Ints, sentiment: Ints, worker: Ints, rng: Generator) -> Floats:
    """Standard normal effort: the worker's own, less when the customer is angrier than usual for the type."""
    own = escalation.effort_sd_worker * rng.standard_normal(int(worker.max(initial=0)) + 1)[worker]
    anger = sentiment - _by(escalation.takeover_sentiment, kind)
    # the sentiment's variance is binomial(4, p); what is left of variance one belongs to the chat
    p = (_by(escalation.takeover_sentiment, kind) - 1) / 4
    used = escalation.effort_sd_worker**2 + escalation.effort_sentiment**2 * 4 * p * (1 - p)
    chat = np.sqrt(np.clip(1 - used, 0, None)) * rng.standard_normal(worker.size)
    return own + escalation.effort_sentiment * anger + chat


def _code(escalation: Escalation, *, name: str, kind: Ints, latent: Floats) -> Ints:
    two, three = code_probabilities(
        np.asarray(getattr(escalation, name)), sd=np.asarray(getattr(escalation, f"{name}_sd"))
    )
    rank = ndtr(latent)
    return 1 + (rank > 1 - (two + three)[kind]).astype(np.int64) + (rank > 1 - three[kind])


def _counts(mean: Floats, *, sd: Floats, latent: Floats, floor: int, rng: Generator) -> Ints:
    """`floor` + Poisson with log-normal rate: this mean and SD (at least Poisson), rank from `latent`."""
    rate = mean - floor
    spread = np.sqrt(np.clip(sd**2 - rate, 0, None))
    return floor + rng.poisson(_lognormal(rate, sd=spread, latent=latent))


def _lognormal(mean: Floats, *, sd: Floats, latent: Floats) -> Floats:
    variance = np.log1p((sd / mean) ** 2)
    return mean * np.exp(np.sqrt(variance) * latent - variance / 2)


def _remaining_sd(total: Floats, *, part: Floats, tie: float) -> Floats:
    """SD of an addend that brings `part` to `total` when the two correlate by `tie`."""
    return -tie * part + np.sqrt(np.clip((tie * part) ** 2 + total**2 - part**2, 0, None))


def _mix(
    shared: Floats, *, rng: Generator, weight: float, also: Floats | None = None, also_weight: float = 0.0
) -> Floats:
    """Standard normal that correlates by `weight` with `shared` (and by `also_weight` with `also`)."""
    rest = np.sqrt(1 - weight**2 - also_weight**2)
    mixed = weight * shared + rest * rng.standard_normal(shared.size)
    return mixed if also is None else mixed + also_weight * also


def _by(values: tuple[float, ...], kind: Ints) -> Floats:
    return np.asarray(values, dtype=float)[kind]

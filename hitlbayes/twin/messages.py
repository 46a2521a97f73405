"""How much was written and how fast: rounds, messages, words and reply delays of every chat."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.random import Generator

from hitlbayes.twin.handling import Takeover
from hitlbayes.twin.sections import Text
from hitlbayes.twin.workers import Floats, Ints, Roster


@dataclasses.dataclass(frozen=True, slots=True)
class Transcript:
    """Per chat: `rounds`, `messages`, `words` (counts), `avg_delay` (s a reply)."""

    rounds: Ints
    messages: Ints
    words: Ints
    avg_delay: Floats


def draw_transcript(
    text: Text, *, roster: Roster, cell: Ints, length: Floats, ai: Ints, takeover: Takeover, rng: Generator
) -> Transcript:
    """Text measures; `ai` holds the rows of AI chats, whose rounds come from their takeover."""
    worker = roster.worker[cell]
    rounds = _rounds(text, worker=worker, workers=roster.arm.size, length=length, rng=rng)
    delay = _delay(text, roster=roster, cell=cell, rng=rng)
    human_rounds = np.where(takeover.taken, takeover.human_rounds, 0)
    rounds[ai] = takeover.ai_rounds + human_rounds
    messages = _messages(text, rounds=rounds, worker=worker, workers=roster.arm.size, rng=rng)
    # the AI sends one message a round and now and then a second
    sent = takeover.ai_rounds + rng.binomial(takeover.ai_rounds, 0.3)
    messages[ai] = sent + np.where(takeover.taken, takeover.human_messages, 0)
    words = np.rint(messages * _about_one(text.words_sd, rng=rng, size=cell.size) * text.words)
    ai_delay = text.ai_delay * _about_one(text.ai_delay_sd, rng=rng, size=ai.size)
    waited = takeover.ai_rounds * ai_delay + human_rounds * takeover.human_delay
    delay[ai] = waited / rounds[ai]
    return Transcript(
        rounds=rounds, messages=messages, words=np.maximum(words, 1).astype(np.int64), avg_delay=delay
    )


def _rounds(text: Text, *, worker: Ints, workers: int, length: Floats, rng: Generator) -> Ints:
    variance = np.log1p((text.rounds_sd / text.rounds) ** 2)
    own = text.rounds_sd_worker * rng.standard_normal(workers)
    chat_sd = np.sqrt(variance - text.rounds_sd_worker**2)
    tie = text.rounds_duration
    latent = tie * length + np.sqrt(1 - tie**2) * rng.standard_normal(length.size)
    level = np.log(text.rounds) - variance / 2
    return np.maximum(1, np.rint(np.exp(level + own[worker] + chat_sd * latent))).astype(np.int64)


def _messages(text: Text, *, rounds: Ints, worker: Ints, workers: int, rng: Generator) -> Ints:
    variance = np.log1p((text.rounds_sd / text.rounds) ** 2)
    power = text.messages_power
    # E[rounds^power] of a log-normal
    typical = np.exp(power * (np.log(text.rounds) - variance / 2) + power**2 * variance / 2)
    own = text.messages_sd_worker * rng.standard_normal(workers)
    noise = np.exp(own - text.messages_sd_worker**2 / 2)[worker]
    noise = noise * _about_one(text.messages_sd, rng=rng, size=rounds.size)
    return np.maximum(1, np.rint(text.messages * rounds**power / typical * noise)).astype(np.int64)


def _delay(text: Text, *, roster: Roster, cell: Ints, rng: Generator) -> Floats:
    own = text.delay_sd_worker * rng.standard_normal(roster.arm.size)[roster.worker]
    shock = text.delay_sd_shock * rng.standard_normal(roster.worker.size)
    variance = text.delay_sd_worker**2 + text.delay_sd_shock**2
    log_cell = np.log(text.delay) + text.delay_trend * roster.day + own + shock - variance / 2
    return np.exp(log_cell)[cell] * _about_one(text.delay_sd, rng=rng, size=cell.size)


def _about_one(sd: float, *, rng: Generator, size: int) -> Floats:
    """Log-normal noise of mean one."""
    return np.exp(sd * rng.standard_normal(size) - sd**2 / 2)

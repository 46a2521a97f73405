"""Outcomes of a chat with and without AI: duration, retrial, rating, and the worker's attention."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.special import expit

from hitlbayes.twin.sections import Away, Effect
from hitlbayes.twin.workers import Floats, Ints, Roster, Terms

Bools = NDArray[np.bool_]


@dataclasses.dataclass(frozen=True, slots=True)
class Exposure:
    """Which chats the AI touches: `ai` (handled by it at first), `spill` (others of treated workers after
    the start).

    `log_volume_ai`, `log_ai_chats`: log chats and log eligible chats of the chat's worker-day, about their
    means over AI chats; `log_volume_spill`: log chats about the mean over treated worker-days after the
    start.
    """

    cell: Ints
    worker: Ints
    eligible: Bools
    stratum: NDArray[np.int8]
    ai: Bools
    spill: Bools
    log_volume_ai: Floats
    log_ai_chats: Floats
    log_volume_spill: Floats


@dataclasses.dataclass(frozen=True, slots=True)
class Response:
    """An outcome of every chat: predictor without AI (`base`), what the AI adds (`shift`), `value`."""

    base: Floats
    shift: Floats
    value: NDArray[Any]


@dataclasses.dataclass(frozen=True, slots=True)
class OwnEffects:
    """Workers' own deviations from the average effect on AI chats and on others, shape (workers,)."""

    eligible: Floats
    spillover: Floats


def expose(*, roster: Roster, cell: Ints, eligible: Bools, stratum: NDArray[np.int8]) -> Exposure:
    """Mark AI chats and spillover chats, and centre the volume that their effects depend on."""
    touched = (roster.treated & roster.post)[cell]
    log_volume = np.log(roster.chats)
    log_eligible = np.log(np.maximum(roster.eligible, 1))
    ai, spill = touched & eligible, touched & ~eligible
    days = roster.treated & roster.post & (roster.ineligible > 0)
    return Exposure(
        cell=cell,
        worker=roster.worker[cell],
        eligible=eligible,
        stratum=stratum,
        ai=ai,
        spill=spill,
        log_volume_ai=log_volume[cell] - _mean(log_volume[cell[ai]]),
        log_ai_chats=log_eligible[cell] - _mean(log_eligible[cell[ai]]),
        log_volume_spill=log_volume[cell] - _mean(log_volume[days]),
    )


def draw_own_effects(effect: Effect, *, workers: int, rng: Generator) -> OwnEffects:
    """Each worker's own deviation from the average effects, on the link's scale."""
    return OwnEffects(
        eligible=effect.sd_eligible * rng.standard_normal(workers),
        spillover=effect.sd_spillover * rng.standard_normal(workers),
    )


def predictor(terms: Terms, *, exposure: Exposure) -> Floats:
    """Linear predictor without AI of every chat."""
    return terms.cell[exposure.cell] + np.where(exposure.eligible, terms.eligible[exposure.cell], 0.0)


def shift(effect: Effect, *, own: OwnEffects, exposure: Exposure, length: Floats) -> Floats:
    """What the AI adds to the linear predictor; `length`: standardised log duration without AI."""
    out = np.zeros(exposure.cell.size)
    ai, spill, worker = exposure.ai, exposure.spill, exposure.worker
    by_type = np.asarray(effect.types())[exposure.stratum[ai]]
    heavy = effect.volume * exposure.log_volume_ai[ai] + effect.ai_volume * exposure.log_ai_chats[ai]
    out[ai] = by_type + heavy + own.eligible[worker[ai]]
    direct = (
        effect.spillover
        + effect.spillover_volume * exposure.log_volume_spill[spill]
        + own.spillover[worker[spill]]
    )
    out[spill] = direct * (1 - effect.taper * length[spill])
    return out


def draw_duration(base: Floats, *, shift: Floats, length: Floats, sd: float) -> Response:
    """Seconds, whole and at least one; log-normal with `sd` around the predictor."""
    seconds = np.maximum(1.0, np.rint(np.exp(base + shift + sd * length)))
    return Response(base=base, shift=shift, value=seconds)


def draw_binary(base: Floats, *, shift: Floats, rng: Generator) -> Response:
    """0/1 with logit link."""
    return Response(
        base=base, shift=shift, value=(rng.random(base.size) < expit(base + shift)).astype(np.int8)
    )


def draw_ordinal(base: Floats, *, shift: Floats, cutpoints: tuple[float, ...], rng: Generator) -> Response:
    """Categories 1..K by cumulative logit."""
    uniform = rng.random(base.size)
    latent = base + shift + np.log(uniform) - np.log1p(-uniform)
    return Response(
        base=base, shift=shift, value=(1 + np.searchsorted(np.asarray(cutpoints), latent)).astype(np.int8)
    )


def expected_rating(predictor: Floats, *, cutpoints: tuple[float, ...]) -> Floats:
    """Mean of a cumulative-logit outcome with categories 1..K."""
    return 1 + sum((expit(predictor - cut) for cut in cutpoints), start=np.zeros_like(predictor))


def draw_concurrency(base: Floats, *, shift: Floats, sd: float, rng: Generator) -> Response:
    """Parallel chats at the start, this one included: a rounded normal, at least one."""
    value = np.maximum(1, np.rint(base + shift + sd * rng.standard_normal(base.size))).astype(np.int16)
    return Response(base=base, shift=shift, value=value)


def draw_away_share(
    base: Floats, *, shift: Floats, away: Away, length: Floats, sd: float, rng: Generator
) -> Response:
    """Share of a chat spent elsewhere, logit-normal, larger in long chats; `base` keeps the noise."""
    own = base + away.duration * length + sd * rng.standard_normal(base.size)
    return Response(base=own, shift=shift, value=expit(own + shift))


def draw_switches(base: Floats, *, shift: Floats, away: Away, length: Floats, rng: Generator) -> Response:
    """Times the worker left the chat: negative binomial with log link, more in long chats."""
    own = base + away.switches_duration * length
    shape = away.switches_dispersion
    value = rng.poisson(np.exp(own + shift) * rng.gamma(shape, 1 / shape, base.size)).astype(np.int32)
    return Response(base=own, shift=shift, value=value)


def _mean(values: Floats) -> float:
    return float(values.mean()) if values.size else 0.0

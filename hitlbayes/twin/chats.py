"""One row per chat before anybody answers it: time, scope, customer, issue and escalation stratum."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from hitlbayes.twin.sections import TYPES, Covariates, Customers, Issues, Volume
from hitlbayes.twin.workers import Floats, Ints, Roster

HOURS = 24
FIRST_HOUR, LAST_HOUR = 7, 24


@dataclasses.dataclass(frozen=True, slots=True)
class Arrivals:
    """Chats in order of worker, day and time.

    `cell`: row of the roster; `second`: of the day; `eligible`; `stratum`: index into `TYPES` of what an
    AI-handled chat would become (principal stratum), 4 where the chat is not eligible.
    """

    cell: Ints
    second: Ints
    eligible: NDArray[np.bool_]
    stratum: NDArray[np.int8]


@dataclasses.dataclass(frozen=True, slots=True)
class Intake:
    """What is known at a chat's first message; `issue` indexes the issue names."""

    issue: NDArray[np.int8]
    customer_chats: Ints
    customer_tenure: Floats
    vip: Ints
    initial_sentiment: Ints
    initial_urgency: Ints
    first_words: Ints


def draw_arrivals(volume: Volume, *, shares: tuple[float, ...], roster: Roster, rng: Generator) -> Arrivals:
    """Chats of each worker-day within a shift of whole hours, longer on busy days and thinner at its ends."""
    rows = np.arange(roster.worker.size)
    cell = np.concatenate([np.repeat(rows, roster.ineligible), np.repeat(rows, roster.eligible)])
    eligible = np.arange(cell.size) >= roster.ineligible.sum()
    typical = volume.shift_hours * (roster.chats / 43.0) ** volume.shift_power
    hours = np.rint(typical * np.exp(volume.shift_sd * rng.standard_normal(rows.size)))
    hours = np.clip(hours, 1, LAST_HOUR - FIRST_HOUR)
    start = FIRST_HOUR + np.floor(rng.random(rows.size) * (LAST_HOUR - FIRST_HOUR - hours + 1))
    within = rng.beta(volume.shift_peak, volume.shift_peak, cell.size)
    second = np.floor(3600 * (start[cell] + hours[cell] * within)).astype(np.int64)
    order = np.argsort(cell * 86_400 + second, kind="stable")
    stratum = rng.choice(len(TYPES), size=cell.size, p=_proportions(shares)).astype(np.int8)
    stratum[~eligible] = len(TYPES)
    return Arrivals(cell=cell[order], second=second[order], eligible=eligible[order], stratum=stratum[order])


def draw_intake(
    customers: Customers,
    *,
    issues: Issues,
    shares: tuple[float, ...],
    arrivals: Arrivals,
    roster: Roster,
    rng: Generator,
) -> Intake:
    """Customer and issue of each chat, by escalation stratum."""
    kind = arrivals.stratum
    return Intake(
        issue=_draw_issue(issues, shares=shares, arrivals=arrivals, roster=roster, rng=rng),
        customer_chats=rng.geometric(1.0 / np.asarray(customers.customer_chats)[kind]),
        customer_tenure=_tenure(customers, kind=kind, rng=rng),
        vip=(rng.random(kind.size) < np.asarray(customers.vip)[kind]).astype(np.int64),
        initial_sentiment=1 + rng.binomial(4, (np.asarray(customers.initial_sentiment)[kind] - 1) / 4),
        initial_urgency=1 + rng.binomial(2, (np.asarray(customers.initial_urgency)[kind] - 1) / 2),
        first_words=rng.geometric(1.0 / np.asarray(customers.first_words)[kind]),
    )


def covariate_effects(covariates: Covariates, *, intake: Intake, eligible: NDArray[np.bool_]) -> Floats:
    """What issue and customer add to an outcome, centred among eligible and among other chats."""
    score = np.asarray(covariates.issue)[intake.issue]
    score = score + covariates.sentiment * intake.initial_sentiment + covariates.vip * intake.vip
    score = score + covariates.words * np.log(intake.first_words)
    for part in (eligible, ~eligible):
        if part.any():
            score[part] -= score[part].mean()
    return score


def eligible_issue_shares(issues: Issues, *, shares: tuple[float, ...]) -> Floats:
    """Issue shares by stratum, shape (5, issues): four escalation types, then their mixture."""
    table = np.array([_proportions(getattr(issues, name)) for name in TYPES])
    return np.vstack([table, _proportions(shares) @ table])


def _draw_issue(
    issues: Issues, *, shares: tuple[float, ...], arrivals: Arrivals, roster: Roster, rng: Generator
) -> NDArray[np.int8]:
    table = eligible_issue_shares(issues, shares=shares)
    post = roster.post[arrivals.cell]
    issue = np.zeros(post.size, dtype=np.int8)
    for stratum in range(len(TYPES)):
        part = arrivals.stratum == stratum
        issue[part] = rng.choice(table.shape[1], size=int(part.sum()), p=table[stratum])
    for late, overall in ((False, issues.pre), (True, issues.post)):
        period = post == late
        share = arrivals.eligible[period].mean() if period.any() else 0.0
        # other chats have whatever mix makes all chats of the period match the published one
        rest = np.clip(_proportions(overall) - share * table[-1], 0.0, None)
        part = period & ~arrivals.eligible
        issue[part] = rng.choice(rest.size, size=int(part.sum()), p=rest / rest.sum())
    return issue


def _tenure(customers: Customers, *, kind: NDArray[np.int8], rng: Generator) -> Floats:
    mean = np.asarray(customers.customer_tenure)[kind]
    shape = (mean / customers.customer_tenure_sd) ** 2
    return rng.gamma(shape) * mean / shape


def _proportions(values: tuple[float, ...]) -> Floats:
    share = np.asarray(values, dtype=float)
    return share / share.sum()

"""Who works when, and how much: arms, worker-days, chats a worker-day in each scope."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.special import expit, logit

from hitlbayes.twin.sections import Experiment, People, Process, Volume

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclasses.dataclass(frozen=True, slots=True)
class Roster:
    """Worker-days with at least one chat.

    `worker`, `day` (0 = first day), `treated`, `post`, `ineligible`, `eligible` (chats): one entry a
    worker-day; `arm` (workers,): 1 treated.
    """

    arm: Ints
    worker: Ints
    day: Ints
    treated: NDArray[np.bool_]
    post: NDArray[np.bool_]
    ineligible: Ints
    eligible: Ints

    @property
    def chats(self) -> Ints:
        return self.ineligible + self.eligible


def draw_roster(volume: Volume, *, experiment: Experiment, scale: float, rng: Generator) -> Roster:
    """Attendance and chat counts; each scope's total is met exactly (times `scale`)."""
    arm = rng.permutation(np.repeat([1, 0], [experiment.treated, experiment.control]))
    worker, day = _attendance(volume, experiment=experiment, arm=arm, rng=rng)
    treated, post = arm[worker] == 1, day >= experiment.pre
    weight = _day_weights(volume, worker=worker, workers=arm.size, rng=rng)
    ineligible = _spread(volume.ineligible, scale=scale, weight=weight, rng=rng)
    lure = _eligible_weights(volume, weight=weight, worker=worker, workers=arm.size, post=post, rng=rng)
    eligible = np.zeros(worker.size, dtype=np.int64)
    for after in (False, True):
        for group in (False, True):
            name = f"eligible_{'post' if after else 'pre'}_{'treated' if group else 'control'}"
            part = (post == after) & (treated == group)
            eligible[part] = _spread(getattr(volume, name), scale=scale, weight=lure[part], rng=rng)
    kept = (ineligible + eligible) > 0
    return Roster(
        arm=arm,
        worker=worker[kept],
        day=day[kept],
        treated=treated[kept],
        post=post[kept],
        ineligible=ineligible[kept],
        eligible=eligible[kept],
    )


def draw_people(people: People, *, workers: int, rng: Generator) -> tuple[Floats, Ints, Floats]:
    """Age (years), male (0/1) and tenure (years) of each worker; age normal from 18, tenure gamma."""
    age = np.clip(rng.normal(people.age, people.age_sd, workers), 18.0, 65.0)
    male = (rng.random(workers) < people.male).astype(np.int64)
    shape = (people.tenure / people.tenure_sd) ** 2
    tenure = rng.gamma(shape, people.tenure / shape, workers)
    return np.round(age, 1), male, np.round(tenure, 3)


@dataclasses.dataclass(frozen=True, slots=True)
class Terms:
    """One outcome's predictor without AI: `cell` (worker-days,), what eligible chats add, workers' terms."""

    cell: Floats
    eligible: Floats
    level: Floats
    drift: Floats
    eligible_level: Floats
    eligible_drift: Floats
    period: Floats


def draw_terms(process: Process, *, roster: Roster, days: int, rng: Generator) -> Terms:
    """Worker, drift, day and worker-day terms of one outcome, on its link's scale."""
    workers, cells = roster.arm.size, roster.worker.size
    level = process.sd_worker * rng.standard_normal(workers)
    drift = process.sd_drift * rng.standard_normal(workers)
    period = process.trend * np.arange(days) + process.sd_period * rng.standard_normal(days)
    shock = process.sd_shock * rng.standard_normal(cells)
    eligible_level = process.eligible_sd_worker * rng.standard_normal(workers)
    eligible_drift = process.eligible_sd_drift * rng.standard_normal(workers)
    eligible_shock = process.eligible_sd_shock * rng.standard_normal(cells)
    own = level[roster.worker] + drift[roster.worker] * roster.post
    extra = eligible_level[roster.worker] + eligible_drift[roster.worker] * roster.post
    return Terms(
        cell=process.level + own + period[roster.day] + shock,
        eligible=process.eligible + extra + eligible_shock,
        level=level,
        drift=drift,
        eligible_level=eligible_level,
        eligible_drift=eligible_drift,
        period=period,
    )


def _attendance(volume: Volume, *, experiment: Experiment, arm: Ints, rng: Generator) -> tuple[Ints, Ints]:
    """Worker and day of each worked day: independent days given a worker's own propensity."""
    before = np.where(arm == 1, volume.attend_pre_treated, volume.attend_pre_control)
    after = np.where(arm == 1, volume.attend_post_treated, volume.attend_post_control)
    own = volume.attend_sd * rng.standard_normal(arm.size)
    # dividing by the attenuation of a logistic-normal keeps the average probability near its target
    stretch = np.sqrt(1 + 0.346 * volume.attend_sd**2)
    late = np.arange(experiment.days) >= experiment.pre
    chance = np.where(late, logit(after)[:, None], logit(before)[:, None]) * stretch + own[:, None]
    worker, day = np.nonzero(rng.random(chance.shape) < expit(chance))
    return worker, day


def _day_weights(volume: Volume, *, worker: Ints, workers: int, rng: Generator) -> Floats:
    own = volume.sd_worker * rng.standard_normal(workers)
    log_weight = own[worker] + volume.sd_day * rng.standard_normal(worker.size)
    short = rng.random(worker.size) < volume.short_days
    return np.exp(log_weight) * np.where(short, volume.short_size, 1.0)


def _eligible_weights(
    volume: Volume, *, weight: Floats, worker: Ints, workers: int, post: NDArray[np.bool_], rng: Generator
) -> Floats:
    own = volume.eligible_sd_worker * rng.standard_normal(workers)
    log_weight = own[worker] + volume.eligible_sd_day * rng.standard_normal(worker.size)
    share = np.where(post, volume.eligible_days_post, volume.eligible_days_pre)
    open_day = rng.random(worker.size) < share
    return np.exp(log_weight) * weight**volume.eligible_power * open_day


def _spread(total: int, *, scale: float, weight: Floats, rng: Generator) -> Ints:
    """Multinomial counts adding up to `total` x `scale`; nothing where no worker-day can take them."""
    if weight.size == 0 or weight.sum() <= 0:
        return np.zeros(weight.size, dtype=np.int64)
    return rng.multinomial(round(total * scale), weight / weight.sum())

"""The synthetic experiment at chat level: every chat of every worker, with the truth known."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.random import Generator

from hitlbayes.errors import SpecError
from hitlbayes.twin import chats as intake_model
from hitlbayes.twin import outcomes as model
from hitlbayes.twin.handling import Takeover, draw_takeover
from hitlbayes.twin.messages import Transcript, draw_transcript
from hitlbayes.twin.parameters import Parameters
from hitlbayes.twin.rounds import chat_rounds
from hitlbayes.twin.sections import Effects
from hitlbayes.twin.table import Draws, assemble
from hitlbayes.twin.truth import Truth, average_effects, chat_effects, type_effects, worker_effects
from hitlbayes.twin.workers import Floats, Ints, Roster, Terms, draw_people, draw_roster, draw_terms

OUTCOMES = ("duration", "retrial", "rating", "response", "concurrency", "away", "switches")


@dataclasses.dataclass(frozen=True, slots=True)
class Twin:
    """A synthetic experiment.

    Attributes
    ----------
    chats : DataFrame
        One row per chat, canonical columns, in order of worker and time.
    truth : Truth
        The effects it really had.
    parameters : Parameters
        Everything it was drawn from.
    seed : int
    synthetic : bool
        Always true: nothing found here is a finding.
    """

    chats: pd.DataFrame
    truth: Truth
    parameters: Parameters
    seed: int
    synthetic: bool = True

    def rounds(self, *, scope: str = "eligible") -> pd.DataFrame:
        """One row per chat round: provider, sentiment and timing; `scope` "ai", "eligible" or "all"."""
        return chat_rounds(self.chats, scope=scope, seed=self.seed)

    def __repr__(self) -> str:
        arms = self.chats.groupby("treated")["worker_id"].nunique().to_dict()
        return f"Twin(synthetic, {len(self.chats):,} chats, workers by arm {arms}, seed {self.seed})"


def simulate(
    *,
    seed: int = 20240815,
    workers: int | None = None,
    effects: Effects | None = None,
    scale: float = 1.0,
    parameters: Parameters | None = None,
) -> Twin:
    """Draw the experiment: arms, attendance, chats, AI handling and outcomes, with the effects known.

    Parameters
    ----------
    seed : int
        Same seed and parameters, same chats.
    workers : int, optional
        Number of workers (arms in the published proportion), chats a worker unchanged; 647 unless given.
    effects : Effects, optional
        What the AI does, on each outcome's link scale; the calibrated effects unless given.
    scale : float
        Multiplies the number of chats a worker-day.
    parameters : Parameters, optional
        Everything else; the calibrated ones unless given.

    Returns
    -------
    Twin

    Raises
    ------
    SpecError
        `workers` below 4 or `scale` not positive.

    Notes
    -----
    Calibrated to the tables of Wang, Zhu, Feng, Lu and Jia (2026); see `hitlbayes.twin.calibrate` and the
    exemptions in `exemptions.toml`.

    Examples
    --------
    >>> twin = simulate(workers=20, scale=0.2)
    >>> twin.synthetic, int(twin.chats["worker_id"].nunique())
    (True, 20)
    """
    chosen = parameters or Parameters.load()
    if effects is not None:
        chosen = dataclasses.replace(chosen, effects=effects)
    chosen, factor = resize(chosen, workers=workers, scale=scale)
    return _draw(chosen, seed=seed, scale=factor)


def resize(parameters: Parameters, *, workers: int | None, scale: float) -> tuple[Parameters, float]:
    """Arms for another number of workers, and what the chat totals must be multiplied by."""
    if not scale > 0:
        raise SpecError(f"scale is {scale}; expected a positive number of times the published volume")
    if workers is None:
        return parameters, scale
    if workers < 4:
        raise SpecError(f"workers is {workers}; expected at least 4, two an arm")
    old = parameters.experiment
    total = old.treated + old.control
    treated = min(max(round(workers * old.treated / total), 2), workers - 2)
    experiment = dataclasses.replace(old, treated=treated, control=workers - treated)
    return dataclasses.replace(parameters, experiment=experiment), scale * workers / total


def _draw(parameters: Parameters, *, seed: int, scale: float) -> Twin:
    # one stream a stage: a changed parameter leaves the draws of other stages alone
    streams = iter([np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(24)])
    roster = draw_roster(parameters.volume, experiment=parameters.experiment, scale=scale, rng=next(streams))
    people = draw_people(parameters.people, workers=roster.arm.size, rng=next(streams))
    shares = parameters.escalation.shares
    arrivals = intake_model.draw_arrivals(parameters.volume, shares=shares, roster=roster, rng=next(streams))
    intake = intake_model.draw_intake(
        parameters.customers,
        issues=parameters.issues,
        shares=shares,
        arrivals=arrivals,
        roster=roster,
        rng=next(streams),
    )
    exposure = model.expose(
        roster=roster, cell=arrivals.cell, eligible=arrivals.eligible, stratum=arrivals.stratum
    )
    length = next(streams).standard_normal(arrivals.cell.size)
    terms, own = _worker_terms(parameters, roster=roster, streams=streams)
    responses = _respond(
        parameters, terms=terms, own=own, exposure=exposure, intake=intake, length=length, rng=next(streams)
    )
    ai, takeover, transcript = _handle(
        parameters, roster=roster, exposure=exposure, length=length, streams=streams
    )
    draws = Draws(roster, people, arrivals, intake, responses, ai, takeover, transcript)
    return Twin(
        chats=assemble(draws, parameters=parameters, rng=next(streams)),
        truth=_truth(parameters, terms=terms, own=own, exposure=exposure, responses=responses, length=length),
        parameters=parameters,
        seed=seed,
    )


def _worker_terms(
    parameters: Parameters, *, roster: Roster, streams: Iterator[Generator]
) -> tuple[dict[str, Terms], dict[str, model.OwnEffects]]:
    """Worker, day and worker-day terms of every outcome, and workers' own effects."""
    terms, own = {}, {}
    for name in OUTCOMES:
        rng, effect = next(streams), getattr(parameters.effects, name)
        days = parameters.experiment.days
        terms[name] = draw_terms(getattr(parameters, name), roster=roster, days=days, rng=rng)
        own[name] = model.draw_own_effects(effect, workers=roster.arm.size, rng=rng)
    return terms, own


def _handle(
    parameters: Parameters,
    *,
    roster: Roster,
    exposure: model.Exposure,
    length: Floats,
    streams: Iterator[Generator],
) -> tuple[Ints, Takeover, Transcript]:
    """Rows of AI chats, what happened in them, and the text of every chat."""
    ai = np.nonzero(exposure.ai)[0]
    takeover = draw_takeover(
        parameters.escalation,
        stratum=exposure.stratum[ai],
        worker=exposure.worker[ai],
        length=length[ai],
        rng=next(streams),
    )
    transcript = draw_transcript(
        parameters.text,
        roster=roster,
        cell=exposure.cell,
        length=length,
        ai=ai,
        takeover=takeover,
        rng=next(streams),
    )
    return ai, takeover, transcript


def _respond(
    parameters: Parameters,
    *,
    terms: dict[str, Terms],
    own: dict[str, model.OwnEffects],
    exposure: model.Exposure,
    intake: intake_model.Intake,
    length: Floats,
    rng: Generator,
) -> dict[str, model.Response]:
    """Draw every outcome of every chat."""
    base = {name: model.predictor(terms[name], exposure=exposure) for name in OUTCOMES}
    for name in ("duration", "retrial", "rating"):
        covariates = getattr(parameters, f"{name}_covariates")
        base[name] = base[name] + intake_model.covariate_effects(
            covariates, intake=intake, eligible=exposure.eligible
        )
    shift = {
        name: model.shift(getattr(parameters.effects, name), own=own[name], exposure=exposure, length=length)
        for name in OUTCOMES
    }
    cutpoints, away = parameters.ratings.cutpoints, parameters.multitasking
    binary = {n: model.draw_binary(base[n], shift=shift[n], rng=rng) for n in ("retrial", "response")}
    return {
        **binary,
        "duration": model.draw_duration(
            base["duration"], shift=shift["duration"], length=length, sd=parameters.duration.sd_chat
        ),
        "rating": model.draw_ordinal(base["rating"], shift=shift["rating"], cutpoints=cutpoints, rng=rng),
        "concurrency": model.draw_concurrency(
            base["concurrency"], shift=shift["concurrency"], sd=parameters.concurrency.sd_chat, rng=rng
        ),
        "away": model.draw_away_share(
            base["away"], shift=shift["away"], away=away, length=length, sd=parameters.away.sd_chat, rng=rng
        ),
        "switches": model.draw_switches(
            base["switches"], shift=shift["switches"], away=away, length=length, rng=rng
        ),
    }


def _truth(
    parameters: Parameters,
    *,
    terms: dict[str, Terms],
    own: dict[str, model.OwnEffects],
    exposure: model.Exposure,
    responses: dict,
    length: Floats,
) -> Truth:
    effects = chat_effects(
        responses,
        cutpoints=parameters.ratings.cutpoints,
        sd=parameters.duration.sd_chat,
        length=length,
    )
    rated = responses["response"].value == 1
    ids = np.arange(1, parameters.experiment.treated + parameters.experiment.control + 1)
    days = pd.DataFrame({name: terms[name].period for name in OUTCOMES})
    days.insert(0, "date", pd.date_range(parameters.experiment.first, periods=len(days)))
    return Truth(
        att=average_effects(effects, exposure=exposure, rated=rated),
        types=type_effects(effects, exposure=exposure, rated=rated),
        workers=worker_effects(effects, exposure=exposure, rated=rated, terms=terms, own=own, worker_ids=ids),
        days=days,
        effects=parameters.effects,
    )

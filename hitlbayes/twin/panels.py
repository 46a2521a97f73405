"""The synthetic experiment at full size without its chats: cells of sufficient statistics by scope."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.random import Generator
from scipy.special import expit

from hitlbayes.twin.cells import Cells, chi_square, ordinal_probabilities
from hitlbayes.twin.chats import eligible_issue_shares
from hitlbayes.twin.outcomes import draw_own_effects
from hitlbayes.twin.parameters import Parameters
from hitlbayes.twin.sections import TYPES, Covariates, Effect, Effects
from hitlbayes.twin.simulate import resize
from hitlbayes.twin.workers import Floats, Ints, Roster, Terms, draw_roster, draw_terms

NODES = 9
"""Gauss-Hermite points over customers' and issues' part of the linear predictor."""
LONGEST_MESSAGE = 400
"""Words beyond which a first message has no probability worth counting."""
FAMILY = {"log_duration": "gaussian", "retrial": "bernoulli", "rating": "ordinal"}
OTHER = len(TYPES)


@dataclasses.dataclass(frozen=True, slots=True)
class Groups:
    """Chats that share a linear predictor but for customer and issue.

    `cell`, `n`, `stratum` (index into `TYPES`, 4 not eligible), `ai`, `spill`: one entry a group.
    """

    cell: Ints
    n: Ints
    stratum: Ints
    ai: np.ndarray
    spill: np.ndarray


def simulate_panels(
    *,
    seed: int = 20240815,
    workers: int | None = None,
    effects: Effects | None = None,
    scale: float = 1.0,
    parameters: Parameters | None = None,
) -> dict[str, Cells]:
    """Worker-day cells of log duration, retrial and rating by scope, drawn without drawing chats.

    The same model as `simulate`, with customers' and issues' part of the predictor taken as normal within a
    stratum.

    Parameters
    ----------
    seed, workers, effects, scale, parameters
        As in `simulate`; the draws of one seed differ from those of `simulate`.

    Returns
    -------
    dict
        Scope ("all", "eligible", "ineligible") -> Cells; `truth` has `att_chat` and `att_cell` by outcome.

    Examples
    --------
    >>> sorted(simulate_panels(seed=1, workers=20, scale=0.2))
    ['all', 'eligible', 'ineligible']
    """
    chosen = parameters or Parameters.load()
    if effects is not None:
        chosen = dataclasses.replace(chosen, effects=effects)
    chosen, factor = resize(chosen, workers=workers, scale=scale)
    streams = iter([np.random.default_rng(s) for s in np.random.SeedSequence([seed, 1]).spawn(8)])
    roster = draw_roster(chosen.volume, experiment=chosen.experiment, scale=factor, rng=next(streams))
    groups = _split(roster, shares=chosen.escalation.shares, rng=next(streams))
    drawn, effect = _draw(chosen, roster=roster, groups=groups, streams=streams)
    scopes = {"all": groups.n > 0, "eligible": groups.stratum != OTHER, "ineligible": groups.stratum == OTHER}
    return {
        scope: _collect(
            chosen, scope=scope, part=part, roster=roster, groups=groups, drawn=drawn, effect=effect
        )
        for scope, part in scopes.items()
    }


def covariate_moments(covariates: Covariates, *, parameters: Parameters) -> tuple[Floats, Floats]:
    """Mean and SD by stratum, shape (5,), of what customers and issues add, centred by scope."""
    shares, customers = parameters.escalation.shares, parameters.customers
    issue = np.asarray(covariates.issue)
    mixes = np.vstack(
        [eligible_issue_shares(parameters.issues, shares=shares)[:OTHER], _other_issues(parameters)]
    )
    angry = (np.asarray(customers.initial_sentiment) - 1) / 4
    vip = np.asarray(customers.vip)
    words = np.arange(1, LONGEST_MESSAGE + 1)
    chance = 1 / np.asarray(customers.first_words)[:, None]
    density = chance * (1 - chance) ** (words - 1)
    logs = np.log(words)
    text_mean, text_square = density @ logs, density @ logs**2
    mean = (
        mixes @ issue
        + covariates.sentiment * (1 + 4 * angry)
        + covariates.vip * vip
        + covariates.words * text_mean
    )
    variance = mixes @ issue**2 - (mixes @ issue) ** 2 + covariates.sentiment**2 * 4 * angry * (1 - angry)
    variance += covariates.vip**2 * vip * (1 - vip) + covariates.words**2 * (text_square - text_mean**2)
    weight = np.asarray(shares) / sum(shares)
    centre = np.append(np.full(OTHER, weight @ mean[:OTHER]), mean[OTHER])
    return mean - centre, np.sqrt(variance)


def _other_issues(parameters: Parameters) -> Floats:
    """Issue mix of chats that are not eligible, over the whole experiment."""
    volume, issues = parameters.volume, parameters.issues
    eligible = [volume.eligible_pre_treated + volume.eligible_pre_control]
    eligible.append(volume.eligible_post_treated + volume.eligible_post_control)
    share = sum(eligible) / (sum(eligible) + volume.ineligible)
    overall = (np.asarray(issues.pre) + np.asarray(issues.post)) / 2
    mixture = eligible_issue_shares(issues, shares=parameters.escalation.shares)[-1]
    rest = np.clip(overall / overall.sum() - share * mixture, 0, None)
    return rest / rest.sum()


def _split(roster: Roster, *, shares: tuple[float, ...], rng: Generator) -> Groups:
    """Groups by worker-day and stratum."""
    mix = np.asarray(shares) / sum(shares)
    counts = np.column_stack([rng.multinomial(roster.eligible, mix), roster.ineligible])
    cell, stratum = np.nonzero(counts)
    touched = (roster.treated & roster.post)[cell]
    return Groups(
        cell=cell,
        n=counts[cell, stratum],
        stratum=stratum,
        ai=touched & (stratum != OTHER),
        spill=touched & (stratum == OTHER),
    )


def _draw(
    parameters: Parameters, *, roster: Roster, groups: Groups, streams: Iterator[Generator]
) -> tuple[dict[str, Any], dict[str, Floats]]:
    """Statistics of every group, and the expected effect on a chat of it, by outcome."""
    rng, eta, moved = next(streams), {}, {}
    for name in ("duration", "retrial", "rating", "response"):
        stream = next(streams)
        terms = draw_terms(
            getattr(parameters, name), roster=roster, days=parameters.experiment.days, rng=stream
        )
        eta[name] = _predictor(terms, groups=groups)
        moved[name] = _shift(getattr(parameters.effects, name), roster=roster, groups=groups, rng=stream)
    mean, sd = covariate_moments(parameters.duration_covariates, parameters=parameters)
    # long chats feel less of a spillover: the slope on a chat's own length changes with the shift
    slope = parameters.duration.sd_chat - np.where(
        groups.spill, parameters.effects.duration.taper * moved["duration"], 0
    )
    spread = np.hypot(slope, sd[groups.stratum])
    centre = eta["duration"] + mean[groups.stratum] + moved["duration"]
    before, after = _mixed(
        parameters, name="retrial", eta=eta["retrial"], shift=moved["retrial"], groups=groups
    )
    rated_before, rated_after = _mixed(
        parameters, name="rating", eta=eta["rating"], shift=moved["rating"], groups=groups
    )
    rated = rng.binomial(groups.n, expit(eta["response"] + moved["response"]))
    drawn = {
        "mean": centre + spread * rng.standard_normal(groups.n.size) / np.sqrt(groups.n),
        "ss": spread**2 * chi_square(groups.n - 1, rng=rng),
        "successes": rng.binomial(groups.n, after[:, 1]),
        "counts": rng.multinomial(rated, rated_after),
        "rated": rated,
    }
    score = np.arange(1, rated_after.shape[1] + 1)
    effect = {
        "log_duration": moved["duration"],
        "retrial": (after - before)[:, 1],
        "rating": (rated_after - rated_before) @ score,
    }
    return drawn, effect


def _predictor(terms: Terms, *, groups: Groups) -> Floats:
    return terms.cell[groups.cell] + np.where(groups.stratum != OTHER, terms.eligible[groups.cell], 0.0)


def _shift(effect: Effect, *, roster: Roster, groups: Groups, rng: Generator) -> Floats:
    """What the AI adds to each group's predictor; volume is centred as in `outcomes.expose`."""
    own = draw_own_effects(effect, workers=roster.arm.size, rng=rng)
    log_volume, worker = np.log(roster.chats)[groups.cell], roster.worker[groups.cell]
    ai, spill = groups.ai, groups.spill
    out = np.zeros(groups.n.size)
    if ai.any():
        both = np.column_stack([log_volume, np.log(np.maximum(roster.eligible, 1))[groups.cell]])[ai]
        heavy = (both - np.average(both, axis=0, weights=groups.n[ai])) @ [effect.volume, effect.ai_volume]
        out[ai] = np.asarray(effect.types())[groups.stratum[ai]] + heavy + own.eligible[worker[ai]]
    if spill.any():
        centred = log_volume[spill] - log_volume[spill].mean()
        out[spill] = effect.spillover + effect.spillover_volume * centred + own.spillover[worker[spill]]
    return out


def _mixed(
    parameters: Parameters, *, name: str, eta: Floats, shift: Floats, groups: Groups
) -> tuple[Floats, Floats]:
    """Category probabilities without and with AI, averaged over customers: shape (groups, K) each."""
    cutpoints = (0.0,) if name == "retrial" else parameters.ratings.cutpoints
    mean, sd = covariate_moments(getattr(parameters, f"{name}_covariates"), parameters=parameters)
    nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
    weights = weights / weights.sum()
    both = []
    for moved in (np.zeros_like(shift), shift):
        at = [eta + moved + mean[groups.stratum] + sd[groups.stratum] * node for node in nodes]
        parts = (w * ordinal_probabilities(x, cutpoints=cutpoints) for w, x in zip(weights, at, strict=True))
        both.append(sum(parts, start=np.zeros((eta.size, len(cutpoints) + 1))))
    return both[0], both[1]


def _collect(
    parameters: Parameters,
    *,
    scope: str,
    part: np.ndarray,
    roster: Roster,
    groups: Groups,
    drawn: dict[str, Any],
    effect: dict[str, Floats],
) -> Cells:
    """Add a scope's groups up to worker-day cells."""
    rows, where = np.unique(groups.cell[part], return_inverse=True)
    n = np.bincount(where, groups.n[part])
    mean = np.bincount(where, groups.n[part] * drawn["mean"][part]) / n
    between = groups.n[part] * (drawn["mean"][part] - mean[where]) ** 2
    counts = np.column_stack([np.bincount(where, column) for column in drawn["counts"][part].T]).astype(
        np.int64
    )
    start = pd.Timestamp(parameters.experiment.first)
    frame = pd.DataFrame(
        {
            "unit": roster.worker[rows] + 1,
            "period": start + pd.to_timedelta(roster.day[rows], unit="D"),
            "treated": roster.treated[rows].astype(np.int8),
            "post": roster.post[rows].astype(np.int8),
            "n": n.astype(np.int64),
            "log_duration:n": n.astype(np.int64),
            "log_duration:mean": mean,
            "log_duration:ss": np.bincount(where, drawn["ss"][part] + between),
            "retrial:n": n.astype(np.int64),
            "retrial:successes": np.bincount(where, drawn["successes"][part]).astype(np.int64),
            **{f"rating:{k + 1}": counts[:, k] for k in range(counts.shape[1])},
        }
    )
    truth = _truth(effect, part=part & (groups.ai | groups.spill), groups=groups, rated=drawn["rated"])
    categories = {"rating": tuple(range(1, counts.shape[1] + 1))}
    return Cells(frame, dict(FAMILY), categories, {}, truth | {"effects": parameters.effects}, scope)


def _truth(
    effect: dict[str, Floats], *, part: np.ndarray, groups: Groups, rated: Ints
) -> dict[str, dict[str, float]]:
    """Realised effects by outcome, weighted by chat and by cell; ratings over rated chats."""
    out = {}
    for outcome, value in effect.items():
        weight = np.where(part, rated if outcome == "rating" else groups.n, 0)
        total = np.bincount(groups.cell, weight)
        sums = np.bincount(groups.cell, weight * value)
        seen = total > 0
        by_cell = float((sums[seen] / total[seen]).mean()) if seen.any() else float("nan")
        by_chat = float(sums.sum() / total.sum()) if seen.any() else float("nan")
        out[outcome] = {"att_chat": by_chat, "att_cell": by_cell}
    return out

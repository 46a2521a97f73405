"""Effort after a takeover, by why it came: what workers do less of, and how much of that is mechanical.

Each takeover k has several measures (reply delay, rounds, messages, codes of its text) and one latent effort,

    link(measure_km) = alpha_m + lambda_m effort_k + own_m(type, covariates) + own effects of worker and day,
    effort_k = kappa' (type, covariates) + worker + day + Normal(0, 1),

so that type and every covariate act on effort and, shrunk towards zero together, on each measure by itself
(`hitlbayes.fitting.factor` has the density). The sign is that of the rounds: more effort, more rounds.

**The mechanical part.** A chat that the AI kept long leaves a small share to its worker, whatever the worker
does, and one in which little is left to do needs few rounds. So effects are given three times:

raw        types as they are
clock      at equal AI rounds and seconds elapsed at the takeover; codes given the amount of text
sentiment  at equal sentiment at the takeover too, over takeovers whose sentiment both types have

Progress at takeover and final length are never adjusted for: the first is one minus the human share, the
second is decided afterwards. The amount of text is decided afterwards too; codes are given it because a
rubric scores short text low, so what is left is an effect on what was written, not through how much. The
human share is derived from AI rounds and the model of human rounds.

Source: sections 5.2.3 and 5.2.4, Table 6 of Wang, Zhu, Feng, Lu and Jia (2026). Type is known only after
treatment: a difference between types is causal only if covariates hold all that drives both.
"""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter

import numpy as np
import pandas as pd
import xarray as xr

from hitlbayes.chatlog import Chats
from hitlbayes.errors import SpecError
from hitlbayes.fitting.factor import Layout
from hitlbayes.fitting.factor_run import Sampled, sample_factor
from hitlbayes.fitting.progress import follow
from hitlbayes.inference.runtime import Progress, session
from hitlbayes.studies.effort_columns import SETS, Roles
from hitlbayes.studies.effort_frame import MEASURES, Measure, Takeovers, prepare
from hitlbayes.studies.effort_model import focus_of, layout_and_data, shared_levels
from hitlbayes.studies.effort_result import EffortFit, observed_means
from hitlbayes.studies.mixed import SEED, Sampling
from hitlbayes.versions import versions


def fit_effort(
    takeovers: pd.DataFrame | Chats,
    *,
    measures: Sequence[Measure] = MEASURES,
    adjust: Sequence[str] = SETS,
    type: str = "escalation",
    types: Sequence[str] | None = None,
    reference: str = "technical",
    unit: str = "worker_id",
    time: str = "start_time",
    ai_rounds: str = "ai_rounds",
    seconds: str = "takeover_seconds",
    sentiment: str = "takeover_sentiment",
    text: str = "human_messages",
    formula: str | None = None,
    missing: str = "refuse",
    overlap: int = 20,
    draws: int = 800,
    chains: int = 4,
    seed: int = SEED,
    synthetic: bool | None = None,
    progress: bool | None = None,
) -> EffortFit:
    """Difference between types of takeover in each measure of effort, and in latent effort in SDs.

    Parameters
    ----------
    takeovers : DataFrame or Chats
        One row per takeover; of `Chats`, those with a type other than "none". Never changed.
    measures : sequence of Measure
        The paper's seven by default (`hitlbayes.studies.effort_frame.MEASURES`).
    adjust : sequence of {"raw", "clock", "sentiment"}
        What the types are compared at; each is a fit of its own.
    type, reference : str
        Column of types, and the type that the others are compared with.
    types : sequence of str, optional
        The types to compare; by default all but "none".
    unit, time : str
        Columns of the worker and of the start (cut to days) or period.
    ai_rounds, seconds, sentiment, text : str
        Columns: AI rounds and seconds elapsed at the takeover, sentiment then, amount of the worker's text.
    formula : str, optional
        Further covariates, in every set.
    missing : {"refuse", "indicator"}
        Missing AI rounds, seconds, sentiment or text: refuse, or set to the mean and adjust for an indicator.
    overlap : int
        A level of sentiment is compared where both types have at least this many takeovers in it.
    draws, chains, seed : int
        Draws of each chain; the same seed gives the same draws.
    synthetic : bool, optional
        Whether the data are simulated; known of `Chats`.
    progress : bool, optional
        Show a progress bar; by default where the output is a terminal.

    Returns
    -------
    EffortFit
        `effects()`, `summary()`, `survival()`, `surface()`, `check()`, `plot()`.

    Raises
    ------
    SchemaError, DesignError, SpecError
        What was found, in which rows, what was expected, and what to do.

    Examples
    --------
    >>> import hitlbayes as hb
    >>> chats = hb.simulate(workers=24, scale=4.0).chats
    >>> fit = hb.fit_effort(chats, types=["technical", "human"], adjust=["raw"], draws=100, chains=2,
    ...                     overlap=5, synthetic=True)
    >>> sorted(map(str, fit.effects("raw")["contrast"].values))
    ['human']
    """
    began = perf_counter()
    frame, known = _frame(takeovers, type=type)
    adjust = _check_sets(adjust)
    sampling = Sampling(draws, chains, seed, progress)
    roles = Roles(type, reference, unit, time, ai_rounds, seconds, sentiment, text)
    ready = prepare(frame, roles=roles, measures=measures, types=types, formula=formula, missing=missing)
    focus = focus_of(ready, roles=roles, overlap=overlap)
    posterior: dict[str, xr.Dataset] = {}
    layout, _ = layout_and_data(ready, roles=roles, measures=measures, adjust="raw")
    anchor = _anchor(measures)
    with session(), follow("effort", show=progress) as report:
        for place, name in enumerate(adjust):
            layout, data = layout_and_data(ready, roles=roles, measures=measures, adjust=name)
            drawn = sample_factor(
                data,
                focus,
                layout=layout,
                anchor_measure=anchor,
                draws=draws,
                chains=chains,
                seed=sampling.seed,
                progress=_part(report, name, place=place, parts=len(adjust)),
            )
            posterior[name] = _dataset(drawn, ready, measures=measures, layout=layout, adjust=name)
    shared = shared_levels(ready, overlap=overlap)
    observed = observed_means(ready, measures=measures, ai_rounds=roles.ai_rounds, layout=layout, seed=seed)
    return EffortFit(
        posterior=posterior,
        measures=tuple(measures),
        types=ready.types,
        observed=observed,
        overlap=ready.overlap.assign(
            **{f"{t} compared": shared[:, j] for j, t in enumerate(ready.types[1:])}
        ),
        takeovers=ready,
        layout=layout,
        roles=roles,
        notes=ready.notes,
        synthetic=bool(known if synthetic is None else synthetic),
        seed=seed,
        seconds=perf_counter() - began,
        versions=versions(),
    )


def _frame(takeovers: pd.DataFrame | Chats, *, type: str) -> tuple[pd.DataFrame, bool]:
    """Takeovers in memory, and whether they are known to be synthetic."""
    if isinstance(takeovers, Chats):
        table = takeovers.table
        if type not in table.columns:
            raise SpecError(f"the chats have no column {type!r}; name the column of types with type=.")
        return table.filter(table[type].notnull() & (table[type] != "none")).to_pandas(), takeovers.synthetic
    if type in takeovers and takeovers[type].isna().any() and "ai" in takeovers:
        return takeovers[(takeovers["ai"] == 1) & (takeovers[type] != "none")], False
    return takeovers, False


def _check_sets(adjust: Sequence[str]) -> tuple[str, ...]:
    asked = (adjust,) if isinstance(adjust, str) else tuple(adjust)
    if not asked or set(asked) - set(SETS):
        raise SpecError(f"adjust is {adjust!r}; expected some of {', '.join(map(repr, SETS))}.")
    return tuple(name for name in SETS if name in asked)


def _anchor(measures: Sequence[Measure]) -> int:
    """The measure whose loading is positive: the first count, else the first that is no delay."""
    counts = [j for j, m in enumerate(measures) if m.family == "count" and m.per is None]
    others = [j for j, m in enumerate(measures) if m.family != "lognormal"]
    if len(measures) < 3 or not (counts or others):
        raise SpecError(
            f"{len(measures)} measures: a latent effort needs at least three, one of them not a delay."
        )
    return (counts or others)[0]


def _part(report: Progress, name: str, *, place: int, parts: int) -> Progress:
    return lambda what, done: report(f"{name}: {what}", (place + done) / parts)


def _dataset(
    drawn: Sampled, ready: Takeovers, *, measures: Sequence[Measure], layout: Layout, adjust: str
) -> xr.Dataset:
    """Draws with names; columns that the set does not adjust for are left out."""
    kept, lead = drawn.kept, ("chain", "draw")
    used = np.ptp(ready.columns.masked(adjust), axis=1) > 0
    names = [m.column for m in measures]
    part = ["effort", *names]
    every = [*names, "human_share"] if layout.share_of >= 0 else names
    keep = slice(None, len(every))
    data = {
        "loading": ((*lead, "measure"), kept.psi.loading),
        "intercept": ((*lead, "measure"), kept.intercept),
        "coef": ((*lead, "column", "measure"), kept.slopes[:, :, used]),
        "kappa": ((*lead, "column"), kept.kappa[:, :, used]),
        "log_sigma": ((*lead, "lognormal"), kept.psi.log_sigma),
        "overdispersion": ((*lead, "count"), kept.psi.over),
        "log_gap": ((*lead, "gap"), kept.psi.log_gap),
        "sd_worker": ((*lead, "part"), kept.psi.unit),
        "sd_day": ((*lead, "part"), kept.psi.period),
        "sd_direct": ((*lead, "kind"), kept.psi.tau),
        "worker": ((*lead, "unit", "part"), kept.unit),
        "day": ((*lead, "period", "part"), kept.period),
        "chat_effort": ((*lead, "watched"), kept.chat),
        "level": ((*lead, "contrast", "expected"), kept.averages.own[..., keep]),
        "level_reference": ((*lead, "contrast", "expected"), kept.averages.reference[..., keep]),
        "diverging": (lead, drawn.diverging),
        "acceptance": (lead, drawn.acceptance),
    }
    return xr.Dataset(
        data,
        coords={
            "measure": names,
            "expected": every,
            "part": part,
            "kind": ["type", "covariate"],
            "column": [c for c, u in zip(ready.columns.X, used, strict=True) if u],
            "contrast": list(ready.types[1:]),
        },
        attrs={"adjust": adjust, "angle": drawn.angle},
    )

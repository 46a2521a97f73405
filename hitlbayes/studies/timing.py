"""When the AI's part of a chat ends and how: hazards of takeover by type, given sentiment so far.

After its a-th answer (a = 1, 2, ...: the absolute clock) the AI goes on, or its part ends in one of K ways
that compete: a takeover of one of the types, the customer giving up, resolution. Asked in turn, whether it
ends in way k given that it did not end in those before has a logit of its own,

    logit p_k = alpha_k,band(a) + beta_k s + gamma_k s^2 + delta_k s log a + u_k,worker,
    u_k ~ Normal(0, sd_k),

s being the sentiment up to that answer, standardised. `hitlbayes.fitting.hazards` has the factorisation,
which is exact: each question is a Bernoulli mixed model of the rounds in which it is asked, with a prior of
its own. Rounds that share worker, band and sentiment are collapsed to counts.

Progress, the share of the chat gone, is no clock: it divides by a length that is decided afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from time import perf_counter

import numpy as np
import pandas as pd

from hitlbayes.chatlog import Chats
from hitlbayes.errors import SpecError
from hitlbayes.spec.priors import Prior
from hitlbayes.studies.mixed import SEED, Device, fit_mixed
from hitlbayes.studies.timing_frame import ROUNDS, TERMS, AtRisk, Names, at_risk, columns
from hitlbayes.studies.timing_result import TimingFit


def fit_timing(
    chats: pd.DataFrame | Chats,
    *,
    rounds: pd.DataFrame,
    history: str = "last",
    abandoned: str | None = None,
    bands: Sequence[int] = ROUNDS,
    type: str = "escalation",
    unit: str = "worker_id",
    chat: str = "chat_id",
    round: str = "round",
    provider: str = "provider",
    ai: str = "ai",
    sentiment: str = "sentiment",
    priors: Mapping[str, Prior] | None = None,
    draws: int = 1000,
    chains: int = 4,
    seed: int = SEED,
    synthetic: bool | None = None,
    device: Device | None = None,
    progress: bool | None = None,
) -> TimingFit:
    """Probability that the AI's part of a chat ends in a round, by the way of ending, given sentiment so far.

    Parameters
    ----------
    chats : DataFrame or Chats
        One row per chat: its type of takeover ("none" where nobody took over) and its worker. Never changed.
    rounds : DataFrame
        One row per round, at least up to the takeover: who answered, and the customer's sentiment.
    history : {"last", "highest", "mean"}
        What of the sentiment so far a round is given: the last message's, the highest, or the mean rounded to
        the quarter.
    abandoned : str, optional
        0/1 column of the chats: of those nobody took over, which the customer gave up. Without it these are
        all "resolved". Where no better record exists a retrial may stand in for it (``"retrial"``).
    bands : sequence of int
        First AI rounds of the bands in which the baseline is constant.
    type, unit, chat, round, provider, ai, sentiment : str
        Columns; `ai` is the provider's value for the AI.
    priors : mapping, optional
        By name, the same for every question: ``band_2`` and so on, ``sentiment``, ``sentiment_squared``,
        ``sentiment_by_clock``, ``sd_<unit>``.
    synthetic : bool, optional
        Whether the data are simulated; known of `Chats`.
    draws, chains, seed, device, progress
        As in `hitlbayes.fit_mixed`.

    Returns
    -------
    TimingFit
        `hazard()`, `incidence()`, `ratios()`, `check()`, `plot()`.

    Raises
    ------
    SchemaError, DesignError, SpecError
        What was found, in which rows, what was expected, and what to do.

    Notes
    -----
    The model behind Figures A5 and A6 of Wang, Zhu, Feng, Lu and Jia (2026). A round's sentiment is read
    before the round's outcome is known: messages 1 to a of a chat that a worker takes over after a rounds.

    Examples
    --------
    >>> import hitlbayes as hb
    >>> twin = hb.simulate(workers=40, seed=1)
    >>> fit = hb.fit_timing(twin.chats, rounds=twin.rounds(scope="ai"), bands=[1, 4], draws=100,
    ...                     synthetic=True)
    >>> fit.causes
    ('emotional', 'human', 'technical', 'resolved')
    """
    began = perf_counter()
    names = Names(chat, type, unit, abandoned, round, provider, ai, sentiment)
    frame, known = _frame(chats, names=names, rounds=rounds)
    synthetic = known if synthetic is None else synthetic
    ready = at_risk(frame, rounds, names=names, history=history, edges=tuple(bands))
    centre, scale = _standard(ready.frame["sentiment"])
    cells = collapse(ready, unit=unit, centre=centre, scale=scale)
    formula = "~ " + " + ".join(n for n in map(str, cells) if n.startswith("band_") or n in TERMS)
    fits = {}
    with np.errstate(invalid="ignore"):  # cells without a round of a question have no mean, and no weight
        for k, cause in enumerate(ready.causes):
            asked = question(cells, causes=ready.causes, number=k)
            asked.attrs["synthetic"] = synthetic
            fits[cause] = fit_mixed(
                asked,
                outcome=cause,
                family="bernoulli",
                trials="asked",
                formula=formula,
                groups=[unit],
                priors=priors,
                draws=draws,
                chains=chains,
                seed=seed + k,
                device=device,
                progress=progress,
            )
    return TimingFit(
        fits=fits,
        causes=ready.causes,
        bands=ready.bands,
        first=ready.first,
        clock=ready.clock,
        counts=counts(ready),
        centre=centre,
        scale=scale,
        history=history,
        notes=ready.notes,
        synthetic=synthetic,
        seed=seed,
        seconds=perf_counter() - began,
    )


def _frame(chats: pd.DataFrame | Chats, *, names: Names, rounds: pd.DataFrame) -> tuple[pd.DataFrame, bool]:
    """Chats in memory, and whether anything is known to be synthetic."""
    if not isinstance(chats, Chats):
        marked = (chats.attrs.get("synthetic", False), rounds.attrs.get("synthetic", False))
        return chats, bool(any(marked))
    wanted = [n for n in (names.chat, names.type, names.unit, names.abandoned) if n]
    if absent := [n for n in wanted if n not in chats.table.columns]:
        raise SpecError(f"the chats have no column {', '.join(absent)}.")
    table = chats.table.filter(chats.table[names.type].notnull()).select(*wanted)
    return table.to_pandas(), chats.synthetic


def _standard(values: pd.Series) -> tuple[float, float]:
    spread = float(values.std(ddof=0))
    return float(values.mean()), spread if spread > 0 else 1.0


def collapse(ready: AtRisk, *, unit: str, centre: float, scale: float) -> pd.DataFrame:
    """Rounds of one worker, band and sentiment as one row: how many, and how many ended in each way."""
    keys = ["unit", "band", "sentiment"]
    table = pd.crosstab([ready.frame[k] for k in keys], ready.frame["cause"])
    table = table.reindex(columns=["", *ready.causes], fill_value=0).reset_index()
    band, sentiment = table["band"].to_numpy(), table["sentiment"].to_numpy()
    more = columns(band, sentiment, clock=ready.clock, centre=centre, scale=scale)
    made = table[["", *ready.causes]].rename(columns={"": "going on"})
    return pd.concat([table["unit"].rename(unit), made, more], axis=1)


def question(cells: pd.DataFrame, *, causes: Sequence[str], number: int) -> pd.DataFrame:
    """The cells with ``asked``: their rounds that ended in no way before question `number`.

    Cells in which it is never asked stay, so that all questions share one compiled program.
    """
    return cells.assign(asked=cells[[*causes[number:], "going on"]].sum(axis=1))


def counts(ready: AtRisk) -> pd.DataFrame:
    """Rounds at risk by band and sentiment, and how many ended in each way."""
    keys = [ready.frame["band"], ready.frame["sentiment"]]
    table = pd.crosstab(keys, ready.frame["cause"]).reindex(columns=["", *ready.causes], fill_value=0)
    return table.assign(at_risk=table.sum(axis=1)).drop(columns="").reset_index().rename_axis(columns=None)

"""Rounds in which the AI has a chat, checked, as the rounds at risk of a takeover or another end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

from hitlbayes.errors import DesignError, SchemaError, SpecError
from hitlbayes.spec.cells import refuse

ROUNDS = (1, 2, 3, 4, 5, 6, 7, 9, 12, 17)
"""First AI rounds of the bands in which the baseline hazard is constant."""
HISTORIES = {
    "last": "the last message",
    "highest": "the highest so far",
    "mean": "the mean so far, to the quarter",
}
QUARTER = 4
FEWEST = 20
TERMS = ("sentiment", "sentiment_squared", "sentiment_by_clock")
RESOLVED, ABANDONED, UNTAKEN = "resolved", "abandoned", "none"


@dataclass(frozen=True, slots=True)
class Names:
    """Columns: of both frames the chat; of the chats its type, unit and flag; of the rounds the others."""

    chat: str
    type: str
    unit: str
    abandoned: str | None
    round: str
    provider: str
    ai: str
    sentiment: str


@dataclass(frozen=True, slots=True, eq=False)
class AtRisk:
    """AI rounds at risk.

    frame : DataFrame
        ``chat``, ``unit``, ``elapsed`` (AI rounds so far, this one included), ``band`` (code), ``sentiment``
        (so far), ``cause`` ("" where the AI goes on).
    causes : tuple of str
        Takeovers first, by name, then abandoned and resolved.
    bands, first : tuples
        Bands of AI rounds that occur, in words, and the first round of each.
    clock : (bands,) array
        Mean log AI rounds in each band.
    notes : tuple of str
    """

    frame: pd.DataFrame
    causes: tuple[str, ...]
    bands: tuple[str, ...]
    first: tuple[int, ...]
    clock: np.ndarray
    notes: tuple[str, ...]


def at_risk(
    chats: pd.DataFrame, rounds: pd.DataFrame, *, names: Names, history: str, edges: Sequence[int]
) -> AtRisk:
    """One row for each AI round: how the chat fared after it, and the sentiment up to it.

    Raises
    ------
    SchemaError
        A column is not there, AI rounds without a chat, a chat without a type, missing sentiments.
    DesignError
        A way of ending with fewer than 20 chats.
    SpecError
        An unknown history, or bands that do not begin at round 1 and rise.
    """
    if history not in HISTORIES:
        raise SpecError(f"history is {history!r}; expected one of {', '.join(map(repr, HISTORIES))}.")
    if list(edges) != sorted(set(edges)) or edges[0] != 1:
        raise SpecError(f"bands begin at {list(edges)}; expected rising whole numbers from 1.")
    own = [n for n in (names.chat, names.type, names.unit, names.abandoned) if n]
    _have(chats, own, what="chats")
    _have(rounds, [names.chat, names.round, names.provider, names.sentiment], what="rounds")
    ai = rounds[rounds[names.provider] == names.ai].sort_values([names.chat, names.round], kind="stable")
    if not len(ai):
        raise SchemaError(f"no round whose {names.provider!r} is {names.ai!r}; say which are the AI's, ai=.")
    _refuse_returns(rounds, ai, names=names)
    refuse(ai, ai[names.sentiment].isna(), f"missing values in {names.sentiment!r}", "leave those chats out")
    ends, notes = _ends(chats, ai, names=names)
    group = ai.groupby(names.chat, sort=False)[names.sentiment]
    elapsed = group.cumcount().to_numpy() + 1
    last = elapsed == group.transform("size").to_numpy()
    chat = ai[names.chat].to_numpy()
    frame = pd.DataFrame(
        {
            "chat": chat,
            "unit": ends["unit"].loc[chat].to_numpy(),
            "elapsed": elapsed,
            "band": np.searchsorted(np.asarray(edges), elapsed, side="right") - 1,
            "sentiment": _so_far(ai[names.sentiment].astype(float), group, elapsed, history=history),
            "cause": np.where(last, ends["cause"].loc[chat].to_numpy(), ""),
        }
    )
    causes = _causes(frame["cause"])
    used = np.unique(frame["band"])
    frame["band"] = np.searchsorted(used, frame["band"])
    words = _bands(edges)
    clock = np.log(frame["elapsed"]).groupby(frame["band"]).mean().to_numpy()
    return AtRisk(
        frame, causes, tuple(words[b] for b in used), tuple(int(edges[b]) for b in used), clock, notes
    )


def columns(
    band: np.ndarray, sentiment: np.ndarray, *, clock: np.ndarray, centre: float, scale: float
) -> pd.DataFrame:
    """Columns of the predictor for rounds in bands (n,) at sentiments (n,): bands after the first, and s."""
    s = (np.asarray(sentiment, float) - centre) / scale
    made = {f"band_{b + 1}": (band == b).astype(float) for b in range(1, len(clock))}
    time = clock[band] - clock.mean()
    return pd.DataFrame(made | {"sentiment": s, "sentiment_squared": s**2, "sentiment_by_clock": s * time})


def _have(frame: pd.DataFrame, wanted: Sequence[str], *, what: str) -> None:
    if absent := [c for c in wanted if c not in frame]:
        raise SchemaError(
            f"the {what} have no column {', '.join(absent)}; they have {', '.join(map(str, frame))}."
        )


def _refuse_returns(rounds: pd.DataFrame, ai: pd.DataFrame, *, names: Names) -> None:
    """Refuse chats in which the AI answers after somebody else did: elapsed rounds would not be a clock."""
    other = rounds[rounds[names.provider] != names.ai]
    first = other.groupby(names.chat)[names.round].min()
    late = ai[names.round].to_numpy() > ai[names.chat].map(first).to_numpy(float)
    what = f"AI rounds after a round of somebody else ({names.provider!r})"
    refuse(ai, pd.Series(late, index=ai.index), what, "keep a chat's rounds up to the first takeover")


def _ends(chats: pd.DataFrame, ai: pd.DataFrame, *, names: Names) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """How each chat with AI rounds ended, and its unit, by chat."""
    twice = chats[names.chat].duplicated()
    refuse(chats, twice, f"values of {names.chat!r} that occur before", "one row per chat")
    mine = chats[chats[names.chat].isin(ai[names.chat].unique())].set_index(names.chat)
    lost = ~ai[names.chat].isin(mine.index)
    refuse(ai, lost, "AI rounds of chats that are not among the chats", "give every chat its row")
    untyped = mine[names.type].isna()
    refuse(
        mine, untyped, f"chats with AI rounds and no {names.type!r}", f"{UNTAKEN!r} where nobody took over"
    )
    refuse(mine, mine[names.unit].isna(), f"missing values in {names.unit!r}", "leave those chats out")
    cause = mine[names.type].astype(str).replace({UNTAKEN: RESOLVED})
    if names.abandoned:
        flag = pd.to_numeric(mine[names.abandoned], errors="coerce").astype(float)
        ended = cause == RESOLVED
        refuse(
            mine, ended & ~flag.isin((0, 1)), f"{names.abandoned!r} is not 0 or 1", "say which were given up"
        )
        cause = cause.mask(ended & (flag == 1), ABANDONED)
    taken = chats[names.type].notna() & (chats[names.type].astype(str) != UNTAKEN)
    unseen = int((taken & ~chats[names.chat].isin(mine.index)).sum())
    notes = (f"{unseen:,} takeovers before any AI round: never at risk here",) if unseen else ()
    return pd.DataFrame({"cause": cause, "unit": mine[names.unit]}), notes


def _so_far(values: pd.Series, group, elapsed: np.ndarray, *, history: str) -> np.ndarray:
    """Sentiment up to each AI round, the round's own message included."""
    if history == "highest":
        return group.cummax().to_numpy(float)
    if history == "mean":
        return np.rint(group.cumsum().to_numpy(float) / elapsed * QUARTER) / QUARTER
    return values.to_numpy()


def _causes(found: pd.Series) -> tuple[str, ...]:
    count = found[found != ""].value_counts()
    few = {name: int(n) for name, n in count.items() if n < FEWEST}
    if few or len(count) < 2:
        told = ", ".join(f"{name} ({n})" for name, n in (few or count.to_dict()).items())
        raise DesignError(
            f"ways of ending: {told}; expected two or more with at least {FEWEST} chats each. Leave "
            "chats that ended in a rare way out, or join it with another."
        )
    final = [name for name in (ABANDONED, RESOLVED) if name in count.index]
    return (*sorted(str(n) for n in count.index if n not in final), *final)


def _bands(edges: Sequence[int]) -> tuple[str, ...]:
    """Bands of whole rounds in words.

    Examples
    --------
    >>> _bands((1, 2, 4))
    ('1', '2-3', '4+')
    """
    words = [str(a) if b == a + 1 else f"{a}-{b - 1}" for a, b in pairwise(edges)]
    return (*words, f"{edges[-1]}+")

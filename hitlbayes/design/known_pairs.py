"""Matched chats of which an outcome is known: complete pairs, and pairs made anew among those chats.

Few chats are rated, so that few pairs made without regard to ratings have both members rated. A comparison of
complete pairs keeps the match and loses chats; one that matches anew keeps more pairs, made of other chats.
Both take the rated as they come: neither says anything of why a chat was rated.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from hitlbayes.design.escalation import match_pool
from hitlbayes.design.matched import Matched
from hitlbayes.design.matched_types import MatchedTypes
from hitlbayes.design.matching import pair_weights
from hitlbayes.errors import DesignError, SpecError


def complete_pairs(matched: MatchedTypes, *, outcome: str) -> MatchedTypes:
    """The pairs of which both members have a known outcome; types without any are refused.

    Raises
    ------
    SpecError
        The chats have no such column.
    DesignError
        No pair of a type is complete.
    """
    known = _known(matched, outcome=outcome)
    kept = {}
    for name, one in matched.matches.items():
        both = known.loc[one.pairs["treated"]].to_numpy() & known.loc[one.pairs["control"]].to_numpy()
        if not both.any():
            raise DesignError(
                f"none of the {len(both):,} pairs of type {name!r} has both members' {outcome} known.\n"
                f"  to do: match anew among chats with a known {outcome} (rematch), or leave the type out."
            )
        kept[name] = _with_pairs(one, one.pairs[both].reset_index(drop=True))
    return replace(matched, matches=kept, settings={**matched.settings, "complete": outcome})


def rematch(matched: MatchedTypes, *, among: str) -> MatchedTypes:
    """The same matching among the chats alone whose value of `among` is known.

    Raises
    ------
    SpecError
        The chats have no such column.
    DesignError
        A type, or the controls, have no such chat, or none within the calipers.
    """
    known = _known(matched, outcome=among)
    pool = matched.pool[known].reset_index(drop=True)
    pool.attrs = dict(matched.pool.attrs)
    count = pool["escalation"].value_counts()
    gone = [t for t in matched.matches if not count.get(t, 0)]
    if gone or pool["escalation"].notna().all():
        raise DesignError(f"no chat of {', '.join(gone) or 'the controls'} has a known {among}.")
    left_out = {**matched.left_out, f"chats without {among}": int((~known).sum())}
    settings = {**matched.settings, "among": among}
    return match_pool(pool, types=list(matched.matches), left_out=left_out, settings=settings)


def _known(matched: MatchedTypes, *, outcome: str) -> pd.Series:
    if outcome not in matched.pool:
        raise SpecError(f"no column {outcome!r}; the chats have: {', '.join(map(str, matched.pool))}.")
    return matched.pool[outcome].notna()


def _with_pairs(one: Matched, pairs: pd.DataFrame) -> Matched:
    """A matching with some of its pairs."""
    rows = pairs[["treated_row", "control_row"]].to_numpy(np.int64)
    return replace(one, pairs=pairs, weights=pair_weights(rows, n=len(one.frame)))

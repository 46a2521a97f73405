"""Synthetic takeovers whose effort is drawn anew from a known law, and fits of them."""

from __future__ import annotations

from functools import cache

import pandas as pd

import hitlbayes as hb
from hitlbayes.twin.effort import EffortLaw, redraw_effort

LESS = -0.8  # SDs of effort, of emotional takeovers, where the law has an effect
MECHANICAL = {
    "ai_rounds": -1.0,
    "text": 1.0,
}  # what the AI has done need not be done again, and text is scored
LAWS = {
    "calibrated": EffortLaw(),
    "none": EffortLaw(**MECHANICAL),
    "less": EffortLaw(type={"emotional": LESS}, **MECHANICAL),
}
QUIET = {"draws": 100, "chains": 2, "overlap": 5, "synthetic": True, "progress": False}


@cache
def takeovers(law: str = "calibrated", *, scale: float = 4.0, seed: int = 5) -> pd.DataFrame:
    """As many technical as emotional takeovers of 24 workers; emotional ones come after more AI rounds."""
    chats = hb.simulate(workers=24, scale=scale, seed=seed).chats
    emotional = chats[chats["escalation"] == "emotional"]
    technical = chats[chats["escalation"] == "technical"].sample(n=len(emotional), random_state=seed)
    taken = chats.loc[emotional.index.union(technical.index)]
    return redraw_effort(taken, law=LAWS[law], seed=seed)


@cache
def fitted() -> hb.EffortFit:
    """A small joint model, at every set of covariates."""
    return hb.fit_effort(takeovers(), **QUIET)

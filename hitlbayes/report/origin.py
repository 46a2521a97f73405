"""Where numbers come from: what was left out, what was believed, how and with what it was computed."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from markupsafe import Markup

from hitlbayes.report.blocks import table, text
from hitlbayes.report.protocol import FitLike
from hitlbayes.report.wording import number
from hitlbayes.spec.codec import digest, encode_frame

PRIORS = (
    "On the scale of the model: the outcome's own for a Gaussian model, logits for a binary or ordinal one, "
    "log rates for counts."
)


def dropped(fits: Sequence[FitLike]) -> list[Markup]:
    """Rows that did not enter a fit, by reason."""
    rows = [
        {"fit": fit.name, "left out": reason, "how many": f"{count:,}"}
        for fit in fits
        for reason, count in fit.drops.items()
    ]
    if not rows:
        return [text("Nothing was left out.")]
    return [text("Rows that did not enter, and why."), table(pd.DataFrame(rows))]


def priors(fits: Sequence[FitLike]) -> list[Markup]:
    """The prior of every parameter, a column for each fit."""
    told = {fit.name: {name: str(prior) for name, prior in fit.spec["priors"].items()} for fit in fits}
    frame = pd.DataFrame(told).fillna("–").rename_axis("parameter").reset_index()
    return [text(PRIORS), table(frame)]


def provenance(fits: Sequence[FitLike]) -> list[Markup]:
    """Sampler, seed, time and fingerprint of the data of every fit, and the versions behind the draws."""
    rows = [
        {
            "fit": fit.name,
            "family": fit.family,
            "cells": f"{len(fit.cells):,}",
            "observations": f"{fit.cells['n'].sum():,.0f}",
            "sampler": fit.sampler,
            "seed": str(fit.seed),
            "seconds": number(fit.seconds, places=1),
            "SHA-256 of the cells": digest(*encode_frame(fit.cells))[:12],
        }
        for fit in fits
    ]
    made = pd.DataFrame({fit.name: dict(fit.versions) for fit in fits if fit.versions})
    if made.empty:
        return [table(pd.DataFrame(rows))]
    alike = bool(made.nunique(axis=1).le(1).all())
    shown = made.iloc[:, :1].set_axis(["version"], axis=1) if alike else made
    return [table(pd.DataFrame(rows)), table(shown.rename_axis("component").reset_index())]

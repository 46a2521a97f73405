"""How much of the fall in the human share of rounds is arithmetic.

A worker's share of a chat's rounds is ``human / (human + ai)``. A chat that the AI kept long gives its
worker a small share whatever the worker does. From printed mean human rounds and mean share follow the AI
rounds, ``ai = human (1 - share) / share``, and the gap in share between two escalation types splits into
the part that AI rounds bring and the part that human rounds bring. The printed share is a mean of ratios,
while this uses the ratio of means; `ratio_check` says how much that could matter.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from hitlbayes.errors import SpecError
from hitlbayes.published.decomposition import EffortDecomposition
from hitlbayes.published.posterior import published_means

Values = Any  # float, array or DataArray: the arithmetic is the same

SEED = 20240815
NEEDED = ("human_rounds", "human_share")
RATIO_NOTE = (
    "ratio of means: the printed share is a mean of ratios over chats; "
    "AI rounds are implied as human (1 - share) / share; ratio_check does the split on expected ratios"
)
DRAWS_NOTE = (
    "means drawn from normals, SE the printed intervals' half-width over 1.96; "
    "correlation {rho:g} of rounds with share and with messages"
)


def implied_ai_rounds(human_rounds: Values, share: Values) -> Values:
    """Mean AI rounds that human rounds and their share of all rounds imply.

    Examples
    --------
    >>> round(float(implied_ai_rounds(5.135, 0.433)), 2)
    6.72
    """
    return human_rounds * (1 - share) / share


def share_of_rounds(human_rounds: Values, ai_rounds: Values) -> Values:
    """Share of rounds that are human.

    Examples
    --------
    Technical takeovers' human rounds with emotional takeovers' AI rounds:

    >>> round(float(share_of_rounds(5.452, implied_ai_rounds(5.135, 0.433))), 3)
    0.448
    """
    return human_rounds / (human_rounds + ai_rounds)


def split_share_gap(
    *, human: Values, share: Values, reference_human: Values, reference_share: Values
) -> dict[str, Values]:
    """Gap in share from the reference, split into the parts of AI rounds and of human rounds.

    Each part is averaged over the two orders in which the rounds can be exchanged (Shapley), so the parts
    add to the gap.

    Returns
    -------
    dict
        ``share_if_ai`` (reference's human rounds, this type's AI rounds), ``share_if_human`` (this type's
        human rounds, reference's AI rounds), ``gap``, ``part_ai``, ``part_human``, ``fraction_ai`` (of the
        gap; missing where there is none).
    """
    ai, reference_ai = implied_ai_rounds(human, share), implied_ai_rounds(reference_human, reference_share)
    share_if_ai = share_of_rounds(reference_human, ai)
    share_if_human = share_of_rounds(human, reference_ai)
    gap = share - reference_share
    part_ai = ((share_if_ai - reference_share) + (share - share_if_human)) / 2
    return {
        "share_if_ai": share_if_ai,
        "share_if_human": share_if_human,
        "gap": gap,
        "part_ai": part_ai,
        "part_human": gap - part_ai,
        "fraction_ai": part_ai / np.where(gap == 0, np.nan, gap),
    }


def decompose_effort(
    means: pd.DataFrame | None = None,
    *,
    reference: str = "technical",
    correlation: float = 0.0,
    prob: float = 0.95,
    draws: int = 4000,
    seed: int = SEED,
) -> EffortDecomposition:
    """Part of the gap in the human share of rounds that AI rounds bring by arithmetic.

    Parameters
    ----------
    means : DataFrame, optional
        One row per type (``group``) and measure (``outcome``): ``estimate``, ``se``, ``n``. It must hold
        ``human_rounds`` and ``human_share`` of every type. By default the published Table 6.
    reference : str
        The type that the others are compared with.
    correlation : float
        Correlation of the mean of rounds with the means of share and of messages within a type. Not
        printed. Rounds and messages surely go together, so 0 makes the interval of messages per round too
        wide rather than too narrow.
    prob, draws, seed
        Probability of the intervals, number of Monte Carlo draws, seed.

    Returns
    -------
    EffortDecomposition

    Notes
    -----
    The paper: Table 6, sections 5.2.3 and 5.2.4.

    Examples
    --------
    >>> d = decompose_effort()
    >>> s = d.summary().set_index(["quantity", "group"])["mean"]
    >>> round(float(s["share_if_ai", "emotional"]), 2), round(float(s["fraction_ai", "emotional"]), 2)
    (0.45, 0.94)
    """
    source = "published" if means is None else "given"
    frame = published_means() if means is None else means
    groups = _check(frame, reference=reference)
    if not -1 < correlation < 1:
        raise SpecError(f"A correlation lies between -1 and 1; {correlation} was given.")
    drawn = _draw_means(
        frame, groups=groups, correlation=correlation, draws=draws, rng=np.random.default_rng(seed)
    )
    return EffortDecomposition(
        draws=_decompose(drawn, frame, reference=reference),
        reference=reference,
        source=source,
        prob=prob,
        seed=seed,
        notes=(RATIO_NOTE, DRAWS_NOTE.format(rho=correlation)),
    )


def _check(frame: pd.DataFrame, *, reference: str) -> list[str]:
    missing = [c for c in ("outcome", "group", "estimate", "se", "n") if c not in frame.columns]
    if missing:
        raise SpecError(f"The means lack the column(s) {', '.join(missing)}.")
    groups = [str(g) for g in frame["group"].unique()]
    if reference not in groups or len(groups) < 2:
        raise SpecError(
            f"reference={reference!r} must be one of two types or more; there are {', '.join(groups)}."
        )
    wide: Any = frame.pivot(index="group", columns="outcome", values="estimate")
    holes = [
        f"{m} of {g}"
        for m in NEEDED
        for g in groups
        if m not in wide.columns or not np.isfinite(wide.loc[g, m])
    ]
    if holes:
        raise SpecError(f"The decomposition needs human_rounds and human_share; missing: {', '.join(holes)}.")
    bad = [g for g in groups if not 0 < wide.loc[g, "human_share"] < 1 or not wide.loc[g, "human_rounds"] > 0]
    if bad:
        raise SpecError(
            f"Shares lie strictly between 0 and 1 and rounds above 0; not so for {', '.join(bad)}."
        )
    return groups


def _draw_means(
    frame: pd.DataFrame, *, groups: list[str], correlation: float, draws: int, rng: np.random.Generator
) -> xr.DataArray:
    """Draws (chain, draw, measure, group) of the means; rounds share a factor with share and messages."""
    measures = [str(m) for m in frame["outcome"].unique()]
    at = {v: frame.pivot(index="outcome", columns="group", values=v) for v in ("estimate", "se")}
    centre, se = (at[v].reindex(index=measures, columns=groups).to_numpy() for v in ("estimate", "se"))
    z = rng.standard_normal((draws, len(measures), len(groups)))
    factor = z[:, measures.index("human_rounds")].copy()
    for measure in ("human_share", "human_messages"):
        if measure in measures:
            j = measures.index(measure)
            z[:, j] = correlation * factor + np.sqrt(1 - correlation**2) * z[:, j]
    return xr.DataArray(
        (centre + se * z)[None],
        dims=("chain", "draw", "measure", "group"),
        coords={"chain": [0], "draw": np.arange(draws), "measure": measures, "group": groups},
    )


def _decompose(drawn: xr.DataArray, frame: pd.DataFrame, *, reference: str) -> xr.Dataset:
    human, share = (drawn.sel(measure=m, drop=True) for m in NEEDED)
    ai = implied_ai_rounds(human, share)
    data = {"human_rounds": human, "human_share": share, "ai_rounds": ai, "total_rounds": human + ai}
    if "human_messages" in drawn["measure"].values:
        data["messages_per_round"] = drawn.sel(measure="human_messages", drop=True) / human
    others = [str(g) for g in drawn["group"].values if g != reference]
    split = split_share_gap(
        human=human.sel(group=others).rename(group="comparison"),
        share=share.sel(group=others).rename(group="comparison"),
        reference_human=human.sel(group=reference, drop=True),
        reference_share=share.sel(group=reference, drop=True),
    )
    measures = drawn
    if "messages_per_round" in data:
        ratio = data["messages_per_round"].expand_dims(measure=["messages_per_round"])
        measures = xr.concat([drawn, ratio], dim="measure")
    difference = measures.sel(group=others).rename(group="comparison") - measures.sel(
        group=reference, drop=True
    )
    spread = _spread(frame, others=others, reference=reference, measures=list(measures["measure"].values))
    return xr.Dataset(
        data | split | {"difference": difference, "standardized": difference / spread},
        attrs={"reference": reference},
    )


def _spread(frame: pd.DataFrame, *, others: list[str], reference: str, measures: list[str]) -> xr.DataArray:
    """Root mean square of the two types' implied SDs between chats; missing for derived measures."""
    sd = frame.assign(sd=frame["se"] * np.sqrt(frame["n"].astype("float64")))
    wide = sd.pivot(index="outcome", columns="group", values="sd").reindex(measures)
    pooled: Any = np.sqrt((wide[others].pow(2).add(wide[reference].pow(2), axis=0)) / 2)
    return xr.DataArray(
        pooled.to_numpy(),
        dims=("measure", "comparison"),
        coords={"measure": measures, "comparison": others},
    )

"""The report of a replication: published numbers first, then each table on the synthetic twin."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd
from markupsafe import Markup

from hitlbayes.replication.context import Context, workers_of
from hitlbayes.replication.document_design import SHOWN, design_blocks
from hitlbayes.replication.document_effort import effort_blocks, timing_blocks
from hitlbayes.replication.document_escalation import escalation_blocks, matched_blocks
from hitlbayes.replication.document_published import figure_by_type, published_sections, published_sentence
from hitlbayes.replication.document_studies import SHOWN as STUDIES
from hitlbayes.replication.document_studies import study_blocks
from hitlbayes.replication.published_results import PublishedResults
from hitlbayes.replication.table_result import TableResult
from hitlbayes.report.blocks import details, figure, table, text
from hitlbayes.report.blocks import effects as effects_block
from hitlbayes.report.html import Section, document
from hitlbayes.report.markdown_page import markdown_document
from hitlbayes.report.plots import plot_effects
from hitlbayes.report.verdict import Verdict, rows_verdict
from hitlbayes.report.wording import bracket, decimals, number, outcome_label, scope_label
from hitlbayes.versions import versions

TITLE = "Human-in-the-loop AI in customer service: a field experiment, re-analysed and simulated"
HEADLINE_TABLES = ("2", "3", "4")
STUDY = (
    "The study is Wang, Zhu, Feng, Lu and Jia (2026): 647 customer service workers, 302 of whom supervised "
    "an agentic AI from 15 to 31 August 2024. Its chats are confidential. Published numbers are real and are "
    "re-analysed as printed; everything else is estimated on synthetic chats whose effects are known."
)
OF_TYPES = {"A5": matched_blocks, "6": effort_blocks, "timing": timing_blocks}
LIKE_FOR_LIKE = (
    "Like for like with the paper, on its own scale: two-way fixed effects on worker-period means with the "
    "lagged controls, published and on the synthetic chats; and the same likelihood with priors (faithful), "
    "where fitted."
)

BY_CELL = "The same effects, averaged over worker-periods instead of chats"
BY_CELL_NOTE = (
    "The model has one effect a worker. Where effects differ with a period's chats, as they do in the "
    "synthetic chats, its draws answer for the average chat, and the simulated effect of the average "
    "worker-period can lie outside their interval."
)


def replication_pages(
    *,
    tables: Mapping[str, TableResult],
    published: PublishedResults | None,
    context: Context,
    seconds: float,
) -> tuple[str, str]:
    """The report as one HTML page, and as markdown with its figures embedded.

    Parameters
    ----------
    tables : mapping of str to TableResult
        Finished tables by name.
    published : PublishedResults or None
        The re-analysis of the published tables.
    context : Context
        Seed and scale of the run.
    seconds : float
        Wall time of the run so far.
    """
    sections = [
        *(published_sections(published) if published else []),
        *(_section(result, context=context) for result in tables.values()),
    ]
    sections.append(_computation(tables, context=context))
    parts: dict[str, Any] = {
        "title": TITLE,
        "subtitle": _subtitle(tables, context=context),
        "verdict": _verdict(tables),
        "sources": ["published", "synthetic"] if tables else ["published"],
        "lead": _lead(tables, published=published),
        "facts": {
            "workers": str(workers_of(context)),
            "seed": str(context.seed),
            "this run": f"{number(seconds, places=0)} s",
            "hitlbayes": versions()["hitlbayes"],
        },
    }
    return document(sections, **parts), markdown_document(sections, **parts)


def _effects(tables: Mapping[str, TableResult], names: tuple[str, ...] | None = None) -> pd.DataFrame | None:
    frames = [
        result.effects.assign(label=[f"{label} (Table {name})" for label in result.effects["label"]])
        for name, result in tables.items()
        if result.effects is not None and (names is None or name in names)
    ]
    return pd.concat(frames, ignore_index=True) if frames else None


def _subtitle(tables: Mapping[str, TableResult], *, context: Context) -> str:
    if not tables:
        return "Published effects and what they imply once their uncertainty is taken seriously."
    size = "full size" if context.scale == 1 else f"{workers_of(context)} of 647 workers"
    return (
        "Average effects of the AI on treated workers' chats: as published, and by Bayesian and frequentist "
        f"difference-in-differences on a synthetic twin ({size}) whose true effects are known."
    )


def _verdict(tables: Mapping[str, TableResult]) -> Verdict:
    effects = _effects(tables)
    failed = tuple(name for result in tables.values() for name in result.failed)
    fits = sum(result.fits for result in tables.values())
    if failed:
        worst = [] if effects is None else effects[~effects["ok"]].itertuples()
        return Verdict(
            ok=False,
            headline=f"{len(failed)} of {fits} fits FAILED their checks: do not rely on their numbers.",
            details=(*failed, *(f"{row.label}: {row.problems}" for row in worst)),
        )
    if not fits:
        return Verdict(
            ok=True, headline="No fit was sampled here: the draws shown are exact and independent."
        )
    if effects is None:
        return Verdict(ok=True, headline=f"All {fits} fits passed every check.")
    return rows_verdict(effects)


def _lead(tables: Mapping[str, TableResult], *, published: PublishedResults | None) -> list[Markup]:
    blocks = [text(sentence) for sentence in ([published_sentence(published)] if published else [])]
    effects = _effects(tables, HEADLINE_TABLES)
    effects = _effects(tables) if effects is None else effects
    if effects is not None:
        blocks.append(effects_block(effects, title="Published, and estimated on the synthetic twin"))
    elif published is not None:
        blocks.append(figure_by_type(published))
    return [*blocks, text(STUDY)]


def _section(result: TableResult, *, context: Context) -> Section:
    named = result.table[:1].isdigit() or result.table[1:].isdigit()
    heading = f"Table {result.table}. {result.title}" if named else result.title
    blocks = [text(f"{result.question}.")]
    if result.note:
        blocks.append(text(result.note))
    if result.table in SHOWN:
        return Section(heading, tuple(blocks + design_blocks(result)), source="synthetic")
    if result.table in STUDIES:
        return Section(heading, tuple(blocks + study_blocks(result, context=context)), source="synthetic")
    if result.table in OF_TYPES:
        return Section(heading, tuple(blocks + OF_TYPES[result.table](result)), source="synthetic")
    if result.effects is None:
        blocks.append(table(_moments(result.frame), places=2))
        return Section(heading, tuple(blocks), source="synthetic")
    blocks.append(figure(plot_effects(result.effects)))
    blocks.append(effects_block(result.effects))
    blocks.append(table(_like_for_like(result.frame), caption=LIKE_FOR_LIKE, places=3))
    if "by_cell_mean" in result.frame:
        blocks.append(details(BY_CELL, text(BY_CELL_NOTE), table(_by_cell(result.frame))))
    blocks += escalation_blocks(result) if result.table == "5" else []
    return Section(heading, tuple(blocks), source="synthetic")


def _moments(frame: pd.DataFrame) -> pd.DataFrame:
    names = {"published_mean": "published mean", "published_sd": "SD", "published_n": "n"}
    names |= {
        "twin_mean": "synthetic mean",
        "twin_sd": "its SD",
        "twin_n": "its n",
        "ratio": "ratio of means",
    }
    return frame[["variable", "level", "units", *names]].rename(columns=names)


def _like_for_like(frame: pd.DataFrame) -> pd.DataFrame:
    names = {
        "published_estimate": "published",
        "published_se": "SE",
        "published_n": "cells",
        "published_r2": "R²",
        "twin_estimate": "synthetic",
        "twin_se": "its SE",
        "twin_n": "its cells",
        "twin_r2": "its R²",
    }
    rows = frame.to_dict("records")
    label = [f"{outcome_label(row['outcome'])}, {scope_label(row['scope'])}" for row in rows]
    shown = frame[list(names)].rename(columns=names)
    shown.insert(0, "effect", label)
    if "faithful_mean" in frame:
        shown["faithful"] = [
            f"{number(row['faithful_mean'], places=3)} "
            f"{bracket(row['faithful_lower'], row['faithful_upper'], places=3)} {row['units']}"
            for row in rows
        ]
    return shown


def _by_cell(frame: pd.DataFrame) -> pd.DataFrame:
    rows = frame.to_dict("records")
    shown = {
        "effect": [f"{outcome_label(row['outcome'])}, {scope_label(row['scope'])}" for row in rows],
        "units": [row["units"] for row in rows],
    }
    for label, prefix in (("worker-periods", "by_cell"), ("chats", "posterior")):
        shown[f"by {label} [95% ETI]"] = [_estimate(row, prefix=prefix) for row in rows]
    shown |= {"simulated, by worker-periods": list(frame["by_cell_truth"]), "by chats": list(frame["truth"])}
    return pd.DataFrame(shown)


def _estimate(row: Mapping[Hashable, Any], *, prefix: str) -> str:
    low, high = row[f"{prefix}_lower"], row[f"{prefix}_upper"]
    places = decimals((high - low) / 4)
    return f"{number(row[f'{prefix}_mean'], places=places)} {bracket(low, high, places=places)}"


def _computation(tables: Mapping[str, TableResult], *, context: Context) -> Section:
    found = pd.DataFrame(versions().items(), columns=["component", "version"])
    blocks = [text(f"Seed {context.seed} for the synthetic chats and for every fit."), table(found)]
    frames = [
        result.frame.assign(table=name) for name, result in tables.items() if result.effects is not None
    ]
    if frames:
        names = ["table", "scope", "outcome", "posterior_sampler", "posterior_seconds", "posterior_attempts"]
        names += ["posterior_r_hat", "posterior_ess_bulk", "posterior_divergences", "cells", "chats"]
        fits = pd.concat(frames, ignore_index=True)[names]
        blocks.insert(1, table(fits.rename(columns=lambda name: name.removeprefix("posterior_")), places=3))
    return Section("Checks, versions, seeds and timing", tuple(blocks), collapsed=True)

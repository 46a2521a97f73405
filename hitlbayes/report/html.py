"""One self-contained HTML page: what was estimated, the effects, whether to trust them, and the rest."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup, escape

from hitlbayes.errors import SpecError
from hitlbayes.report.verdict import Verdict

Source = Literal["synthetic", "published", "data"]
SOURCES: dict[str, tuple[str, str]] = {
    "synthetic": (
        "Synthetic data",
        "simulated from known effects; nothing computed from it is a finding about real people",
    ),
    "published": ("Published numbers", "real estimates, as printed in the paper"),
    "data": ("Observed data", "supplied by the user"),
}


@dataclass(frozen=True, slots=True)
class Section:
    """A titled part of a report.

    Attributes
    ----------
    title : str
    blocks : tuple of Markup
        From `text`, `table`, `figure`, `details`; a plain string is escaped.
    source : {"synthetic", "published", "data"} or None
        Where its numbers come from, shown as a label beside the title.
    collapsed : bool
        Folded behind its title: checks, versions, seeds, timing.
    """

    title: str
    blocks: tuple[Markup, ...]
    source: Source | None = None
    collapsed: bool = False


def document(
    sections: Sequence[Section],
    *,
    title: str,
    subtitle: str,
    verdict: Verdict,
    sources: Sequence[Source],
    lead: Sequence[Markup] = (),
    facts: Mapping[str, str] | None = None,
) -> str:
    """A report as one HTML page without a single external resource.

    Parameters
    ----------
    sections : sequence of Section
        Below the first screen, in order; more than two get a table of contents.
    title, subtitle : str
        What was studied; what was estimated, in a sentence.
    verdict : Verdict
        Whether to trust it: from `fit_verdict` or `rows_verdict`.
    sources : sequence of {"synthetic", "published", "data"}
        Every kind of number on the page; each is labelled and explained at the top.
    lead : sequence of Markup
        The first screen: the effects with their intervals.
    facts : mapping of str to str, optional
        Seed, time, version and the like, in the footer.

    Raises
    ------
    SpecError
        Where no source is named, one is unknown, or a section's source is missing from the top.

    Examples
    --------
    >>> page = document(
    ...     [], title="Ratings", subtitle="Effect", verdict=Verdict(True, "Passed."), sources=["synthetic"]
    ... )
    >>> "Synthetic data" in page and "://" not in page
    True
    """
    _check_sources(sections, sources)
    shown = [
        {
            "id": f"s{position}-{_slug(section.title)}",
            "title": section.title,
            "blocks": [escape(block) for block in section.blocks],
            "source": section.source,
            "label": SOURCES[section.source][0] if section.source else "",
            "collapsed": section.collapsed,
        }
        for position, section in enumerate(sections, start=1)
    ]
    return _template().render(
        title=title,
        subtitle=subtitle,
        verdict=verdict,
        sources=[(kind, *SOURCES[kind]) for kind in sources],
        lead=[escape(block) for block in lead],
        sections=shown,
        facts=dict(facts or {}),
    )


def _check_sources(sections: Sequence[Section], sources: Sequence[Source]) -> None:
    named = [*sources, *(section.source for section in sections if section.source)]
    unknown = sorted({source for source in named if source not in SOURCES})
    if unknown or not sources:
        raise SpecError(f"sources must be some of {list(SOURCES)}; found {unknown or 'none'}.")
    unlabelled = sorted({section.source for section in sections if section.source} - set(sources))
    if unlabelled:
        raise SpecError(
            f"sections use {unlabelled} that the page's sources do not name; add them to sources=."
        )


def _slug(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("hitlbayes.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.j2")

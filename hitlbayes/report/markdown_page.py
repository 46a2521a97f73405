"""A report as one markdown text: the same parts in the same order as the HTML page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from hitlbayes.report.blocks import markdown_of
from hitlbayes.report.html import SOURCES, Section, Source
from hitlbayes.report.markdown import escaped
from hitlbayes.report.verdict import Verdict


def markdown_document(
    sections: Sequence[Section],
    *,
    title: str,
    subtitle: str,
    verdict: Verdict,
    sources: Sequence[Source],
    lead: Sequence[Markup] = (),
    facts: Mapping[str, str] | None = None,
) -> str:
    """A report as markdown, its figures embedded as SVG; parameters as in `hitlbayes.report.html.document`.

    Examples
    --------
    >>> print(markdown_document([], title="Ratings", subtitle="Effect", verdict=Verdict(True, "Passed."),
    ...                         sources=["synthetic"]).splitlines()[0])
    # Ratings
    """
    labels = [f"**{SOURCES[kind][0]}**: {SOURCES[kind][1]}." for kind in sources]
    told = [f"**{'✓' if verdict.ok else '✗'} {escaped(verdict.headline)}**"]
    told += ["\n".join(f"- {escaped(line)}" for line in verdict.details)] if verdict.details else []
    parts = [f"# {escaped(title)}", *labels, escaped(subtitle), *told, *map(markdown_of, lead)]
    for section in sections:
        label = f" ({SOURCES[section.source][0].lower()})" if section.source else ""
        parts += [f"## {escaped(section.title)}{label}", *map(markdown_of, section.blocks)]
    if facts:
        parts.append("; ".join(f"{escaped(name)}: {escaped(value)}" for name, value in facts.items()))
    return "\n\n".join(parts) + "\n"

"""One report of a whole study: any fits, and what was checked around them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from markupsafe import Markup

from hitlbayes.errors import SpecError, StorageError
from hitlbayes.report.blocks import details, effects, figure, table, text
from hitlbayes.report.fit_report import METHOD
from hitlbayes.report.html import Section, Source, document
from hitlbayes.report.items import fits_of, sections_of, source_of
from hitlbayes.report.markdown import with_files
from hitlbayes.report.markdown_page import markdown_document
from hitlbayes.report.origin import dropped, priors, provenance
from hitlbayes.report.plots import plot_categories, plot_checks, plot_effects, plot_workers
from hitlbayes.report.rows import compare, effect_row, has_effect
from hitlbayes.report.summary import headline, opening
from hitlbayes.report.verdict import Verdict, rows_verdict
from hitlbayes.report.wording import number, subject
from hitlbayes.result import Fit
from hitlbayes.versions import versions

SUFFIXES = (".html", ".md")
SUBTITLE = "What was estimated, how far the design and the models bear it, and where the numbers come from."
Published = tuple[float, float]


def write_report(
    items: Sequence[Any],
    path: str | Path,
    *,
    title: str = "Treatment effects",
    published: Sequence[Published | None] | None = None,
) -> Path:
    """Write one report of several fits, the checks of their design and of their models.

    Parameters
    ----------
    items : sequence
        Fits of `hitlbayes.fit_did` in the order in which their effects are to stand, and any of: event
        studies, effects by group, checks of proportional odds, posterior and prior predictive checks,
        leave-one-out, balance (`hitlbayes.compare_arms`), sample ratios, randomisation tests.
    path : str or Path
        ``.html`` is one file without external resources; ``.md`` has its figures as SVG files in a folder
        beside it. The folder must exist.
    title : str
    published : sequence of (float, float) or None, optional
        Printed estimate and standard error of each fit of `hitlbayes.fit_did`, in their order.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    SpecError
        No item, an item of another kind, or an ending that is neither.
    StorageError
        The file cannot be written.

    Examples
    --------
    >>> import hitlbayes as hb, tempfile
    >>> cells = hb.simulate_cells(seed=1, workers=20, periods=6, start=3)
    >>> fit = hb.fit_did(cells, outcome="y", draws=250, progress=False)
    >>> path = write_report([fit, hb.leave_one_out(fit)], Path(tempfile.mkdtemp()) / "study.md")
    >>> "Leave one worker out" in path.read_text()
    True
    """
    path = Path(path)
    if path.suffix not in SUFFIXES:
        raise SpecError(f"{path.name!r} ends in {path.suffix!r}; expected {' or '.join(SUFFIXES)}.")
    if not items:
        raise SpecError("a report of nothing; give at least one fit.")
    sections, parts = study_parts(items, title=title, published=published)
    try:
        if path.suffix == ".html":
            path.write_text(document(sections, **parts), encoding="utf-8")
        else:
            written = with_files(
                markdown_document(sections, **parts), folder=path.with_name(f"{path.stem}_figures")
            )
            path.write_text(written, encoding="utf-8")
    except OSError as problem:
        raise StorageError(f"the report could not be written to {path}: {problem.strerror}.") from problem
    return path


def study_parts(
    items: Sequence[Any], *, title: str, published: Sequence[Published | None] | None = None
) -> tuple[list[Section], dict[str, Any]]:
    """Sections of a report, and the other arguments of `hitlbayes.report.html.document`."""
    plain = [item for item in items if isinstance(item, Fit)]
    fits = fits_of(items)
    rows = _rows([fit for fit in plain if has_effect(fit)], published=published)
    lead: list[Markup] = [text(headline(fit) if has_effect(fit) else opening(fit)) for fit in plain]
    if rows is not None:
        lead += [figure(plot_effects(rows)), effects(rows), text(METHOD)]
    sections = sections_of(items)
    sections += [_fit_section(fit) for fit in plain if has_effect(fit)]
    if fits:
        sections.append(Section("What was left out", tuple(dropped(fits))))
        sections.append(Section("Priors", tuple(priors(fits)), collapsed=True))
        sections.append(Section("How it was computed", tuple(provenance(fits)), collapsed=True))
    sources: list[Source] = sorted({source_of(item) for item in items}, reverse=True)
    if rows is not None and rows["printed"].notna().any():
        sources.append("published")
    failed = [fit for fit in fits if not fit.check().ok]
    parts = {
        "title": title,
        "subtitle": SUBTITLE,
        "verdict": _verdict(fits, failed=failed, rows=rows),
        "sources": sources,
        "lead": lead,
        "facts": {"hitlbayes": versions()["hitlbayes"]},
    }
    return sections, parts


def _rows(fits: Sequence[Fit], *, published: Sequence[Published | None] | None) -> pd.DataFrame | None:
    printed = [None] * len(fits) if published is None else list(published)
    if len(printed) != len(fits):
        raise SpecError(
            f"published= has {len(printed)} entries for {len(fits)} fits; give None where none is."
        )
    if not fits:
        return None
    names = [subject(fit.outcome, scope=fit.scope) for fit in fits]
    labels = [fit.name if names.count(name) > 1 else name for fit, name in zip(fits, names, strict=True)]
    return compare(
        [
            effect_row(fit, label=label, published=one)
            for fit, label, one in zip(fits, labels, printed, strict=True)
        ]
    )


def _verdict(fits: Sequence[Fit], *, failed: Sequence[Fit], rows: pd.DataFrame | None) -> Verdict:
    if failed:
        return Verdict(
            ok=False,
            headline=f"{len(failed)} of {len(fits)} fits FAILED their checks: do not rely on their numbers.",
            details=tuple(f"{fit.name}: {'; '.join(fit.check().problems)}" for fit in failed),
        )
    if rows is not None and len(rows) == len(fits):
        return rows_verdict(rows)
    if not fits:
        return Verdict(ok=True, headline="No fit was sampled for this report.")
    worst = max(fit.check().r_hat for fit in fits)
    least = min(fit.check().ess_bulk for fit in fits)
    told = f"r_hat at most {number(worst, places=3)}, bulk ESS at least {number(least, places=0)}"
    return Verdict(ok=True, headline=f"All {len(fits)} fits passed every check: {told}.")


def _fit_section(fit: Fit) -> Section:
    blocks: list[Markup] = []
    if "att_probability" in fit.effects():
        blocks.append(figure(plot_categories(fit)))
    blocks.append(figure(plot_workers(fit)))
    terms = fit.tidy()
    blocks.append(details("Convergence", figure(plot_checks(fit)), table(terms)))
    unit = fit.spec.get("words", {}).get("unit", "unit")
    return Section(
        f"{subject(fit.outcome, scope=fit.scope)}: {unit}s and checks",
        tuple(blocks),
        source=source_of(fit),
        collapsed=True,
    )

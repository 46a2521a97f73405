"""The report of one fit."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from markupsafe import Markup

from hitlbayes.errors import StorageError
from hitlbayes.report.blocks import details, effects, figure, table, text
from hitlbayes.report.html import Section, Source, document
from hitlbayes.report.origin import dropped, priors, provenance
from hitlbayes.report.plots import plot_categories, plot_checks, plot_effect, plot_periods, plot_workers
from hitlbayes.report.protocol import FitLike
from hitlbayes.report.rows import compare, effect_row, has_effect
from hitlbayes.report.summary import computed, opening
from hitlbayes.report.verdict import fit_verdict
from hitlbayes.report.wording import number, subject
from hitlbayes.versions import versions

METHOD = (
    "The effect is the average, over treated cells after the start, of the difference between the expected "
    "outcome with and without treatment, computed from every draw of the posterior on the outcome's own "
    "scale. It rests on parallel trends on the scale of the model's link: without treatment, both arms would "
    "have moved alike. The frequentist twin is two-way fixed effects on unit-period means with standard "
    "errors clustered by unit; it weights unit-periods equally, the posterior by what its row says."
)


def fit_report(
    fit: FitLike,
    path: str | Path,
    *,
    truth: float | None = None,
    published: tuple[float, float] | None = None,
) -> Path:
    """Write the report of a fit: effect, verdict and labels first, then units, periods, checks and versions.

    Parameters
    ----------
    fit : Fit
    path : str or Path
        HTML file to write; its folder must exist.
    truth : float, optional
        The simulated effect in `fit.units`, weighted by chat.
    published : (float, float), optional
        Estimate and standard error as printed.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    StorageError
        Where the file cannot be written.
    """
    path = Path(path)
    page = report_page(fit, truth=truth, published=published)
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as problem:
        raise StorageError(f"the report could not be written to {path}: {problem.strerror}.") from problem
    return path


def report_page(
    fit: FitLike, *, truth: float | None = None, published: tuple[float, float] | None = None
) -> str:
    """The report of a fit as HTML; see `fit_report`."""
    effect = has_effect(fit)
    kind = "Effect of treatment" if effect else "Mixed model"
    own: Source = "synthetic" if fit.synthetic else "data"
    return document(
        _sections(fit) if effect else _origin(fit),
        title=f"{kind}: {subject(fit.outcome, scope=fit.scope)}",
        subtitle=opening(fit),
        verdict=fit_verdict(fit.check()),
        sources=[own, "published"] if published else [own],
        lead=_lead(fit, truth=truth, published=published) if effect else [_terms(fit, opened=True)],
        facts={
            "fit": fit.name,
            "seed": str(fit.seed),
            "time": f"{number(fit.seconds, places=1)} s",
            "hitlbayes": versions()["hitlbayes"],
        },
    )


def _lead(fit: FitLike, *, truth: float | None, published: tuple[float, float] | None) -> list[Markup]:
    rows = compare([effect_row(fit, truth=truth, published=published)])
    return [effects(rows), figure(plot_effect(fit, truth=truth, published=published))]


def _sections(fit: FitLike) -> list[Section]:
    weights = compare(
        [effect_row(fit, weight=weight, label=f"weighted by {weight}") for weight in ("chat", "cell")]
    )
    sections = [Section("What was estimated", (text(METHOD), table(_weights(weights))))]
    if "att_probability" in fit.effects():
        sections.append(Section("Probability of each category", (figure(plot_categories(fit)),)))
    sections.append(Section("Units' own effects", (figure(plot_workers(fit)),)))
    sections.append(Section("Periods", (figure(plot_periods(fit)),)))
    sections.append(Section("Checks", (figure(plot_checks(fit)), _terms(fit))))
    return [*sections, *_origin(fit)]


def _weights(rows: pd.DataFrame) -> pd.DataFrame:
    names = {"label": "average", "mean": "mean", "sd": "SD", "lower": "2.5%", "upper": "97.5%"}
    return rows[[*names, "prob_positive", "units"]].rename(columns=names | {"prob_positive": "Pr(> 0)"})


def _terms(fit: FitLike, *, opened: bool = False) -> Markup:
    terms = fit.tidy(prob=0.95, kind="eti")
    title = f"All {len(terms)} terms: mean, SD, 95% ETI, effective sizes and r_hat"
    return details(title, table(terms), opened=opened)


def _origin(fit: FitLike) -> list[Section]:
    told = [text(computed(fit))]
    if fit.frequentist is not None:
        told.append(text(f"Frequentist twin: {fit.frequentist.formula}; {fit.frequentist.n:,} rows."))
    return [
        Section("What was left out", tuple(dropped([fit]))),
        Section("Priors", tuple(priors([fit])), collapsed=True),
        Section("How it was computed", (*told, *provenance([fit])), collapsed=True),
    ]

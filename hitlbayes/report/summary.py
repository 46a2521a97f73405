"""What a fit says about itself when it is printed, in text and in a notebook."""

from __future__ import annotations

from html import escape

import numpy as np

from hitlbayes.report.draws import draws_of, sign_phrase
from hitlbayes.report.protocol import FitLike
from hitlbayes.report.rows import EffectRow, effect_row, has_effect
from hitlbayes.report.verdict import fit_verdict
from hitlbayes.report.wording import bracket, decimals, number, outcome_label, scope_label, subject

TERMS = 12  # of a model without treatment, as many terms are printed
SYNTHETIC = "Synthetic data: simulated from known effects; nothing here is a finding about real people."
FAILED = "background:#fdecea;border-left:4px solid #b00020;padding:.4em .7em;color:#7a0016"
LABEL = "background:#fff4e0;border-left:4px solid #d55e00;padding:.25em .7em;color:#8a3b00"


def headline(fit: FitLike, *, weight: str = "chat") -> str:
    """The average effect on the treated in one sentence: mean, interval, share of draws on its side of zero.

    Parameters
    ----------
    fit : Fit
    weight : {"chat", "cell"}
    """
    row = effect_row(fit, weight=weight)
    draws = draws_of(fit.effects(weight=weight)["att"], what=f"the effect on {fit.outcome}")
    places = decimals(row.sd)
    where = f" in {scope_label(fit.scope)}" if fit.scope else ""
    low, high = (number(value, places=places) for value in (row.lower, row.upper))
    return (
        f"Treatment changed {outcome_label(fit.outcome)}{where} by {number(row.mean, places=places)} "
        f"{fit.units} on average among the treated (95% ETI {low} to {high}); {sign_phrase(draws)}."
    )


def opening(fit: FitLike) -> str:
    """The first sentence about a fit: its effect, or what was modelled where there is no treatment."""
    if has_effect(fit):
        return headline(fit)
    return f"Mixed model of {subject(fit.outcome, scope=fit.scope, capital=False)}: {len(fit.tidy())} terms."


def summary_text(fit: FitLike) -> str:
    """A fit in a few lines of text; one that failed its checks says so first."""
    verdict = fit_verdict(fit.check())
    lines = [] if verdict.ok else [verdict.headline, *(f"  - {problem}" for problem in verdict.details), ""]
    lines += [SYNTHETIC, ""] if fit.synthetic else []
    lines += [opening(fit), ""]
    values = _values(fit)
    names, numbers = (max(len(value[column]) for value in values) for column in (0, 1))
    lines += [f"  {name:<{names}}  {value:>{numbers}} {interval}" for name, value, interval in values]
    lines += ["", verdict.headline] if verdict.ok else [""]
    return "\n".join([*lines, computed(fit)])


def summary_html(fit: FitLike) -> str:
    """A fit as a small card for a notebook; one that failed its checks says so first.

    Every text that comes from the data is escaped; styles are inline, so that the card stands alone.
    """
    verdict = fit_verdict(fit.check())
    parts = []
    if not verdict.ok:
        problems = "".join(f"<li>{escape(problem)}</li>" for problem in verdict.details)
        head = f"<strong>{escape(verdict.headline)}</strong><ul>{problems}</ul>"
        parts.append(f'<div style="{FAILED}">{head}</div>')
    if fit.synthetic:
        parts.append(f'<div style="{LABEL}">{escape(SYNTHETIC)}</div>')
    parts.append(f"<p><strong>{escape(opening(fit))}</strong></p>")
    cells = [map(escape, cell) for cell in _values(fit)]
    lines = "".join(f"<tr><td>{'</td><td>'.join(cell)}</td></tr>" for cell in cells)
    parts.append(f"<table><tbody>{lines}</tbody></table>")
    if verdict.ok:
        parts.append(f"<p>{escape(verdict.headline)}</p>")
    parts.append(f'<p style="opacity:.7;font-size:.9em">{escape(computed(fit))}</p>')
    return f'<div style="max-width:46em">{"".join(parts)}</div>'


def computed(fit: FitLike) -> str:
    """How the draws were made, in one line: sampler, draws, seed, time."""
    drawn = ""
    if has_effect(fit):
        sizes = fit.effects()["att"].sizes
        drawn = f"{int(sizes['chain'])} chains of {int(sizes['draw']):,} draws, "
    return f"{fit.family} model, {fit.sampler}, {drawn}seed {fit.seed}, {number(fit.seconds, places=1)} s."


def _values(fit: FitLike) -> list[tuple[str, str, str]]:
    if has_effect(fit):
        return _effect_values(effect_row(fit))
    terms = fit.tidy(prob=0.95, kind="eti")
    values = []
    for term in terms.head(TERMS).to_dict("records"):
        places = decimals(term["sd"])
        interval = f"{bracket(term['lower'], term['upper'], places=places)} 95% ETI"
        values.append((str(term["term"]), number(term["mean"], places=places), interval))
    return [*values, ("and more, in tidy()", "", "")] if len(terms) > TERMS else values


def _effect_values(row: EffectRow) -> list[tuple[str, str, str]]:
    places = decimals(row.sd)
    values = [
        (
            f"posterior mean ({row.units})",
            number(row.mean, places=places),
            f"{bracket(row.lower, row.upper, places=places)} 95% ETI",
        )
    ]
    if np.isfinite(row.twin):
        interval = f"{bracket(row.twin_lower, row.twin_upper, places=places)} 95% CI"
        values.append((f"frequentist twin ({row.units})", number(row.twin, places=places), interval))
    return values

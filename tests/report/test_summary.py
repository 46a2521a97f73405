"""What a fit prints: failure first, then the label of synthetic data, then the numbers of its draws."""

from __future__ import annotations

import numpy as np

from hitlbayes.report.summary import headline, summary_html, summary_text

from .standin import ArrayFit, Check, MixedFit, array_fit

FAILED = Check(ok=False, problems=("r_hat 1.08 for <sd>",), r_hat=1.08)


def test_headline_states_effect_units_and_interval() -> None:
    fit = ArrayFit(att=np.linspace(-0.6, -0.2, 2001).reshape(3, 667))
    assert headline(fit) == (
        "Treatment changed customer rating in AI-eligible chats by −0.40 rating points on average among the "
        "treated (95% ETI −0.59 to −0.21); all 2,001 draws are below zero."
    )


def test_failed_fit_says_so_first() -> None:
    assert summary_text(array_fit(verdict=FAILED)).startswith(
        "This fit FAILED 1 check: do not rely on its numbers."
    )
    html = summary_html(array_fit(verdict=FAILED))
    assert html.index("FAILED") < html.index("Synthetic data") < html.index("Treatment changed")
    assert "&lt;sd&gt;" in html


def test_synthetic_data_are_named_first_otherwise() -> None:
    assert summary_text(array_fit()).startswith("Synthetic data")
    assert summary_text(array_fit(synthetic=False)).startswith("Treatment changed")


def test_printed_summary_has_twin_seed_and_checks() -> None:
    text = summary_text(array_fit())
    assert "frequentist twin (rating points)  −0.41 [−0.64, −0.19] 95% CI" in text
    assert "The draws passed every check" in text
    assert text.endswith("ordinal model, split HMC, 4 chains of 500 draws, seed 20240815, 16.2 s.")
    assert "frequentist" not in summary_text(array_fit(frequentist=None))


def test_a_model_without_treatment_prints_its_terms() -> None:
    fit = MixedFit(att=np.zeros((2, 3)), frequentist=None, synthetic=False)
    text = summary_text(fit)
    assert text.startswith("Mixed model of customer rating, AI-eligible chats: 9 terms.")
    first = fit.tidy().iloc[0]
    assert f"  beta         −{abs(first['mean']):.2f} [" in text
    assert "sd_effect" in summary_html(fit)

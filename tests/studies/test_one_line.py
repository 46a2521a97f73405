"""The paper's further tables, and a researcher's further questions, as one call each on a chat log."""

from __future__ import annotations

from functools import cache

import pytest

import hitlbayes as hb

FEW = {
    "draws": 25,
    "chains": 2,
    "progress": False,
}  # whether it runs and says what it should, not what comes out


@cache
def chats() -> hb.Chats:
    """A synthetic experiment of 20 workers."""
    return hb.read_chats(hb.simulate(workers=20, seed=3).chats, start="2024-08-15", synthetic=True)


def test_worker_hours_share_their_days_effect() -> None:
    """Table A4."""
    fit = hb.fit_did(hb.panel(chats(), scope="eligible", period="hour"), outcome="log_duration", **FEW)
    hours = fit.cells["period"].nunique()
    assert fit.period_effects().sizes["period"] == 31
    assert hours > 31
    assert fit.units == "percent"
    assert fit.frequentist.n > 31 * 20


@pytest.mark.parametrize(
    ("outcome", "units"), [("away_time", "seconds"), ("away_share", "percentage points")]
)
def test_multitasking_is_an_outcome_like_others(outcome: str, units: str) -> None:
    """Table 7."""
    fit = hb.fit_did(hb.panel(chats(), scope="ineligible"), outcome=outcome, **FEW)
    assert fit.units == units
    assert fit.frequentist is not None


def test_effects_by_issue_tenure_and_past_performance() -> None:
    by_issue = hb.fit_heterogeneity(hb.panel(chats(), by="issue"), by="issue", outcome="log_duration", **FEW)
    assert by_issue.effects().sizes["group"] >= 2
    panel = hb.panel(chats())
    before = hb.before_start(panel, outcome="log_duration")
    found = hb.fit_heterogeneity(panel, by=before, bins=3, outcome="log_duration", **FEW)
    assert found.effects().sizes["group"] == 3
    assert found.by == "log_duration before"


def test_days_since_the_start() -> None:
    study = hb.fit_event_study(hb.panel(chats()), outcome="log_duration", **FEW)
    assert study.effects()["relative"].to_numpy().tolist() == [*range(-14, -1), *range(17)]
    assert "days since the start" in study.plot().axes[0].get_xlabel()

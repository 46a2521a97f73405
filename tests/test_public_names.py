"""The public names: what a user's script may rely on. A name is added here on purpose, and not taken away."""

from __future__ import annotations

import subprocess
import sys

import pytest

import hitlbayes as hb

NAMES = """
Chats EffortFit EscalationFit EventStudy Fit Heterogeneity JointEscalation Matched Panel TimingFit
anchor_escalation anchor_published balance before_start chats_from_logs check_proportional_odds compare
compare_arms complete_pairs dirichlet effect_by_level escalation_beside fit_did fit_effort fit_escalation
fit_escalation_jointly fit_event_study fit_heterogeneity fit_mixed fit_timing fixed flag_crossing
half_normal harm leave_one_out lkj load match match_by_escalation normal panel posterior_predictive
prior_predictive randomization_test read_chats reanalyze rematch retrials sample sample_ratio sentiment_path
show_versions simulate simulate_cells takeover_density without worker_averages write_report write_table
chatlog errors published report studies twin
__version__
""".split()
METHODS = {
    "Fit": (
        "check effects frequentist hyperparameters period_effects plot predict report save summary tidy "
        "worker_effects"
    ),
    "EventStudy": "effects frequentist learning plot pretrend save shares summary",
    "Heterogeneity": "effects plot summary",
    "EscalationFit": "check effects summary",
    "Matched": "pairs",
}
HEAVY = ("jax", "pymc", "pandas", "ibis", "matplotlib", "numpyro")


@pytest.mark.parametrize("name", NAMES)
def test_a_public_name_is_there(name):
    assert getattr(hb, name) is not None
    assert name in dir(hb)


def test_every_name_that_is_offered_resolves_and_says_what_it_is():
    assert [n for n in hb.__all__ if n != "__version__" and not (getattr(hb, n).__doc__ or "").strip()] == []


@pytest.mark.parametrize(("owner", "names"), METHODS.items())
def test_results_have_their_methods(owner, names):
    assert [n for n in names.split() if not hasattr(getattr(hb, owner), n)] == []


def test_importing_the_package_imports_nothing_heavy():
    code = f"import sys, hitlbayes; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

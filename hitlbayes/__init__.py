"""Bayesian causal inference for field experiments with human-in-the-loop AI."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # what is imported lazily below, for type checkers and editors
    from hitlbayes import chatlog as chatlog
    from hitlbayes import errors as errors
    from hitlbayes import published as published
    from hitlbayes import report as report
    from hitlbayes import studies as studies
    from hitlbayes import twin as twin
    from hitlbayes.bridge import sample as sample
    from hitlbayes.chatlog import Chats as Chats
    from hitlbayes.chatlog import Panel as Panel
    from hitlbayes.chatlog import chats_from_logs as chats_from_logs
    from hitlbayes.chatlog import flag_crossing as flag_crossing
    from hitlbayes.chatlog import panel as panel
    from hitlbayes.chatlog import read_chats as read_chats
    from hitlbayes.chatlog import retrials as retrials
    from hitlbayes.chatlog import without as without
    from hitlbayes.design.arms import compare_arms as compare_arms
    from hitlbayes.design.balance import balance as balance
    from hitlbayes.design.escalation import match_by_escalation as match_by_escalation
    from hitlbayes.design.known_pairs import complete_pairs as complete_pairs
    from hitlbayes.design.known_pairs import rematch as rematch
    from hitlbayes.design.matched import Matched as Matched
    from hitlbayes.design.matching import match as match
    from hitlbayes.design.randomization import randomization_test as randomization_test
    from hitlbayes.design.ratios import sample_ratio as sample_ratio
    from hitlbayes.published import reanalyze as reanalyze
    from hitlbayes.report.export import write_table as write_table
    from hitlbayes.report.study_report import write_report as write_report
    from hitlbayes.result import Fit as Fit
    from hitlbayes.spec.priors import dirichlet as dirichlet
    from hitlbayes.spec.priors import fixed as fixed
    from hitlbayes.spec.priors import half_normal as half_normal
    from hitlbayes.spec.priors import lkj as lkj
    from hitlbayes.spec.priors import normal as normal
    from hitlbayes.storage import load as load
    from hitlbayes.studies import EffortFit as EffortFit
    from hitlbayes.studies import EscalationFit as EscalationFit
    from hitlbayes.studies import EventStudy as EventStudy
    from hitlbayes.studies import Heterogeneity as Heterogeneity
    from hitlbayes.studies import JointEscalation as JointEscalation
    from hitlbayes.studies import TimingFit as TimingFit
    from hitlbayes.studies import anchor_escalation as anchor_escalation
    from hitlbayes.studies import anchor_published as anchor_published
    from hitlbayes.studies import before_start as before_start
    from hitlbayes.studies import check_proportional_odds as check_proportional_odds
    from hitlbayes.studies import compare as compare
    from hitlbayes.studies import effect_by_level as effect_by_level
    from hitlbayes.studies import escalation_beside as escalation_beside
    from hitlbayes.studies import fit_did as fit_did
    from hitlbayes.studies import fit_effort as fit_effort
    from hitlbayes.studies import fit_escalation as fit_escalation
    from hitlbayes.studies import fit_escalation_jointly as fit_escalation_jointly
    from hitlbayes.studies import fit_event_study as fit_event_study
    from hitlbayes.studies import fit_heterogeneity as fit_heterogeneity
    from hitlbayes.studies import fit_mixed as fit_mixed
    from hitlbayes.studies import fit_timing as fit_timing
    from hitlbayes.studies import harm as harm
    from hitlbayes.studies import leave_one_out as leave_one_out
    from hitlbayes.studies import posterior_predictive as posterior_predictive
    from hitlbayes.studies import prior_predictive as prior_predictive
    from hitlbayes.studies import sentiment_path as sentiment_path
    from hitlbayes.studies import takeover_density as takeover_density
    from hitlbayes.studies import worker_averages as worker_averages
    from hitlbayes.twin import simulate as simulate
    from hitlbayes.twin import simulate_cells as simulate_cells
    from hitlbayes.versions import show_versions as show_versions

__version__ = "0.1.0"

_PUBLIC = {
    "read_chats": "chatlog",
    "panel": "chatlog",
    "chats_from_logs": "chatlog",
    "retrials": "chatlog",
    "without": "chatlog",
    "flag_crossing": "chatlog",
    "compare_arms": "design.arms",
    "sample_ratio": "design.ratios",
    "randomization_test": "design.randomization",
    "Chats": "chatlog",
    "Panel": "chatlog",
    "match": "design.matching",
    "Matched": "design.matched",
    "match_by_escalation": "design.escalation",
    "rematch": "design.known_pairs",
    "complete_pairs": "design.known_pairs",
    "balance": "design.balance",
    "simulate": "twin",
    "simulate_cells": "twin",
    "fit_did": "studies",
    "fit_escalation": "studies",
    "EscalationFit": "studies",
    "anchor_escalation": "studies",
    "anchor_published": "studies",
    "fit_escalation_jointly": "studies",
    "JointEscalation": "studies",
    "escalation_beside": "studies",
    "fit_event_study": "studies",
    "EventStudy": "studies",
    "fit_effort": "studies",
    "EffortFit": "studies",
    "fit_timing": "studies",
    "TimingFit": "studies",
    "takeover_density": "studies",
    "sentiment_path": "studies",
    "fit_heterogeneity": "studies",
    "Heterogeneity": "studies",
    "before_start": "studies",
    "check_proportional_odds": "studies",
    "leave_one_out": "studies",
    "compare": "studies",
    "posterior_predictive": "studies",
    "harm": "studies",
    "effect_by_level": "studies",
    "worker_averages": "studies",
    "fit_mixed": "studies",
    "prior_predictive": "studies",
    "Fit": "result",
    "write_report": "report.study_report",
    "write_table": "report.export",
    "load": "storage",
    "reanalyze": "published",
    "normal": "spec.priors",
    "half_normal": "spec.priors",
    "fixed": "spec.priors",
    "lkj": "spec.priors",
    "dirichlet": "spec.priors",
    "sample": "bridge",
    "show_versions": "versions",
}
_MODULES = ("published", "errors", "chatlog", "twin", "studies", "report")

__all__ = [*_PUBLIC, *_MODULES, "__version__"]


def __getattr__(name: str) -> object:
    if name in _PUBLIC:
        return getattr(import_module(f"hitlbayes.{_PUBLIC[name]}"), name)
    if name in _MODULES:
        return import_module(f"hitlbayes.{name}")
    raise AttributeError(f"module 'hitlbayes' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)

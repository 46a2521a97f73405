"""One module per question: what is estimated, and how."""

from hitlbayes.studies.did import fit_did
from hitlbayes.studies.event_study import EventStudy, fit_event_study
from hitlbayes.studies.heterogeneity import Heterogeneity, fit_heterogeneity
from hitlbayes.studies.mixed import fit_mixed
from hitlbayes.studies.moderators import before_start
from hitlbayes.studies.prior import PriorPredictive, prior_predictive
from hitlbayes.studies.proportional_odds import ProportionalOdds, check_proportional_odds
from hitlbayes.studies.workers import effect_by_level, harm, worker_averages

__all__ = [
    "EventStudy",
    "Heterogeneity",
    "PriorPredictive",
    "ProportionalOdds",
    "before_start",
    "check_proportional_odds",
    "effect_by_level",
    "fit_did",
    "fit_event_study",
    "fit_heterogeneity",
    "fit_mixed",
    "harm",
    "prior_predictive",
    "worker_averages",
]

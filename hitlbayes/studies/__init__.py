"""One module per question: what is estimated, and how."""

from hitlbayes.studies.did import fit_did
from hitlbayes.studies.event_study import EventStudy, fit_event_study
from hitlbayes.studies.mixed import fit_mixed
from hitlbayes.studies.prior import PriorPredictive, prior_predictive

__all__ = [
    "EventStudy",
    "PriorPredictive",
    "fit_did",
    "fit_event_study",
    "fit_mixed",
    "prior_predictive",
]

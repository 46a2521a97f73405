"""One module per question: what is estimated, and how."""

from hitlbayes.studies.did import fit_did
from hitlbayes.studies.effort import fit_effort
from hitlbayes.studies.effort_frame import Measure
from hitlbayes.studies.effort_result import EffortFit
from hitlbayes.studies.escalation import fit_escalation
from hitlbayes.studies.escalation_anchor import Anchored, anchor_escalation, anchor_published
from hitlbayes.studies.escalation_beside import beside as escalation_beside
from hitlbayes.studies.escalation_joint import JointEscalation, fit_escalation_jointly
from hitlbayes.studies.escalation_result import EscalationFit
from hitlbayes.studies.event_result import EventStudy
from hitlbayes.studies.event_study import fit_event_study
from hitlbayes.studies.heterogeneity import Heterogeneity, fit_heterogeneity
from hitlbayes.studies.leave_one_out import LeaveOneOut, compare, leave_one_out
from hitlbayes.studies.mixed import fit_mixed
from hitlbayes.studies.moderators import before_start
from hitlbayes.studies.posterior import PosteriorPredictive, posterior_predictive
from hitlbayes.studies.prior import PriorPredictive, prior_predictive
from hitlbayes.studies.proportional_odds import ProportionalOdds, check_proportional_odds
from hitlbayes.studies.timing import fit_timing
from hitlbayes.studies.timing_curves import Curves, sentiment_path, takeover_density
from hitlbayes.studies.timing_result import TimingFit
from hitlbayes.studies.workers import effect_by_level, harm, worker_averages

__all__ = [
    "Anchored",
    "Curves",
    "EffortFit",
    "EscalationFit",
    "EventStudy",
    "Heterogeneity",
    "JointEscalation",
    "LeaveOneOut",
    "Measure",
    "PosteriorPredictive",
    "PriorPredictive",
    "ProportionalOdds",
    "TimingFit",
    "anchor_escalation",
    "anchor_published",
    "before_start",
    "check_proportional_odds",
    "compare",
    "effect_by_level",
    "escalation_beside",
    "fit_did",
    "fit_effort",
    "fit_escalation",
    "fit_escalation_jointly",
    "fit_event_study",
    "fit_heterogeneity",
    "fit_mixed",
    "fit_timing",
    "harm",
    "leave_one_out",
    "posterior_predictive",
    "prior_predictive",
    "sentiment_path",
    "takeover_density",
    "worker_averages",
]

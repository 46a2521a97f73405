"""One module per question: what is estimated, and how."""

from hitlbayes.studies.did import fit_did
from hitlbayes.studies.mixed import fit_mixed
from hitlbayes.studies.prior import PriorPredictive, prior_predictive

__all__ = ["PriorPredictive", "fit_did", "fit_mixed", "prior_predictive"]

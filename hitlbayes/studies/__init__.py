"""One module per question: what is estimated, and how."""

from hitlbayes.studies.did import fit_did
from hitlbayes.studies.mixed import fit_mixed

__all__ = ["fit_did", "fit_mixed"]

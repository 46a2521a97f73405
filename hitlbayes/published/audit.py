"""Which of the paper's printed figures fit together."""

from __future__ import annotations

import pandas as pd

from hitlbayes.published import audit_balance, audit_codes, audit_counts, audit_effects, audit_matching
from hitlbayes.published.findings import AGREES

CHECKS = (
    audit_counts.CHECKS
    + audit_balance.CHECKS
    + audit_effects.CHECKS
    + audit_matching.CHECKS
    + audit_codes.CHECKS
)


def audit(*, agreeing: bool = True) -> pd.DataFrame:
    """Printed figures against what other printed figures imply, one row per comparison.

    Parameters
    ----------
    agreeing : bool
        Keep the comparisons that agree; without them the frame lists what a reader may want to ask about.

    Returns
    -------
    DataFrame
        ``check`` (the function), ``what``, ``where``, ``printed``, ``implied``, ``gap`` (printed - implied),
        ``verdict``, ``note``. Verdicts: ``agrees`` (to the printed precision), ``within uncertainty`` (less
        than two standard errors), ``differs`` (two printed figures of one thing are not the same), ``cannot
        hold together`` (no data have both), ``two samples`` (both follow, from different chats),
        ``wording`` (the figures stand, the sentence says something else or more), ``open`` (the printed
        figures do not settle it). ``attrs["source"]`` is ``"published"``.

    Notes
    -----
    What is compared are printed figures only. A difference says that two figures do not fit as printed:
    rounding, a slip in typesetting or a sample that is not described may be behind it, and none need touch
    a conclusion.

    Examples
    --------
    >>> a = audit().set_index("what")
    >>> a.loc["share of treated workers", "verdict"]
    'differs'
    """
    rows = [
        {
            "check": check.__name__,
            "what": f.what,
            "where": f.where,
            "printed": f.printed,
            "implied": f.implied,
            "gap": f.gap,
            "verdict": f.verdict,
            "note": f.note,
        }
        for check in CHECKS
        for f in check()
    ]
    frame = pd.DataFrame(rows)
    if not agreeing:
        frame = frame[frame["verdict"] != AGREES].reset_index(drop=True)
    frame.attrs["source"] = "published"
    return frame

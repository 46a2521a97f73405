"""Which of the paper's printed figures fit together."""

from __future__ import annotations

import pandas as pd

from hitlbayes.errors import SpecError
from hitlbayes.published import audit_balance, audit_codes, audit_counts, audit_effects, audit_matching
from hitlbayes.published.findings import AGREES

CHECKS = (
    audit_counts.CHECKS
    + audit_balance.CHECKS
    + audit_effects.CHECKS
    + audit_matching.CHECKS
    + audit_codes.CHECKS
)


def audit(*, agreeing: bool = True, check: str | None = None) -> pd.DataFrame:
    """Printed figures against what other printed figures imply, one row per comparison.

    Parameters
    ----------
    agreeing : bool
        Keep the comparisons that agree; without them the frame lists what a reader may want to ask about.
    check : str, optional
        Only the comparisons of one function, by the name in the column ``check``: each is computed anew from
        the printed figures.

    Returns
    -------
    DataFrame
        ``check`` (the function), ``what``, ``where``, ``printed``, ``implied``, ``gap`` (printed - implied),
        ``verdict``, ``note``. Verdicts: ``agrees`` (to the printed precision), ``within uncertainty`` (less
        than two standard errors), ``differs`` (two printed figures of one thing are not the same), ``cannot
        hold together`` (no data have both), ``two samples`` (both follow, from different chats),
        ``wording`` (the figures stand, the sentence says something else or more), ``open`` (the printed
        figures do not settle it). ``attrs["source"]`` is ``"published"``.

    Raises
    ------
    SpecError
        There is no such check.

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
    >>> len(audit(check="arms")), round(float(audit(check="arms")["implied"][1]), 3)
    (3, 0.467)
    """
    functions = {function.__name__: function for function in CHECKS}
    if check is not None and check not in functions:
        raise SpecError(f"no check {check!r}; there are: {', '.join(functions)}.")
    rows = [
        {
            "check": name,
            "what": f.what,
            "where": f.where,
            "printed": f.printed,
            "implied": f.implied,
            "gap": f.gap,
            "verdict": f.verdict,
            "note": f.note,
        }
        for name, function in functions.items()
        if check in (None, name)
        for f in function()
    ]
    frame = pd.DataFrame(rows)
    if not agreeing:
        frame = frame[frame["verdict"] != AGREES].reset_index(drop=True)
    frame.attrs["source"] = "published"
    return frame

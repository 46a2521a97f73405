"""Effects by escalation type from other choices of pairs, to stand beside the model's."""

from __future__ import annotations

import pandas as pd

from hitlbayes.design.known_pairs import complete_pairs, rematch
from hitlbayes.design.matched_types import MatchedTypes
from hitlbayes.errors import DesignError
from hitlbayes.studies.escalation import frequentist_twin


def beside(matched: MatchedTypes, *, outcome: str = "rating", formula: str | None = None) -> pd.DataFrame:
    """Each type's effect by OLS on all matched chats, on complete pairs, and on pairs made anew.

    Parameters
    ----------
    matched : MatchedTypes
    outcome : str
        A column that is known of some chats only.
    formula : str, optional
        Covariates, as in `hitlbayes.fit_escalation`.

    Returns
    -------
    DataFrame
        Index (sample, type): ``pairs`` and the columns of `hitlbayes.studies.escalation_twin`; a sample that
        cannot be had has no rows, and says why in ``attrs["left_out"]``.

    Examples
    --------
    >>> import hitlbayes as hb
    >>> chats = hb.read_chats(hb.simulate(workers=60, seed=1).chats, synthetic=True)
    >>> matched = hb.match_by_escalation(chats, types=["technical"], exact=[])
    >>> table = hb.escalation_beside(matched, formula="~ vip")
    >>> bool(table.loc[("complete pairs", "technical"), "pairs"] < len(matched.pairs()))
    True
    """
    samples = {
        "all matched chats": lambda: matched,
        "complete pairs": lambda: complete_pairs(matched, outcome=outcome),
        "matched anew among known": lambda: rematch(matched, among=outcome),
    }
    tables, left_out = {}, {}
    for name, make in samples.items():
        try:
            sample = make()
        except DesignError as problem:
            left_out[name] = str(problem)
            continue
        found = frequentist_twin(sample, outcome=outcome, formula=formula)
        found.insert(0, "pairs", [len(sample.matches[t].pairs) for t in found.index])
        tables[name] = found
    made = pd.concat(tables, names=["sample"])
    made.attrs = {"left_out": left_out, "assumption": matched.assumption}
    return made

"""hitlbayes itself: `fit_did` on the panel, cold and warm."""

from __future__ import annotations

from time import perf_counter
from typing import Any

from data import load_panel


def fit(folder: str, *, outcome: str, draws: int, chains: int, warm: bool) -> dict[str, Any]:
    """Wall times from the panel to draws, the worst bulk ESS, and the treatment's coefficient."""
    panel = load_panel(folder)
    begun = perf_counter()
    import hitlbayes as hb

    first = hb.fit_did(panel, outcome=outcome, draws=draws, chains=chains, seed=1, progress=False)
    times = {"cold_s": perf_counter() - begun}
    if warm:
        begun = perf_counter()
        hb.fit_did(panel, outcome=outcome, draws=draws, chains=chains, seed=2, progress=False)
        times["warm_s"] = perf_counter() - begun
    check, terms = first.check(), first.tidy().set_index("term")
    coef, cells = terms.loc["treatment"], terms.loc["ATT, cells weighted equally"]
    return {
        **times,
        "rows": len(first.cells),
        "r_hat": check.r_hat,
        "ess": check.ess_bulk,
        "estimate": coef["mean"],
        "sd": coef["sd"],
        "mcse": coef["sd"] / coef["ess_bulk"] ** 0.5,
        "att": cells["mean"],
        "att_sd": cells["sd"],
        "note": None if check.ok else str(check),
    }

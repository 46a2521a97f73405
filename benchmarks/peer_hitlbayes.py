"""hitlbayes itself: `fit_did` on the panel, cold and warm."""

from __future__ import annotations

from typing import Any

from data import load_panel
from measure import cold_and_warm


def fit(folder: str, *, outcome: str, draws: int, chains: int, warm: bool) -> dict[str, Any]:
    """Wall times from the panel to draws, the worst bulk ESS, and the treatment's coefficient."""
    panel = load_panel(folder)

    def once(seed: int) -> Any:
        import hitlbayes as hb

        return hb.fit_did(panel, outcome=outcome, draws=draws, chains=chains, seed=seed, progress=False)

    first, times = cold_and_warm(once, warm=warm)
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

"""pyfixest: two-way fixed effects on worker-day means, standard errors clustered by worker."""

from __future__ import annotations

from typing import Any

from data import load_panel
from measure import cold_and_warm


def fit(folder: str, *, outcome: str, draws: int, chains: int, warm: bool) -> dict[str, Any]:
    """Wall time, estimate and standard error on the outcome's own scale; draws and chains do not apply."""
    means = load_panel(folder).means.dropna(subset=[outcome])
    means = means.assign(treatment=means["treated"] * means["post"])

    def once(seed: int) -> Any:
        import pyfixest

        return pyfixest.feols(f"{outcome} ~ treatment | unit + period", means, vcov={"CRV1": "unit"})

    made, times = cold_and_warm(once, warm=warm)
    # Only log duration has the coefficient's scale; shares become the percentage points of our effect.
    names = ("estimate", "sd") if outcome == "log_duration" else ("att", "att_sd")
    scale = 100.0 if outcome == "retrial" else 1.0
    found = (float(made.coef()["treatment"]), float(made.se()["treatment"]))
    return {**times, "rows": len(means), **{name: scale * v for name, v in zip(names, found, strict=True)}}

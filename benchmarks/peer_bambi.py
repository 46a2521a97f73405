"""bambi: a formula on the chats of a share of the workers, sampled by NumPyro."""

from __future__ import annotations

from time import perf_counter
from typing import Any

from data import load_chats

FAMILIES = {"log_duration": "gaussian", "rating": "cumulative", "retrial": "bernoulli"}
FORMULA = "{outcome} ~ treatment + treated + (1 + post + treatment | worker_id) + (1 | day) + (1 | cell)"


def fit(folder: str, *, outcome: str, draws: int, chains: int, warm: bool, share: float) -> dict[str, Any]:
    """Wall time and the treatment's coefficient; bambi's own priors, one residual SD."""
    import numpy as np
    import pandas as pd

    chats = load_chats(folder, outcome=outcome, share=share)
    day = chats["start_time"].dt.strftime("%Y-%m-%d")
    chats = chats.assign(worker_id=chats["worker_id"].astype(str), day=day)
    chats = chats.assign(cell=chats["worker_id"] + " " + chats["day"])
    if outcome == "rating":
        chats = chats.assign(rating=pd.Categorical(chats["rating"].astype(int), ordered=True))
    begun = perf_counter()
    import bambi

    model = bambi.Model(FORMULA.format(outcome=outcome), chats, family=FAMILIES[outcome])
    posterior = model.fit(
        draws=draws, chains=chains, inference_method="numpyro", random_seed=1, progressbar=False
    )["posterior"]
    times = {"cold_s": perf_counter() - begun}
    from hitlbayes.diagnostics import effective_sizes

    small = [v.to_numpy() for v in posterior.data_vars.values() if v.ndim == 2]
    coef = posterior["treatment"].to_numpy()
    return {
        **times,
        "rows": len(chats),
        "ess": min(float(effective_sizes(a)[0]) for a in small),
        "estimate": float(np.mean(coef)),
        "sd": float(np.std(coef)),
    }

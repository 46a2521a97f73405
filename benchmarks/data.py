"""The synthetic experiment on disk, once for all peers: chats, panel, and text files for R.

Everything here is drawn by `hitlbayes.simulate`; nothing measured on it is a finding.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

WORKERS = 647  # of the experiment
OUTCOMES = ("log_duration", "rating", "retrial")


def write(folder: str, *, workers: int, seed: int, scope: str) -> dict[str, Any]:
    """Write chats.parquet, panel.pickle, chats.csv and cells.csv; how many chats, ratings and cells."""
    import pickle

    import hitlbayes as hb

    chats = hb.simulate(seed=seed, workers=workers).chats
    panel = hb.panel(hb.read_chats(chats, synthetic=True), scope=scope, outcomes=OUTCOMES)
    if scope != "all":
        chats = chats[chats["eligible"] == (scope == "eligible")]
    rows = chat_rows(chats)
    rows.to_parquet(Path(folder) / "chats.parquet")
    rows.assign(day=rows["start_time"].dt.strftime("%Y-%m-%d")).drop(columns="start_time").to_csv(
        Path(folder) / "chats.csv", index=False
    )
    (Path(folder) / "panel.pickle").write_bytes(pickle.dumps(panel))
    cell_rows(panel).to_csv(Path(folder) / "cells.csv", index=False)
    return {"chats": len(rows), "ratings": int(rows["rating"].notna().sum()), "cells": len(panel.cells)}


def chat_rows(chats: Any) -> Any:
    """The columns that a chat-level model reads, with the treatment written out."""
    import numpy as np

    rows = chats[["worker_id", "start_time", "treated", "post", "rating", "retrial"]].copy()
    rows["log_duration"] = np.log(chats["duration"])
    rows["treatment"] = rows["treated"] * rows["post"]
    return rows.reset_index(drop=True)


def cell_rows(panel: Any) -> Any:
    """Worker-day cells with plain column names: n, means, successes and the count of each rating."""
    import pandas as pd

    cells = panel.cells
    rows = pd.DataFrame(
        {
            "worker_id": cells["unit"],
            "day": cells["period"].dt.strftime("%Y-%m-%d"),
            "treated": cells["treated"],
            "post": cells["post"],
            "treatment": cells["treated"] * cells["post"],
            "n": cells["n"],
            "log_duration": cells["log_duration:mean"],
            "retrials": cells["retrial:successes"],
        }
    )
    for category in panel.categories["rating"]:
        rows[f"rating_{category}"] = cells[f"rating:{category}"]
    return rows


def load_panel(folder: str) -> Any:
    """The panel that `write` made."""
    import pickle

    return pickle.loads((Path(folder) / "panel.pickle").read_bytes())


def load_chats(folder: str, *, outcome: str, share: float = 1.0, seed: int = 1) -> Any:
    """Chats with the outcome known, of all workers or of a random share of each arm's."""
    import numpy as np
    import pandas as pd

    chats = pd.read_parquet(Path(folder) / "chats.parquet").dropna(subset=[outcome])
    if share >= 1:
        return chats
    rng = np.random.default_rng(seed)
    workers = chats.groupby("worker_id")["treated"].first()
    kept = [
        rng.choice(arm.index.to_numpy(), max(2, round(share * len(arm))), replace=False)
        for _, arm in workers.groupby(workers)
    ]
    return chats[chats["worker_id"].isin(np.concatenate(kept))].reset_index(drop=True)

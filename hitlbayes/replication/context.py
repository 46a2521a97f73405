"""What every table of a run shares: the synthetic twin, its truth, its panels, and where results are kept."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from hitlbayes.chatlog import Panel, panel, read_chats
from hitlbayes.replication.store import code_digest, digest, folder_of, write_json
from hitlbayes.replication.work import Unit
from hitlbayes.spec.toml import Period, Scope
from hitlbayes.twin import simulate

SEED = 20240815
TWIN_COST = 2.0
WORKERS = 647  # the paper's experiment
FEWEST_WORKERS = 20  # below, days without a treated worker appear and tables lose cells
START = "2024-08-15"


@dataclass(frozen=True, slots=True)
class Context:
    """One run: where its results lie, at which size, from which seed.

    Attributes
    ----------
    root : Path
        Folder of finished results.
    scale : float
        Share of the paper's workers.
    seed : int
        Seed of the twin and of every fit.
    panels : dict
        Panels made so far in this process, by scope and period.
    """

    root: Path
    scale: float = 1.0
    seed: int = SEED
    panels: dict[tuple[str, str], Panel] = field(default_factory=dict, compare=False, repr=False)

    def key(self, **parts: Any) -> str:
        """Name of a result of this run that depends on `parts`."""
        return digest(code=code_digest(), seed=self.seed, scale=self.scale, **parts)


def twin_unit(context: Context) -> Unit:
    """The synthetic twin, simulated once: its chats as Parquet, the effects that were put in, its size."""
    return Unit(
        name="synthetic twin",
        key=context.key(what="twin"),
        cost=TWIN_COST * context.scale,
        write=lambda folder: _write_twin(context, folder),
    )


def chats_path(context: Context) -> Path:
    """The Parquet file of the twin's chats."""
    return folder_of(context.root, twin_unit(context).key) / "chats.parquet"


def truth_of(context: Context, *, scope: str, outcome: str, weight: str) -> float | None:
    """The simulated effect on the treated, realised in the twin; None where the twin does not know it.

    Log points for log durations, probabilities for rates, the outcome's own scale otherwise.
    """
    table = pd.read_csv(chats_path(context).with_name("truth.csv"))
    found = table.query("scope == @scope and outcome == @outcome and weight == @weight")
    return None if found.empty else float(found["att"].iloc[0])


def panel_of(context: Context, *, scope: Scope, period: Period) -> Panel:
    """The twin's panel of one scope and period, made once in a process."""
    if (scope, period) not in context.panels:
        chats = read_chats(str(chats_path(context)), start=START, synthetic=True)
        context.panels[scope, period] = panel(chats, scope=scope, period=period)
    return context.panels[scope, period]


def workers_of(context: Context) -> int:
    """Number of workers at this run's scale."""
    return max(round(WORKERS * context.scale), FEWEST_WORKERS)


def _write_twin(context: Context, folder: Path) -> None:
    twin = simulate(seed=context.seed, workers=workers_of(context))
    twin.chats.to_parquet(folder / "chats.parquet", index=False)
    write_truth(twin.truth, folder=folder)


def write_truth(truth: Any, *, folder: Path) -> None:
    """Write what a twin knows: average effects, effects by type, workers, days, and the parameters."""
    truth.att.to_csv(folder / "truth.csv", index=False)
    truth.types.to_csv(folder / "truth_types.csv", index=False)
    truth.workers.to_parquet(folder / "truth_workers.parquet", index=False)
    truth.days.to_csv(folder / "truth_days.csv", index=False)
    write_json(folder / "truth_effects.json", asdict(truth.effects))

"""Time and memory of a fit against the number of workers, from the experiment's 647 to a platform's 38,000.

    python benchmarks/scale.py                                  # both outcomes, all sizes, into scale.csv
    python benchmarks/scale.py --workers 50 100 --draws 100     # small
    python benchmarks/scale.py --plot-only                      # draw scale.png from scale.csv again

Worker-day cells of 31 days are drawn without their chats (`hitlbayes.twin.simulate_panels`), in one process;
each fit has another. Peak memory is that process's, everything that is imported included.
"""

from __future__ import annotations

import argparse
import csv
import pickle
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

from measure import measure, peak_gib

HERE = Path(__file__).parent
SIZES = (647, 1_300, 2_600, 5_200, 10_400, 20_800, 38_000)
OUTCOMES = {"log_duration": "log duration", "rating": "rating"}
FIELDS = (
    *("workers", "outcome", "cells", "draws", "chains", "cold_s", "warm_s", "before_gib", "peak_gib"),
    *("ess", "r_hat", "sampler", "check"),
)


def write(path: str, *, workers: int, seed: int) -> dict[str, Any]:
    """Draw the cells of all chats and store them."""
    from hitlbayes.twin.panels import simulate_panels

    cells = simulate_panels(seed=seed, workers=workers)["all"]
    Path(path).write_bytes(pickle.dumps(cells))
    return {"cells": len(cells.cells)}


def fit(path: str, *, outcome: str, draws: int, chains: int, warm: bool) -> dict[str, Any]:
    """Fit the stored cells once in this process, and again where asked."""
    cells = pickle.loads(Path(path).read_bytes())
    before = peak_gib()
    begun = perf_counter()
    import hitlbayes as hb

    made = hb.fit_did(cells, outcome=outcome, draws=draws, chains=chains, seed=1, progress=False)
    found: dict[str, Any] = {"cold_s": perf_counter() - begun, "peak_gib": peak_gib(), "before_gib": before}
    check = made.check()
    found |= {"ess": check.ess_bulk, "r_hat": check.r_hat, "sampler": made.sampler, "check": str(check)}
    if warm:
        del made
        begun = perf_counter()
        hb.fit_did(cells, outcome=outcome, draws=draws, chains=chains, seed=2, progress=False)
        found["warm_s"] = perf_counter() - begun
    return found


def run(asked: argparse.Namespace) -> None:
    """Measure every size and outcome; a line is written as soon as it is known."""
    with asked.csv.open("w", newline="") as file:
        writer = csv.DictWriter(file, FIELDS)
        writer.writeheader()
        for workers in asked.workers:
            for row in measured(workers, asked=asked):
                writer.writerow(row)
                file.flush()


def measured(workers: int, *, asked: argparse.Namespace) -> list[dict[str, Any]]:
    """A row an outcome of one size; what failed is said on the screen and left out."""
    rows = []
    with tempfile.TemporaryDirectory(prefix="hitlbayes-scale-") as folder:
        path = str(Path(folder) / "cells.pickle")
        cells = measure(
            "scale", "write", arguments={"path": path, "workers": workers, "seed": asked.seed}, limit=3600
        )
        if "failed" in cells:
            raise SystemExit(f"{workers:,} workers could not be simulated: {cells['failed']}")
        for outcome in asked.outcomes:
            arguments = {"outcome": outcome, "draws": asked.draws, "chains": asked.chains}
            environment = {"HITLBAYES_CACHE": str(Path(folder) / outcome)}
            one = measure(
                "scale",
                "fit",
                arguments={"path": path, "warm": not asked.cold_only, **arguments},
                limit=asked.limit,
                environment=environment,
            )
            row = {"workers": workers, "cells": cells["cells"], **arguments, **one}
            print(", ".join(f"{k} {v}" for k, v in row.items()), file=sys.stderr, flush=True)
            if "failed" not in row:
                rows.append({name: row.get(name) for name in FIELDS})
    return rows


def slope(x: Sequence[float], y: Sequence[float]) -> float:
    """Least-squares slope of log y on log x.

    Examples
    --------
    >>> slope([1, 10, 100], [2, 200, 20000])
    2.0
    """
    import numpy as np

    return round(float(np.polyfit(np.log(x), np.log(y), 1)[0]), 3)


def plot(source: Path, *, target: Path) -> None:
    """Time and memory against workers on logarithmic axes, with slopes over the three largest sizes."""
    import pandas as pd

    from hitlbayes.report import canvas

    table = pd.read_csv(source)
    styled = canvas.styled(draw)
    styled(table, canvas=canvas).savefig(target, dpi=160)


def draw(table: Any, *, canvas: Any) -> Any:
    """The figure of `plot`."""
    from matplotlib.ticker import LogLocator

    figure = canvas.sheet(height=4.0)
    panels = {"cold_s": ("cold", "-"), "warm_s": ("warm", "--")}, {"peak_gib": ("peak", "-")}
    labels = ("wall time (s)", "peak memory (GiB)")
    for axes, lines, label in zip(figure.subplots(1, 2), panels, labels, strict=True):
        for (outcome, rows), colour in zip(
            table.groupby("outcome"), (canvas.BLUE, canvas.VERMILLION), strict=False
        ):
            for column, (word, style) in lines.items():
                known = rows.dropna(subset=[column])
                if len(known) < 2:
                    continue
                last = known.tail(3)
                name = f"{OUTCOMES[outcome]}, {word}: slope {slope(last['workers'], last[column]):.2f}"
                axes.loglog(
                    known["workers"], known[column], style, marker="o", ms=3.5, color=colour, label=name
                )
        axes.set(xlabel="workers", ylabel=label)
        ticks = sorted(set(table["workers"]))
        axes.set_xticks(ticks, [f"{n:,}" for n in ticks], rotation=45, ha="right")
        axes.minorticks_off()
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), fontsize=8)
    cells, draws = table["cells"].max(), table["draws"].iloc[0] * table["chains"].iloc[0]
    caption = (
        f"A fit of {draws:,} draws against the number of workers (31 days, up to {cells:,} worker-days). "
        "Cold: a new process with an empty compilation cache; warm: a second fit in it. Slopes are those of "
        "the logarithms over the three largest sizes; one is proportional. Memory is the process's peak."
    )
    return canvas.finish(figure, caption=caption, synthetic=True, ok=True, title="Time and memory of a fit")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", nargs="+", type=int, default=list(SIZES))
    parser.add_argument("--outcomes", nargs="+", choices=list(OUTCOMES), default=list(OUTCOMES))
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--chains", type=int, default=4)
    parser.add_argument("--seed", type=int, default=20240815)
    parser.add_argument("--limit", type=float, default=3600.0, help="seconds, of one process")
    parser.add_argument("--cold-only", action="store_true")
    parser.add_argument("--csv", type=Path, default=HERE / "scale.csv")
    parser.add_argument("--png", type=Path, default=HERE / "scale.png")
    parser.add_argument("--plot-only", action="store_true")
    asked = parser.parse_args()
    if not asked.plot_only:
        run(asked)
    if asked.plot_only or len(asked.workers) > 1:  # one size is no curve
        plot(asked.csv, target=asked.png)


if __name__ == "__main__":
    main()

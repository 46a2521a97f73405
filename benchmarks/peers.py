"""hitlbayes and its peers on the same synthetic experiment, on one machine, in one run.

    python benchmarks/peers.py                       # everything that is installed, full size, medians of 3
    python benchmarks/peers.py --scale 0.03 --runs 1 --outcomes rating --peers hitlbayes clmm
    python benchmarks/peers.py --readme              # and write the tables into benchmarks/README.md

Every measurement has its own process. Cold is the first fit in a new process with empty compilation caches,
from the data in memory to the draws (or the estimate), the package's import included; warm is a second fit in
the same process. A peer that needs more than --limit seconds is reported as such; one whose process takes
more than --once-over seconds is measured once.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from statistics import median
from typing import Any

import peer_r
from data import OUTCOMES, WORKERS
from measure import measure
from table import Row, machine, markdown, replace_between

ALL = frozenset(OUTCOMES)
SEED = 20240815


@dataclass(frozen=True, slots=True)
class Peer:
    """Somebody's way to fit an outcome.

    module, function, arguments : what is called in a new process
    needs : Python packages, or R ones prefixed by "R:"
    data : what it is fitted to; one of "chats" (with the share of workers), "cells", "means"
    same : it has the very density that hitlbayes samples, so that estimates agree to Monte Carlo error
    """

    name: str
    module: str
    function: str
    data: str
    needs: tuple[str, ...]
    outcomes: frozenset[str] = ALL
    arguments: dict[str, Any] = field(default_factory=dict)
    same: bool = False
    shared: bool = False


def pymc(sampler: str, *, package: str, chats: bool) -> Peer:
    """One of PyMC's samplers, on the engine's model of cells or on chats of some workers."""
    name, needs = f"PyMC, {sampler}", ("pymc", package)
    function, data = ("fit_chats", "chats") if chats else ("fit_cells", "cells")
    asked = {"sampler": package}
    return Peer(name, "peer_pymc", function, data, needs, ALL, asked, same=not chats, shared=chats)


def in_r(name: str, *, script: str, needs: Sequence[str], data: str, outcomes: Sequence[str]) -> Peer:
    """A script beside this file."""
    packages = tuple(f"R:{package}" for package in needs)
    return Peer(name, "peer_r", "fit", data, packages, frozenset(outcomes), {"script": script})


POINT = "(point estimate)"
PEERS = (
    Peer("hitlbayes", "peer_hitlbayes", "fit", "cells", ("hitlbayes",), same=True),
    in_r(f"lme4 {POINT}", script="lme4.R", needs=["lme4"], data="chats", outcomes=["log_duration"]),
    in_r(f"lme4 {POINT}", script="lme4.R", needs=["lme4"], data="cells", outcomes=["retrial"]),
    in_r(f"clmm {POINT}", script="clmm.R", needs=["ordinal"], data="chats", outcomes=["rating"]),
    in_r("brms, rstan", script="brms.R", needs=["brms", "rstan"], data="cells", outcomes=OUTCOMES),
    pymc("NumPyro", package="numpyro", chats=False),
    pymc("nutpie", package="nutpie", chats=False),
    pymc("NumPyro", package="numpyro", chats=True),
    pymc("nutpie", package="nutpie", chats=True),
    Peer("bambi, NumPyro", "peer_bambi", "fit", "chats", ("bambi", "numpyro"), shared=True),
    Peer(f"pyfixest {POINT}", "peer_pyfixest", "fit", "means", ("pyfixest",)),
)


def key(peer: Peer) -> str:
    """What a peer is called on the command line; with -chats where it is given some workers' chats."""
    first = peer.name.replace(",", "").split(" (")[0].lower().replace(" ", "-")
    return f"{first}-chats" if peer.shared else first


def missing(peer: Peer) -> list[str]:
    """What a peer needs and is not installed."""
    r = [p for p in peer.needs if p.startswith("R:") and peer_r.installed(p[2:]) is None]
    return r + [p for p in peer.needs if not p.startswith("R:") and importlib.util.find_spec(p) is None]


def run(peer: Peer, *, folder: str, outcome: str, rows: int, asked: argparse.Namespace) -> Row:
    """Measure a peer up to `runs` times and take medians; the draws are those of the first run."""
    chains = asked.chains if peer.name == "hitlbayes" else asked.peer_chains or asked.chains
    common = {"folder": folder, "outcome": outcome, "draws": asked.draws, "chains": chains}
    if not peer.shared:
        return row_of(peer, repeat(peer, asked=asked, warm=not asked.cold_only, **common), rows=rows)
    made = repeat(peer, asked=asked, warm=False, share=asked.share, **common)
    less = repeat(peer, asked=asked, warm=False, share=asked.share / 4, **common)
    if "failed" in made or "failed" in less:
        return row_of(peer, made, rows=rows)
    slope = max(0.0, (made["cold_s"] - less["cold_s"]) / (made["rows"] - less["rows"]))
    whole = made["cold_s"] + slope * (rows - made["rows"])
    return row_of(peer, {**made, "full_rows": rows, "full_s": whole}, rows=rows)


def row_of(peer: Peer, made: dict[str, Any], *, rows: int) -> Row:
    """A row of the table from what was measured."""
    if "failed" in made:
        return Row(peer.name, peer.data, rows, failed=made["failed"].splitlines()[-1][-120:])
    known = {f.name: made[f.name] for f in fields(Row) if f.name in made}
    return Row(peer.name, peer.data, same=peer.same, **known)


def repeat(peer: Peer, *, asked: argparse.Namespace, **arguments: Any) -> dict[str, Any]:
    """The first of several measurements with medians of times, sizes and memory; or the first failure."""
    made: list[dict[str, Any]] = []
    for number in range(asked.runs):
        with tempfile.TemporaryDirectory(prefix="hitlbayes-cache-") as cache:
            environment = {"HITLBAYES_CACHE": cache, "PYTENSOR_FLAGS": f"base_compiledir={cache}"}
            one = measure(
                peer.module,
                peer.function,
                arguments={**arguments, **peer.arguments},
                limit=asked.limit,
                environment=environment,
            )
        said = f"{arguments['outcome']}, {key(peer)}, run {number + 1}: {json.dumps(one)}"
        print(said, file=sys.stderr, flush=True)
        if "failed" in one:
            return one
        made.append(one)
        if one["process_s"] > asked.once_over:
            break
    middle = [name for name in ("cold_s", "warm_s", "ess", "peak_gib") if name in made[0]]
    return {**made[0], **{name: median(one[name] for one in made) for name in middle}, "runs": len(made)}


def arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = sorted({key(peer) for peer in PEERS})
    parser.add_argument("--outcomes", nargs="+", choices=OUTCOMES, default=list(OUTCOMES))
    parser.add_argument("--peers", nargs="+", choices=names, default=names)
    parser.add_argument("--scope", choices=["all", "eligible", "ineligible"], default="all")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the experiment's 647 workers")
    parser.add_argument("--share", type=float, default=0.05, help="of workers, for samplers of chat rows")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--limit", type=float, default=1800.0, help="seconds, of a measurement's process")
    parser.add_argument("--once-over", type=float, default=300.0, help="seconds of a process not run again")
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--chains", type=int, default=4)
    parser.add_argument("--peer-chains", type=int, help="PyMC's own default is 2 on two cores; else --chains")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--cold-only", action="store_true", help="no second fit in the same process")
    parser.add_argument("--json", type=Path, help="write every row, for later")
    parser.add_argument("--readme", action="store_true", help="write the tables into benchmarks/README.md")
    return parser.parse_args(words)


def main() -> None:
    """Simulate once, measure every peer of every outcome; what is done is kept after each outcome."""
    asked = arguments()
    workers = max(20, round(WORKERS * asked.scale))
    tables, kept = [], {}
    chosen = [peer for peer in PEERS if key(peer) in asked.peers]
    lacking = {key(peer): missing(peer) for peer in chosen if missing(peer)}
    with tempfile.TemporaryDirectory(prefix="hitlbayes-peers-") as folder:
        sizes = measure(
            "data",
            "write",
            arguments={"folder": folder, "workers": workers, "seed": asked.seed, "scope": asked.scope},
            limit=3600.0,
        )
        if "failed" in sizes:
            raise SystemExit(f"the synthetic experiment could not be written: {sizes['failed']}")
        for outcome in asked.outcomes:
            whole = {"chats": sizes["ratings"] if outcome == "rating" else sizes["chats"]}
            rows = [
                run(
                    peer,
                    folder=folder,
                    outcome=outcome,
                    rows=whole.get(peer.data, sizes["cells"]),
                    asked=asked,
                )
                for peer in chosen
                if outcome in peer.outcomes and key(peer) not in lacking
            ]
            kept[outcome] = rows
            tables.append(markdown(outcome, rows, scope=asked.scope, workers=workers))
            text = "\n\n".join([about(asked, lacking=lacking, sizes=sizes), *tables])
            if asked.json:
                found = {name: [asdict(row) for row in rows] for name, rows in kept.items()}
                asked.json.write_text(json.dumps(found, indent=1))
            if asked.readme:
                replace_between(Path(__file__).parent / "README.md", name="peers", text=text)
    print(text)


def about(asked: argparse.Namespace, *, lacking: dict[str, list[str]], sizes: dict[str, Any]) -> str:
    """What was run, on what, and what was not there."""
    absent = "; ".join(f"{name} (needs {', '.join(needs)})" for name, needs in lacking.items())
    command = f"python benchmarks/peers.py {' '.join(sys.argv[1:])}".rstrip()
    return machine(command, absent=absent, asked=asked, sizes=sizes)


if __name__ == "__main__":
    main()

"""Peers in R: lme4, ordinal::clmm and brms, each a script beside this file.

The scripts read a text file, time the fit alone (the package's loading included), and print one line of JSON.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


@cache
def installed(package: str) -> str | None:
    """Version of an R package, None where R or the package is not there."""
    if shutil.which("Rscript") is None:
        return None
    asked = f'if (requireNamespace("{package}", quietly=TRUE)) cat(as.character(packageVersion("{package}")))'
    done = subprocess.run(["Rscript", "-e", asked], capture_output=True, text=True, check=False)
    return done.stdout.strip() or None


def fit(folder: str, *, script: str, outcome: str, draws: int, chains: int, warm: bool) -> dict[str, Any]:
    """What benchmarks/<script> prints about an outcome."""
    command = [
        "Rscript",
        "--vanilla",
        str(HERE / script),
        folder,
        outcome,
        str(int(warm)),
        str(draws),
        str(chains),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr[-1000:])
    return json.loads(done.stdout.splitlines()[-1])

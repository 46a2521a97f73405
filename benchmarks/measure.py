"""One measurement in one fresh process: wall time, peak memory, and whatever the measured function reports.

A job is (module, function, arguments); the module lies beside this file. `measure` writes the job down,
starts a new interpreter on it, kills it after `limit` seconds, and reads back a JSON object.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from time import perf_counter
from typing import Any, TypeVar

T = TypeVar("T")

AGAIN_UNDER = 2000.0  # seconds; common.R has it too
TAIL = 1500  # characters of a failed process's errors that are kept
GIB = 2**20 if sys.platform != "darwin" else 2**30  # of ru_maxrss: kilobytes, on macOS bytes


def measure(
    module: str,
    function: str,
    *,
    arguments: Mapping[str, Any],
    limit: float,
    environment: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """What `module.function(**arguments)` returns in a new process, with `process_s` and `peak_gib`.

    Returns
    -------
    dict
        The function's own, or `failed` in words: over the limit, or the end of its errors.
    """
    with tempfile.TemporaryDirectory(prefix="hitlbayes-benchmark-") as folder:
        job, answer = Path(folder) / "job.json", Path(folder) / "answer.json"
        job.write_text(json.dumps({"module": module, "function": function, "arguments": dict(arguments)}))
        begun = perf_counter()
        child = subprocess.Popen(
            [sys.executable, __file__, str(job), str(answer)],
            env={**os.environ, "JAX_TRACEBACK_FILTERING": "off", **(environment or {})},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            _, errors = child.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.communicate()
            return {"failed": f"over {limit:,.0f} s"}
        if not answer.exists():
            return {"failed": errors[-TAIL:].strip() or f"exit status {child.returncode}"}
        return {**json.loads(answer.read_text()), "process_s": perf_counter() - begun}


def peak_gib() -> float:
    """Peak resident memory of this process or of its largest child, in GiB."""
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) / GIB


def cold_and_warm(once: Callable[[int], T], *, warm: bool) -> tuple[T, dict[str, float]]:
    """The first call's result, and seconds of it and, where asked, of a second one; `once` takes a seed.

    There is no second call where the first took so long that compiling was a small part of it.
    """
    begun = perf_counter()
    made, times = once(1), {"cold_s": perf_counter() - begun}
    if warm and times["cold_s"] < AGAIN_UNDER:
        begun = perf_counter()
        once(2)
        times["warm_s"] = perf_counter() - begun
    return made, times


def processor() -> str:
    """The processor's name, where the system tells."""
    info = Path("/proc/cpuinfo")
    names = [line for line in info.read_text().splitlines() if "model name" in line] if info.exists() else []
    return names[0].split(":", 1)[1].strip() if names else platform.processor() or platform.machine()


def main(job: str, answer: str) -> None:
    """Run a job and write its answer."""
    asked = json.loads(Path(job).read_text())
    made = getattr(import_module(asked["module"]), asked["function"])(**asked["arguments"])
    Path(answer).write_text(json.dumps({"peak_gib": peak_gib(), **made}))


if __name__ == "__main__":
    main(*sys.argv[1:])

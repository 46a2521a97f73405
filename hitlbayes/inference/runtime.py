"""How compiled programs are run: double precision, a compilation cache, threads, progress.

Nothing here leaves a trace in the user's JAX configuration: double precision holds inside `session`
only, and the cache directory is set for its duration where the user has set none.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import jax

T = TypeVar("T")
Progress = Callable[[str, float], None]


@contextmanager
def session() -> Iterator[None]:
    """Double precision and, where the user has none, a persistent compilation cache."""
    with jax.enable_x64(True), _cache():
        yield


@contextmanager
def _cache() -> Iterator[None]:
    folder = os.environ.get("HITLBAYES_CACHE", str(Path.home() / ".cache" / "hitlbayes"))
    if jax.config.jax_compilation_cache_dir is not None or not folder:
        yield
        return
    before = jax.config.jax_persistent_cache_min_compile_time_secs
    jax.config.update("jax_compilation_cache_dir", str(Path(folder) / f"jax-{jax.__version__}"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
    try:
        yield
    finally:
        jax.config.update("jax_compilation_cache_dir", None)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", before)


def cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_threads(task: Callable[[int], T], count: int) -> list[T]:
    """Run task(0) ... task(count - 1) on as many threads as there are cores; results in order."""

    device = jax.config.jax_default_device

    def inside(i: int) -> T:
        # Both settings belong to the thread that made them.
        with jax.enable_x64(True), jax.default_device(device):
            return task(i)

    if count == 1 or cores() == 1:
        return [task(i) for i in range(count)]
    with ThreadPoolExecutor(max_workers=min(count, cores())) as pool:
        return list(pool.map(inside, range(count)))


def silent(what: str, fraction: float) -> None:
    """Report no progress."""

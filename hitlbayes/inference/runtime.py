"""How compiled programs are run: double precision, a compilation cache, threads, progress.

Nothing here leaves a trace in the user's JAX configuration: double precision holds inside `session`
only, and the cache directory is set for its duration where the user has set none.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache, wraps
from pathlib import Path
from typing import Any, TypeVar

import jax
from threadpoolctl import ThreadpoolController

from hitlbayes.versions import usable_cores

T = TypeVar("T")
Progress = Callable[[str, float], None]
# Sizes are rounded up to one of 2^4 or 2^2 steps per doubling, so that scopes share programs.
FINE, COARSE = 4, 2


@contextmanager
def session() -> Iterator[None]:
    """Double precision, one thread of BLAS and, where the user has none, a persistent compilation cache.

    Sums that a BLAS spreads over cores depend on their number in the last digit, and chains then part.
    """
    with jax.enable_x64(True), _cache(), _blas().limit(limits=1):
        yield


@contextmanager
def _cache() -> Iterator[None]:
    folder = os.environ.get("HITLBAYES_CACHE", str(Path.home() / ".cache" / "hitlbayes"))
    if jax.config.jax_compilation_cache_dir is not None or not folder:  # type: ignore[attr-defined]
        yield
        return
    before = jax.config.jax_persistent_cache_min_compile_time_secs  # type: ignore[attr-defined]
    jax.config.update("jax_compilation_cache_dir", str(Path(folder) / f"jax-{jax.__version__}"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
    try:
        yield
    finally:
        jax.config.update("jax_compilation_cache_dir", None)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", before)


def bucket(n: int, *, steps: int = FINE) -> int:
    """n rounded up to a size that other data sets are likely to share, one of 2^steps in each doubling."""
    if n <= 2**steps:
        return max(n, 1)
    step = 2 ** (int(n - 1).bit_length() - 1 - steps)
    return -(-n // step) * step


Options = dict[str, bool | int | str]
# One core a chain: sharing every element-wise loop among cores costs more than it brings.
LARGE: Options = {
    "xla_cpu_multi_thread_eigen": False,
    "xla_cpu_enable_concurrency_optimized_scheduler": False,
    "xla_cpu_experimental_ynn_fusion_type": "",
    "xla_cpu_prefer_vector_width": 512,
}
# Compiled in three fifths of the time, and as fast where arrays stay in a core's cache.
SMALL: Options = LARGE | {"xla_cpu_use_fusion_emitters": False}
# Compiled in less than half; long chains of element-wise steps then take twice as long.
SELDOM: Options = SMALL | {"xla_backend_optimization_level": 1}


ONE_CORE: Options = {"xla_cpu_parallel_codegen_split_count": 1}  # parts would be compiled in turn


def known_options(wanted: Options) -> Options:
    """Those of the options that the installed compiler knows; none for an accelerator."""
    if usable_cores() == 1:
        wanted = wanted | ONE_CORE
    return {name: value for name, value in wanted.items() if on_processor() and _is_known(name, value)}


@cache
def _is_known(name: str, value: bool | int | str) -> bool:
    try:
        jax.jit(lambda x: x).lower(1.0).compile(compiler_options={name: value})  # type: ignore[dict-item]
    except Exception:
        return False
    return True


def quick_jit(
    function: Callable[..., T], *, static_argnames: str | tuple[str, ...], options: Options = LARGE
) -> Callable[..., T]:
    """`jax.jit` for programs that run side by side, one on each core; `options` are the compiler's."""

    @cache
    def made(_: bool) -> Any:
        return jax.jit(function, static_argnames=static_argnames, compiler_options=known_options(options))

    @wraps(function)
    def call(*args: Any, **named: Any) -> T:
        return made(on_processor())(*args, **named)

    def method(name: str) -> Callable[..., Any]:
        return lambda *args, **named: getattr(made(on_processor()), name)(*args, **named)

    for name in ("lower", "eval_shape"):
        setattr(call, name, method(name))
    return call


def on_processor() -> bool:
    """Whether this thread computes on a processor, not on an accelerator."""
    device = jax.config.jax_default_device  # type: ignore[attr-defined]
    return (jax.default_backend() if device is None else getattr(device, "platform", device)) == "cpu"


def in_threads(task: Callable[[int], T], count: int, *, most: int | None = None) -> list[T]:
    """Run task(0) ... task(count - 1), one on each core and `most` at once; results in order."""
    threads = min(count, usable_cores(), most or count)
    if threads == 1:
        return [task(i) for i in range(count)]
    # A BLAS that spreads small matrices over cores, called from several threads, waits for itself.
    with _blas().limit(limits=1), ThreadPoolExecutor(max_workers=threads) as pool:
        return list(pool.map(_as_here(task), range(count)))


@cache
def _blas() -> ThreadpoolController:
    import scipy.linalg  # noqa: F401  its BLAS is the one that JAX calls

    return ThreadpoolController().select(user_api="blas")


@contextmanager
def meanwhile(task: Callable[[], object]) -> Iterator[None]:
    """Run a task on another core while the block runs, and wait for it; not at all with one core."""
    if usable_cores() == 1:
        yield
        return
    with ThreadPoolExecutor(max_workers=1) as pool:
        running = pool.submit(_as_here(task))
        yield
        running.result()


def _as_here(task: Callable[..., T]) -> Callable[..., T]:
    """The task with this thread's precision and device, which are settings of a thread."""
    device = jax.config.jax_default_device  # type: ignore[attr-defined]

    def inside(*args: Any) -> T:
        with jax.enable_x64(True), jax.default_device(device):
            return task(*args)

    return inside


def silent(what: str, fraction: float) -> None:
    """Report no progress."""

"""Which versions computed a result."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version

_PACKAGES = (
    "hitlbayes",
    "jax",
    "jaxlib",
    "numpyro",
    "pymc",
    "numpy",
    "scipy",
    "pandas",
    "xarray",
    "arviz-base",
    "arviz-stats",
    "arviz-plots",
    "ibis-framework",
    "duckdb",
    "pandera",
    "pyfixest",
    "formulaic",
    "matplotlib",
)


def versions() -> dict[str, str]:
    """Versions of Python, of the machine's architecture and of every package that can change a result.

    Returns
    -------
    dict of str to str
        Name to version; ``"not installed"`` for a package that is absent. Nothing is imported.

    Examples
    --------
    >>> from hitlbayes.versions import versions
    >>> versions()["python"].startswith("3.")
    True
    """
    found = {
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "cores": str(usable_cores()),
    }
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def show_versions() -> None:
    """Print what a bug report needs: Python, the machine's architecture and the packages that matter.

    Examples
    --------
    >>> from hitlbayes.versions import show_versions
    >>> show_versions()  # doctest: +ELLIPSIS
    python ...
    """
    found = versions()
    width = max(len(name) for name in found)
    for name, value in found.items():
        print(f"{name:<{width}}  {value}")


def usable_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1

"""Every plot of a fit, by name."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

from hitlbayes.errors import SpecError
from hitlbayes.report.plot_categories import plot_categories
from hitlbayes.report.plot_checks import plot_checks
from hitlbayes.report.plot_effects import plot_effect, plot_effects
from hitlbayes.report.plot_periods import plot_periods
from hitlbayes.report.plot_workers import plot_workers
from hitlbayes.report.protocol import FitLike

__all__ = [
    "plot",
    "plot_categories",
    "plot_checks",
    "plot_effect",
    "plot_effects",
    "plot_periods",
    "plot_workers",
]

KINDS = {
    "effect": plot_effect,
    "workers": plot_workers,
    "periods": plot_periods,
    "categories": plot_categories,
    "checks": plot_checks,
}


def plot(fit: FitLike, *, kind: str = "effect", **options: Any) -> Figure:
    """A plot of a fit: its effect, its units' effects, its periods, its categories or its checks.

    Parameters
    ----------
    fit : Fit
    kind : {"effect", "workers", "periods", "categories", "checks"}
    **options
        Passed to the plot (`truth=`, `weight=`, `ax=` of the effect).

    Raises
    ------
    SpecError
        Where `kind` is none of these.
    """
    if kind not in KINDS:
        raise SpecError(f"there is no plot {kind!r}; choose one of {', '.join(KINDS)}.")
    return KINDS[kind](fit, **options)

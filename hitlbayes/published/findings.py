"""The vocabulary of the audit: one finding, its verdict, and what rounding allows."""

from __future__ import annotations

import math
from dataclasses import dataclass

AGREES = "agrees"  # to the printed precision
WITHIN = "within uncertainty"  # they differ by less than two standard errors
DIFFERS = "differs"  # two printed figures of the same thing are not the same
IMPOSSIBLE = "cannot hold together"  # no data could have both
SAMPLES = "two samples"  # both follow, from different sets of chats
WORDING = "wording"  # the figures stand; the sentence says something else or something more
OPEN = "open"  # the printed figures do not settle it
VERDICTS = (AGREES, WITHIN, DIFFERS, IMPOSSIBLE, SAMPLES, WORDING, OPEN)

_FLOAT_SLACK = 1e-9  # decimal fractions are not exact in binary


@dataclass(frozen=True, slots=True)
class Finding:
    """One comparison of printed figures.

    Attributes
    ----------
    what : str
        What is compared.
    where : str
        Tables and sections.
    printed, implied : float
        The figure as printed, and what other printed figures imply for it.
    verdict : str
        One of `VERDICTS`.
    note : str
        What follows, and what would settle it.
    """

    what: str
    where: str
    printed: float
    implied: float
    verdict: str
    note: str = ""

    @property
    def gap(self) -> float:
        """Printed minus implied."""
        return self.printed - self.implied


def half_unit(decimals: int) -> float:
    """Largest error that rounding to so many decimals leaves.

    Examples
    --------
    >>> half_unit(2)
    0.005
    """
    return 0.5 * 10.0 ** -int(decimals)


def agreement(printed: float, implied: float, *, slack: float, otherwise: str = DIFFERS) -> str:
    """`AGREES` where the two are within the slack that rounding allows, else the other verdict."""
    return AGREES if abs(printed - implied) <= slack + _FLOAT_SLACK else otherwise


def z_range(estimate: float, se: float, *, decimals: int) -> tuple[float, float]:
    """Smallest and largest ``|estimate / se|`` that could have been rounded to the two printed figures."""
    h = half_unit(decimals)
    smallest = max(abs(estimate) - h, 0.0) / (se + h)
    largest = (abs(estimate) + h) / (se - h) if se > h else math.inf
    return smallest, largest


def p_two_sided(z: float) -> float:
    """Two-sided normal p-value.

    Examples
    --------
    >>> round(p_two_sided(1.959964), 3)
    0.05
    """
    return math.erfc(abs(z) / math.sqrt(2))

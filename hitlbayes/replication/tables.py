"""Which tables are replicated, and by which module."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType

from hitlbayes.errors import SpecError
from hitlbayes.replication import (
    a1,
    a2,
    a3,
    a4,
    a5,
    checks,
    event,
    figures,
    heterogeneity,
    odds,
    randomization,
    structures,
    table1,
    table2,
    table3,
    table4,
    table5,
    table6,
    table7,
    timing,
    window,
    workers,
)
from hitlbayes.spec.strict import did_you_mean

PUBLISHED = "published"
TABLES: dict[str, ModuleType] = {
    "1": table1,
    "A1": a1,
    "A3": a3,
    "figures": figures,
    "2": table2,
    "3": table3,
    "4": table4,
    "5": table5,
    "A5": a5,
    "6": table6,
    "timing": timing,
    "7": table7,
    "A2": a2,
    "A4": a4,
    "event": event,
    "workers": workers,
    "heterogeneity": heterogeneity,
    "odds": odds,
    "checks": checks,
    "structures": structures,
    "window": window,
    "randomization": randomization,
}


def chosen(only: Sequence[str] | None) -> tuple[str, ...]:
    """Names of the parts to run, in the report's order; all where `only` is None.

    Raises
    ------
    SpecError
        A name is unknown.

    Examples
    --------
    >>> chosen(["a4", "2"])
    ('2', 'A4')
    """
    known = (PUBLISHED, *TABLES)
    if only is None:
        return known
    asked = [name.strip() for name in only]
    match = {name.lower(): name for name in known}
    for name in asked:
        if name.lower() not in match:
            raise SpecError(f"no part {name!r}{did_you_mean(name, known)} (known: {', '.join(known)})")
    wanted = {match[name.lower()] for name in asked}
    return tuple(name for name in known if name in wanted)

"""Whether effects may be relied on: the outcome of every check in one sentence."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from hitlbayes.report.protocol import CheckLike
from hitlbayes.report.rows import checked
from hitlbayes.report.wording import number


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether to trust a set of fits.

    Attributes
    ----------
    ok : bool
        True where every fit passed every check.
    headline : str
        The verdict in one sentence, failures first.
    details : tuple of str
        One line per failed fit: its name and its problems.
    """

    ok: bool
    headline: str
    details: tuple[str, ...] = ()


def worst_values(check: CheckLike) -> str:
    """The worst value of every check that applies, as prose.

    Parameters
    ----------
    check : Check
        A check that does not apply is None or NaN and left out.
    """
    kinds = (
        ("r_hat", "r_hat at most", 3),
        ("ess_bulk", "bulk ESS at least", 0),
        ("ess_tail", "tail ESS at least", 0),
        ("divergences", "divergences", 0),
        ("k_hat", "Pareto k at most", 2),
    )
    found = [(words, getattr(check, name), places) for name, words, places in kinds]
    present = [(words, float(value), places) for words, value, places in found if not _absent(value)]
    return ", ".join(f"{words} {number(value, places=places)}" for words, value, places in present)


def fit_verdict(check: CheckLike) -> Verdict:
    """Whether one fit's draws may be relied on."""
    values = worst_values(check)
    if check.ok:
        return Verdict(ok=True, headline=f"The draws passed every check: {values}.")
    count = len(check.problems)
    head = (
        f"This fit FAILED {count or 'its'} {'check' if count == 1 else 'checks'}: do not rely on its numbers."
    )
    return Verdict(ok=False, headline=head, details=tuple(check.problems))


def rows_verdict(rows: pd.DataFrame) -> Verdict:
    """Whether all effects of a table may be relied on.

    Parameters
    ----------
    rows : DataFrame
        From `compare`.
    """
    rows = checked(rows)
    failed = rows[~rows["ok"]]
    if failed.empty:
        worst = ", ".join(_extremes(rows))
        who = f"All {len(rows)} fits" if len(rows) > 1 else "The draws"
        return Verdict(ok=True, headline=f"{who} passed every check: {worst}.")
    details = tuple(
        f"{label}: {problems or 'no reason given'}"
        for label, problems in zip(failed["label"].tolist(), failed["problems"].tolist(), strict=True)
    )
    head = f"{len(failed)} of {len(rows)} fits FAILED their checks: do not rely on their numbers."
    if len(rows) == 1:
        head = "This fit FAILED its checks: do not rely on its numbers."
    return Verdict(ok=False, headline=head, details=details)


def _extremes(rows: pd.DataFrame) -> list[str]:
    kinds = (
        ("r_hat", "max", "r_hat at most", 3),
        ("ess_bulk", "min", "bulk ESS at least", 0),
        ("ess_tail", "min", "tail ESS at least", 0),
        ("divergences", "sum", "divergences", 0),
    )
    present = [(name, how, words, places) for name, how, words, places in kinds if rows[name].notna().any()]
    return [
        f"{words} {number(float(rows[name].agg(how)), places=places)}" for name, how, words, places in present
    ]


def _absent(value: float | None) -> bool:
    return value is None or value != value

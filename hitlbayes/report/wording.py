"""How numbers, outcomes and scopes are written, the same in every plot, table and report."""

from __future__ import annotations

import math

OUTCOMES = {
    "log_duration": "chat duration",
    "log_mean_duration": "chat duration (log of mean)",
    "retrial": "retrial rate",
    "rating": "customer rating",
    "responded": "rating response rate",
    "switch_aways": "chat switch-aways",
    "avg_delay": "average reply delay",
    "total_delay": "total reply delay",
}
SCOPES = {"all": "all chats", "eligible": "AI-eligible chats", "ineligible": "AI-ineligible chats"}
MINUS = "\N{MINUS SIGN}"


def outcome_label(outcome: str) -> str:
    """Name of an outcome in prose; an unknown one is its own name without underscores.

    Examples
    --------
    >>> outcome_label("log_duration"), outcome_label("basket_value")
    ('chat duration', 'basket value')
    """
    return OUTCOMES.get(outcome, outcome.replace("_", " "))


def scope_label(scope: str | None) -> str:
    """Name of the chats looked at; empty where a fit has no scope.

    Examples
    --------
    >>> scope_label("eligible"), scope_label(None), scope_label("night shift")
    ('AI-eligible chats', '', 'night shift')
    """
    return SCOPES.get(scope or "", scope or "")


def subject(outcome: str, *, scope: str | None, capital: bool = True) -> str:
    """Outcome and scope as one phrase.

    Examples
    --------
    >>> subject("rating", scope="eligible")
    'Customer rating, AI-eligible chats'
    """
    phrase = ", ".join(part for part in (outcome_label(outcome), scope_label(scope)) if part)
    return phrase[:1].upper() + phrase[1:] if capital else phrase


def decimals(spread: float) -> int:
    """Decimal places that show two significant digits of a standard deviation (0 to 6).

    Examples
    --------
    >>> decimals(0.114), decimals(2.7), decimals(0.0041), decimals(35.0)
    (2, 1, 4, 0)
    """
    if not math.isfinite(spread) or spread <= 0:
        return 2
    return int(min(6, max(0, 1 - math.floor(math.log10(spread)))))


def number(value: float | None, *, places: int = 2) -> str:
    """A number with a true minus sign and thousands separators; a dash where there is none.

    Examples
    --------
    >>> number(-1234.567, places=1), number(None), number(-0.001, places=2)
    ('−1,234.6', '–', '0.00')
    """
    if value is None or not math.isfinite(value):
        return "–"
    text = f"{abs(value):,.{places}f}"
    rounds_to_zero = float(text.replace(",", "")) == 0
    return MINUS + text if value < 0 and not rounds_to_zero else text


def bracket(lower: float | None, upper: float | None, *, places: int = 2) -> str:
    """An interval in brackets, as tables print it.

    Examples
    --------
    >>> bracket(-0.64, 0.1, places=2)
    '[−0.64, 0.10]'
    """
    if lower is None or upper is None or not (math.isfinite(lower) and math.isfinite(upper)):
        return ""
    return f"[{number(lower, places=places)}, {number(upper, places=places)}]"

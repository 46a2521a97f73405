"""Do the printed effects fit each other, their stars and the sentences about them?"""

from __future__ import annotations

import math
from typing import Any

from hitlbayes.published.findings import (
    AGREES,
    DIFFERS,
    OPEN,
    WITHIN,
    WORDING,
    Finding,
    agreement,
    half_unit,
    p_two_sided,
    z_range,
)
from hitlbayes.published.posterior import published_means
from hitlbayes.published.tables import P_BELOW, cell, cells, fact

TYPES = ("technical", "emotional", "human", "none")
OUTCOMES = ("log_duration", "retrial", "rating")
ESTIMATES = ("2", "3", "4", "5", "7", "A2", "A4")
TWO_SE = 2.0
LEVEL = 0.05


def _effect(name: str, outcome: str, panel: str | None = None) -> tuple[float, float]:
    where = {"quantity": "estimate", "column": outcome} | ({"panel": panel} if panel else {})
    found = cell(name, **where)
    return float(found["value"]), float(found["se"])


def total_from_scopes() -> list[Finding]:
    """Total effects against direct and spillover effects weighted by chats."""
    share = fact("eligible_chats") / fact("chats")
    found = []
    for outcome in OUTCOMES:
        (total, se), (direct, _), (spill, _) = (_effect(t, outcome) for t in ("2", "3", "4"))
        implied = share * direct + (1 - share) * spill
        found.append(
            Finding(
                f"total effect on {outcome}",
                "Tables 2, 3, 4",
                total,
                implied,
                agreement(total, implied, slack=half_unit(3), otherwise=_by_se(total - implied, se)),
                f"weights {share:.3f} and {1 - share:.3f}; the share at which they agree is "
                f"{(total - spill) / (direct - spill):.3f}. Worker-day means need not weight by chats",
            )
        )
    return found


def types_against_direct() -> list[Finding]:
    """Type effects weighted by matched sizes against the direct effect of AI."""
    sizes = {t: fact(f"matched_{t}") for t in TYPES}
    n = sum(sizes.values())
    found = []
    for outcome in OUTCOMES:
        by_type = {t: _effect("5", outcome, t) for t in TYPES}
        implied = sum(sizes[t] * by_type[t][0] for t in TYPES) / n
        implied_se = math.sqrt(sum((sizes[t] * by_type[t][1]) ** 2 for t in TYPES)) / n
        direct, se = _effect("3", outcome)
        both = math.hypot(se, implied_se)
        found.append(
            Finding(
                f"direct effect on {outcome}",
                "Tables 3, 5",
                direct,
                implied,
                _by_se(direct - implied, both),
                f"gap {abs(direct - implied) / both:.1f} standard errors if independent; "
                "one weights worker-days, the other matched chats",
            )
        )
    return found


def _by_se(gap: float, se: float) -> str:
    return WITHIN if abs(gap) <= TWO_SE * se else DIFFERS


def stars() -> list[Finding]:
    """Printed stars against estimate over standard error, allowing for rounding."""
    every = [row for t in ESTIMATES for row in cells(t, "quantity == 'estimate'")]
    fits = nominal = 0
    for row in every:
        low, high = z_range(row["value"], row["se"], decimals=int(row["decimals"]))
        fits += star_bounds_allow(row["stars"], p_two_sided(high), p_two_sided(low))
        nominal += row["stars"] == stars_of(p_two_sided(row["value"] / row["se"]))
    return [
        Finding(
            "estimates whose stars fit estimate / SE, rounding allowed for",
            "Tables 2-5, 7, A2, A4",
            float(len(every)),
            float(fits),
            agreement(len(every), fits, slack=0),
            f"{len(every) - nominal} would change a star if the printed digits were exact",
        )
    ]


def stars_of(p: float) -> str:
    """Stars that the paper's notes give to a p-value.

    Examples
    --------
    >>> stars_of(0.03), stars_of(0.2)
    ('**', '')
    """
    earned = [s for s, bound in P_BELOW.items() if s and p < bound]
    return max(earned, key=len, default="")


def star_bounds_allow(printed: str, p_low: float, p_high: float) -> bool:
    """Whether some p-value between the two earns exactly these stars."""
    upper = P_BELOW[printed] if printed else 1.0
    lower = P_BELOW.get(printed + "*", 0.0)
    return p_low < upper and p_high >= lower


def percent_of_log_points() -> list[Finding]:
    """Effects on log duration that the text reads as percentages."""
    cases: list[tuple[str, str, str | None]] = [
        ("all", "2", None),
        ("eligible", "3", None),
        ("ineligible", "4", None),
    ]
    cases += [(t, "5", t) for t in TYPES]
    found = []
    for key, name, panel in cases:
        effect, _ = _effect(name, "log_duration", panel)
        implied = 100 * math.expm1(effect)
        printed = fact(f"text_duration_{key}")
        found.append(
            Finding(
                f"change in duration, {key}, percent",
                f"Table {name}; {'5.2.2' if panel else '5.1'}",
                printed,
                implied,
                agreement(printed, implied, slack=100 * half_unit(3), otherwise=WORDING),
                "log points read as percent; exp(effect) - 1 is the geometric change",
            )
        )
    return found


def text_against_tables() -> list[Finding]:
    """Effects repeated in the text."""
    cases = [
        ("text_rating_eligible", 1, _effect("3", "rating")[0]),
        ("text_rating_ineligible", 1, _effect("4", "rating")[0]),
        ("text_retrial_emotional", 100, _effect("5", "retrial", "emotional")[0]),
        ("text_retrial_human", 100, _effect("5", "retrial", "human")[0]),
        *[(f"text_rating_{t}", 1, _effect("5", "rating", t)[0]) for t in ("emotional", "human", "none")],
    ]
    same = sum(abs(fact(k) - scale * v) < half_unit(3) for k, scale, v in cases)
    return [
        Finding(
            "effects repeated in the text",
            "5.1; 5.2.2",
            float(len(cases)),
            float(same),
            agreement(len(cases), same, slack=0),
        )
    ]


def type_contrasts() -> list[Finding]:
    """Differences between types' effects that the text states, against their own uncertainty."""
    cases = [
        ("rating", "human", "emotional", "the decline is called substantially smaller"),
        ("rating", "none", "emotional", "the decline is placed between the other two (point estimates)"),
        ("rating", "none", "human", "the decline is placed between the other two (point estimates)"),
        ("log_duration", "human", "technical", "the increase is called smaller"),
        ("retrial", "emotional", "technical", "only the emotional type's effect is called an increase"),
    ]
    found = []
    for outcome, a, b, said in cases:
        (ya, sa), (yb, sb) = (_effect("5", outcome, t) for t in (a, b))
        found.append(_contrast(f"{outcome}: {a} - {b}", "Table 5; 5.2.2", ya - yb, math.hypot(sa, sb), said))
    return found


def effort_contrasts() -> list[Finding]:
    """Differences in effort that the text states, against the printed intervals."""
    means: Any = published_means().set_index(["outcome", "group"])
    lower = "emotional takeovers are called lower"
    cases = [
        ("human_delay", "emotional", "technical", "emotional takeovers are called slower"),
        ("human_delay", "emotional", "human", "emotional takeovers are called slower"),
        ("human_rounds", "emotional", "technical", lower),
        ("human_rounds", "emotional", "human", lower),
        ("human_messages", "emotional", "technical", lower),
        ("human_messages", "emotional", "human", lower),
        ("information_seeking", "emotional", "technical", lower),
        ("information_seeking", "emotional", "human", lower),
        ("solution_provision", "emotional", "technical", lower),
        ("solution_provision", "emotional", "human", lower),
        ("proactivity", "emotional", "technical", lower),
        ("proactivity", "emotional", "human", lower),
    ]
    similar = "the two are called similar"
    cases += [
        (m, "human", "technical", similar)
        for m in (
            "human_rounds",
            "human_messages",
            "empathy",
            "information_seeking",
            "solution_provision",
            "proactivity",
        )
    ]
    found = []
    for measure, a, b, said in cases:
        one, two = means.loc[(measure, a)], means.loc[(measure, b)]
        gap, se = float(one["estimate"] - two["estimate"]), math.hypot(one["se"], two["se"])
        found.append(
            _contrast(f"{measure}: {a} - {b}", "Table 6; 5.2.3-4", gap, se, said, same=said == similar)
        )
    return found


def _contrast(what: str, where: str, gap: float, se: float, said: str, *, same: bool = False) -> Finding:
    """A stated difference (or likeness) with its p-value; `printed` is the gap and `implied` is zero."""
    p = p_two_sided(gap / se)
    holds = (p >= LEVEL) if same else (p < LEVEL)
    note = f"{said}; standard error {se:.3g}, p = {p:.2g} with no covariance between the two"
    return Finding(what, where, gap, 0.0, AGREES if holds else WORDING, note)


def rated_by_type() -> list[Finding]:
    """Share of matched chats that were rated, by type: what the treated ones must have answered."""
    found = []
    for t in TYPES:
        n = {
            c: float(cell("5", panel=t, row="observations", column=c)["value"]) for c in ("retrial", "rating")
        }
        share, usual = n["rating"] / n["retrial"], fact("rated_share") / 100
        far = abs(share - usual) > TWO_SE * math.sqrt(usual * (1 - usual) / n["retrial"])
        found.append(
            Finding(
                f"share of matched chats rated, {t}",
                "Table 5; 3.5",
                share,
                usual,
                OPEN if far else AGREES,
                f"if control chats answered at {usual:.0%}, treated ones did at {2 * share - usual:.0%}; "
                "response is shown stable by arm, not by type, so ratings may be selected",
            )
        )
    return found


CHECKS = (
    total_from_scopes,
    types_against_direct,
    stars,
    percent_of_log_points,
    text_against_tables,
    type_contrasts,
    effort_contrasts,
    rated_by_type,
)

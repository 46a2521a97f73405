"""Do the printed means, spreads and p-values fit each other?"""

from __future__ import annotations

import math
from typing import Any

from hitlbayes.published.findings import (
    AGREES,
    IMPOSSIBLE,
    OPEN,
    WORDING,
    Finding,
    agreement,
    half_unit,
    p_two_sided,
)
from hitlbayes.published.tables import cell, cells, fact, table

LEVEL = 0.05
PRE_AT_LEAST = 0.3  # of the chats; 14 of 31 days came before the start
P_HALF = 0.0005  # printed p-values have three decimals


def retrial_spread() -> list[Finding]:
    """Spread of worker-day retrial rates against what a 0/1 outcome allows.

    A mean of n 0/1 values with expectation m has variance of at least m (1 - m) / n over worker-days,
    however much workers differ, unless chats of one day repel each other. The printed SDs therefore need a
    least number of chats.
    """
    needed = 0.0
    for arm in ("treated", "control"):
        found = cell("A1", row="retrial", arm=arm, quantity="mean")
        h = half_unit(found["decimals"])
        m, sd = float(found["value"]), float(found["sd"])
        least = min((m - h) * (1 - m + h), (m + h) * (1 - m - h))
        needed += least / (sd + h) ** 2 * float(found["n"])
    total = fact("chats")
    usual = total / float(cell("2", row="observations", column="retrial")["value"])
    floor = math.sqrt(least / usual)
    return [
        Finding(
            "pre-period chats that the retrial rates' SDs need at least",
            "Table A1; 3.5",
            needed,
            total,
            IMPOSSIBLE if needed > total else AGREES,
            "more than all chats of both periods, rounding allowed for, unless outcomes of a day repel; "
            f"at {usual:.0f} chats a worker-day the SD is at least {floor:.3f}, printed as .04 and .05",
        )
    ]


def binary_spreads() -> list[Finding]:
    """SDs of 0/1 variables against their means."""
    found = []
    for row in ("treat", "male", "retrial"):
        at = cell("1", row=row)
        sd = math.sqrt(at["value"] * (1 - at["value"]))
        slack = 2 * half_unit(2)
        found.append(
            Finding(f"SD of {row}", "Table 1", float(at["sd"]), sd, agreement(at["sd"], sd, slack=slack))
        )
    return found


def pooled_worker_means() -> list[Finding]:
    """Worker means by arm against those of all workers."""
    found = []
    for row in ("age", "male", "tenure"):
        arm = {a: cell("A1", panel="worker", row=row, arm=a) for a in ("treated", "control")}
        n = {a: float(arm[a]["n"]) for a in arm}
        pooled = sum(n[a] * float(arm[a]["value"]) for a in arm) / sum(n.values())
        printed = cell("1", row=row)
        slack = 2 * half_unit(printed["decimals"])
        note = (
            f"the SD is {printed['sd']:.2f}, by arm {arm['treated']['sd']:.2f} and "
            f"{arm['control']['sd']:.2f}: with means this close it cannot lie above both"
            if row == "tenure"
            else ""
        )
        found.append(
            Finding(
                f"mean {row} of all workers",
                "Tables 1, A1",
                float(printed["value"]),
                pooled,
                agreement(printed["value"], pooled, slack=slack),
                note,
            )
        )
    return found


def p_range(row: str, panel: str) -> tuple[float, float]:
    """Smallest and largest p-value of a t test that fits a row of Table A1, rounding allowed for."""
    a, b = (cell("A1", panel=panel, row=row, arm=arm) for arm in ("treated", "control"))
    h, (na, nb) = half_unit(a["decimals"]), (float(a["n"]), float(b["n"]))
    gap = abs(float(a["value"] - b["value"]))

    def se(shift: float) -> float:
        va, vb = (float(x["sd"]) + shift for x in (a, b))
        pooled = ((na - 1) * va**2 + (nb - 1) * vb**2) / (na + nb - 2)
        return math.sqrt(pooled * (1 / na + 1 / nb))

    return p_two_sided((gap + 2 * h) / se(-h)), p_two_sided(max(gap - 2 * h, 0.0) / se(h))


def balance_tests() -> list[Finding]:
    """Printed p-values of Table A1 against a two-sample t test of independent rows."""
    rows = cells("A1", "quantity == 'p_value'")
    fits, narrow = 0, 0
    for r in rows:
        low, high = p_range(r["row"], r["panel"])
        inside = low - P_HALF <= r["value"] <= high + P_HALF
        fits += inside
        narrow += inside and high - low < 0.02
    small = [f"{r['row']} (p = {r['value']:.3f})" for r in rows if r["value"] < LEVEL]
    return [
        Finding(
            "p-values that a two-sample t test with equal variances gives, rounding allowed for",
            "Table A1; 3.5",
            float(len(rows)),
            float(fits),
            WORDING if fits == len(rows) else OPEN,
            f"{narrow} of them are pinned down to .02; the text calls the tests nonparametric. "
            "They also take a worker's days as independent",
        ),
        Finding(
            "variables that differ at 5 % before the start",
            "Table A1; 3.5",
            float(len(small)),
            LEVEL * len(rows),
            AGREES,
            f"{', '.join(small)}; one in 14 is about what chance gives",
        ),
    ]


def issue_sums() -> list[Finding]:
    """Issue shares against one."""
    a3 = table("A3").groupby("column")["value"].sum()
    slack = 11 * half_unit(3)
    return [
        Finding(f"issue shares, {c}, percent", "Table A3", float(v), 100.0, agreement(v, 100, slack=slack))
        for c, v in a3.items()
    ]


def issue_shift() -> list[Finding]:
    """How far the mix of issues moved between the periods."""
    wide: Any = table("A3").pivot(index="row", columns="column", values="value")
    moved = float((wide["post"] - wide["pre"]).abs().sum() / 2)
    pooled = PRE_AT_LEAST * wide["pre"] + (1 - PRE_AT_LEAST) * wide["post"]
    squares = ((wide["post"] - wide["pre"]) ** 2 / pooled).sum() / 100
    chi2 = fact("chats") * PRE_AT_LEAST * (1 - PRE_AT_LEAST) * float(squares)
    rose = {i: 100 * (wide.loc[i, "post"] / wide.loc[i, "pre"] - 1) for i in ("complaint", "payment")}
    return [
        Finding(
            "percent of chats whose issue category changed share",
            "Table A3; 5.4",
            moved,
            0.0,
            WORDING,
            f"called stable: small, yet chi-squared is {chi2:.0f} on {len(wide) - 1} degrees of freedom "
            f"if {PRE_AT_LEAST:.0%} of the chats came before the start; complaints rose by "
            f"{rose['complaint']:.0f} %, payment by {rose['payment']:.0f} %. "
            "Shares by arm would bear on the effect",
        )
    ]


def time_on_chat() -> list[Finding]:
    """Active and away time against duration; rounds times delay against total delay."""
    mean = {r: float(cell("1", row=r)["value"]) for r in ("duration", "active_time", "away_time")}
    both = mean["active_time"] + mean["away_time"]
    found = [
        Finding(
            "duration against active plus away time, s",
            "Table 1",
            mean["duration"],
            both,
            agreement(mean["duration"], both, slack=3 * half_unit(2), otherwise=OPEN),
            "short by 1.5 s; the two times are close to a split of the duration, but not one",
        )
    ]
    for arm in ("treated", "control"):
        at = {r: float(cell("A1", row=r, arm=arm, quantity="mean")["value"]) for r in mean}
        both = at["active_time"] + at["away_time"]
        found.append(
            Finding(
                f"duration against active plus away time, {arm}, before the start, s",
                "Table A1",
                at["duration"],
                both,
                agreement(at["duration"], both, slack=3 * half_unit(2), otherwise=OPEN),
                "over by more than 3 s, where all chats are short",
            )
        )
    return found


CHECKS = (
    retrial_spread,
    binary_spreads,
    pooled_worker_means,
    balance_tests,
    issue_sums,
    issue_shift,
    time_on_chat,
)

"""Do the printed figures of the matched chats fit each other?"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from hitlbayes.published.findings import (
    AGREES,
    OPEN,
    SAMPLES,
    WORDING,
    Finding,
    agreement,
    half_unit,
    p_two_sided,
)
from hitlbayes.published.posterior import NORMAL_95
from hitlbayes.published.tables import cell, cells, fact, table

TYPES = ("technical", "emotional", "human", "none")
TAKEOVERS = ("technical", "emotional", "human")
LEVEL = 0.05
P_SLACK = 0.005  # t, z and robust tests of the same 0/1 data differ by less in p


def matching_sample() -> list[Finding]:
    """Sizes before and after matching."""
    before = {t: fact(f"sample_{t}") for t in TYPES}
    after = {t: fact(f"matched_{t}") for t in TYPES}
    treated, control = fact("sample_treated"), fact("sample_control")
    pairs = [
        ("treated AI-eligible chats by type", treated, sum(before.values())),
        ("AI-eligible chats of both arms", fact("sample_chats"), treated + control),
        ("matched treated chats by type", fact("matched_arm"), sum(after.values())),
        ("matched chats of both arms", fact("matched_chats"), 2 * fact("matched_arm")),
    ]
    found = [Finding(w, "C.2", p, i, agreement(p, i, slack=0)) for w, p, i in pairs]
    for t in TYPES:
        share = 100 * after[t] / sum(after.values())
        printed = fact(f"matched_{t}_share")
        found.append(
            Finding(
                f"share of {t} escalations, percent",
                "5.2.1",
                printed,
                share,
                agreement(printed, share, slack=half_unit(1)),
                f"before matching it is {100 * before[t] / treated:.1f}",
            )
        )
    return found


def supervised_chats() -> list[Finding]:
    """How many chats the AI handled, and how many takeovers were coded."""
    takeovers = sum(fact(f"sample_{t}") for t in TAKEOVERS)
    sizes = table("6").query("column == 'human_rounds'")["n"].sum()
    return [
        Finding(
            "chats that the AI handled",
            "5.2.1; C.2",
            fact("ai_chats_examined"),
            fact("sample_treated"),
            WORDING,
            "11,069 are the matched ones of 11,507; the printed shares by type are of matched chats",
        ),
        Finding(
            "takeovers coded by the LLM",
            "D.2; C.2",
            fact("effort_annotated"),
            takeovers,
            agreement(fact("effort_annotated"), takeovers, slack=0),
        ),
        Finding(
            "takeovers in Table 6 against those coded",
            "Table 6; D.2",
            float(sizes),
            fact("effort_annotated"),
            SAMPLES,
            "Table 6 has the matched takeovers, the coding all of them; the table does not say so",
        ),
    ]


def matched_observations() -> list[Finding]:
    """Observations of Table 5 against twice the matched treated chats."""
    found = []
    for t in TYPES:
        n = float(cell("5", panel=t, row="observations", column="retrial")["value"])
        twice = 2 * fact(f"matched_{t}")
        found.append(Finding(f"observations, {t}", "Table 5; C.2", n, twice, agreement(n, twice, slack=0)))
    return found


def matched_issue_tests() -> list[Finding]:
    """Printed p-values of matched issue shares against Pearson's test on the counts that the shares allow."""
    issues = table("A5").query("panel == 'issue'")
    tried = fits = 0
    misses = []
    for (kind, issue), rows in issues.groupby(["row", "column"]):
        at: Any = rows.set_index(rows["arm"].where(rows["arm"] != "", "p"))
        n = int(at.loc["treated", "n"])
        ok = issue_p_attainable(
            at.loc["treated", "value"], at.loc["control", "value"], n=n, p=at.loc["p", "value"]
        )
        tried, fits = tried + 1, fits + ok
        misses += [] if ok else [f"{kind} {issue}"]
    return [
        Finding(
            "issue shares whose p-value follows from whole counts",
            "Table A5, panels C1 and C2",
            float(tried),
            float(fits),
            agreement(tried, fits, slack=0),
            f"not so for {', '.join(misses)}; nothing rests on them" if misses else "",
        )
    ]


def issue_p_attainable(treated: float, control: float, *, n: int, p: float) -> bool:
    """Whether counts that round to the two shares (three decimals) of n chats each give this p-value.

    Examples
    --------
    Four and seven of 954:

    >>> issue_p_attainable(0.004, 0.007, n=954, p=0.364)
    True
    """
    h = half_unit(3)

    def counts(share: float) -> np.ndarray:
        k = np.arange(max(0, math.floor((share - h) * n)), math.ceil((share + h) * n) + 1)
        return k[np.abs(k / n - share) <= h + 1e-12]

    for a in counts(treated):
        for b in counts(control):
            m = (a + b) / (2 * n)
            se = math.sqrt(2 * m * (1 - m) / n)
            implied = p_two_sided((a - b) / n / se) if se > 0 else 1.0
            if abs(implied - p) <= P_SLACK:
                return True
    return False


def matched_issue_sums() -> list[Finding]:
    """Issue shares of each matched group against one."""
    shares = table("A5").query("panel == 'issue' and quantity == 'mean'")
    sums = shares.groupby(["row", "arm"])["value"].sum()
    worst = 1 + float(max(sums - 1, key=abs))
    slack = shares["column"].nunique() * half_unit(3)
    verdict = agreement(worst, 1, slack=slack)
    return [Finding("issue shares of matched chats, furthest from 1", "Table A5", worst, 1.0, verdict)]


def worker_history() -> list[Finding]:
    """Workers' earlier ratings and resolution in the matched sample against the balance table."""
    a5 = table("A5").query("panel == 'worker' and quantity == 'mean'")
    means = a5.groupby("column")["value"].mean()
    a1 = table("A1").query("quantity == 'mean'").groupby("row")["value"].mean()
    return [
        Finding(
            "workers' rating before the start",
            "Tables A5, A1",
            float(means["rating"]),
            float(a1["rating"]),
            OPEN,
            "3.30 to 3.37 in every matched group, 3.54 to 3.57 by worker-day; "
            "other weights, or other chats, that are not stated",
        ),
        Finding(
            "workers' resolution rate against one minus retrials",
            "Tables A5, A1",
            float(means["resolution_rate"]),
            1 - float(a1["retrial"]),
            OPEN,
            "the resolution rate is not defined; it is not one minus the retrial rate of Table A1",
        ),
    ]


def matched_balance() -> list[Finding]:
    """Small p-values of the matched sample against chance."""
    p = table("A5").query("quantity == 'p_value'")
    low = p[p["value"] < LEVEL]
    return [
        Finding(
            "matched variables that differ at 5 %",
            "Table A5",
            float(len(low)),
            LEVEL * len(p),
            AGREES,
            f"{', '.join(low['row'] + ' ' + low['column'])}; fewer than chance gives, as matching should",
        )
    ]


def proactivity_intervals() -> list[Finding]:
    """Intervals of a 0/1 mean against those of independent chats."""
    found = []
    for r in cells("6", "column == 'proactivity'"):
        printed = (r["upper"] - r["lower"]) / 2
        implied = NORMAL_95 * math.sqrt(r["value"] * (1 - r["value"]) / r["n"])
        found.append(
            Finding(
                f"half-width of the interval of proactivity, {r['row']}",
                "Table 6",
                printed,
                implied,
                agreement(printed, implied, slack=half_unit(3), otherwise=OPEN),
                "wider than independent 0/1 chats give; clustering by worker would do it",
            )
        )
    return found


CHECKS = (
    matching_sample,
    supervised_chats,
    matched_observations,
    matched_issue_tests,
    matched_issue_sums,
    worker_history,
    matched_balance,
    proactivity_intervals,
)

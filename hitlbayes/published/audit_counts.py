"""Do the printed counts and shares add up?"""

from __future__ import annotations

from hitlbayes.published.findings import (
    AGREES,
    DIFFERS,
    OPEN,
    SAMPLES,
    Finding,
    agreement,
    half_unit,
)
from hitlbayes.published.tables import cell, fact, table

TYPES = ("technical", "emotional", "human", "none")
TAKEOVERS = ("technical", "emotional", "human")
MONTHS = 12


def arms() -> list[Finding]:
    """Share of treated workers, in the text and in Table 1."""
    treated, control, workers = fact("workers_treated"), fact("workers_control"), fact("workers")
    share = treated / workers
    printed = float(cell("1", row="treat")["value"])
    return [
        Finding(
            "workers of both arms",
            "3.4",
            workers,
            treated + control,
            agreement(workers, treated + control, slack=0),
        ),
        Finding(
            "share of treated workers",
            "Table 1; 3.4",
            printed,
            share,
            agreement(printed, share, slack=half_unit(2)),
            f"302 of 647 is {share:.3f}; .53 is the control arm's share ({control / workers:.3f})",
        ),
        Finding(
            "share of treated workers, percent",
            "3.4",
            fact("workers_treated_share"),
            100 * share,
            agreement(fact("workers_treated_share"), 100 * share, slack=half_unit(1)),
        ),
    ]


def chats() -> list[Finding]:
    """Chats by scope, and the share of them that were rated."""
    total, eligible, ineligible = fact("chats"), fact("eligible_chats"), fact("ineligible_chats")
    shares = {
        "eligible_share": eligible / total,
        "ineligible_share": ineligible / total,
        "rated_share": fact("rated_chats") / total,
    }
    digits = {"eligible_share": 1, "ineligible_share": 1, "rated_share": 0}
    found = [
        Finding(
            "chats of both scopes",
            "4.1",
            total,
            eligible + ineligible,
            agreement(total, eligible + ineligible, slack=0),
        )
    ]
    for key, share in shares.items():
        slack = half_unit(digits[key])
        found.append(
            Finding(
                f"{key.replace('_', ' ')}, percent",
                "3.5; 4.1",
                fact(key),
                100 * share,
                agreement(fact(key), 100 * share, slack=slack),
            )
        )
    return found


def period_of_chats() -> list[Finding]:
    """Whether the chats of the text are those of the treatment period or of both periods."""
    sample, eligible = fact("sample_chats"), fact("eligible_chats")
    return [
        Finding(
            "AI-eligible chats: panel against matching sample",
            "4.1; C.2",
            eligible,
            sample,
            SAMPLES,
            "they fit if the panel holds both periods and the sample the treatment period; "
            "section 3.4 words the 680,676 chats as the treatment period's",
        ),
        Finding(
            "AI-eligible chats a day, after and before the start",
            "4.1; C.2; 3.4",
            sample / fact("post_days"),
            (eligible - sample) / fact("pre_days"),
            OPEN,
            "on that reading they nearly doubled, while routing and issue mix are said to be unchanged; "
            "counts by period would settle it",
        ),
    ]


def hourly_observations() -> list[Finding]:
    """Observations of duration and of retrials in the hourly panel of all chats."""
    n = {
        c: float(cell("A4", panel="all", row="observations", column=c)["value"])
        for c in ("log_duration", "retrial")
    }
    return [
        Finding(
            "worker-hours, duration against retrials",
            "Table A4",
            n["log_duration"],
            n["retrial"],
            DIFFERS,
            "every chat has both outcomes, and the counts agree in every other scope and table; "
            "these share their digits; 95,677 is 36 above the AI-ineligible count (13 in the daily panels), "
            "96,577 is 936 above",
        )
    ]


def eligible_by_arm() -> list[Finding]:
    """Whether treated workers received their share of AI-eligible chats."""
    share = fact("sample_treated") / fact("sample_chats")
    days = {a: float(cell("A1", panel="chat", row="n", column=a)["value"]) for a in ("treated", "control")}
    expected = days["treated"] / sum(days.values())
    return [
        Finding(
            "treated share of AI-eligible chats",
            "C.2; Table A1",
            share,
            expected,
            OPEN,
            f"{fact('workers_treated') / fact('workers'):.3f} of workers and {expected:.3f} of worker-days "
            f"before the start are treated, yet {share:.3f} of the AI-eligible chats, though routing is said "
            "not to depend on the arm; counts by arm and period would settle it",
        )
    ]


def attendance() -> list[Finding]:
    """Days worked per worker before the start, by arm."""
    per = {
        a: float(cell("A1", panel="chat", row="n", column=a)["value"]) / fact(f"workers_{a}")
        for a in ("treated", "control")
    }
    return [
        Finding(
            "worker-days per worker before the start, treated against control",
            "Table A1; 3.4",
            per["treated"],
            per["control"],
            OPEN,
            "attendance is not among the balance checks; its spread would say whether this is chance",
        )
    ]


def variables() -> list[Finding]:
    """How many variables are said to be matched and balanced."""
    balance = table("A1").query("quantity == 'p_value'").shape[0]
    return [
        Finding(
            "variables of the balance check",
            "3.5; Table A1",
            fact("balance_variables"),
            float(balance),
            agreement(fact("balance_variables"), balance, slack=0),
        ),
        Finding(
            "matching variables",
            "5.2.1; C.2",
            fact("matched_balance_variables"),
            fact("matching_variables"),
            DIFFERS,
            "12 in the text, 14 in the appendix; C.1 lists 12, among them chat rounds, which Table A5 lacks, "
            "while Table A5 has the first message's words, which C.1 lacks",
        ),
        Finding(
            "months of customer history",
            "C.1; Table A5",
            fact("history_months_text"),
            fact("history_months_table"),
            DIFFERS,
            "to August in the text, to July in the note; a history through August would hold the experiment",
        ),
    ]


def tenure() -> list[Finding]:
    """Mean tenure in years and in months."""
    years = float(cell("1", row="tenure")["value"])
    implied = MONTHS * years
    return [
        Finding(
            "mean tenure, months",
            "3.5; Table 1",
            fact("tenure_months"),
            implied,
            AGREES if abs(fact("tenure_months") - implied) <= MONTHS * half_unit(2) else DIFFERS,
        )
    ]


CHECKS = (
    arms,
    chats,
    period_of_chats,
    hourly_observations,
    eligible_by_arm,
    attendance,
    variables,
    tenure,
)

"""Do the printed figures on the LLM codes fit each other?"""

from __future__ import annotations

import math

from hitlbayes.published.findings import AGREES, DIFFERS, IMPOSSIBLE, WORDING, Finding, agreement, half_unit
from hitlbayes.published.tables import cell, cells, fact, table

EFFORT = ("empathy", "information_seeking", "solution_provision", "proactivity")
WORST_CASE = 0.25  # variance of a 0/1 outcome at its largest, what sample-size formulas assume


def validation_claims() -> list[Finding]:
    """Accuracy and kappa of the human validation against the two sentences about them."""
    wide = _wide()
    found = []
    for what, where, rows, accuracy, kappa in (
        ("four effort measures", "5.4", EFFORT, "validation_accuracy_effort", "validation_kappa_effort"),
        ("all measures", "D.4", tuple(wide), "validation_accuracy_all", "validation_kappa_all"),
    ):
        bound = fact(accuracy) * (100 if fact(accuracy) <= 1 else 1)
        for name, key, limit in (("agreement", "agreement", bound), ("kappa", "kappa", fact(kappa))):
            least = min(wide[r][key] for r in rows)
            below = [r for r in rows if wide[r][key] <= limit]
            found.append(
                Finding(
                    f"{what}: stated bound and least {name}",
                    f"Table D1; {where}",
                    limit,
                    least,
                    WORDING if below else AGREES,
                    f"not so for {', '.join(below)}" if below else "",
                )
            )
    return found


def validation_counts() -> list[Finding]:
    """Percentages of agreement against whole numbers of chats."""
    rows = cells("D1", "column == 'agreement'")
    fits = [r["row"] for r in rows if share_attainable(r["value"], n=int(r["n"]), decimals=2)]
    short = [r["row"] for r in rows if r["row"] not in fits]
    at_499 = [r for r in rows if r["row"] in short and share_attainable(r["value"], n=499, decimals=2)]
    return [
        Finding(
            "agreements that whole chats of 500 can give",
            "Table D1; D.4",
            float(len(rows)),
            float(len(fits)),
            IMPOSSIBLE if len(fits) < len(rows) else AGREES,
            "500 chats give multiples of .2 %; "
            f"of the {len(short)} that are none, {len(at_499)} fit 499 chats: perhaps some were not compared",
        )
    ]


def share_attainable(percent: float, *, n: int, decimals: int) -> bool:
    """Whether some whole number out of n gives this percentage (the GRIM test of Brown and Heathers 2017).

    Examples
    --------
    >>> share_attainable(94.99, n=500, decimals=2), share_attainable(94.99, n=499, decimals=2)
    (False, True)
    """
    nearest = round(percent * n / 100)
    return abs(100 * nearest / n - percent) <= half_unit(decimals) + 1e-9


def validation_size() -> list[Finding]:
    """Validation sample against the size that 95 % confidence and a margin of 5 points need."""
    margin, z = fact("validation_margin") / 100, 1.959963984540054
    infinite = z**2 * WORST_CASE / margin**2
    found = []
    for population in sorted({r["raw_size"] for r in _wide().values()}):
        needed = math.ceil(infinite / (1 + (infinite - 1) / population))
        found.append(
            Finding(
                f"validation sample for {population:,.0f} chats: drawn, and needed at least",
                "D.4",
                fact("validation_sample"),
                float(needed),
                AGREES if fact("validation_sample") >= needed else DIFFERS,
            )
        )
    return found


def example_codes() -> list[Finding]:
    """Codes of the worked example against their scales."""
    found = []
    for m in (*EFFORT, "initial_sentiment", "initial_urgency"):
        code, top = fact(f"example_chat_{m}"), fact(f"scale_{m}_high")
        if not fact(f"scale_{m}_low") <= code <= top:
            note = "the example codes a 0/1 measure as 2"
            found.append(
                Finding(
                    f"code of {m} in the example, and its scale's top",
                    "Figure D1; D.2",
                    code,
                    top,
                    DIFFERS,
                    note,
                )
            )
    return found


def coded_populations() -> list[Finding]:
    """Sizes of the coded samples against the chats that they are drawn from."""
    cases = [
        ("customer_sentiment", "sample_treated"),
        ("initial_sentiment", "sample_chats"),
        ("initial_urgency", "sample_chats"),
        ("empathy", "effort_annotated"),
    ]
    found = []
    for row, key in cases:
        size = float(cell("D1", row=row, column="raw_size")["value"])
        found.append(
            Finding(
                f"chats coded for {row}",
                "Table D1; C.2",
                size,
                fact(key),
                agreement(size, fact(key), slack=0),
            )
        )
    return found


def _wide() -> dict[str, dict[str, float]]:
    rows = table("D1").query("quantity != 'range'")
    return {
        str(r): dict(zip(g["column"], g["value"], strict=True)) for r, g in rows.groupby("row", sort=False)
    }


CHECKS = (validation_claims, validation_counts, validation_size, example_codes, coded_populations)

"""The report's part on published numbers: effects re-analysed, effort decomposed, figures that do not fit."""

from __future__ import annotations

import pandas as pd
from markupsafe import Markup

from hitlbayes.published import plot_decomposition, plot_shrinkage
from hitlbayes.replication.published_results import PublishedResults
from hitlbayes.report.blocks import details, figure, table, text
from hitlbayes.report.html import Section
from hitlbayes.report.wording import bracket, decimals, number, outcome_label

FIRM = ["cannot hold together", "differs"]  # verdicts of figures that differ beyond rounding


def published_sentence(published: PublishedResults) -> str:
    """The published direct effects in a sentence, as real numbers with their intervals."""
    summary = published.tables["3"].summary()
    rows = {(row["quantity"], row["outcome"]): row for row in summary.to_dict("records")}
    shown: tuple[tuple[str, str, float, int, str], ...] = (
        ("percent", "log_duration", 1.0, 1, "%"),
        ("effect", "retrial", 100.0, 1, " percentage points"),
        ("effect", "rating", 1.0, 2, " rating points"),
    )
    parts = []
    for quantity, outcome, factor, places, units in shown:
        row = rows[quantity, outcome]
        interval = bracket(factor * row["lower"], factor * row["upper"], places=places)
        parts.append(
            f"{outcome_label(outcome)} {number(factor * row['mean'], places=places)}{units} {interval}"
        )
    return (
        "Published (real), on AI-eligible chats, posterior mean and 95% interval: " + "; ".join(parts) + "."
    )


def figure_by_type(published: PublishedResults) -> Markup:
    """Table 5 as printed and partially pooled, as a block of a report."""
    return figure(plot_shrinkage(published.tables["5"]))


def published_sections(published: PublishedResults) -> list[Section]:
    """Everything on the page that rests on published numbers alone."""
    five = published.tables["5"].summary()
    contrasts = _posteriors(five[five["quantity"] == "contrast"])
    effects = [result.summary().assign(table=name) for name, result in published.tables.items()]
    every = _posteriors(pd.concat([frame[frame["quantity"].isin(("effect", "mean"))] for frame in effects]))
    return [
        Section(
            "Published effects by escalation type, re-analysed",
            (
                figure_by_type(published),
                text("Assumed: " + "; ".join(published.tables["5"].notes) + "."),
                table(contrasts, caption="Contrasts between types: as printed, and from the posterior"),
                details("Every published effect", table(every)),
            ),
            source="published",
        ),
        Section(
            "Effort after a takeover: how much of the fall in the human share is arithmetic",
            (
                text(_effort_sentence(published.effort.summary())),
                figure(plot_decomposition(published.effort)),
                details("All quantities", table(published.effort.summary())),
            ),
            source="published",
        ),
        Section(
            "Printed figures that do not fit together",
            tuple(_findings(published.findings)),
            source="published",
        ),
    ]


def _findings(findings: pd.DataFrame) -> list[Markup]:
    """What cannot be or differs, in the open; wording, samples and open questions folded."""
    firm = findings[findings["verdict"].isin(FIRM)].sort_values("verdict", key=lambda v: v.map(FIRM.index))
    rest = findings.drop(firm.index)
    told = (
        f"{len(findings)} comparisons of printed figures with what other printed figures imply do not agree "
        f"to the printed precision; {len(firm)} of them, shown here, differ beyond rounding. That says "
        "nothing about why (a slip in typesetting, a sample that is not described); most touch no conclusion."
    )
    blocks = [text(told), table(_shown(firm))]
    for verdict, part in rest.groupby("verdict", sort=True):
        title = f"{str(verdict).capitalize()}: {len(part)} comparisons"
        blocks.append(details(title, table(_shown(part.sort_values("check", kind="stable")))))
    return blocks


def _shown(findings: pd.DataFrame) -> pd.DataFrame:
    shown = findings[["what", "where", "printed", "implied", "note"]].copy()
    for name in ("printed", "implied"):
        shown[name] = [_plain(value) for value in shown[name]]
    return shown.assign(note=[note[:1].upper() + note[1:] for note in shown["note"]])


def _plain(value: float) -> str:
    """A figure with the digits that it needs."""
    if float(value).is_integer() or abs(value) >= 1000:
        return number(value, places=0)
    return number(value, places=max(2, min(4, decimals(abs(value)) + 1)))


def _posteriors(summary: pd.DataFrame) -> pd.DataFrame:
    """Rows of `Reanalysis.summary` in a reader's words: printed with its SE, posterior with its interval."""
    rows = []
    for row in summary.to_dict("records"):
        places = decimals(row["sd"]) + 1
        beyond = max(row["prob_above"], row["prob_below"])
        share = "" if pd.isna(beyond) else f" (> {row['threshold']:g}: {beyond:.3f})"
        rows.append(
            {
                **({"table": row["table"]} if "table" in row else {}),
                "effect": f"{outcome_label(row['outcome'])}, {row['group']}",
                "units": row["units"],
                "printed (SE)": f"{number(row['estimate'], places=3)} ({row['se']:.3f})",
                "posterior [95%]": f"{number(row['mean'], places=places)} "
                f"{bracket(row['lower'], row['upper'], places=places)}",
                "Pr(> 0)": f"{row['prob_positive']:.3f}",
                "Pr(beyond a size that counts)": share.strip(" ()"),
            }
        )
    return pd.DataFrame(rows)


def _effort_sentence(effort: pd.DataFrame) -> str:
    rows = {row["quantity"]: row for row in effort.to_dict("records") if row["group"] == "emotional"}
    share, implied, fraction = (rows[name] for name in ("human_share", "share_if_ai", "fraction_ai"))
    return (
        f"In emotional takeovers workers had {number(share['mean'], places=3)} of the rounds. With technical "
        f"takeovers' human rounds and the AI rounds of emotional ones the share would be "
        f"{number(implied['mean'], places=3)} {bracket(implied['lower'], implied['upper'], places=3)}: "
        f"{number(100 * fraction['mean'], places=0)} % "
        f"{bracket(100 * fraction['lower'], 100 * fraction['upper'], places=0)} of the gap to technical "
        "takeovers comes from how long the AI kept the chat, not from what the worker did."
    )

"""The report's sections on matched chats: effects by escalation type, and balance."""

from __future__ import annotations

from markupsafe import Markup

from hitlbayes.replication.table_result import TableResult
from hitlbayes.report.blocks import details, figure, table, text
from hitlbayes.report.plot_balance import plot_love

BALANCE = {
    "variable": "variable",
    "published_treated": "treated",
    "published_control": "control",
    "published_p": "p",
    "twin_treated": "treated, synthetic",
    "twin_control": "control, synthetic",
    "twin_p": "p, synthetic",
    "twin_difference": "std. diff., synthetic",
}
SUMMARY = [
    "outcome",
    "type",
    "pooling",
    "mean",
    "lower",
    "upper",
    "prob_positive",
    "prob_worst",
    "n",
    "units",
]
CONTRASTS = ["outcome", "contrast", "mean", "lower", "upper", "prob_positive", "units"]
ANCHORED = ["outcome", "quantity", "mean", "lower", "upper", "units"]
BESIDE = ["outcome", "sample", "type", "pairs", "estimate", "se", "n"]
BESIDE_NOTE = (
    "Not every chat is rated. Beside the paper's choice, which keeps the rated chats of all pairs, are the "
    "pairs of which both chats are rated, and pairs made anew among rated chats."
)
ANCHOR_NOTE = (
    "Published Tables 3 and 5 together: the types' effects, weighted by chats, made to add up to the "
    "randomised average. Table 3 weights worker-days equally and Table 5 chats, so the two need not "
    "agree even without bias; where two types move against each other the sum stays, and nothing bounds that."
)


def escalation_blocks(result: TableResult) -> list[Markup]:
    """What Table 5's section shows after its effects: pooling, contrasts, other pairs, anchored tables."""
    more = result.more
    return [
        table(more["types"][SUMMARY], caption="Partially pooled and unpooled, synthetic chats", places=3),
        table(more["contrasts"][CONTRASTS], caption="Contrasts between types, synthetic chats", places=3),
        table(more["beside"][BESIDE], caption="OLS on other choices of pairs, synthetic chats", places=3),
        text(BESIDE_NOTE),
        text(ANCHOR_NOTE),
        details("Published effects, free and anchored", table(more["anchored"][ANCHORED], places=3)),
    ]


def matched_blocks(result: TableResult) -> list[Markup]:
    """What Table A5's section shows: sizes, differences before and after, means and p-values by type."""
    blocks = [table(result.more["sizes"], caption="Chats matched, published and synthetic", places=0)]
    differences = result.more["differences"]
    for kind, rows in result.frame.groupby("type", sort=False):
        mine = differences[differences["type"] == kind].set_index("covariate")
        sets = {"before": mine["before_difference"], "after matching": mine["after_difference"]}
        title = f"Standardised differences, {kind}"
        shown = rows[list(BALANCE)].rename(columns=BALANCE)
        inside: list[Markup] = [figure(plot_love(sets, title=title, synthetic=True)), table(shown, places=3)]
        blocks.append(details(f"Type: {kind}", *inside))
    return blocks

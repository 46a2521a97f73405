"""The report's sections on the design: balance, sample ratios, figures of the appendix, other assignments."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
from markupsafe import Markup

from hitlbayes.replication import example_chat
from hitlbayes.replication.figures import example_measures
from hitlbayes.replication.table_result import TableResult
from hitlbayes.report.blocks import details, figure, table, text
from hitlbayes.report.blocks import effects as effects_block
from hitlbayes.report.plot_balance import plot_love
from hitlbayes.report.plot_chat import plot_chat
from hitlbayes.report.plot_design import plot_daily, plot_distribution, plot_shares
from hitlbayes.report.plots import plot_effects
from hitlbayes.report.wording import outcome_label, scope_label

BALANCE = {
    "variable": "variable",
    "published_treated": "treated",
    "published_control": "control",
    "published_std_difference": "std. diff.",
    "published_p": "p",
    "twin_treated": "treated, synthetic",
    "twin_control": "control, synthetic",
    "twin_std_difference": "std. diff., synthetic",
    "twin_p_t": "p, t test",
    "twin_p_rank_sum": "p, rank sum",
    "twin_p_clustered": "p, clustered",
    "twin_p_randomized": "p, randomised",
}
RATIOS = {
    "measure": "measure",
    "period": "period",
    "treated": "treated",
    "control": "control",
    "difference": "difference",
    "se": "SE",
    "p_independent": "p, chats independent",
    "p_clustered": "p, clustered",
    "p_randomized": "p, randomised",
}
DRAWN = {
    "effect": "effect",
    "truth": "simulated truth",
    "estimate": "estimate",
    "se": "SE",
    "p_clustered": "p, clustered",
    "p_randomized": "p, randomised",
    "lower": "lower",
    "upper": "upper",
}


def design_blocks(result: TableResult) -> list[Markup]:
    """What a section on the design shows after its question and note."""
    return SHOWN[result.table](result)


def _balance(result: TableResult) -> list[Markup]:
    frame = result.frame
    rows = frame[frame["variable"] != "all together"].set_index("variable")
    differences = {
        "published (as its p-values imply)": rows["published_std_difference"].dropna(),
        "synthetic": rows["twin_std_difference"],
    }
    blocks = [figure(plot_love(differences, synthetic=True))]
    for level, part in frame.groupby("level", sort=False):
        shown = part[list(BALANCE)].rename(columns=BALANCE)
        shown["variable"] = shown["variable"].map(outcome_label)
        blocks.append(table(shown, caption=f"By {level}: published, then synthetic", places=3))
    return blocks


def _issues(result: TableResult) -> list[Markup]:
    ratios, joint = result.more["ratios"], result.more["joint"]
    level = ratios["measure"].str.contains(": ")
    return [
        table(
            result.frame.drop(columns="synthetic").rename(columns=_spaced),
            caption="Percent of chats",
            places=2,
        ),
        table(_named(ratios[~level], RATIOS), caption="Volume and shares in the synthetic chats", places=4),
        table(
            joint.rename(columns=_spaced),
            caption="All issues together, by arm, in the synthetic chats",
            places=4,
        ),
        details("Each issue by arm", table(_named(ratios[level], RATIOS), places=4)),
    ]


def _figures(result: TableResult) -> list[Markup]:
    measures = example_measures()
    chat = plot_chat(
        example_chat.messages(), activity=example_chat.clicks(), chat=example_chat.CHAT, measures=measures
    )
    workers, daily, shares = (result.more[name] for name in ("A1", "A3", "A4"))
    return [
        figure(plot_distribution(workers, column="months", label="tenure (months)", synthetic=True)),
        figure(chat),
        table(result.frame, caption="The hypothetical chat of Figure A2, stated and measured", places=2),
        figure(plot_daily(daily, outcome="responded", percent=True, synthetic=True)),
        figure(plot_shares(shares, outcome="rating", synthetic=True)),
    ]


def _drawn(result: TableResult) -> list[Markup]:
    frame = result.frame
    names = [
        f"{outcome_label(str(row['outcome']))}, {scope_label(str(row['scope']))}"
        for row in frame.to_dict("records")
    ]
    shown = _named(frame.assign(effect=names), DRAWN)
    several = f"{int(frame['assignments'].iloc[0]):,} assignments; log points, proportions and rating points"
    return [table(shown, caption=several, places=4)]


def _named(frame: pd.DataFrame, names: dict[str, str]) -> pd.DataFrame:
    return frame[list(names)].rename(columns=names)


def _spaced(name: str) -> str:
    return name.replace("twin_", "synthetic_").replace("_", " ")


def _window(result: TableResult) -> list[Markup]:
    frame = result.frame
    told = "; ".join(f"{row['label']}: {int(row['chats']):,} chats" for row in frame.to_dict("records"))
    return [figure(plot_effects(frame)), effects_block(frame), text(f"{told}.")]


SHOWN: dict[str, Callable[[TableResult], list[Markup]]] = {
    "A1": _balance,
    "A3": _issues,
    "figures": _figures,
    "randomization": _drawn,
    "window": _window,
}

"""The report's sections on effort after a takeover and on when takeovers come."""

from __future__ import annotations

import pandas as pd
from markupsafe import Markup

from hitlbayes.replication.table_result import TableResult
from hitlbayes.report.blocks import details, figure, table, text
from hitlbayes.report.plot_effort import draw_surface, plot_effort_effects, plot_effort_overlap
from hitlbayes.report.plot_timing import draw_hazard, plot_curves
from hitlbayes.report.wording import outcome_label
from hitlbayes.studies.effort_tables import EffortTables, surface_of_frame
from hitlbayes.studies.timing_curves import curves_of_frame

PROB, LEAST = 0.95, 10
MEANS = {
    "published_mean": "published",
    "published_lower": "lower",
    "published_upper": "upper",
    "published_n": "n",
    "twin_mean": "synthetic",
    "twin_lower": "its lower",
    "twin_upper": "its upper",
    "twin_n": "its n",
}
EFFECTS = ["contrast", "outcome", "adjust", "mean", "lower", "upper", "prob_positive", "units", "r_hat"]
RATIOS = {"cause": "ends by", "low": "calm", "high": "angry", "ratio": "ratio", "lower": "lower",
          "upper": "upper", "prob_above_one": "Pr(> 1)", "sentiment": "sentiment"}  # fmt: skip


def effort_blocks(result: TableResult) -> list[Markup]:
    """What Table 6's section shows: means, differences by what is held equal, the surface, the overlap."""
    more = result.more
    shown = _tables(result)
    means = result.frame.assign(outcome=[outcome_label(o) for o in result.frame["outcome"]])
    means = means[["outcome", "type", "units", *MEANS]].rename(columns=MEANS)
    surface = surface_of_frame(
        more["surface"], words="all types, at their overall shares", least=LEAST, prob=PROB
    )
    effects = more["effects"].assign(outcome=[outcome_label(o) for o in more["effects"]["outcome"]])
    return [
        table(means, caption="Means with their 95% intervals, published and synthetic", places=3),
        figure(plot_effort_effects(shown)),
        table(more["survival"], caption="What becomes of each raw difference, synthetic chats", places=3),
        figure(draw_surface(surface, synthetic=True, ok=shown.ok)),
        figure(plot_effort_overlap(shown)),
        details("Every difference on its measure's own scale", table(effects[EFFECTS], places=3)),
        _checked(more["checks"]),
    ]


def timing_blocks(result: TableResult) -> list[Markup]:
    """What the section on timing shows: both figures, the hazards, and their ratios."""
    more, told = result.more, result.more["checks"].iloc[0]
    density, path = (
        curves_of_frame(more[name], prob=PROB, what=what, band=str(told[name]), synthetic=True)
        for name, what in (("A5", "density of takeovers"), ("A6", "negative sentiment"))
    )
    hazard = draw_hazard(more["hazard"], history=str(told["history"]), synthetic=True, ok=bool(told["ok"]))
    ratios = result.frame[list(RATIOS)].rename(columns=RATIOS)
    return [
        figure(plot_curves(density)),
        figure(plot_curves(path)),
        figure(hazard),
        table(ratios, caption="Hazard in a round at an angry over that at a calm sentiment", places=3),
        details(
            "Ended in each way by a round, were sentiment to stay as it is",
            table(more["incidence"], places=3),
        ),
        _checked(more["checks"]),
    ]


def _tables(result: TableResult) -> EffortTables:
    more = result.more
    summary = more["effects"]
    reference = [t for t in more["observed"]["type"].unique() if t not in set(summary["contrast"])]
    types = (*map(str, reference), *map(str, dict.fromkeys(summary["contrast"])))
    ok = bool(more["checks"]["ok"].iloc[0])
    return EffortTables(summary, more["survival"], more["observed"], more["overlap"], types, True, ok)


def _checked(checks: pd.DataFrame) -> Markup:
    told = checks.iloc[0]
    verdict = "passed" if bool(told["ok"]) else f"FAILED: {told['problems']}"
    return text(
        f"Checks {verdict}: r_hat at most {told['r_hat']:.3f}, bulk ESS at least {told['ess_bulk']:,.0f}, "
        f"{told['seconds']:.0f} seconds."
    )

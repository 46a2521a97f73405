"""The report's sections on effects by day, worker and group, and on the checks of the models."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
from markupsafe import Markup

from hitlbayes.replication import checks, event, heterogeneity, odds, workers
from hitlbayes.replication.context import Context
from hitlbayes.replication.did import kept_fit, kept_units
from hitlbayes.replication.table_result import TableResult
from hitlbayes.report.blocks import details, figure, table, text
from hitlbayes.report.plots import plot_workers
from hitlbayes.report.wording import bracket, decimals, number, outcome_label

DAYS = ["relative", "mean", "lower", "upper", "prob_positive", "twin", "twin_se", "truth", "units"]
PRETREND = {
    "outcome": "outcome",
    "days": "days before",
    "size": "size that matters",
    "prob_any_exceeds": "P(any exceeds it)",
    "all_below": "all below, with .95",
    "slope": "slope a day",
    "units": "units",
}
CLOCKS = {"per period": "a day", "per doubling": "a doubling of the days"}
ELPD = {
    "model": "model",
    "elpd": "elpd",
    "difference": "difference",
    "se_difference": "its SE",
    "p_loo": "effective parameters",
    "bad_k_hat": "k-hat above .7",
}


def study_blocks(result: TableResult, *, context: Context) -> list[Markup]:
    """What a section shows after its question and note."""
    return SHOWN[result.table](result, context)


def _event(result: TableResult, context: Context) -> list[Markup]:
    before, learning = result.more["pretrend"], result.more["learning"]
    sizes = dict(zip(before["outcome"], before["size"], strict=True))
    blocks = [figure(one.plot(size=sizes[outcome])) for outcome, one in event.studies(context).items()]
    caption = (
        "Differences before the start, all days together: the probability that one exceeds half the "
        "published effect, and what they are all below with probability .95. More days, less data: larger."
    )
    named = before.assign(outcome=before["outcome"].map(outcome_label))
    blocks.append(table(_named(named, PRETREND), caption=caption))
    shown = pd.DataFrame(
        {
            "outcome": learning["outcome"].map(outcome_label),
            "change of the effect": learning["change"].map(CLOCKS),
            "mean": learning["mean"],
            "95% ETI": _brackets(learning),
            "Pr(> 0)": learning["prob_positive"],
            "units": learning["units"],
        }
    )
    blocks.append(table(shown, caption="Learning: the slope of the effects after the start"))
    for outcome, part in result.frame.groupby("outcome", sort=False):
        blocks.append(
            details(f"Every day: {outcome_label(str(outcome))}", table(part[DAYS].rename(columns=_spaced)))
        )
    return blocks


def _workers(result: TableResult, context: Context) -> list[Markup]:
    kept = kept_units(workers.FITS, context=context)
    blocks = [text(_harm_sentence(row)) for row in result.frame.to_dict("records")]
    blocks += [figure(plot_workers(kept_fit(unit, context=context))) for unit in kept.values()]
    skill = result.more["skill"]
    shown = pd.DataFrame(
        {
            "outcome": skill["outcome"].map(outcome_label),
            "workers' own level": skill["skill"],
            "mean": skill["mean"],
            "95% ETI": _brackets(skill),
            "Pr(> 0)": skill["prob_positive"],
            "units": skill["units"],
        }
    )
    blocks.append(
        table(shown, caption="Effect by the worker's level of the same outcome, free of the treatment")
    )
    worst = result.more["each"].groupby("outcome", sort=False).head(5)
    names = ["outcome", "unit", "mean", "lower", "upper", "prob_harm", "truth", "units"]
    blocks.append(details("Workers most probably harmed", table(worst[names].rename(columns=_spaced))))
    return blocks


def _groups(result: TableResult, context: Context) -> list[Markup]:
    blocks = [figure(one.plot()) for one in heterogeneity.fitted(context)]
    frame = result.frame
    shown = pd.DataFrame(
        {
            "outcome": frame["outcome"].map(outcome_label),
            "by": frame["by"].map(_spaced),
            "group": frame["group"],
            "mean": frame["mean"],
            "95% ETI": _brackets(frame),
            "P(largest)": frame["prob_largest"],
            "simulated": frame["truth"],
            "units": frame["units"],
        }
    )
    return [*blocks, details("Every group", table(shown))]


def _odds(result: TableResult, context: Context) -> list[Markup]:
    changes = result.more["categories"].rename(columns=_spaced)
    caption = (
        "Change in the probability of each rating, percentage points: relaxed, and with one effect for all"
    )
    return [figure(odds.check(context).plot()), table(changes, caption=caption)]


def _checks(result: TableResult, context: Context) -> list[Markup]:
    blocks = []
    for outcome in result.frame["outcome"]:
        blocks.append(figure(checks.replicated(outcome, context=context).plot()))
        blocks.append(figure(checks.left_out(outcome, context=context).plot()))
    for outcome, part in result.more["priors"].groupby("outcome", sort=False):
        title = f"What the priors alone imply: {outcome_label(str(outcome))}"
        blocks.append(details(title, table(part.drop(columns="outcome"))))
    return blocks


def _structures(result: TableResult, context: Context) -> list[Markup]:
    frame = result.frame
    shown = _named(frame, ELPD)
    shown["effect [95% ETI]"] = [
        f"{number(row['mean'], places=decimals(row['sd']))} "
        f"{bracket(row['lower'], row['upper'], places=decimals(row['sd']))} {row['units']}"
        for row in frame.to_dict("records")
    ]
    return [table(shown, caption="Chat duration on AI-eligible chats; the best first", places=1)]


def _harm_sentence(row: dict) -> str:
    places = decimals(row["sd_upper"] - row["sd_lower"])
    share, low, high = (number(100 * row[f"harmed{end}"], places=0) for end in ("", "_lower", "_upper"))
    return (
        f"{outcome_label(row['outcome']).capitalize()}: SD of the effects of {row['workers']} workers "
        f"on the model's scale {number(row['sd_effect'], places=places)} "
        f"{bracket(row['sd_lower'], row['sd_upper'], places=places)}; {share} % of them [{low}, {high}] are "
        f"expected to be worse off (simulated: {number(100 * row['truly_harmed'], places=0)} %), "
        f"{row['surely_harmed']} with probability above .95. Workers' 95% intervals contain "
        f"{number(100 * row['truth_inside'], places=0)} % of their simulated effects."
    )


def _brackets(frame: pd.DataFrame) -> list[str]:
    rows = frame[["lower", "upper"]].to_dict("records")
    return [
        bracket(row["lower"], row["upper"], places=decimals((row["upper"] - row["lower"]) / 4))
        for row in rows
    ]


def _named(frame: pd.DataFrame, names: dict[str, str]) -> pd.DataFrame:
    return frame[list(names)].rename(columns=names)


def _spaced(name: object) -> str:
    return str(name).replace("_", " ")


SHOWN: dict[str, Callable[[TableResult, Context], list[Markup]]] = {
    "event": _event,
    "workers": _workers,
    "heterogeneity": _groups,
    "odds": _odds,
    "checks": _checks,
    "structures": _structures,
}

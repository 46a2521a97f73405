"""What a report shows of each kind of result, and under which heading."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from markupsafe import Markup

from hitlbayes.design.arms import ArmBalance
from hitlbayes.design.randomization import RandomizationTest
from hitlbayes.design.ratios import SampleRatios
from hitlbayes.errors import SpecError
from hitlbayes.report.blocks import details, figure, table, text
from hitlbayes.report.html import Section, Source
from hitlbayes.report.plot_balance import plot_love
from hitlbayes.report.wording import number, outcome_label, subject
from hitlbayes.result import Fit
from hitlbayes.studies.event_result import EventStudy
from hitlbayes.studies.heterogeneity import Heterogeneity
from hitlbayes.studies.leave_one_out import LeaveOneOut
from hitlbayes.studies.posterior import PosteriorPredictive
from hitlbayes.studies.prior import PriorPredictive
from hitlbayes.studies.proportional_odds import ProportionalOdds

DESIGN, EFFECTS, CHECKS = "Design", "Effects by period and by group", "Model checks"


def sections_of(items: Sequence[Any]) -> list[Section]:
    """Sections of everything but plain fits, the design first, effects next, checks of the models last.

    Raises
    ------
    SpecError
        An item is of a kind that has no place in a report.
    """
    found: dict[str, list[Section]] = {DESIGN: [], EFFECTS: [], CHECKS: []}
    for item in items:
        if not isinstance(item, Fit):
            kind = _kind(item)
            section = Section(kind.heading(item), tuple(kind.blocks(item)), source=source_of(item))
            found[kind.part].append(section)
    return [section for part in found.values() for section in part]


def source_of(item: Any) -> Source:
    """Whether an item's data are simulated or observed."""
    return "synthetic" if getattr(item, "fit", item).synthetic else "data"


def fits_of(items: Sequence[Any]) -> list[Fit]:
    """The fits among and behind the items, each once."""
    found = [item if isinstance(item, Fit) else getattr(item, "fit", None) for item in items]
    return list({id(fit): fit for fit in found if fit is not None}.values())


class _Kind(NamedTuple):
    """Where a kind of result stands in a report, under which heading, and what is shown of it."""

    type: type
    part: str
    heading: Callable[[Any], str]
    blocks: Callable[[Any], list[Markup]]


def _kind(item: Any) -> _Kind:
    for kind in _KINDS:
        if isinstance(item, kind.type):
            return kind
    known = ", ".join(kind.type.__name__ for kind in _KINDS)
    raise SpecError(f"a report cannot show a {type(item).__name__}; it takes fits and: {known}.")


def _of_fit(words: str) -> Callable[[Any], str]:
    return lambda item: f"{words}: {subject(item.fit.outcome, scope=item.fit.scope, capital=False)}"


def _of_name(words: str) -> Callable[[Any], str]:
    return lambda item: f"{words}: {item.name.replace('_', ' ')}"


def _balance(item: ArmBalance) -> list[Markup]:
    rows = item.table.set_index("variable")["std_difference"]
    worst = str(rows.abs().idxmax())
    told = (
        f"{item.rows:,} {item.level}s of {item.units:,} units. The largest standardised difference is "
        f"{number(float(rows[worst]), places=3)} ({outcome_label(worst)}); all differences together, among "
        f"other assignments of units: p = {item.joint_p:.3f}."
    )
    names = ["variable", "mean_treated", "mean_control", "std_difference", "p_t", "p_clustered"]
    shown = item.table[[*names, "p_randomized"]].rename(columns=_spaced)
    return [text(told), figure(plot_love(rows, synthetic=item.synthetic)), table(shown)]


def _ratios(item: SampleRatios) -> list[Markup]:
    treated, total = item.workers[1], sum(item.workers.values())
    told = (
        f"{treated:,} of {total:,} units are treated ({100 * treated / total:.1f} %, planned "
        f"{100 * item.expected:.1f} %; p = {item.p_workers:.3f})."
    )
    level = item.table["measure"].str.contains(": ")
    blocks = [text(told), table(item.table[~level].rename(columns=_spaced), places=4)]
    if len(item.joint):
        blocks.append(table(item.joint.rename(columns=_spaced), caption="Levels together", places=4))
        blocks.append(details("Each level", table(item.table[level].rename(columns=_spaced), places=4)))
    return blocks


def _drawn(item: RandomizationTest) -> list[Markup]:
    many = "all" if item.complete else "random"
    return [
        text(
            f"Two-way fixed effects {number(item.effect, places=4)} (clustered SE "
            f"{number(item.se, places=4)}). Among {item.permutations:,} {many} assignments of "
            f"{item.units:,} units, p = {item.p_value:.4f}; effects from {number(item.lower, places=4)} to "
            f"{number(item.upper, places=4)} are not rejected at {100 * (1 - item.level):g} %."
        )
    ]


def _event(item: EventStudy) -> list[Markup]:
    return [figure(item.plot()), details("Effect by period", table(item.summary().reset_index()))]


def _plotted(item: Any) -> list[Markup]:
    return [figure(item.plot()), table(item.summary().reset_index().rename(columns=_spaced))]


def _odds(item: ProportionalOdds) -> list[Markup]:
    caption = "Change in each category's probability (percentage points), relaxed and with one effect"
    return [*_plotted(item), table(item.categories().reset_index().rename(columns=_spaced), caption=caption)]


def _replicated(item: PosteriorPredictive) -> list[Markup]:
    shown = item.summary().reset_index().rename(columns=_spaced)
    return [figure(item.plot()), details("Every statistic", table(shown, places=4))]


def _left_out(item: LeaveOneOut) -> list[Markup]:
    return [figure(item.plot())]


def _prior(item: PriorPredictive) -> list[Markup]:
    told = (
        "What the priors alone imply, beside what was observed: medians and 95 % intervals of "
        f"{item.implied.sizes['draw']:,} draws."
    )
    return [text(told), table(item.summary().reset_index())]


def _spaced(name: object) -> str:
    return str(name).replace("_", " ")


_KINDS = (
    _Kind(ArmBalance, DESIGN, lambda item: f"Balance of {item.level}s", _balance),
    _Kind(SampleRatios, DESIGN, lambda item: "Sample ratios", _ratios),
    _Kind(RandomizationTest, DESIGN, lambda i: f"Randomisation test: {outcome_label(i.outcome)}", _drawn),
    _Kind(EventStudy, EFFECTS, _of_fit("Event study"), _event),
    _Kind(
        Heterogeneity, EFFECTS, lambda item: f"{_of_fit('Effects')(item)}, by {_spaced(item.by)}", _plotted
    ),
    _Kind(ProportionalOdds, CHECKS, _of_fit("Proportional odds"), _odds),
    _Kind(PosteriorPredictive, CHECKS, _of_name("Posterior predictive check"), _replicated),
    _Kind(LeaveOneOut, CHECKS, _of_name("Leave one worker out"), _left_out),
    _Kind(PriorPredictive, CHECKS, _of_name("What the priors imply"), _prior),
)

"""What the synthetic experiment is made of: every number that `simulate` uses, with its unit."""

from __future__ import annotations

import dataclasses
import datetime as dt
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any, get_type_hints

from hitlbayes.errors import SpecError

TYPES = ("none", "technical", "emotional", "human")
"""Escalation types, in the order in which every per-type array is kept."""


@dataclasses.dataclass(frozen=True, slots=True)
class Experiment:
    """Arms (workers) and dates (first day, first treated day, last day)."""

    treated: int
    control: int
    first: dt.date
    start: dt.date
    last: dt.date

    @property
    def days(self) -> int:
        return (self.last - self.first).days + 1

    @property
    def pre(self) -> int:
        return (self.start - self.first).days


@dataclasses.dataclass(frozen=True, slots=True)
class Volume:
    """Attendance (probability of a worked day) and chats (totals at full size, spread by weights).

    Chats of a scope are a multinomial draw of the published total over worker-days, with weights
    that are log-normal in worker and worker-day (`sd_*`); a share `short_days` of the worker-days
    has weight `short_size`. Eligible chats have weights of their own and fall on a share `eligible_days_*`
    of the worker-days only; `eligible_power` ties them to the day's volume of other chats. A shift has
    `shift_hours` at 43 chats, more on busy days (`shift_power`); starts within it are Beta(peak, peak).
    """

    attend_pre_treated: float
    attend_pre_control: float
    attend_post_treated: float
    attend_post_control: float
    attend_sd: float
    ineligible: int
    eligible_pre_treated: int
    eligible_pre_control: int
    eligible_post_treated: int
    eligible_post_control: int
    sd_worker: float
    sd_day: float
    short_days: float
    short_size: float
    eligible_sd_worker: float
    eligible_sd_day: float
    eligible_days_pre: float
    eligible_days_post: float
    eligible_power: float
    shift_hours: float
    shift_power: float
    shift_sd: float
    shift_peak: float


@dataclasses.dataclass(frozen=True, slots=True)
class Process:
    """An outcome without AI, on its link's scale (log, logit, cumulative logit or identity).

    `level` + worker (`sd_worker`) + worker's drift from before to after (`sd_drift`) + `trend` a day + day
    (`sd_period`) + worker-day (`sd_shock`) + chat (`sd_chat`, where the family has one); chats on AI-eligible
    issues add `eligible` and their own worker, drift and worker-day terms.
    """

    level: float
    trend: float
    sd_worker: float
    sd_drift: float
    sd_period: float
    sd_shock: float
    sd_chat: float
    eligible: float
    eligible_sd_worker: float
    eligible_sd_drift: float
    eligible_sd_shock: float


@dataclasses.dataclass(frozen=True, slots=True)
class Effect:
    """What the AI does to one outcome, on its link's scale.

    `none`, `technical`, `emotional`, `human`: chats handled by the AI at first, by escalation type, averaged
    over chats. `spillover`: treated workers' other chats, averaged over worker-days. `*_volume`: change of
    either per unit of the worker-day's log volume, about those averages. `sd_*`: workers' own effects.
    `taper`: by how much less long chats feel the spillover, per standard deviation of a chat's own log
    duration.
    """

    none: float = 0.0
    technical: float = 0.0
    emotional: float = 0.0
    human: float = 0.0
    spillover: float = 0.0
    volume: float = 0.0
    spillover_volume: float = 0.0
    sd_eligible: float = 0.0
    sd_spillover: float = 0.0
    taper: float = 0.0

    def types(self) -> tuple[float, ...]:
        """Effects by escalation type in the order of `TYPES`."""
        return tuple(getattr(self, name) for name in TYPES)


@dataclasses.dataclass(frozen=True, slots=True)
class Effects:
    """Every effect of the AI, by outcome; all zero unless set.

    Examples
    --------
    >>> Effects(rating=Effect(emotional=-1.0)).rating.emotional
    -1.0
    """

    duration: Effect = Effect()
    retrial: Effect = Effect()
    rating: Effect = Effect()
    response: Effect = Effect()
    concurrency: Effect = Effect()
    away: Effect = Effect()
    switches: Effect = Effect()


@dataclasses.dataclass(frozen=True, slots=True)
class Ratings:
    """Cutpoints of the cumulative logit, between categories 1|2, 2|3, ..."""

    cutpoints: tuple[float, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Text:
    """Rounds, messages, words and reply delays of chats without AI: log-normal means, SDs, and ties."""

    rounds: float
    rounds_sd: float
    rounds_sd_worker: float
    rounds_duration: float
    messages: float
    messages_power: float
    messages_sd: float
    messages_sd_worker: float
    words: float
    words_sd: float
    delay: float
    delay_trend: float
    delay_sd: float
    delay_sd_worker: float
    delay_sd_shock: float
    ai_delay: float
    ai_delay_sd: float


@dataclasses.dataclass(frozen=True, slots=True)
class Away:
    """How a chat's share of time away depends on the chat's own length (`duration`, per SD)."""

    duration: float
    switches_duration: float
    switches_dispersion: float


@dataclasses.dataclass(frozen=True, slots=True)
class People:
    """Worker demographics: means and standard deviations (years), share of men."""

    age: float
    age_sd: float
    male: float
    tenure: float
    tenure_sd: float


@dataclasses.dataclass(frozen=True, slots=True)
class Customers:
    """Customers by escalation type in the order of `TYPES`, then customers of chats that are not eligible."""

    customer_chats: tuple[float, ...]
    customer_tenure: tuple[float, ...]
    customer_tenure_sd: float
    vip: tuple[float, ...]
    initial_sentiment: tuple[float, ...]
    initial_urgency: tuple[float, ...]
    first_words: tuple[float, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Issues:
    """Issue categories: shares of all chats by period and of eligible chats by escalation type."""

    names: tuple[str, ...]
    pre: tuple[float, ...]
    post: tuple[float, ...]
    none: tuple[float, ...]
    technical: tuple[float, ...]
    emotional: tuple[float, ...]
    human: tuple[float, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Covariates:
    """What customers and issues do to an outcome, on its link's scale; centred in each scope."""

    issue: tuple[float, ...]
    sentiment: float
    words: float
    vip: float


@dataclasses.dataclass(frozen=True, slots=True)
class Escalation:
    """Types of AI chats (shares) and the takeover, by type: AI rounds, sentiment then, text and effort after
    it.

    Pairs `x`, `x_sd` are means and standard deviations in the order technical, emotional, human
    (`shares` and `ai_only_*` apart). `trade`: how far AI rounds save human rounds (latent correlation);
    `loading`: correlation of each measure with the chat's effort.
    """

    shares: tuple[float, ...]
    ai_only_rounds: float
    ai_only_rounds_sd: float
    ai_rounds: tuple[float, ...]
    ai_rounds_sd: tuple[float, ...]
    takeover_sentiment: tuple[float, ...]
    human_rounds: tuple[float, ...]
    human_rounds_sd: tuple[float, ...]
    human_messages: tuple[float, ...]
    human_messages_sd: tuple[float, ...]
    human_delay: tuple[float, ...]
    human_delay_sd: tuple[float, ...]
    empathy: tuple[float, ...]
    empathy_sd: tuple[float, ...]
    information_seeking: tuple[float, ...]
    information_seeking_sd: tuple[float, ...]
    solution_provision: tuple[float, ...]
    solution_provision_sd: tuple[float, ...]
    proactivity: tuple[float, ...]
    trade: float
    loading: float
    effort_sd_worker: float
    effort_sentiment: float


@dataclasses.dataclass(frozen=True, slots=True)
class Parameters:
    """Every parameter of the synthetic experiment; `Parameters.load()` gives the calibrated ones.

    Examples
    --------
    >>> Parameters.load().experiment.days
    31
    """

    experiment: Experiment
    volume: Volume
    duration: Process
    retrial: Process
    rating: Process
    response: Process
    concurrency: Process
    away: Process
    switches: Process
    ratings: Ratings
    text: Text
    multitasking: Away
    people: People
    customers: Customers
    issues: Issues
    duration_covariates: Covariates
    retrial_covariates: Covariates
    rating_covariates: Covariates
    escalation: Escalation
    effects: Effects

    @classmethod
    def load(cls, path: str | Path | None = None) -> Parameters:
        """Read parameters from a TOML file; without a path, those calibrated to the paper."""
        if path is None:
            text = resources.files("hitlbayes.twin").joinpath("parameters.toml").read_text("utf-8")
        else:
            text = Path(path).read_text("utf-8")
        return cls.from_dict(tomllib.loads(text))

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Parameters:
        """Parameters from nested dicts, as `dataclasses.asdict` gives them."""
        return _build(cls, values, where="parameters")

    def dump(self) -> str:
        """TOML text from which `load` gives these parameters back."""
        return _toml(dataclasses.asdict(self), prefix="")


def _build(kind: type, values: dict[str, Any], *, where: str) -> Any:
    """Dataclass `kind` from a nested dict; unknown or missing keys are errors, not defaults."""
    fields = {f.name: f for f in dataclasses.fields(kind)}
    required = {n for n, f in fields.items() if f.default is dataclasses.MISSING}
    if wrong := [*sorted(set(values) - set(fields)), *sorted(required - set(values))]:
        raise SpecError(f"{where}: unknown or missing keys {wrong}; expected {sorted(fields)}")
    hints = get_type_hints(kind)
    out = {}
    for name, value in values.items():
        hint = hints[name]
        if isinstance(hint, type) and dataclasses.is_dataclass(hint):
            out[name] = _build(hint, value, where=f"{where}.{name}")
        else:
            out[name] = tuple(value) if isinstance(value, list) else value
    return kind(**out)


def _toml(values: dict[str, Any], *, prefix: str) -> str:
    lines, tables = [], []
    for name, value in values.items():
        if isinstance(value, dict):
            tables.append(f"\n[{prefix}{name}]\n" + _toml(value, prefix=f"{prefix}{name}."))
        else:
            lines.append(f"{name} = {_literal(value)}")
    return "\n".join(lines) + ("\n" if lines else "") + "".join(tables)


def _literal(value: Any) -> str:
    if isinstance(value, (tuple, list)):
        return "[" + ", ".join(_literal(v) for v in value) + "]"
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, float):
        return f"{value:.6g}" if value % 1 else f"{value:.1f}"
    return str(value)

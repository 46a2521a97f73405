"""The parts of the parameters, each with its units: sizes, processes, effects, text, people, escalation."""

from __future__ import annotations

import dataclasses
import datetime as dt

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
    over chats. `spillover`: treated workers' other chats, averaged over worker-days. `volume`,
    `spillover_volume`: change of either per unit of the worker-day's log chats, about those averages;
    `ai_volume`: of the first per unit of its log eligible chats. `sd_*`: workers' own effects. `taper`: by
    how much less long chats feel the spillover, per standard deviation of a chat's own log duration.
    """

    none: float = 0.0
    technical: float = 0.0
    emotional: float = 0.0
    human: float = 0.0
    spillover: float = 0.0
    volume: float = 0.0
    ai_volume: float = 0.0
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

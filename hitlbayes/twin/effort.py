"""Takeovers whose effort is drawn anew from a known law, so that it is known what types do to it.

In the calibrated twin each type's measures have the printed means, whatever the AI rounds: what is effort and
what is arithmetic is not defined there. Here it is. With latent effort

    effort_k = type + sentiment x (sentiment_k - 1) + worker + Normal(0, rest),   variance one within a type,

human rounds beyond the first fall as the AI has got more done (`ai_rounds` on log AI rounds) and rise with
effort, messages follow rounds, replies are quicker with more effort, and codes rise with effort and with the
amount of text. So more AI rounds mean fewer human rounds, a smaller share and, of short text, lower codes,
without anybody giving up.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
import pandas as pd

from hitlbayes.errors import SpecError

CODES = ("empathy", "information_seeking", "solution_provision")
CUTS = (-1.2, 1.6)


@dataclasses.dataclass(frozen=True, slots=True)
class EffortLaw:
    """What effort and its measures are made of; types not named have effect zero.

    type : effect on latent effort, in its SDs, by type
    sentiment : of one level of negative sentiment at takeover
    ai_rounds : of log AI rounds on log human rounds; text : of log messages on the logit of a code
    worker : SD of workers' own effort, of a total of one; loadings on the links' scales
    """

    type: Mapping[str, float] = dataclasses.field(default_factory=dict)
    sentiment: float = 0.0
    ai_rounds: float = -0.35
    text: float = 0.6
    worker: float = 0.3
    rounds: float = 0.4
    delay: float = -0.25
    codes: float = 0.8


def redraw_effort(
    takeovers: pd.DataFrame, *, law: EffortLaw | None = None, seed: int = 20240815
) -> pd.DataFrame:
    """The same takeovers with measures of effort drawn from `law`; synthetic.

    Parameters
    ----------
    takeovers : DataFrame
        As `simulate(...).chats`, those that a worker took over: `escalation`, `worker_id`, `ai_rounds`,
        `takeover_sentiment`.
    law : EffortLaw, optional
        By default no type has an effect on effort.
    seed : int

    Returns
    -------
    DataFrame
        A copy with delay, rounds, messages, the three codes and proactivity new, and
        `effort`, the truth.

    Examples
    --------
    >>> from hitlbayes.twin import simulate
    >>> chats = simulate(workers=20).chats
    >>> taken = chats[chats["human_rounds"].notna()]
    >>> bool((redraw_effort(taken)["human_messages"] >= redraw_effort(taken)["human_rounds"]).all())
    True
    """
    law = law or EffortLaw()
    needed = ("escalation", "worker_id", "ai_rounds", "takeover_sentiment")
    if gaps := [c for c in needed if c not in takeovers or takeovers[c].isna().any()]:
        raise SpecError(
            f"takeovers lack (some of) {', '.join(gaps)}; give the chats that a worker took over."
        )
    rng = np.random.default_rng([seed, 11])
    n = len(takeovers)
    code, workers = pd.factorize(takeovers["worker_id"], sort=True)
    own = law.worker * rng.standard_normal(len(workers))[code]
    kind = takeovers["escalation"].map(dict(law.type)).fillna(0.0).to_numpy(float)
    anger = law.sentiment * (takeovers["takeover_sentiment"].to_numpy(float) - 1)
    effort = kind + anger + own + np.sqrt(1 - law.worker**2) * rng.standard_normal(n)
    done = np.log(takeovers["ai_rounds"].to_numpy(float))
    rate = np.exp(1.5 + law.rounds * effort + law.ai_rounds * (done - 1.0))
    rounds = 1 + rng.poisson(rate * rng.gamma(3.0, 1 / 3.0, n))
    messages = rounds + rng.poisson(0.8 * rounds * rng.gamma(4.0, 1 / 4.0, n))
    amount = law.text * (np.log(messages) - 2.0)

    def latent() -> np.ndarray:
        return law.codes * effort + amount + rng.logistic(size=n)

    columns = {name: 1 + np.searchsorted(CUTS, latent()) for name in CODES}
    return takeovers.assign(
        human_delay=np.exp(2.75 + law.delay * effort + 0.5 * rng.standard_normal(n)),
        human_rounds=rounds,
        human_messages=messages,
        proactivity=(latent() > 0).astype(int),
        effort=effort,
        **columns,
    )

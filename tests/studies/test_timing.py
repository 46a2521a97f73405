"""Hazards of takeover on the absolute clock: the table of rounds at risk, counts, recovery, refusals."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest

import hitlbayes as hb
from hitlbayes.errors import DesignError, SchemaError, SpecError
from hitlbayes.studies.timing_frame import Names, at_risk

NAMES = Names("chat_id", "escalation", "worker_id", "gave_up", "round", "provider", "ai", "sentiment")
QUIET = {"draws": 250, "progress": False, "synthetic": True}
CLOSE = 4.0  # posterior SDs; one in 15,000 by chance
SAME = 1e-10  # the same arithmetic on the same draws
WAYS = ("emotional", "technical", "abandoned", "resolved")


def logits(elapsed: int, sentiment: int) -> np.ndarray:
    """Conditional logits of the ways of ending, in the order in which they are asked for."""
    late = float(elapsed > 3)
    return np.array([-5.0 + 0.9 * sentiment, -2.0 - 0.5 * late, -3.0, -2.2 + 0.8 * late])


@cache
def log(chats: int = 1000, *, seed: int = 1) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Synthetic chats of 20 workers and their rounds; a takeover is followed by one round of the worker."""
    rng = np.random.default_rng(seed)
    rows, ends = [], []
    for chat in range(chats):
        sentiment, elapsed, way = int(rng.integers(1, 4)), 0, ""
        while not way:
            elapsed += 1
            rows.append((chat, elapsed, "ai", sentiment))
            p = 1 / (1 + np.exp(-logits(elapsed, sentiment)))
            way = next((w for w, pk in zip(WAYS, p, strict=True) if rng.random() < pk), "")
            way = "resolved" if elapsed == 30 and not way else way
            sentiment = int(np.clip(sentiment + rng.integers(-1, 2), 1, 5))
        if way in WAYS[:2]:
            rows.append((chat, elapsed + 1, "human", sentiment))
        ends.append(
            (chat, int(rng.integers(20)), way if way in WAYS[:2] else "none", int(way == "abandoned"))
        )
    made = pd.DataFrame(ends, columns=["chat_id", "worker_id", "escalation", "gave_up"])
    return made, pd.DataFrame(rows, columns=["chat_id", "round", "provider", "sentiment"])


@cache
def fitted() -> hb.TimingFit:
    chats, rounds = log()
    return hb.fit_timing(chats, rounds=rounds, abandoned="gave_up", bands=[1, 4], **QUIET)


def test_rounds_at_risk_of_three_chats_by_hand() -> None:
    chats = pd.DataFrame(
        {
            "chat_id": [1, 2, 3, 4],
            "worker_id": 7,
            "escalation": ["technical", "none", None, "human"],
            "gave_up": 0,
        }
    )
    rounds = pd.DataFrame(
        [
            (1, 1, "ai", 2),
            (1, 2, "ai", 4),
            (1, 3, "human", 5),
            (2, 1, "ai", 1),
            (2, 2, "ai", 3),
            (2, 3, "ai", 1),
        ],
        columns=["chat_id", "round", "provider", "sentiment"],
    )
    many = pd.concat([rounds.assign(chat_id=rounds["chat_id"] + 10 * k) for k in range(20)])
    log = pd.concat([chats.assign(chat_id=chats["chat_id"] + 10 * k) for k in range(20)])
    expected = {"last": [2, 4, 1, 3, 1], "highest": [2, 4, 1, 3, 3], "mean": [2, 3, 1, 2, 1.75]}
    for history, values in expected.items():  # the mean of the last chat, 5 / 3, to the quarter
        made = at_risk(log, many, names=NAMES, history=history, edges=(1, 3))
        first = made.frame[made.frame["chat"] < 10]
        assert first["sentiment"].tolist() == values
        assert first["elapsed"].tolist() == [1, 2, 1, 2, 3]
        assert first["band"].tolist() == [0, 0, 0, 0, 1]
        assert first["cause"].tolist() == ["", "technical", "", "", "resolved"]
        assert made.causes == ("technical", "resolved")
        assert made.notes == ("20 takeovers before any AI round: never at risk here",)


def test_hazards_of_a_flat_law_are_the_observed_shares() -> None:
    # One band, one sentiment: the posterior of each question is that of a share, almost flat on the logit.
    rng = np.random.default_rng(3)
    size = rng.geometric(0.25, 800)
    ends = rng.choice(["technical", "none"], 800, p=[0.3, 0.7])
    chats = pd.DataFrame({"chat_id": np.arange(800), "worker_id": np.arange(800) % 9, "escalation": ends})
    rounds = pd.DataFrame({"chat_id": np.repeat(np.arange(800), size), "provider": "ai", "sentiment": 1})
    rounds["round"] = rounds.groupby("chat_id").cumcount() + 1
    fit = hb.fit_timing(
        chats, rounds=rounds, bands=[1], priors={"sd_worker_id": hb.half_normal(0.01)}, **QUIET
    )
    found = fit.hazard([1.0]).set_index("cause")
    assert found["at_risk"].eq(len(rounds)).all()
    for cause, name in (("technical", "technical"), ("resolved", "none")):
        share = np.mean(np.repeat(ends == name, 1)) * 800 / len(rounds)
        se = np.sqrt(share * (1 - share) / len(rounds))
        # the prior moves the mean by far less than a tenth of a standard error; the rest is Monte Carlo
        assert found.loc[cause, "mean"] == pytest.approx(share, abs=0.25 * se)
        width = found.loc[cause, "upper"] - found.loc[cause, "lower"]
        assert width == pytest.approx(2 * 1.96 * se, rel=0.2)


def test_recovers_the_hazards_that_were_simulated() -> None:
    fit = fitted()
    assert fit.causes == WAYS
    for sentiment in (2, 4):
        for band, elapsed in ((0, 2), (1, 6)):
            p = 1 / (1 + np.exp(-logits(elapsed, sentiment)))
            truth = p * np.r_[1, np.cumprod(1 - p)[:-1]]
            drawn = fit.draws(np.array([band]), np.array([sentiment]))[:, 0]
            z = (drawn.mean(axis=0) - truth) / drawn.std(axis=0)
            assert np.abs(z).max() < CLOSE
    ratios = fit.ratios().set_index("cause")
    assert ratios.loc["emotional", "lower"] > 2
    assert ratios.loc["technical", "lower"] < 1 < ratios.loc["technical", "upper"]


def test_hazards_and_going_on_add_to_one() -> None:
    fit = fitted()
    found = fit.draws(np.array([0, 1]), np.array([3.0, 3.0]))
    assert (found > 0).all()
    assert (found.sum(axis=2) < 1).all()
    table = fit.incidence([3.0], rounds=40)
    assert table.query("round == 40")["mean"].sum() == pytest.approx(1.0, abs=1e-3)  # after 40 rounds, all
    one = fit.hazard([3.0]).set_index(["cause", "band"])
    assert one.loc[("emotional", "1-3"), "mean"] == pytest.approx(found[:, 0, 0].mean(), abs=SAME)


def test_what_is_said_and_drawn() -> None:
    fit = fitted()
    assert "SYNTHETIC" in repr(fit)
    assert fit.hazard([9.0])["mean"].isna().all()  # no round was at that sentiment
    figure = fit.plot()
    assert "compete" in figure.caption
    assert [axes.get_title(loc="left") for axes in figure.axes if axes.get_visible()] == list(WAYS)
    assert fit.check().r_hat < 1.03  # 250 draws of 4 chains


@pytest.mark.parametrize(
    ("change", "options", "error", "words"),
    [
        (lambda c, r: (c.drop(columns="worker_id"), r), {}, SchemaError, "no column worker_id"),
        (lambda c, r: (c, r.drop(columns="sentiment")), {}, SchemaError, "no column sentiment"),
        (lambda c, r: (c[c["chat_id"] > 5], r), {}, SchemaError, "not among the chats"),
        (lambda c, r: (pd.concat([c, c.head(2)]), r), {}, SchemaError, "2 of 1002 rows"),
        (lambda c, r: (c.assign(escalation=None), r), {}, SchemaError, "no 'escalation'"),
        (lambda c, r: (c, r.assign(sentiment=np.nan)), {}, SchemaError, "missing values in 'sentiment'"),
        (lambda c, r: (c, r.assign(provider=r["provider"].iloc[::-1].to_numpy())), {}, SchemaError, "after"),
        (lambda c, r: (c, r), {"ai": "bot"}, SchemaError, "is 'bot'"),
        (lambda c, r: (c.assign(gave_up=2), r), {}, SchemaError, "not 0 or 1"),
        (lambda c, r: (c, r), {"history": "worst"}, SpecError, "expected one of 'last'"),
        (lambda c, r: (c, r), {"bands": [2, 4]}, SpecError, "from 1"),
        (lambda c, r: (c.assign(escalation="none"), r), {"abandoned": None}, DesignError, "two or more"),
        (
            lambda c, r: (c.assign(escalation=c["escalation"].where(c["chat_id"] > 3, "human")), r),
            {},
            DesignError,
            r"human \(4\)",
        ),
    ],
)
def test_bad_input_is_refused_with_what_was_found(change, options, error, words: str) -> None:
    chats, rounds = change(*(frame.copy() for frame in log()))
    with pytest.raises(error, match=words):
        hb.fit_timing(chats, rounds=rounds, **{"abandoned": "gave_up", **QUIET, **options})

"""The mechanical decomposition: identities, literal values, and how far the ratio of means can mislead."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hitlbayes.errors import SpecError
from hitlbayes.published import decompose_effort, ratio_check
from hitlbayes.published.effort import implied_ai_rounds, share_of_rounds, split_share_gap
from hitlbayes.published.posterior import published_means

ROUNDING = 5e-4  # the printed figures have three decimals
MONTE_CARLO = 0.002  # five standard errors of the share's mean at 4,000 draws, SD .012, rounded up

share = st.floats(0.05, 0.95)
rounds = st.floats(0.5, 50)


def test_published_shares_by_hand() -> None:
    emotional, technical = 5.135 * 0.567 / 0.433, 5.452 * 0.346 / 0.654
    assert implied_ai_rounds(5.135, 0.433) == pytest.approx(emotional)
    assert share_of_rounds(5.452, emotional) == pytest.approx(0.448, abs=ROUNDING)
    assert share_of_rounds(5.135, technical) == pytest.approx(0.640, abs=ROUNDING)


@given(human=rounds, s=share)
def test_share_and_rounds_invert_each_other(human: float, s: float) -> None:
    assert share_of_rounds(human, implied_ai_rounds(human, s)) == pytest.approx(s)


@given(h=rounds, s=share, rh=rounds, rs=share)
def test_parts_add_up_and_vanish_with_their_cause(h: float, s: float, rh: float, rs: float) -> None:
    split = split_share_gap(human=h, share=s, reference_human=rh, reference_share=rs)
    assert split["part_ai"] + split["part_human"] == pytest.approx(s - rs, abs=1e-12)
    ai = implied_ai_rounds(rh, rs)
    only_human = split_share_gap(
        human=h, share=share_of_rounds(h, ai), reference_human=rh, reference_share=rs
    )
    assert only_human["part_ai"] == pytest.approx(0, abs=1e-12)
    only_ai = split_share_gap(human=rh, share=s, reference_human=rh, reference_share=rs)
    assert only_ai["part_human"] == pytest.approx(0, abs=1e-12)


def test_published_decomposition() -> None:
    result = decompose_effort()
    mean = result.summary().set_index(["quantity", "group"])["mean"]
    assert mean["share_if_ai", "emotional"] == pytest.approx(0.448, abs=MONTE_CARLO)
    assert mean["gap", "emotional"] == pytest.approx(0.433 - 0.654, abs=MONTE_CARLO)
    assert mean["part_ai", "emotional"] == pytest.approx(-0.207, abs=MONTE_CARLO)
    assert mean["messages_per_round", "emotional"] == pytest.approx(8.907 / 5.135, abs=0.01)
    assert result.source == "published"
    assert set(result.summary()["source"]) == {"published"}


def test_what_is_left_to_explain() -> None:
    left = decompose_effort().left_to_explain().set_index(["group", "measure"])["status"]
    emotional = left["emotional"]
    assert set(emotional[emotional == "lower"].index) == {
        "human_messages",
        "information_seeking",
        "solution_provision",
        "proactivity",
    }
    assert emotional["human_share"] == "arithmetic"
    assert emotional["human_rounds"] == emotional["human_delay"] == "not told apart"


def test_standardized_differences_use_the_spread_between_chats() -> None:
    row = (
        decompose_effort(draws=20_000).left_to_explain().query("measure == 'proactivity'").set_index("group")
    )
    sd = [(0.477 - 0.410) / 2 / 1.959964 * 954**0.5, (0.589 - 0.561) / 2 / 1.959964 * 4879**0.5]
    want = (0.444 - 0.575) / np.sqrt(np.mean(np.square(sd)))
    assert row.loc["emotional", "standardized"] == pytest.approx(want, abs=0.003)  # 5 SE of the mean


def test_correlation_narrows_messages_per_round() -> None:
    def sd(rho: float) -> float:
        rows = decompose_effort(correlation=rho).summary().set_index(["quantity", "group"])
        return float(rows.loc[("messages_per_round", "emotional"), "sd"])

    assert sd(0.9) < 0.6 * sd(0.0)


def test_ratio_of_means_is_not_what_carries_the_result() -> None:
    check = ratio_check()
    assert check["fraction_ai"].between(0.85, 1.0).all()
    # chats all alike have no difference between a ratio of means and a mean of ratios
    alike = published_means()
    alike["se"] = alike["se"] * 1e-3
    row = ratio_check(alike, ai_cv=[1e-3], correlation=[0.0]).iloc[0]
    assert row["ai_rounds"] == pytest.approx(5.135 * 0.567 / 0.433, rel=1e-3)
    assert row["share_if_ai"] == pytest.approx(0.4478, abs=ROUNDING)


def test_ratio_check_against_simulation() -> None:
    row = ratio_check(ai_cv=[0.8], correlation=[0.0]).iloc[0]
    rng = np.random.default_rng(11)
    n = 400_000
    sd = (5.440 - 4.831) / 2 / 1.959964 * 954**0.5
    human = rng.gamma((5.135 / sd) ** 2, sd**2 / 5.135, n)
    ai = rng.gamma(0.8**-2, 0.8**2 * row["ai_rounds"], n)
    assert (human / (human + ai)).mean() == pytest.approx(0.433, abs=0.0025)  # 5 SE of the simulated mean


MEANS = published_means()
BAD = [
    (MEANS, {"reference": "control"}, "control"),
    (MEANS, {"correlation": 1.5}, "between -1 and 1"),
    (MEANS.query("outcome != 'human_share'"), {}, "human_share of technical"),
    (MEANS.drop(columns="n"), {}, "lack"),
    (MEANS.assign(estimate=MEANS["estimate"].where(MEANS["outcome"] != "human_share", 1.2)), {}, "between 0"),
]


@pytest.mark.parametrize(("means", "options", "message"), BAD)
def test_what_cannot_be_decomposed_is_refused(means: pd.DataFrame, options: dict, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        decompose_effort(means, **options)

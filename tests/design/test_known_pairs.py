"""Complete pairs, and pairs made anew among chats with a known outcome."""

from __future__ import annotations

from functools import cache

import pandas as pd
import pytest

import hitlbayes as hb
from hitlbayes.design.matched_types import MatchedTypes
from hitlbayes.errors import DesignError, SpecError


@cache
def log() -> pd.DataFrame:
    return hb.simulate(workers=60, seed=3).chats


@cache
def matched() -> MatchedTypes:
    return hb.match_by_escalation(
        log(), exact=["initial_urgency"], caliper=0.2, types=["technical", "emotional"]
    )


def test_complete_pairs_are_the_pairs_with_both_members_known() -> None:
    made = hb.complete_pairs(matched(), outcome="rating")
    pool, before = matched().pool, matched().pairs()
    known = pool["rating"].notna()
    both = known.loc[before["treated"]].to_numpy() & known.loc[before["control"]].to_numpy()
    assert 0 < both.sum() < len(before)
    columns = ["type", "treated", "control"]
    pd.testing.assert_frame_equal(made.pairs()[columns], before.loc[both, columns].reset_index(drop=True))
    assert made.chats()["rating"].notna().all()
    for one in made.matches.values():
        assert one.weights.sum() == 2 * len(one.pairs)  # one control each: weights of one
    assert made.settings["complete"] == "rating"
    assert "complete" not in matched().settings


def test_several_controls_share_their_treated_rows_weight() -> None:
    two = hb.match_by_escalation(log(), exact=[], caliper=0.2, types=["emotional"], ratio=2)
    made = hb.complete_pairs(two, outcome="rating").matches["emotional"]
    controls = made.pairs["control_row"]
    # MatchIt's: a control has 1 / k of its treated row's k, and controls sum to their number
    k = made.pairs.groupby("treated_row")["control_row"].transform("size").to_numpy()
    expected = (1 / k) * len(k) / (1 / k).sum()
    assert made.weights[controls] == pytest.approx(expected)


def test_rematch_is_the_matching_among_known_chats() -> None:
    again = hb.rematch(matched(), among="rating")
    direct = hb.match_by_escalation(
        log(), exact=["initial_urgency"], caliper=0.2, types=["technical", "emotional"], among="rating"
    )
    pd.testing.assert_frame_equal(again.pairs(), direct.pairs())
    assert len(again.pairs()) > len(hb.complete_pairs(matched(), outcome="rating").pairs())


def test_what_cannot_be_had_is_refused() -> None:
    with pytest.raises(SpecError, match="no column 'mood'"):
        hb.complete_pairs(matched(), outcome="mood")
    pool = matched().pool
    unknown = pool["rating"].mask(pool["escalation"] == "emotional")
    gone = MatchedTypes(pool.assign(rating=unknown), matched().matches, {}, matched().settings)
    with pytest.raises(DesignError, match="pairs of type 'emotional'"):
        hb.complete_pairs(gone, outcome="rating")
    with pytest.raises(DesignError, match="no chat of emotional has a known rating"):
        hb.rematch(gone, among="rating")


def test_estimates_of_all_three_stand_side_by_side() -> None:
    table = hb.escalation_beside(matched(), formula="~ vip")
    samples = ["all matched chats", "complete pairs", "matched anew among known"]
    assert table.index.get_level_values("sample").unique().tolist() == samples
    assert table.loc[("complete pairs", "technical"), "pairs"] == len(
        hb.complete_pairs(matched(), outcome="rating").matches["technical"].pairs
    )
    assert (table["n"] <= 2 * table["pairs"]).all()
    assert table.attrs["assumption"].startswith("under principal ignorability")

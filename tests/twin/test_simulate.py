from __future__ import annotations

import dataclasses
import doctest
import importlib

import numpy as np
import pandas as pd
import pytest

from hitlbayes.errors import SpecError
from hitlbayes.twin import Effect, Effects, Parameters, Twin, simulate

SEED = 11
ROUNDING = 2e-3
"""Durations are whole seconds: that moves a mean of logs by less than this."""
MONTE_CARLO = 4.0
"""Standard errors within which a draw must meet its expectation."""


@pytest.fixture(scope="module")
def full() -> Twin:
    return simulate(seed=SEED)


@pytest.fixture(scope="module")
def pair() -> tuple[Twin, Twin]:
    effects = Effects(
        duration=Effect(none=-0.6, technical=0.2, emotional=0.4, human=0.1, spillover=-0.1, taper=0.3),
        retrial=Effect(none=0.5, technical=0.5, emotional=0.5, human=0.5, spillover=0.3),
        rating=Effect(none=-1.0, technical=-1.0, emotional=-1.0, human=-1.0, spillover=0.5),
    )
    return simulate(seed=SEED, workers=200, effects=effects), simulate(
        seed=SEED, workers=200, effects=Effects()
    )


def test_published_sizes_are_met_exactly(full):
    chats = full.chats
    assert len(chats) == 680_676
    assert int(chats["eligible"].sum()) == 39_432
    assert int(chats["ai"].sum()) == 11_507
    assert int(((chats["eligible"] == 1) & (chats["post"] == 1)).sum()) == 27_469
    assert chats.groupby("treated")["worker_id"].nunique().to_dict() == {0: 345, 1: 302}
    assert chats["start_time"].min() >= pd.Timestamp("2024-08-01")
    assert chats["start_time"].max() < pd.Timestamp("2024-09-01")
    assert ((chats["start_time"] >= pd.Timestamp("2024-08-15")) == (chats["post"] == 1)).all()


def test_columns_are_in_range(full):
    chats = full.chats
    assert chats["chat_id"].is_unique
    assert (chats["duration"] >= 1).all()
    assert np.allclose(chats["active_time"] + chats["away_time"], chats["duration"], atol=0.1)
    assert chats["away_share"].between(0, 1).all()
    assert set(chats["rating"].dropna().unique()) == {1, 2, 3, 4, 5}
    assert (chats["concurrency"] >= 1).all()
    assert set(chats["initial_sentiment"].unique()) <= {1, 2, 3, 4, 5}
    assert (chats["worker_id"].diff().dropna() >= 0).all()


def test_ai_columns_are_null_exactly_where_there_was_no_ai_or_no_takeover(full):
    chats = full.chats
    ai = chats["ai"] == 1
    touched = (chats["eligible"] == 1) & (chats["treated"] == 1) & (chats["post"] == 1)
    assert (ai == touched).all()
    assert (chats["escalation"].notna() == ai).all()
    assert (chats["ai_rounds"].notna() == ai).all()
    taken = ai & (chats["escalation"] != "none")
    for name in ("takeover_seconds", "human_rounds", "human_delay", "empathy", "proactivity"):
        assert (chats[name].notna() == taken).all(), name
    part = chats[taken]
    assert (part["ai_rounds"] + part["human_rounds"] == part["rounds"]).all()
    assert (part["takeover_seconds"] < part["duration"]).all()
    assert (part["human_messages"] >= part["human_rounds"]).all()


def test_escalation_types_have_the_published_shares(full):
    shares = full.chats["escalation"].value_counts(normalize=True)
    published = {"technical": 5179, "none": 3966, "human": 1390, "emotional": 972}
    for name, count in published.items():
        share = count / 11_507
        assert abs(shares[name] - share) < MONTE_CARLO * np.sqrt(share * (1 - share) / 11_507), name


def test_issues_have_the_published_mix_in_each_period(full):
    # Table A3, before and after the start; chats of a period draw the mix, so a few tenths of a point
    mix = full.chats.groupby("post")["issue"].value_counts(normalize=True)
    table = {(0, "aftersales"): 0.46825, (1, "payment"): 0.07281, (1, "account"): 0.01191}
    for key, published in table.items():
        assert mix[key] == pytest.approx(published, abs=0.004)


def test_emotional_takeovers_come_late(full):
    taken = full.chats[full.chats["human_rounds"].notna()]
    progress = (taken["ai_rounds"] / taken["rounds"]).astype(float).groupby(taken["escalation"]).mean()
    # one less the shares of human rounds in Table 6: .433, .654, .601
    assert progress["emotional"] == pytest.approx(0.567, abs=0.04)
    assert progress["technical"] == pytest.approx(0.346, abs=0.04)
    assert progress["human"] == pytest.approx(0.399, abs=0.04)


def test_same_seed_same_chats_and_other_seed_other_chats():
    one, two, other = (simulate(seed=s, workers=12, scale=0.2).chats for s in (3, 3, 4))
    pd.testing.assert_frame_equal(one, two)
    assert not one["duration"].equals(other["duration"])


def test_log_duration_truth_is_the_difference_from_the_same_experiment_without_ai(pair):
    with_ai, without = pair
    touched = (with_ai.chats["treated"] == 1) & (with_ai.chats["post"] == 1)
    change = np.log(with_ai.chats["duration"]) - np.log(without.chats["duration"])
    assert np.allclose(change[~touched], 0)
    eligible = with_ai.chats["eligible"] == 1
    for scope, part in (
        ("all", touched),
        ("eligible", touched & eligible),
        ("ineligible", touched & ~eligible),
    ):
        assert _att(with_ai, scope=scope, outcome="log_duration") == pytest.approx(
            change[part].mean(), abs=ROUNDING
        )


@pytest.mark.parametrize("outcome", ["retrial", "rating"])
def test_truth_of_discrete_outcomes_is_the_expected_difference(pair, outcome):
    with_ai, without = pair
    touched = (with_ai.chats["treated"] == 1) & (with_ai.chats["post"] == 1)
    change = with_ai.chats[outcome].astype(float) - without.chats[outcome].astype(float)
    change = change[touched].dropna()
    error = change.std() / np.sqrt(len(change))
    assert abs(change.mean() - _att(with_ai, scope="all", outcome=outcome)) < MONTE_CARLO * error


def test_without_effects_the_truth_is_zero(pair):
    assert (pair[1].truth.att["att"] == 0).all()
    assert (pair[1].truth.types["att"] == 0).all()


def test_type_effects_are_the_parameters_on_average_over_chats(pair):
    types = pair[0].truth.types.set_index(["escalation", "outcome"])["att"]
    assert types["none", "log_duration"] == pytest.approx(-0.6)
    assert types["emotional", "log_duration"] == pytest.approx(0.4)


def test_worker_effects_average_to_the_effect(full):
    workers = full.truth.workers.query("outcome == 'log_duration'").set_index("worker_id")
    part = full.chats[full.chats["ai"] == 1].groupby("worker_id").size()
    mean = np.average(workers.loc[part.index, "att_eligible"], weights=part)
    assert mean == pytest.approx(_att(full, scope="eligible", outcome="log_duration"))


def test_scale_and_workers_change_the_size():
    small = simulate(seed=1, workers=40, scale=0.5)
    assert small.chats["worker_id"].nunique() == 40
    assert len(small.chats) == pytest.approx(680_676 * 40 / 647 * 0.5, abs=4)
    assert "synthetic" in repr(small)


@pytest.mark.parametrize("wrong", [{"workers": 3}, {"scale": 0.0}, {"scale": -1.0}])
def test_impossible_sizes_are_refused(wrong):
    with pytest.raises(SpecError, match="expected"):
        simulate(seed=1, **wrong)


def test_rounds_follow_the_chats():
    twin = simulate(seed=5, workers=60)
    rounds = twin.rounds(scope="eligible")
    eligible = twin.chats[twin.chats["eligible"] == 1].set_index("chat_id")
    assert (rounds.groupby("chat_id").size() == eligible["rounds"]).all()
    first = rounds[rounds["round"] == 1].set_index("chat_id")["sentiment"]
    assert (first == eligible["initial_sentiment"]).all()
    ai = rounds[rounds["provider"] == "ai"].groupby("chat_id").size()
    assert (ai == eligible["ai_rounds"].dropna()).all()
    assert rounds["progress"].between(0, 1).all()
    with pytest.raises(SpecError, match="scope"):
        twin.rounds(scope="treated")


def test_parameters_survive_toml(tmp_path):
    path = tmp_path / "parameters.toml"
    parameters = Parameters.load()
    path.write_text(parameters.dump(), "utf-8")
    assert Parameters.load(path) == parameters


def test_parameters_with_a_misspelt_key_are_refused():
    values = dataclasses.asdict(Parameters.load())
    values["volume"]["shift_hour"] = values["volume"].pop("shift_hours")
    with pytest.raises(SpecError, match="shift_hour"):
        Parameters.from_dict(values)


@pytest.mark.parametrize("module", ["simulate", "cells", "panels", "parameters", "sections"])
def test_examples_run(module):
    assert doctest.testmod(importlib.import_module(f"hitlbayes.twin.{module}")).failed == 0


def _att(twin: Twin, *, scope: str, outcome: str, weight: str = "chat") -> float:
    table = twin.truth.att.set_index(["scope", "outcome", "weight"])["att"]
    return float(table[scope, outcome, weight])

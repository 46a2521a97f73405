"""The panel: scopes, drops, means, covariates, outcomes, and the designs that it refuses."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pandas as pd
import pytest

from hitlbayes.chatlog import panel, read_chats
from hitlbayes.errors import DataWarning, DesignError, SchemaError, SpecError

from .logs import random_log, small

NAN = np.nan


def _drops(found) -> dict[str, int]:
    return dict(zip(found.drops["reason"], found.drops["rows"], strict=True))


@pytest.mark.parametrize(
    ("scope", "chats", "outside"), [("all", 8, None), ("eligible", 5, 0), ("ineligible", 3, 1)]
)
def test_scopes_count_what_lies_outside(scope, chats, outside):
    if scope == "ineligible":  # b and d after and before, a before: no treated worker afterwards but b
        with pytest.raises(DesignError, match="no chats of control workers after the start"):
            panel(small(), scope=scope)
        return
    found = panel(small(), scope=scope)
    assert found.n_chats == chats == found.cells["n"].sum()
    drops = _drops(found)
    assert (
        drops["rating missing"] == {"all": 3, "eligible": 0}[scope]
        if scope == "all"
        else "rating missing" not in drops
    )
    if outside is not None:
        assert drops[f"outside scope {scope!r} (eligible = {outside})"] == 8 - chats


def test_chats_of_unknown_eligibility_are_counted_and_warned_of():
    log = small().assign(eligible=[1, 0, 1, 1, 0, 1, 1, NAN])
    with pytest.warns(DataWarning, match="1 chats have no 'eligible'"):
        found = panel(log, scope="eligible")
    assert _drops(found)["outside scope 'eligible' (eligible missing)"] == 1


def test_a_scope_needs_the_eligible_column():
    with pytest.raises(
        SchemaError, match=r"'eligible' is missing, and scope='eligible' needs it(?s:.*)scope='all'"
    ):
        panel(small().drop(columns="eligible"), scope="eligible")
    assert panel(small().drop(columns="eligible")).n_chats == 8


def test_means_are_literal():
    row = panel(small(), by="issue").means.iloc[0]
    assert (row["unit"], row["n"], row["treated"], row["post"]) == ("a", 3, 1, 0)
    assert row["log_duration"] == pytest.approx(math.log(200))
    assert row["log_mean_duration"] == pytest.approx(math.log(700 / 3))
    assert row["rating"] == pytest.approx(4.5)
    assert row["retrial"] == pytest.approx(2 / 3)
    assert row["responded"] == pytest.approx(2 / 3)
    assert row["switch_aways"] == pytest.approx(4 / 3)


def test_means_do_not_depend_on_by_and_are_missing_where_nothing_was_rated():
    log = random_log(seed=4, chats=120)
    plain, split = panel(log).means, panel(log, by=("issue", "hour")).means
    pd.testing.assert_frame_equal(plain, split, rtol=1e-12)
    rated = log.groupby(["worker_id", log["start_time"].dt.floor("D")])["rating"].mean()
    np.testing.assert_allclose(plain["rating"], rated.to_numpy(), rtol=1e-12)
    assert plain["rating"].isna().any()


def test_hours_and_days_hold_the_same_chats():
    log = random_log(seed=5)
    hours, days = panel(log, period="hour"), panel(log)
    assert hours.cells["n"].sum() == days.cells["n"].sum() == len(log)
    assert hours.compression == pytest.approx(len(log) / len(hours.cells))
    assert set(hours.cells["period"].dt.floor("D")) == set(days.cells["period"])


def _only(log: pd.DataFrame, rows) -> pd.DataFrame:
    return log[rows].reset_index(drop=True)


DESIGNS = {
    "one arm only": (lambda log: _only(log, log["treated"] == 1), "no chats of control workers"),
    "no control": (lambda log: _only(log, log["treated"] == 0), "no chats of treated workers"),
    "no pre-period": (lambda log: _only(log, log["post"] == 1), r"no chats before the start \(post = 0\)"),
    "no post-period": (lambda log: _only(log, log["post"] == 0), r"no chats after the start \(post = 1\)"),
    "treated only after": (
        lambda log: _only(log, (log["treated"] == 0) | (log["post"] == 1)),
        "no chats of treated workers before the start",
    ),
    "empty scope": (lambda log: log.assign(eligible=0), "scope 'eligible' has no chats"),
}


@pytest.mark.parametrize("design", DESIGNS)
def test_designs_that_cannot_identify_an_effect(design):
    change, message = DESIGNS[design]
    with pytest.raises(DesignError, match=message):
        panel(change(small()), scope="eligible" if design == "empty scope" else "all")


def test_staggered_starts_are_sent_elsewhere():
    log = small().assign(post=[0, 0, 0, 1, 1, 0, 0, 0])
    with pytest.raises(
        DesignError, match=r"1 periods are before the start for some workers(?s:.*)treatment="
    ):
        panel(log)


UNSEEN = {
    "treated": ([NAN] * 5 + [3.0, 4.0, 5.0], "never observed among treated workers"),
    "control": ([5.0] * 5 + [NAN] * 3, "never observed among control workers"),
    "anybody": ([NAN] * 8, "never observed among treated workers and control workers"),
    "before": (
        [NAN, NAN, NAN, 1.0, 1.0, 3.0, 3.0, 3.0],
        "never observed among treated workers before the start",
    ),
}


@pytest.mark.parametrize("who", UNSEEN)
def test_an_outcome_never_seen_in_an_arm(who):
    values, message = UNSEEN[who]
    log = small().assign(rating=values)
    with pytest.raises(DesignError, match=f"outcome 'rating' is {message}"):
        panel(log, outcomes="rating")
    with pytest.warns(DataWarning, match="'rating' is left out"):
        found = panel(log)
    assert "rating" not in found.outcomes
    assert message in found.left_out["rating"]
    assert not any(column.startswith("rating:") for column in found.cells)
    assert any(reason.startswith("rating left out") for reason in found.drops["reason"])


def test_default_outcomes_have_their_families():
    families = panel(small()).outcomes
    assert families == {
        "log_duration": "gaussian",
        "responded": "bernoulli",
        "duration": "gaussian",
        "retrial": "bernoulli",
        "rating": "ordinal",
        "concurrency": "gaussian",
        "switch_aways": "count",
    }


def test_categories_are_those_of_the_scale_not_of_the_sample():
    assert panel(small(), outcomes="rating").categories == {"rating": (1, 2, 3, 4, 5)}
    found = panel(read_chats(small(), ratings=7), outcomes="rating")
    assert found.categories == {"rating": (1, 2, 3, 4, 5, 6, 7)}
    assert found.cells["rating:7"].sum() == 0


def test_own_columns_with_family_or_categories():
    log = small().assign(
        revenue=[1.5, NAN, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0], csat=[0, 2, 1, 1, 2, 0, 0, 1], sold=True
    )
    found = panel(log, outcomes={"revenue": "gaussian", "csat": (0, 1, 2), "sold": "bernoulli"})
    assert found.outcomes == {"revenue": "gaussian", "csat": "ordinal", "sold": "bernoulli"}
    assert found.cells.loc[0, ["csat:0", "csat:1", "csat:2"]].tolist() == [1, 1, 1]
    assert found.cells.loc[0, "revenue:mean"] == 1.75
    assert found.means.loc[0, "csat"] == 1.0
    assert panel(log, outcomes={"csat": "ordinal"}).categories == {"csat": (0, 1, 2)}
    assert panel(log, outcomes=["revenue", "sold"]).outcomes == {"revenue": "gaussian", "sold": "bernoulli"}


OWN = {
    "outside the categories": ({"csat": (1, 2, 3)}, SchemaError, "'csat': 3 of 8 values break the schema"),
    "no whole number": ({"revenue": "count"}, SchemaError, "'revenue': 1 of 7|'revenue': 1 of 8"),
    "infinite": ({"odd": "gaussian"}, SchemaError, "'odd': 1 of 8 values"),
    "not 0 or 1": ({"csat": "bernoulli"}, SchemaError, "expected: 0 or 1"),
    "misspelt family": ({"csat": "ordnal"}, SpecError, "Did you mean 'ordinal'"),
    "misspelt column": ("ratng", SchemaError, "did you mean 'rating'"),
    "no measure": ("worker_id", SpecError, "is no outcome"),
    "text": ("note", SchemaError, "values break the schema"),
    "reserved": ("period", SpecError, "cannot be called 'period'"),
}


@pytest.mark.parametrize("case", OWN)
def test_own_columns_are_checked(case):
    outcomes, error, message = OWN[case]
    log = small().assign(
        revenue=[1.5, NAN, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0],
        csat=[0, 2, 1, 1, 2, 0, 0, 1],
        odd=[math.inf, *[1.0] * 7],
        note="x",
    )
    with pytest.raises(error, match=message):
        panel(log, outcomes=outcomes)


def test_a_log_without_measures_is_refused():
    log = small()[["worker_id", "start_time", "treated", "post"]]
    with pytest.raises(SchemaError, match="no outcome"):
        panel(log)


def test_histograms_are_of_count_outcomes():
    log = small().assign(rounds=[1, 2, 3, 4, 5, 6, 7, 8])
    assert list(panel(log, histograms="rounds").histograms) == ["rounds"]
    assert panel(log, histograms=()).histograms == {}
    with pytest.raises(SpecError, match=r"histograms= names 'rating'(?s:.*)'rounds', 'switch_aways'"):
        panel(log, histograms=["rounds", "rating"])


def test_covariates_split_cells_and_keep_their_values():
    found = panel(small(), by=("issue", "vip"))
    first = found.cells.head(3)[["unit", "issue", "vip", "n"]].to_numpy().tolist()
    assert first == [["a", "delivery", 0, 1], ["a", "refund", 0, 1], ["a", "refund", 1, 1]]
    assert found.by == ("issue", "vip")
    assert panel(small(), by="issue").by == ("issue",)


def test_bins_are_half_open():
    found = panel(small(), by={"customer_tenure": [1, 2.5], "issue": None}).cells
    by_chat = dict(zip(found["customer_tenure"] + " " + found["unit"], found["n"], strict=False))
    assert set(found["customer_tenure"]) == {"(-inf, 1)", "[1, 2.5)", "[2.5, inf)"}
    assert by_chat["(-inf, 1) c"] == 1  # tenure 0
    assert found.loc[(found["unit"] == "c") & (found["post"] == 1), "customer_tenure"].tolist() == [
        "[2.5, inf)"
    ]


BY = {
    "not there": ("issues", SchemaError, r"by='issues' is not a column"),
    "gaps": ("rating", SchemaError, r"'rating' in 3 of 8 chats(?s:.*)a level of their own"),
    "reserved": ("post", SpecError, "the panel uses that name itself"),
    "descending": ({"customer_tenure": [3, 1]}, SpecError, "ascending edges"),
    "bins of text": ({"issue": [1, 2]}, SpecError, "numeric column"),
    "outcome too": ("retrial", SpecError, "in by= and in outcomes="),
}


@pytest.mark.parametrize("case", BY)
def test_covariates_that_cannot_split_cells(case):
    by, error, message = BY[case]
    with pytest.raises(error, match=message):
        panel(small(), by=by)


def test_a_continuous_covariate_is_refused_with_the_compression_and_bins_offered():
    with pytest.raises(
        SpecError, match=r"400 levels: 400 chats make 400 cells, a compression of 1\.00(?s:.*)by={'custom"
    ):
        panel(random_log(seed=6), by="customer_tenure")


def test_many_levels_that_still_compress_are_warned_of():
    log = random_log(seed=7, chats=6000, workers=2).assign(first_words=np.arange(6000) % 60)
    with pytest.warns(DataWarning, match=r"'first_words' has 60 levels: 6,000 chats make 720 cells"):
        panel(log, by="first_words", outcomes="retrial")


def test_a_panel_pickles_and_is_frozen():
    found = panel(small(), by="issue")
    copy = pickle.loads(pickle.dumps(found))
    pd.testing.assert_frame_equal(copy.cells, found.cells)
    assert copy.outcomes == found.outcomes
    with pytest.raises(AttributeError):
        found.scope = "eligible"


def test_what_is_printed_says_what_is_held_dropped_and_why():
    log = random_log(seed=8)
    text = repr(panel(read_chats(log, synthetic=True, tz="Asia/Shanghai"), scope="eligible", by="issue"))
    eligible = int(log["eligible"].sum())
    assert f"Panel: {eligible} chats, scope 'eligible' (SYNTHETIC)" in text
    assert "worker x day x issue" in text
    assert "chats a cell" in text
    assert "4 treated, 4 control" in text
    assert "2024-08-12 to 2024-08-14, 3 days (Asia/Shanghai)" in text
    assert "ordinal   rating" in text
    assert f"{400 - eligible}  outside scope 'eligible' (eligible = 0)" in text
    assert "rating missing" in text


@pytest.mark.parametrize(("argument", "value"), [("scope", "eligble"), ("period", "week")])
def test_misspelt_choices_are_refused(argument, value):
    with pytest.raises(SpecError, match=rf"{argument}='{value}' is not known"):
        panel(small(), **{argument: value})

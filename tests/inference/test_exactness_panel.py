"""From chats through `panel` to a model's cells: the same statistics as chat rows collapsed in pandas."""

from __future__ import annotations

import numpy as np
import pytest

import hitlbayes as hb
from hitlbayes.spec.cells import cells_of_frame, cells_of_panel

from .chats import OUTCOMES, chat_log

DIGITS = 1e-12  # the same sums, in another order


@pytest.fixture(scope="module")
def both():
    """Synthetic chats of 33 workers, every outcome, and their panel split by a covariate."""
    chats = chat_log(9, workers=33, days=6, start=3)
    chats["duration"] = np.exp(chats["log_duration"])
    chats.insert(0, "chat_id", [f"c{k}" for k in range(len(chats))])
    log = chats.drop(columns=["log_duration", "day", "urgency"])
    return chats, hb.panel(hb.read_chats(log, synthetic=True), by="vip", outcomes=list(OUTCOMES.values()))


@pytest.mark.parametrize("family", OUTCOMES)
def test_panel_holds_the_statistics_of_its_chats(both, family: str) -> None:
    chats, panel = both
    outcome = OUTCOMES[family]
    found = cells_of_panel(panel, outcome=outcome)
    frame = chats.assign(period=chats["start_time"].dt.floor("D")).rename(columns={"worker_id": "unit"})
    keys = ["unit", "period", "treated", "post", "vip"]
    expected = cells_of_frame(frame, outcome=outcome, family=family, keys=keys)
    assert found.family == family
    for name in keys:
        assert list(found.keys[name]) == list(expected.keys[name]), name
    assert np.array_equal(found.n, expected.n)
    np.testing.assert_allclose(found.stats, expected.stats, rtol=DIGITS, atol=1e-10)
    assert found.labels == expected.labels
    if family == "count":
        assert np.array_equal(found.values, expected.values)

"""A fit of several effects, kept without its units' draws, opens again and says the same."""

from __future__ import annotations

import pandas as pd

import hitlbayes as hb
from hitlbayes.replication.slim import FILE, checked_fit, save_slim


def test_a_slim_event_study_opens_again(tmp_path) -> None:
    cells = hb.simulate_cells(seed=2, workers=20, periods=5, start=3)
    study = hb.fit_event_study(cells, outcome="y", draws=250, progress=False)
    save_slim(study.fit, tmp_path)
    again = hb.EventStudy(hb.load(tmp_path / FILE))
    pd.testing.assert_frame_equal(again.summary(), study.summary())
    assert again.fit.check() == study.fit.check()
    assert "unit" not in again.fit.posterior["posterior"].dims


def test_a_fit_that_fails_its_checks_is_made_once_more_with_more_draws() -> None:
    cells = hb.simulate_cells(seed=2, workers=20, periods=5, start=3)
    asked = []

    def make(**more):
        asked.append(more)
        return hb.fit_event_study(cells, outcome="y", **({"draws": 30, "chains": 2} | more))

    checked_fit(make, {"draws": 30})
    assert asked == [{"progress": False}, {"progress": False, "draws": 90}]  # ESS of 60 draws is below 400

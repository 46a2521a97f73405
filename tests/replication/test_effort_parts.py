"""Table 6 and the timing of takeovers in a replication: printed columns, and sections that show them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from hitlbayes.published import table
from hitlbayes.replication import document_effort, table6
from hitlbayes.replication.runner import replicate
from hitlbayes.replication.table_result import TableResult

SCALE = 0.05  # 32 workers: every type has twenty takeovers or more
QUIET = Console(quiet=True)
TYPES = ("technical", "emotional", "human")
OUTCOMES = ("human_delay", "human_rounds", "human_share", "empathy")
CHECKS = {"ok": True, "problems": "", "r_hat": 1.004, "ess_bulk": 812.0, "seconds": 9.0, "sets": 3}


def observed() -> pd.DataFrame:
    """Synthetic means by type."""
    rows = [(o, t, 1.0 + j, 0.1, 40 + j) for o in OUTCOMES for j, t in enumerate(TYPES)]
    return pd.DataFrame(rows, columns=["outcome", "type", "mean", "se", "n"])


def effort_result() -> TableResult:
    effects = pd.DataFrame(
        [
            (a, t, o, -0.2, 0.05, -0.3, -0.1, 0.01, "units", 900.0, 850.0, 1.0)
            for a in ("raw", "clock")
            for t in TYPES[1:]
            for o in (*OUTCOMES, "effort")
        ],
        columns=["adjust", "contrast", "outcome", "mean", "sd", "lower", "upper", "prob_positive", "units",
                 "ess_bulk", "ess_tail", "r_hat"],
    )  # fmt: skip
    survival = (
        effects[["contrast", "outcome"]].drop_duplicates().assign(raw=-0.2, clock=-0.2, verdict="survives")
    )
    overlap = pd.DataFrame({"sentiment": [1.0, 2.0], **{t: [30, 12] for t in TYPES}})
    overlap = overlap.assign(**{f"{t} compared": [True, False] for t in TYPES[1:]})
    surface = pd.DataFrame(
        {"sentiment": [1.0, 2.0], "ai_rounds": ["1", "25+"], "mean": [0.1, -0.2], "lower": -0.4, "upper": 0.4,
         "n": [30, 12]}
    )  # fmt: skip
    more = {
        "effects": effects,
        "survival": survival,
        "observed": observed(),
        "overlap": overlap,
        "surface": surface,
        "checks": pd.DataFrame([CHECKS]),
    }
    frame = table6.beside_published(observed(), published=table("6"))
    return TableResult("6", "Effort", "Whether", "", frame, None, 3, (), more)


def timing_result() -> TableResult:
    grid = np.linspace(0, 1, 11)
    curve = pd.concat(
        [
            pd.DataFrame({"type": t, "progress": grid, "mean": 1.0, "lower": 0.8, "upper": 1.2, "n": 50})
            for t in TYPES
        ]
    )
    hazard = pd.DataFrame(
        [
            (c, s, b, 0.1, 0.05, 0.2, 60, 6)
            for c in (*TYPES, "abandoned", "resolved")
            for s in (1.0, 4.0)
            for b in ("1", "2+")
        ],
        columns=["cause", "sentiment", "band", "mean", "lower", "upper", "at_risk", "ended"],
    )
    incidence = hazard.rename(columns={"band": "round"})[["cause", "sentiment", "round", "mean"]]
    ratios = pd.DataFrame(
        {"cause": TYPES, "low": 0.1, "high": 0.2, "ratio": 2.0, "lower": 1.0, "upper": 4.0}
    ).assign(prob_above_one=0.9, sentiment="4 against 1")
    told = CHECKS | {"history": "last", "A5": "95% pointwise", "A6": "95% pointwise"}
    more = {
        "A5": curve,
        "A6": curve,
        "hazard": hazard,
        "incidence": incidence,
        "checks": pd.DataFrame([told]),
    }
    return TableResult("timing", "Timing", "When", "", ratios, None, 5, (), more)


def test_means_stand_beside_the_printed_ones() -> None:
    made = table6.beside_published(observed(), published=table("6")).set_index(["outcome", "type"])
    row = made.loc[("human_share", "emotional")]
    assert row[["published_mean", "published_lower", "published_upper"]].tolist() == [0.433, 0.417, 0.449]
    assert row["published_n"] == 954
    assert row[["twin_mean", "twin_n"]].tolist() == [2.0, 41]
    assert row["twin_upper"] - row["twin_mean"] == pytest.approx(0.196, abs=1e-4)
    assert len(made) == 24
    assert made.loc[("proactivity", "human"), "twin_mean"] != made.loc[("proactivity", "human"), "twin_mean"]


def test_sections_show_tables_figures_and_checks() -> None:
    effort = "".join(map(str, document_effort.effort_blocks(effort_result())))
    assert effort.count("<figure>") == 3
    assert "survives" in effort
    assert "Checks passed: r_hat at most 1.004" in effort
    timing = "".join(map(str, document_effort.timing_blocks(timing_result())))
    assert timing.count("<figure>") == 3
    assert "compete" in timing


@pytest.mark.slow
def test_both_parts_run_from_nothing_to_the_report(tmp_path) -> None:
    done = replicate(out=tmp_path, scale=SCALE, only=["6", "timing"], console=QUIET)
    html = done.report.read_text()
    assert "Table 6. Effort after a takeover" in html
    assert "Figures A5 and A6" in html
    assert done.fits == 8
    assert set(done.tables["timing"].frame["cause"]) == {*TYPES, "abandoned", "resolved"}
    written = {path.name for path in (tmp_path / "tables").iterdir()}
    assert {"table_6.csv", "table_6_survival.csv", "table_timing_hazard.csv"} <= written

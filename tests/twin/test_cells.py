from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from hitlbayes.errors import SpecError
from hitlbayes.twin import simulate, simulate_cells, simulate_panels
from hitlbayes.twin.cells import FAMILIES, ordinal_probabilities

MONTE_CARLO = 4.0
"""Standard errors within which a draw must meet its expectation."""
COMPARED = 6
"""Seeds over which the two paths of the twin are compared."""


@settings(max_examples=25, deadline=None)
@given(
    family=st.sampled_from(FAMILIES),
    seed=st.integers(0, 2**31),
    workers=st.integers(4, 12),
    attendance=st.floats(0.5, 1.0),
)
def test_cells_are_sufficient_statistics_of_their_chats(family, seed, workers, attendance):
    try:
        small = simulate_cells(
            seed=seed, family=family, workers=workers, periods=5, start=2, attendance=attendance
        )
    except SpecError:  # seldom, with few workers, nobody treated appears after the start
        reject()
    cells = small.cells
    assert not cells.duplicated(["unit", "period"]).any()
    if family == "ordinal":
        assert (cells[[f"y:{k}" for k in range(1, 6)]].sum(axis=1) == cells["n"]).all()
    elif family == "bernoulli":
        assert cells["y:successes"].between(0, cells["n"]).all()
    else:
        assert (cells["y:ss"] >= 0).all()
        assert (cells.loc[cells["n"] == 1, "y:ss"] == 0).all()
    if family == "count":
        histogram = small.histograms["y"]
        assert (histogram.groupby("cell")["n"].sum() == cells["n"]).all()
        totals = (histogram["n"] * histogram["value"]).groupby(histogram["cell"]).sum()
        assert np.allclose(totals, cells["y:mean"] * cells["n"])


def test_an_experiment_in_which_nobody_is_treated_by_chance_is_refused():
    with pytest.raises(
        SpecError, match="no treated unit appears after the start with seed=262912, workers=5"
    ):
        simulate_cells(seed=262912, workers=5, periods=5, start=2, attendance=0.5)


def test_gaussian_effect_without_heterogeneity_is_the_parameter():
    small = simulate_cells(seed=1, effect=0.3, sd_effect=0.0)
    assert small.truth["att_chat"] == pytest.approx(0.3)
    assert small.truth["att_cell"] == pytest.approx(0.3)


def test_gaussian_cells_have_the_stated_residual_variance():
    cells = simulate_cells(seed=2, workers=400, sigma=0.7, chats_per_cell=30).cells
    freedom = (cells["n"] - 1).sum()
    assert abs(cells["y:ss"].sum() / freedom / 0.49 - 1) < MONTE_CARLO * np.sqrt(2 / freedom)


def test_difference_in_differences_recovers_the_realised_effect():
    small = simulate_cells(seed=3, workers=2000, periods=8, start=4, sd_drift=0.1, sd_effect=0.2, effect=0.3)
    means = small.cells.groupby(["unit", "treated", "post"])["y:mean"].mean().unstack("post")
    change = (means[1] - means[0]).groupby("treated").agg(["mean", "sem"])
    gap = change.loc[1, "mean"] - change.loc[0, "mean"] - small.truth["att_cell"]
    assert abs(gap) < MONTE_CARLO * np.hypot(*change["sem"])


def test_ordinal_probabilities_at_zero():
    # cumulative logit at cutpoints -1 and 1: logistic(-1), the rest, logistic(-1)
    found = ordinal_probabilities(np.zeros(1), cutpoints=(-1.0, 1.0))
    assert found[0] == pytest.approx([0.26894142, 0.46211716, 0.26894142])


@pytest.mark.parametrize(
    "wrong",
    [
        {"family": "poisson"},
        {"start": 0},
        {"start": 10},
        {"sd_level": -1.0},
        {"treated_share": 0.0},
        {"cutpoints": (1.0, 0.0), "family": "ordinal"},
    ],
)
def test_impossible_designs_are_refused(wrong):
    with pytest.raises(SpecError):
        simulate_cells(seed=1, **wrong)


def test_panels_have_the_published_sizes_and_add_up():
    panels = simulate_panels(seed=1)
    sizes = {scope: int(found.cells["n"].sum()) for scope, found in panels.items()}
    assert sizes == {"all": 680_676, "eligible": 39_432, "ineligible": 641_244}
    for name in ("retrial:successes", "rating:1", "rating:5"):
        total = panels["eligible"].cells[name].sum() + panels["ineligible"].cells[name].sum()
        assert panels["all"].cells[name].sum() == total
    merged = sum(_second_moment(panels[scope].cells) for scope in ("eligible", "ineligible"))
    assert _second_moment(panels["all"].cells) == pytest.approx(merged)


def test_both_paths_of_the_twin_agree_in_distribution():
    rows = {"cells": [], "chats": []}
    for seed in range(COMPARED):
        panels = simulate_panels(seed=seed, workers=200)
        rows["cells"].append(_summary({s: panels[s].cells for s in ("eligible", "ineligible")}, truth=panels))
        rows["chats"].append(_chat_summary(seed))
    one, two = (np.array(rows[name]) for name in ("cells", "chats"))
    error = np.sqrt((one.var(axis=0, ddof=1) + two.var(axis=0, ddof=1)) / COMPARED)
    # t with about ten degrees of freedom over ten comparisons: six errors, not four
    assert (np.abs(one.mean(axis=0) - two.mean(axis=0)) < 6.0 * error).all()


def _second_moment(cells) -> float:
    return float((cells["log_duration:ss"] + cells["n"] * cells["log_duration:mean"] ** 2).sum())


def _summary(frames, *, truth) -> list[float]:
    out = []
    for scope, cells in frames.items():
        n = cells["n"].sum()
        mean = (cells["n"] * cells["log_duration:mean"]).sum() / n
        counts = cells[[f"rating:{k}" for k in range(1, 6)]].sum().to_numpy()
        out += [mean, np.sqrt(_second_moment(cells) / n - mean**2), cells["retrial:successes"].sum() / n]
        out += [counts @ np.arange(1, 6) / counts.sum(), truth[scope].truth["rating"]["att_chat"]]
    return out


def _chat_summary(seed: int) -> list[float]:
    twin = simulate(seed=seed, workers=200)
    att = twin.truth.att.set_index(["scope", "outcome", "weight"])["att"]
    out = []
    for scope, code in (("eligible", 1), ("ineligible", 0)):
        part = twin.chats[twin.chats["eligible"] == code]
        logs = np.log(part["duration"])
        out += [logs.mean(), logs.std(ddof=0), part["retrial"].mean(), float(part["rating"].mean())]
        out.append(att[scope, "rating", "chat"])
    return out

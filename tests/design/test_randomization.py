"""Randomisation inference: every assignment by hand, estimates by pyfixest and least squares, calibration."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
import pytest

from hitlbayes.chatlog import panel, read_chats
from hitlbayes.design.absorb import absorb
from hitlbayes.design.assignments import assignments
from hitlbayes.design.periods import unit_periods
from hitlbayes.design.randomization import fit_assignments, invert, randomization_test, statistics_at
from hitlbayes.errors import DesignError, SchemaError, SpecError
from hitlbayes.frequentist import two_way_fixed_effects
from tests.chatlog.logs import random_log

SAME = 1e-8  # two routes of least squares, one of them iterative
COLUMNS = {"unit": "unit", "time": "period", "treated": "treated", "post": "post", "treatment": None}


def frame(
    *, units: int = 12, periods: int = 6, seed: int = 1, effect: float = 0.0, gaps: float = 0.15
) -> pd.DataFrame:
    """Unit-periods with level, trend and correlated noise of units; some missing."""
    rng = np.random.default_rng(seed)
    unit, period = np.repeat(np.arange(units), periods), np.tile(np.arange(periods), units)
    arm = np.zeros(units, dtype=int)
    arm[rng.permutation(units)[: units // 2 - 1]] = 1
    post = (period >= periods // 2).astype(int)
    own = rng.normal(size=units)[unit] + 0.5 * rng.normal(size=units)[unit] * post
    x = rng.normal(size=unit.size)
    y = own + 0.3 * period + 0.5 * x + rng.normal(size=unit.size) + effect * arm[unit] * post
    rows = pd.DataFrame(
        {
            "unit": unit,
            "period": period,
            "treated": arm[unit],
            "post": post,
            "x": x,
            "y": y,
            "w": rng.integers(1, 9, unit.size),
        }
    )
    return rows[rng.random(len(rows)) >= gaps].reset_index(drop=True)


def least_squares(
    data: pd.DataFrame, *, exposure: np.ndarray, controls: tuple[str, ...], weights: np.ndarray
) -> float:
    """The two-way coefficient with every dummy written out."""
    dummies = pd.get_dummies(data[["unit", "period"]].astype(str), dtype=float).to_numpy()
    x = np.column_stack([exposure, data[list(controls)].to_numpy(), dummies])
    root = np.sqrt(weights)
    return float(np.linalg.lstsq(x * root[:, None], data["y"].to_numpy() * root, rcond=None)[0][0])


def test_every_assignment_of_four_units_by_hand() -> None:
    # Changes from before to after: 5, 3 (treated), 1, 2 (control): of six differences 4 - 1.5 is the largest.
    data = pd.DataFrame(
        {
            "unit": np.repeat([0, 1, 2, 3], 2),
            "period": [0, 1] * 4,
            "post": [0, 1] * 4,
            "y": [0, 5, 1, 4, 0, 1, 7, 9],
        }
    ).assign(treated=lambda f: (f["unit"] < 2).astype(int))
    test = randomization_test(data, outcome="y", statistic="coefficient")
    changes = np.array([5.0, 3, 1, 2])
    by_hand = [2 * changes[list(c)].mean() - changes.mean() * 2 for c in combinations(range(4), 2)]
    assert test.complete
    assert sorted(test.reference) == pytest.approx(sorted(by_hand), abs=SAME)
    assert (test.effect, test.p_value) == (pytest.approx(2.5, abs=SAME), pytest.approx(2 / 6, abs=SAME))


@pytest.mark.parametrize(("weights", "controls"), [(None, ()), ("w", ()), ("w", ("x",))])
def test_estimate_and_standard_error_are_those_of_pyfixest(
    weights: str | None, controls: tuple[str, ...]
) -> None:
    data = frame(effect=1.0)
    test = randomization_test(data, outcome="y", weights=weights, controls=controls, permutations=20)
    means = data.assign(exposure=data["treated"] * data["post"])
    twin = two_way_fixed_effects(means, outcome="y", controls=controls, weights=weights)
    assert test.effect == pytest.approx(twin.estimate, abs=SAME)
    assert test.se == pytest.approx(twin.se, rel=1e-6)
    assert (test.n, test.units) == (twin.n, twin.clusters)


@pytest.mark.parametrize("staggered", [False, True])
def test_each_permuted_estimate_is_a_regression_on_permuted_arms(staggered: bool) -> None:
    data = frame(seed=2, gaps=0.0 if staggered else 0.15)
    columns = dict(COLUMNS)
    if staggered:
        late = data["unit"] % 3 == 0
        data["now"] = data["treated"] * (data["period"] >= np.where(late, 4, 2))
        columns |= {"treatment": "now"}
    rows = unit_periods(data, outcome="y", columns=columns, weights="w", controls=["x"], blocks=None)
    drawn = assignments(rows.start, permutations=8, seed=3)
    fitted = fit_assignments(
        rows, drawn=drawn, projection=absorb(rows.unit, regressors=rows.regressors, weights=rows.weights)
    )
    slow = [
        least_squares(
            data,
            exposure=rows.exposure[arms[rows.unit], rows.period].astype(float),
            controls=("x",),
            weights=data["w"].to_numpy(float),
        )
        for arms in drawn.arms
    ]
    assert len(np.unique(rows.start)) == (3 if staggered else 2)
    np.testing.assert_allclose(fitted.coefficients[:, 0], slow, atol=SAME)


def test_interval_holds_the_effects_whose_removal_leaves_nothing_to_see() -> None:
    data = frame(effect=2.0, seed=4)
    test = randomization_test(data, outcome="y", permutations=400)
    assert test.lower < test.effect < test.upper
    for effect in np.linspace(test.lower - 0.3, test.upper + 0.3, 13):
        less = data.assign(y=data["y"] - effect * data["treated"] * data["post"])
        kept = randomization_test(less, outcome="y", permutations=400).p_value > 0.05
        if min(abs(effect - test.lower), abs(effect - test.upper)) > 0.01:  # the ends are bracketed to 1e-4
            assert kept == (test.lower < effect < test.upper)


def test_p_values_are_uniform_without_an_effect() -> None:
    # 300 experiments of 14 units: the share below .2 is within 4 standard errors (.023) of .2.
    p = np.array(
        [
            randomization_test(frame(units=14, seed=s), outcome="y", permutations=99).p_value
            for s in range(300)
        ]
    )
    assert abs(np.mean(p <= 0.2) - 0.2) < 0.093
    assert np.mean(p <= 0.05) < 0.1


def test_blocks_are_kept_together() -> None:
    drawn = assignments(
        np.array([1, 1, 0, 0, 1, 0]), permutations=50, blocks=np.array(list("aabbbb")), seed=1
    )
    assert np.all(drawn.arms[:, :2] == 1)
    assert np.all(drawn.arms[:, 2:].sum(axis=1) == 1)


def test_same_seed_same_answer() -> None:
    data = frame()
    one, two = (randomization_test(data, outcome="y", permutations=50) for _ in range(2))
    np.testing.assert_array_equal(one.reference, two.reference)


def test_panels_weighted_by_chats_and_not() -> None:
    log = random_log(seed=3, chats=600)
    cells = panel(read_chats(log))
    for weights in (None, "chats"):
        test = randomization_test(cells, outcome="rating", weights=weights, permutations=30)
        means = cells.means.assign(exposure=cells.means["treated"] * cells.means["post"])
        means["n"] = cells.cells[[f"rating:{k}" for k in range(1, 6)]].sum(axis=1).to_numpy()
        weighted = "n" if weights else None
        means = means[means["n"] > 0]
        assert test.effect == pytest.approx(
            two_way_fixed_effects(means, outcome="rating", weights=weighted).estimate, abs=SAME
        )
    assert "Randomisation test of rating" in repr(test)


def test_rows_without_the_outcome_are_counted() -> None:
    data = frame()
    data.loc[[0, 5], "y"] = np.nan
    assert randomization_test(data, outcome="y", permutations=20).dropped == 2


def test_a_constant_shift_moves_the_statistic_as_a_refit_would() -> None:
    data = frame(seed=6)
    rows = unit_periods(data, outcome="y", columns=COLUMNS, weights=None, controls=[], blocks=None)
    less = data.assign(y=data["y"] - 0.7 * data["treated"] * data["post"])
    moved = unit_periods(less, outcome="y", columns=COLUMNS, weights=None, controls=[], blocks=None)
    drawn = assignments(rows.start, permutations=30, seed=3)
    projection = absorb(rows.unit, regressors=rows.regressors)
    one, two = (fit_assignments(r, drawn=drawn, projection=projection) for r in (rows, moved))
    np.testing.assert_allclose(
        statistics_at(one, effect=0.7, studentized=True),
        statistics_at(two, effect=0.0, studentized=True),
        atol=SAME,
    )
    assert invert(one, studentized=False, level=0.9)[0] < one.coefficients[0, 0]


@pytest.mark.parametrize(
    ("change", "options", "error", "message"),
    [
        (lambda f: f.assign(treated=1), {}, DesignError, "one arm"),
        (lambda f: f.assign(post=0), {}, DesignError, "nothing is treated"),
        (lambda f: f.assign(treated=f["period"] % 2), {}, SchemaError, "units change arm"),
        (lambda f: pd.concat([f, f.head(3)]), {}, SchemaError, "3 rows repeat"),
        (lambda f: f.assign(post=2), {}, SchemaError, "other values than 0 and 1"),
        (lambda f: f.drop(columns="y"), {}, SchemaError, r"columns \['y'\] are missing"),
        (lambda f: f, {"statistic": "z"}, SpecError, "studentized, coefficient"),
        (lambda f: f, {"permutations": 0}, SpecError, "at least 1"),
        (lambda f: f.assign(post=(f["period"] == 3).astype(int)), {}, DesignError, "stays on"),
    ],
)
def test_refusals(change, options: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        randomization_test(change(frame()), outcome="y", **options)

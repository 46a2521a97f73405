"""Balance of arms: usual tests on literal data, clustered tests by pyfixest, calibration with units."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.stats import mannwhitneyu, ttest_ind

from hitlbayes.design.arms import compare_arms
from hitlbayes.design.assignments import assignments
from hitlbayes.design.clusters import arm_mean, clustered_se, contrast, joint_p, unit_sums
from hitlbayes.errors import DesignError, SchemaError, SpecError

EXACT = 1e-10  # the same sums in another order
ITERATED = 1e-7  # pyfixest


def worker_days(*, units: int = 20, days: int = 6, seed: int = 1, sd_unit: float = 1.0) -> pd.DataFrame:
    """Worker-days with a level of each worker, and no difference between arms."""
    rng = np.random.default_rng(seed)
    unit = np.repeat(np.arange(units), rng.integers(1, days + 1, units))
    arm = np.zeros(units, dtype=int)
    arm[rng.permutation(units)[: units // 2]] = 1
    y = sd_unit * rng.normal(size=units)[unit] + rng.normal(size=unit.size)
    issue = rng.choice(["refund", "delivery"], unit.size)
    return pd.DataFrame({"unit": unit, "treated": arm[unit], "y": y, "late": y > 0.5, "issue": issue})


def test_independent_tests_are_scipys() -> None:
    data = worker_days()
    (row,) = compare_arms(data, columns=["y"], unit="unit", permutations=50).table.to_dict("records")
    one, two = data.loc[data["treated"] == 1, "y"], data.loc[data["treated"] == 0, "y"]
    assert row["p_t"] == pytest.approx(ttest_ind(one, two).pvalue, abs=EXACT)
    assert row["p_rank_sum"] == pytest.approx(mannwhitneyu(one, two).pvalue, abs=EXACT)
    assert (row["n_treated"], row["n_control"], row["missing"]) == (len(one), len(two), 0)
    assert row["sd_treated"] == pytest.approx(one.std(), abs=EXACT)
    assert row["difference"] == pytest.approx(one.mean() - two.mean(), abs=EXACT)


def test_clustered_error_is_that_of_least_squares() -> None:
    import pyfixest

    data = worker_days(seed=2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = pyfixest.feols("y ~ treated", data, vcov={"CRV1": "unit"})
    total, size = unit_sums(data["unit"].to_numpy(), x=data["y"])
    arms = data.groupby("unit")["treated"].first().to_numpy()[None, :]
    found = contrast(total, size=size, arms=arms)
    assert found.difference[0] == pytest.approx(fit.coef()["treated"], abs=ITERATED)
    assert clustered_se(found, units=20, rows=len(data)) == pytest.approx(fit.se()["treated"], rel=ITERATED)
    table = compare_arms(data, columns=["y"], unit="unit", permutations=20).table
    assert table["p_clustered"][0] == pytest.approx(fit.pvalue()["treated"], rel=1e-6)


def test_every_assignment_of_single_rows() -> None:
    # Of 20 splits of 1 ... 6 into threes, only {1,2,3} and {4,5,6} are as far apart: p = 2 / 20.
    data = pd.DataFrame({"treated": [1, 1, 1, 0, 0, 0], "y": [4.0, 5, 6, 1, 2, 3]})
    (row,) = compare_arms(data, columns=["y"]).table.to_dict("records")
    assert row["p_randomized"] == pytest.approx(0.1, abs=EXACT)
    assert row["p_randomized_rank"] == pytest.approx(0.1, abs=EXACT)


def test_tests_that_know_of_units_hold_their_level_and_others_do_not() -> None:
    # Workers differ as much as days: 150 experiments, .05 nominal; 4 standard errors are .071.
    p = pd.concat(
        compare_arms(
            worker_days(seed=s, sd_unit=2.0, units=30), columns=["y"], unit="unit", permutations=199
        ).table
        for s in range(150)
    )
    rejected = (p[["p_t", "p_rank_sum", "p_clustered", "p_randomized", "p_randomized_rank"]] <= 0.05).mean()
    assert rejected["p_t"] > 0.15
    assert rejected["p_rank_sum"] > 0.15
    assert rejected["p_randomized"] < 0.05 + 0.071
    assert rejected["p_randomized_rank"] < 0.05 + 0.071
    assert rejected["p_clustered"] < 0.05 + 0.071


def test_joint_test_is_uniform_and_sees_what_single_tests_miss() -> None:
    rng = np.random.default_rng(1)
    drawn = assignments((rng.permutation(60) < 30).astype(int), permutations=400, seed=1)
    p, size = [], np.ones(60)
    for _ in range(150):
        shared = rng.normal(size=60)
        x = [shared + 0.3 * rng.normal(size=60) for _ in range(3)]
        p.append(joint_p(np.column_stack([contrast(v, size=size, arms=drawn.arms).difference for v in x])))
    assert abs(np.mean(np.array(p) <= 0.2) - 0.2) < 0.131  # 4 standard errors
    # Two nearly equal variables that differ in opposite directions, each by little.
    shift = 0.25 * drawn.arms[0]
    x = [shared + shift, shared - shift + 0.05 * rng.normal(size=60)]
    assert joint_p(np.column_stack([contrast(v, size=size, arms=drawn.arms).difference for v in x])) < 0.01


def test_levels_of_text_and_gaps_are_counted() -> None:
    data = worker_days()
    data.loc[[0, 3], ["y", "issue"]] = None
    table = compare_arms(data, columns=["y", "issue", "late"], unit="unit", permutations=20).table.set_index(
        "variable"
    )
    assert list(table.index) == ["y", "issue: delivery", "issue: refund", "late"]
    assert table["missing"].tolist() == [2, 2, 2, 0]
    assert table.loc["issue: refund", "difference"] == pytest.approx(
        -table.loc["issue: delivery", "difference"], abs=EXACT
    )


def test_weights_of_a_match() -> None:
    data = worker_days().assign(w=lambda f: (f.index % 3 > 0).astype(float))
    weighted = compare_arms(data, columns=["y"], unit="unit", weights="w", permutations=20).table.iloc[0]
    kept = compare_arms(data[data["w"] > 0], columns=["y"], unit="unit", permutations=20).table.iloc[0]
    assert weighted["difference"] == pytest.approx(kept["difference"], abs=EXACT)
    assert weighted["n_treated"] == kept["n_treated"]
    assert np.isnan(weighted["p_t"])
    assert weighted["sd_treated"] == pytest.approx(data.loc[data["treated"] == 1, "y"].std(), abs=EXACT)


def test_mean_of_an_arm_and_its_clustered_error() -> None:
    # Units with sums 2, 6 over 2, 2 rows: mean 2, scores -2 and 2, variance 8 x 2/1 over 16.
    found = arm_mean(np.array([2.0, 6.0, 0.0]), size=np.array([2.0, 2.0, 0.0]))
    assert found == (2.0, pytest.approx(1.0, abs=EXACT), 2, 4.0)


@pytest.mark.parametrize(
    ("change", "options", "error", "message"),
    [
        (lambda f: f.assign(treated=1), {}, DesignError, "one arm"),
        (lambda f: f.assign(treated=f.index % 2), {}, SchemaError, "in both arms"),
        (lambda f: f.assign(treated=f["treated"] * 2), {}, SchemaError, "other values than 0 and 1"),
        (lambda f: f.drop(columns="y"), {}, SchemaError, r"\['y'\] are missing"),
        (lambda f: f.assign(y=[str(k) for k in range(len(f))]), {}, SchemaError, "levels"),
        (lambda f: f.assign(y=np.nan), {}, SchemaError, "fewer than two values"),
        (lambda f: f, {"columns": []}, SpecError, "columns= is empty"),
        (lambda f: f.assign(w=-1.0), {"weights": "w"}, SchemaError, "negative weights"),
    ],
)
def test_refusals(change, options: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        compare_arms(
            change(worker_days()), **{"columns": ["y"], "unit": "unit", "permutations": 20, **options}
        )

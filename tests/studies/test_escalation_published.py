"""Table 5 on the synthetic twin at full size: reproduced in expectation, and the truth covered (slow)."""

from __future__ import annotations

import time
from functools import cache

import pandas as pd
import pytest

import hitlbayes as hb
from hitlbayes.design.balance import DISTANCE
from hitlbayes.published import table
from hitlbayes.studies.escalation import frequentist_twin
from hitlbayes.twin.verify import exempt_prefixes

SEEDS = 20  # as the acceptance line of issue 5 asks
FIRST = 20_240_815
LIMIT = 3.0  # simulation standard errors
SIZES = {"technical": 4_879, "emotional": 954, "human": 1_362, "none": 3_874}  # AI chats in Table 5
CLOSE = 0.05  # of a size, on average over seeds
BALANCED = 0.05  # largest standardised difference after matching
OUTCOMES = ("log_duration", "retrial", "rating")
R_HAT, ESS = 1.01, 400.0


def published() -> pd.Series:
    """Table 5's estimates by type and outcome: log points, probabilities, rating points."""
    printed = table("5").query("quantity == 'estimate'")
    return printed.set_index(["panel", "column"])["value"]


@cache
def matched_twin(seed: int) -> hb.MatchedTypes:
    return hb.match_by_escalation(hb.read_chats(hb.simulate(seed=seed).chats, synthetic=True))


def estimates(seed: int) -> pd.Series:
    """The paper's estimator on one twin, by type and outcome: matched, OLS by subsample."""
    found = {o: frequentist_twin(matched_twin(seed), outcome=o)["estimate"] for o in OUTCOMES}
    return pd.DataFrame(found).stack()


def against_published(runs: pd.DataFrame) -> pd.DataFrame:
    """Mean over seeds, its simulation SE and the standardised gap, for each published effect."""
    made = pd.DataFrame({"published": published(), "mean": runs.mean(), "se": runs.sem()})
    made["z"] = (made["mean"] - made["published"]) / made["se"]
    skip = exempt_prefixes()
    made["exempt"] = [bool(skip) and f"T5.{kind}.{outcome}".startswith(skip) for kind, outcome in made.index]
    return made


def test_standardised_gaps_by_hand() -> None:
    runs = pd.DataFrame({key: [value - 1.0, value + 1.0] for key, value in published().items()})
    runs[("emotional", "rating")] += 5.0
    made = against_published(runs)
    assert made.loc[("none", "retrial"), ["mean", "se", "z"]].tolist() == pytest.approx(
        [published()[("none", "retrial")], 1.0, 0.0], abs=1e-12
    )
    assert made.loc[("emotional", "rating"), "z"] == pytest.approx(5.0)
    assert len(made) == 12
    assert not made["exempt"].any()


@pytest.mark.slow
def test_every_published_effect_is_reproduced_in_expectation() -> None:
    rows = []
    for seed in range(FIRST, FIRST + SEEDS):
        rows.append(estimates(seed))
        print(f"seed {seed}: {len(rows)} of {SEEDS}", flush=True)
    made = against_published(pd.DataFrame(rows))
    print(made.round(4).to_string())
    missed = made[~made["exempt"] & ~(made["z"].abs() < LIMIT)]
    assert missed.empty, missed.round(4).to_string()


@pytest.mark.slow
def test_matched_samples_have_the_published_sizes_and_are_balanced() -> None:
    """The replication's twin is balanced; over twins no covariate is out of balance but by chance.

    The difference of one continuous covariate between 954 alike pairs has an SD of up to .046, so that the
    largest of twenty exceeds .05 in some twins; its mean over twins does not.
    """
    seeds = range(FIRST, FIRST + SEEDS)
    sizes = pd.DataFrame([matched_twin(seed).sizes()["matched"] for seed in seeds]).mean()
    rows = {
        (seed, kind): hb.balance(one)["after_difference"].drop(index=DISTANCE)
        for seed in seeds
        for kind, one in matched_twin(seed).matches.items()
    }
    found = pd.DataFrame(rows).T.rename_axis(["seed", "type"])
    first, average = found.loc[FIRST].abs().max(axis=1), found.groupby("type").mean().abs().max(axis=1)
    share = (found.abs() > BALANCED).mean().mean()
    print(
        sizes.round(0).to_dict(), first.round(3).to_dict(), average.round(3).to_dict(), f"{share:.4f} beyond"
    )
    assert sizes.to_dict() == pytest.approx(SIZES, rel=CLOSE)
    assert first.max() < BALANCED
    assert average.max() < BALANCED


@pytest.mark.slow
def test_the_fits_of_table_5_converge() -> None:
    """Four types times three outcomes, cold where HITLBAYES_CACHE names an empty folder; prints its time."""
    matched = hb.match_by_escalation(hb.read_chats(hb.simulate().chats, synthetic=True))
    began = time.perf_counter()
    checks = {}
    for outcome in OUTCOMES:
        fit = hb.fit_escalation(matched, outcome=outcome, progress=False)
        checks[outcome] = fit.check()
        print(f"{outcome}: {fit.seconds:.1f} s, {checks[outcome]}", flush=True)
    seconds = time.perf_counter() - began
    print(f"Table 5: {seconds:.1f} s")
    assert all(c.ok and c.r_hat < R_HAT and min(c.ess_bulk, c.ess_tail) > ESS for c in checks.values())


@pytest.mark.slow
def test_the_joint_model_of_effort_converges() -> None:
    """At full size, all three sets of covariates; prints its time."""
    chats = hb.read_chats(hb.simulate().chats, synthetic=True)
    began = time.perf_counter()
    fit = hb.fit_effort(chats, progress=False)
    seconds = time.perf_counter() - began
    check = fit.check()
    print(f"joint effort: {seconds:.1f} s for {len(fit.posterior)} sets of covariates, {check}")
    assert check.ok
    assert check.r_hat < R_HAT
    assert min(check.ess_bulk, check.ess_tail) > ESS

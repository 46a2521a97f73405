"""Effects of matched pairs: which chats form one, recovery, and agreement with the engine without them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import hitlbayes as hb
from hitlbayes.errors import SpecError
from hitlbayes.studies.escalation_pairs import pair_codes
from tests.studies.matched_types import matched_types

EFFECTS = {"technical": 0.2, "emotional": 0.8, "none": -0.9}
SIZES = {"technical": 150, "emotional": 80, "none": 120}
QUIET = {"outcome": "y", "family": "gaussian", "formula": "~ x", "draws": 250, "progress": False}
CLOSE = 4.0  # posterior SDs; one in 15,000 by chance
ALIKE = 0.15  # posterior SDs between two samplers of one posterior, 1,000 draws each: Monte Carlo


def test_a_control_belongs_to_one_pair_and_every_pair_has_one_of_each() -> None:
    matched = matched_types(EFFECTS, seed=7, sizes=SIZES)
    chats = matched.chats()
    code = pd.Series(pair_codes(matched, chats), index=chats.index)
    assert code.groupby([code, chats["type"] == "control"]).size().max() == 1
    paired = code[code.duplicated(keep=False)]
    assert len(paired) == 2 * (chats["type"] == "control").sum()  # every control has its pair
    pairs = matched.pairs().set_index("treated")["control"]
    for _, members in paired.groupby(paired):
        treated, control = sorted(members.index, key=lambda i: chats.loc[i, "type"] == "control")
        assert pairs[treated] == control


def test_recovers_the_spread_of_pairs() -> None:
    matched = matched_types(EFFECTS, seed=8, sizes=SIZES)
    code = pair_codes(matched, matched.chats())
    shared = 0.8 * np.random.default_rng(9).normal(size=code.max() + 1)
    pool = matched.pool
    pool.loc[matched.chats().index, "y"] += shared[code]
    for one in matched.matches.values():
        one.frame["y"] = pool.loc[one.frame.index, "y"]
    fit = hb.fit_escalation(matched, **QUIET)
    sd = fit.pooled.hyperparameters()["sd_pair"]
    assert abs(sd.mean() - 0.8) < CLOSE * sd.std()
    z = [(fit.effects().sel(type=t).mean() - v) / fit.effects().sel(type=t).std() for t, v in EFFECTS.items()]
    assert np.abs(z).max() < CLOSE
    # what a pair shares cancels between its members: the effect is known better than without
    without = hb.fit_escalation(matched, pairs=False, **QUIET)
    assert float(fit.effects(pool=False).sel(type="none").std()) < float(
        without.effects(pool=False).sel(type="none").std()
    )


def test_without_spread_of_pairs_it_is_the_model_without_pairs() -> None:
    matched = matched_types(EFFECTS, seed=10, sizes=SIZES)
    one = hb.fit_escalation(matched, priors={"sd_pair": hb.fixed(0)}, **QUIET)
    two = hb.fit_escalation(matched, pairs=False, **QUIET)
    for pool in (True, False):
        for name in EFFECTS:
            a, b = (fit.effects(pool).sel(type=name) for fit in (one, two))
            assert abs(float(a.mean() - b.mean())) < ALIKE * float(b.std())
            assert float(a.std()) == pytest.approx(float(b.std()), rel=ALIKE)
    for name in ("sd_worker", "sigma[control]", "x"):
        a, b = (fit.pooled.hyperparameters()[name] for fit in (one, two))
        assert abs(a.mean() - b.mean()) < ALIKE * b.std()
    assert one.check().r_hat < 1.02  # 250 draws of 4 chains


def test_pairs_are_for_gaussian_outcomes() -> None:
    with pytest.raises(SpecError, match="this one is bernoulli"):
        hb.fit_escalation(
            matched_types(EFFECTS, seed=7, sizes=SIZES), outcome="again", family="bernoulli", pairs=True
        )

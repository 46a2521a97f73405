"""Coverage of 95 % intervals over small simulated experiments, with and without true drift and heterogeneity.

`HITLBAYES_COVERAGE` sets the number of experiments a case (200 by default); they run in parallel processes.
"""

from __future__ import annotations

import multiprocessing
import os

import numpy as np
import pytest

from hitlbayes.versions import usable_cores

EXPERIMENTS = int(os.environ.get("HITLBAYES_COVERAGE", "200"))
NOMINAL = 0.95
Z = 1.96  # of the Wilson interval of the coverage, which must hold the nominal rate


def wilson(hits: int, n: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a proportion."""
    p, shrink = hits / n, 1 + Z**2 / n
    half = Z * np.sqrt(p * (1 - p) / n + Z**2 / (4 * n**2))
    return (p + Z**2 / (2 * n) - half) / shrink, (p + Z**2 / (2 * n) + half) / shrink


def covered(case: tuple[str, float, int]) -> bool:
    """Whether one experiment's interval holds its realised average effect on the treated."""
    import hitlbayes as hb

    family, spread, seed = case
    cells = hb.simulate_cells(
        seed=seed, family=family, effect=0.2, sd_drift=spread, sd_effect=spread, chats_per_cell=12
    )
    fit = hb.fit_did(cells, outcome="y", draws=500, seed=seed, progress=False)
    unit = 100.0 if fit.units == "percentage points" else 1.0
    row = fit.summary().loc["ATT"]
    return bool(row["lower"] <= unit * cells.truth["att_chat"] <= row["upper"])


@pytest.mark.slow
@pytest.mark.parametrize("spread", [0.0, 0.15], ids=["homogeneous", "heterogeneous"])
@pytest.mark.parametrize("family", ["gaussian", "bernoulli", "ordinal", "count"])
def test_intervals_cover_the_realised_effect(family, spread):
    cases = [(family, spread, seed) for seed in range(EXPERIMENTS)]
    with multiprocessing.get_context("spawn").Pool(usable_cores()) as pool:
        hits = sum(pool.imap_unordered(covered, cases, chunksize=4))
    lower, upper = wilson(hits, EXPERIMENTS)
    print(f"{family}, spread {spread}: {hits} of {EXPERIMENTS} covered, Wilson {lower:.3f} to {upper:.3f}")
    assert lower <= NOMINAL <= upper

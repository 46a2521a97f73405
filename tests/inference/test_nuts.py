"""NUTS takes the split sampler's place in the same coordinates, and draws the same posterior."""

from __future__ import annotations

import numpy as np
import pytest

from hitlbayes.diagnostics import effective_sizes
from hitlbayes.fitting import run as running
from hitlbayes.fitting.run import Draws, run

from .chats import chat_log, engine_model, unlike_priors

SPLIT, NUTS = {"draws": 1000, "chains": 4}, {"draws": 500, "chains": 2}
CHANCE = 4.5  # standard errors of a difference of means that a right answer exceeds once in 150,000 tries
SPREAD = 0.2  # of an SD: some 200 effective draws of the worst parameter of NUTS, thrice over
NAMES = ("sd_level", "sd_effect", "sd_period", "sd_shock", "rho_effect", "coef", "unit_effect")


def columns(drawn: Draws, name: str) -> np.ndarray:
    """Draws (chains, draws, entries) of a parameter."""
    values = drawn.posterior[name].to_numpy()
    return values.reshape(*values.shape[:2], -1)


@pytest.mark.parametrize("family", [pytest.param("bernoulli", marks=pytest.mark.slow), "ordinal"])
def test_nuts_takes_over_where_trajectories_diverge(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    chats = chat_log(31, workers=16, days=8, start=4)
    model = engine_model(chats, family=family, formula=None, priors=unlike_priors(family))
    split = run(model, **SPLIT, seed=1)
    assert split.sampler == "split Hamiltonian in Laplace coordinates"
    # A limit below zero stands for data on which trajectories do diverge; none are known to.
    monkeypatch.setattr(running, "DIVERGENCE_SHARE", -1.0)
    nuts = run(model, **NUTS, seed=2)
    assert nuts.sampler == "NUTS in Laplace coordinates (0% of split trajectories diverged)"
    assert nuts.effects["average"].shape[:2] == (NUTS["chains"], NUTS["draws"])
    for name in NAMES:
        a, b = columns(split, name), columns(nuts, name)
        errors = [x.std(axis=(0, 1)) / np.sqrt(effective_sizes(x)[0]) for x in (a, b)]
        apart = np.abs(a.mean(axis=(0, 1)) - b.mean(axis=(0, 1))) / np.hypot(*errors)
        assert apart.max() < CHANCE, name
        assert np.abs(np.log(a.std(axis=(0, 1)) / b.std(axis=(0, 1)))).max() < SPREAD, name
    average = [d.effects["average"].to_numpy()[..., 0, :].sum(axis=-1) for d in (split, nuts)]
    errors = [x.std() / np.sqrt(effective_sizes(x[..., None])[0][0]) for x in average]
    assert abs(average[0].mean() - average[1].mean()) < CHANCE * np.hypot(*errors)

"""The engine's draws are the reference model's posterior: against PyMC's NUTS on chat rows."""

from __future__ import annotations

import numpy as np
import pytest

from hitlbayes.diagnostics import effective_sizes
from hitlbayes.fitting.run import run

from .chats import chat_log, engine_model, unlike_priors
from .exactness import reference_model, reference_order

DRAWS, CHAINS = 1000, 4
CHANCE = 4.5  # standard errors of a difference of means that a right answer exceeds once in 150,000 tries
SPREAD = 0.15  # of an SD: some 400 effective draws of the worst parameter of either sampler, twice over
SCALES = ("sd_level", "sd_drift", "sd_effect", "sd_period", "sd_shock", "rho_drift", "rho_effect")


def by_name(posterior, names: list[str], unit: dict[str, float]) -> dict[str, np.ndarray]:
    """Draws (chains, draws) of scales and coefficients, these times `unit`; names in their order."""
    coef = posterior["coef"].to_numpy()
    found = {name: posterior[name].to_numpy() for name in SCALES}
    return found | {name: coef[..., j] * unit.get(name, 1.0) for j, name in enumerate(names)}


@pytest.mark.slow
@pytest.mark.parametrize("family", ["gaussian", "bernoulli", "ordinal", "count"])
def test_engine_draws_the_posterior_that_pymc_draws(family: str) -> None:
    pm = pytest.importorskip("pymc")
    chats = chat_log(31, workers=16, days=8, start=4)
    model = engine_model(chats, family=family, formula=None, priors=unlike_priors(family))
    design = model.design
    drawn = run(model, draws=DRAWS, chains=CHAINS, seed=1).posterior
    # The reference has the columns standardised, the engine reports coefficients of the columns as they were.
    ours = by_name(drawn, list(design.names), dict(zip(design.names, design.scale, strict=True)))
    sampled = pm.sample(
        DRAWS,
        tune=1000,
        chains=CHAINS,
        model=reference_model(chats, model, centered=False),
        nuts_sampler="nutpie",
        random_seed=2,
        progressbar=False,
        target_accept=0.9,
    )
    theirs = by_name(sampled.posterior, reference_order(model), {})
    for name, a in ours.items():
        b = theirs[name]
        if name == "intercept":
            continue  # likewise: it follows from the others and the columns' means
        errors = [np.var(x) / effective_sizes(x)[0] for x in (a, b)]
        assert abs(a.mean() - b.mean()) < CHANCE * np.sqrt(sum(errors)), name
        assert abs(np.log(a.std() / b.std())) < SPREAD, name

"""The engine's model of worker-day cells, written in PyMC: the same density, for PyMC's samplers.

The likelihood is what a careful PyMC user would write for cells (normal means and scatters, binomials,
multinomials); columns, groups and priors are read off the engine's own `Model`. Effects are in units of their
SD (not centered), as `models/` has them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from hitlbayes.fitting.arrays import shock_codes


def build(model: Any) -> pm.Model:
    """A PyMC model with the density of a `hitlbayes.fitting.model.Model` of a difference-in-differences."""
    structure, design, priors = model.structure, model.design, model.priors
    with pm.Model() as made:
        coef = pm.Normal(
            "coef",
            [priors[name].loc for name in design.names],
            [priors[name].scale for name in design.names],
        )
        eta = pt.dot(design.X, coef) + _unit_effects(structure, priors)
        period = structure.groups[0]
        eta = eta + _effects("period", _scale("sd_period", priors), len(period.labels))[period.codes]
        shock = shock_codes(structure)[0]
        eta = eta + _effects("shock", _scale("sd_shock", priors), int(shock.max()) + 1)[shock]
        LIKELIHOODS[model.cells.family](model, eta)
    return made


def _scale(name: str, priors: Any) -> pt.TensorVariable:
    return pm.HalfNormal(name, priors[name].scale)


def _effects(name: str, sd: pt.TensorLike, size: int) -> pt.TensorVariable:
    return pm.Deterministic(name, sd * pm.Normal(f"{name}_z", shape=size))


def _unit_effects(structure: Any, priors: Any) -> pt.TensorVariable:
    """Level and change of each worker (`models/` says it in words), for each cell."""
    level_sd, drift, effect = (_scale(f"sd_{name}", priors) for name in ("level", "drift", "effect"))
    rho_drift, rho_effect = (
        pm.Deterministic(
            f"rho_{name}", 2 * pm.Beta(f"rho_{name}_beta", priors["rho"].scale, priors["rho"].scale) - 1
        )
        for name in ("drift", "effect")
    )
    treated, unit = structure.unit_class.astype(float), structure.unit.codes
    slope = (rho_drift * drift + treated * rho_effect * effect) / level_sd
    own = pt.sqrt(drift**2 * (1 - rho_drift**2) + treated * effect**2 * (1 - rho_effect**2))
    level = _effects("level", level_sd, len(treated))
    change = pm.Deterministic("change", slope * level + _effects("own_change", own, len(treated)))
    return level[unit] + change[unit] * structure.basis[:, 1]


def _gaussian(model: Any, eta: pt.TensorVariable) -> None:
    n, (mean, ss) = model.cells.n, model.cells.stats.T
    phases = len(model.structure.phase_labels)
    sigma = pm.HalfNormal("sigma", model.priors["sigma"].scale, shape=phases)[model.structure.phase]
    pm.Normal("mean", eta, sigma / np.sqrt(n), observed=mean)
    pm.Potential("scatter", pt.sum(-(n - 1) * pt.log(sigma) - ss / (2 * sigma**2)))


def _bernoulli(model: Any, eta: pt.TensorVariable) -> None:
    n, successes = model.cells.n.astype(int), model.cells.stats[:, 0].astype(int)
    pm.Binomial("successes", n=n, logit_p=eta, observed=successes)


def _ordinal(model: Any, eta: pt.TensorVariable) -> None:
    counts = model.cells.stats.astype(int)
    p = pm.Dirichlet("probability", np.full(counts.shape[1], float(model.priors["cutpoints"].scale)))
    below = pt.cumsum(p)[:-1]
    cut = pm.Deterministic("cutpoints", pt.log(below) - pt.log1p(-below))
    under = pm.math.sigmoid(cut - eta[:, None])
    shares = pt.concatenate([under[:, :1], pt.diff(under, axis=1), 1 - under[:, -1:]], axis=1)
    pm.Multinomial("counts", n=counts.sum(axis=1), p=shares, observed=counts)


LIKELIHOODS = {"gaussian": _gaussian, "bernoulli": _bernoulli, "ordinal": _ordinal}

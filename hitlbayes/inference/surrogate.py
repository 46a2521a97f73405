"""A polynomial in place of what the hyperparameters' density has beyond a normal.

Of R, the part of the log density that Laplace coordinates leave (`hitlbayes.inference.hmc`), nearly all is a
function of the few hyperparameters: a variance that may be zero, a correlation that only large scales show.
A polynomial fitted to slopes of -R along a pilot's draws costs next to nothing beside a pass over the data,
so that trajectories can follow it in small steps; passes over the data are left what is not explained.
Nothing rests on its being right: it is part of how proposals are made, not of the density.

Coordinates are bent to within LIMIT, y = LIMIT tanh(z / LIMIT), so that nothing grows where no draw was.
"""

from __future__ import annotations

from itertools import combinations_with_replacement, permutations
from math import comb

import jax
import jax.numpy as jnp
import numpy as np

LIMIT = 5.0  # posterior spreads
DEGREE = 4
NOISE = 0.25  # of a slope given the hyperparameters, from all other coordinates
SPREAD = 1.0  # of a coefficient of degree one; of degree d, divided by d
EQUATIONS = 3  # for each coefficient

Surrogate = tuple[jax.Array, ...]  # a symmetric tensor (k, ..., k) for each degree, from one


def flat(k: int) -> Surrogate:
    """The surrogate that is zero everywhere, of k hyperparameters."""
    return tuple(jnp.zeros((k,) * degree) for degree in range(1, DEGREE + 1))


def slope_at(surrogate: Surrogate, z: jax.Array) -> jax.Array:
    """Slope (k,) of the surrogate of -R at coordinates z (k,)."""
    y, k = LIMIT * jnp.tanh(z / LIMIT), len(z)
    found = jnp.zeros_like(z)
    for tensor in surrogate:
        part = tensor.reshape(-1)
        for _ in range(tensor.ndim - 1):
            part = part.reshape(-1, k) @ y
        found = found + part
    return found * (1.0 - (y / LIMIT) ** 2)


def fitted(z: np.ndarray, slope: np.ndarray) -> Surrogate:
    """The polynomial whose slopes are nearest to slopes (n, k) of -R seen at coordinates z (n, k).

    Its degree is what the number of draws allows; coefficients are shrunk as by normal priors.
    """
    n, k = z.shape
    y = LIMIT * np.tanh(z / LIMIT)
    bent = 1.0 - (y / LIMIT) ** 2
    sizes = {degree: comb(k + degree, degree) - 1 for degree in range(1, DEGREE + 1)}
    terms = _monomials(k, max((d for d, size in sizes.items() if EQUATIONS * size <= n * k), default=0))
    if not terms:
        return flat(k)
    rows = np.stack([_slopes(y, term) * bent for term in terms], axis=-1).reshape(n * k, len(terms))
    shrink = np.array([(NOISE * len(term) / SPREAD) ** 2 for term in terms])
    weights = np.linalg.solve(rows.T @ rows + np.diag(shrink), rows.T @ slope.reshape(-1))
    tensors = [np.zeros((k,) * d) for d in range(1, DEGREE + 1)]
    for term, weight in zip(terms, weights, strict=True):
        places = set(permutations(term))
        for place in places:
            # The slope of T y ... y is d T y ... y.
            tensors[len(term) - 1][place] = len(term) * weight / len(places)
    return tuple(map(jnp.asarray, tensors))


def _monomials(k: int, degree: int) -> list[tuple[int, ...]]:
    """Products of up to `degree` of k coordinates, by the coordinates multiplied."""
    return [term for d in range(1, degree + 1) for term in combinations_with_replacement(range(k), d)]


def _slopes(y: np.ndarray, term: tuple[int, ...]) -> np.ndarray:
    """Slopes (n, k) of a monomial at y (n, k)."""
    made = np.zeros_like(y)
    for j in set(term):
        others = list(term)
        others.remove(j)
        made[:, j] = term.count(j) * np.prod(y[:, others], axis=1)
    return made

"""A polynomial in place of what the hyperparameters' density has beyond a normal.

Of R, the part of the log density that Laplace coordinates leave (`hitlbayes.inference.trajectory`), nearly
all is a function of the few hyperparameters: a variance that may be zero, a correlation that only large
scales show.
A polynomial fitted to slopes of -R along a pilot's draws costs next to nothing beside a pass over the data,
so that trajectories can follow it in small steps; passes over the data are left what is not explained.
Nothing rests on its being right: it is part of how proposals are made, not of the density.

Where terms of a degree would be too many, they are of two hyperparameters at most, or left out.
Coordinates are bent to within LIMIT, y = LIMIT tanh(z / LIMIT), so that nothing grows where no draw was.
"""

from __future__ import annotations

from itertools import combinations_with_replacement, permutations

import jax
import jax.numpy as jnp
import numpy as np

LIMIT = 5.0  # posterior spreads
DEGREE = 4
NOISE = 0.25  # of a slope given the hyperparameters, from all other coordinates
SPREAD = 1.0  # of a coefficient of degree one; of degree d, divided by d
EQUATIONS = 3  # for each coefficient
MOST_ENTRIES = 2**15  # of a tensor: a step along the surrogate then costs microseconds
MOST_TERMS = 2000

Surrogate = tuple[jax.Array, ...]  # a symmetric tensor (k, ..., k) for each degree, from one


def flat(k: int) -> Surrogate:
    """The surrogate that is zero everywhere, of k hyperparameters."""
    return jax.device_put(tuple(np.zeros((k,) * degree) for degree in range(1, _degrees(k) + 1)))


def slope_at(surrogate: Surrogate, z: jax.Array) -> jax.Array:
    """Slope (k,) of the surrogate of -R at coordinates z (k,)."""
    y, k = LIMIT * jnp.tanh(z / LIMIT), len(z)
    *lower, found = surrogate
    for tensor in reversed(lower):  # Horner's rule
        found = tensor + (found.reshape(-1, k) @ y).reshape(tensor.shape)
    return found * (1.0 - (y / LIMIT) ** 2)


def fitted(z: np.ndarray, slope: np.ndarray) -> Surrogate:
    """The polynomial whose slopes are nearest to slopes (n, k) of -R seen at coordinates z (n, k).

    Its degree is what the number of draws allows; coefficients are shrunk as by normal priors.
    """
    n, k = z.shape
    y = LIMIT * np.tanh(z / LIMIT)
    bent = 1.0 - (y / LIMIT) ** 2
    terms = _monomials(k, equations=n * k)
    if not terms:
        return flat(k)
    gram, onto = np.diag([(NOISE * len(term) / SPREAD) ** 2 for term in terms]), np.zeros(len(terms))
    for j in range(k):
        of_j = [i for i, term in enumerate(terms) if j in term]  # others have no slope along j
        rows = bent[:, j, None] * np.column_stack([_slope(y, terms[i], along=j) for i in of_j])
        gram[np.ix_(of_j, of_j)] += rows.T @ rows
        onto[of_j] += rows.T @ slope[:, j]
    weights = np.linalg.solve(gram, onto)
    tensors = [np.zeros((k,) * d) for d in range(1, _degrees(k) + 1)]
    for term, weight in zip(terms, weights, strict=True):
        places = set(permutations(term))
        for place in places:
            # The slope of T y ... y is d T y ... y.
            tensors[len(term) - 1][place] = len(term) * weight / len(places)
    return jax.device_put(tuple(tensors))


def _degrees(k: int) -> int:
    return max((d for d in range(1, DEGREE + 1) if k**d <= MOST_ENTRIES), default=1)


def _monomials(k: int, *, equations: int) -> list[tuple[int, ...]]:
    """Products of k coordinates, by the coordinates multiplied, of as high a degree as equations allow."""
    found: list[tuple[int, ...]] = []
    for degree in range(1, _degrees(k) + 1):
        more = list(combinations_with_replacement(range(k), degree))
        if len(found) + len(more) > MOST_TERMS:
            more = [term for term in more if len(set(term)) <= 2]
        if len(found) + len(more) > min(MOST_TERMS, equations // EQUATIONS):
            break
        found += more
    return found


def _slope(y: np.ndarray, term: tuple[int, ...], *, along: int) -> np.ndarray:
    """Slope (n,) of a monomial along one of its coordinates at y (n, k)."""
    others = list(term)
    others.remove(along)
    return term.count(along) * np.prod(y[:, others], axis=1)

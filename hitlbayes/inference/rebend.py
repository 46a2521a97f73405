"""The coordinate of a scale: straight where it may be zero, logarithmic where it is far from it.

A scale is w sinh(x). A posterior that straddles zero is nearly normal in a straight coordinate (w beyond
its draws), where a logarithmic one would have walls; one far from zero is skewed to the right, and nearly
normal in a logarithmic one (w below its draws). Pilot draws tell which is which.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from hitlbayes.inference.problem import Beliefs, Layout

SMALLEST = 1e-4  # of the outcome's SD, a logit or a log point


def rebend(
    psi: np.ndarray, weights: np.ndarray, beliefs: Beliefs, *, layout: Layout
) -> tuple[np.ndarray, Beliefs]:
    """Draws psi (n, k) of weights (n,) in coordinates bent to suit them, and the beliefs that say so.

    The bend runs from four spreads of the signed scale, where its mean is within two spreads of zero, to
    one spread, where it is more than eight away.
    """
    n = layout.n_scales
    bend = np.asarray(beliefs.bend)
    scale = bend * np.sinh(psi[:, :n])
    centre = weights @ scale
    spread = np.sqrt(weights @ (scale - centre) ** 2)
    distance = np.abs(centre) / np.maximum(spread, 1e-12)
    new = np.maximum(spread * np.clip(5.0 - 0.5 * distance, 1.0, 4.0), SMALLEST)
    new = np.where(np.isnan(np.asarray(beliefs.fixed)[:n]), new, bend)
    moved = np.concatenate([np.arcsinh(scale / new), psi[:, n:]], axis=1)
    return moved, beliefs._replace(bend=jnp.asarray(new))

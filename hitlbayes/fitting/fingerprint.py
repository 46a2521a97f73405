"""What makes two runs the same run: data, model, priors, what was asked for, versions and device."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hitlbayes.fitting.model import Model
from hitlbayes.versions import versions

PACKAGES = ("hitlbayes", "jax", "jaxlib", "numpyro", "numpy", "scipy")


def fingerprint(model: Model, *, draws: int, chains: int, seed: int, block: int) -> dict[str, str]:
    """What a run's draws depend on, by what it is called; data, model and priors as SHA-256 sums.

    The device is the one on which JAX computes now.
    """
    structure, installed = model.structure, versions()
    labels = [structure.unit, *structure.groups]
    device = next(iter(jnp.zeros(()).devices()))
    return {
        "data": _sum([*jax.tree.leaves((model.data, model.focus)), model.centre, model.scale]),
        "labels": _sum(np.array(list(map(str, g.labels))) for g in labels),
        "model": _sum([repr(model.layout), *model.design.names, *(g.name for g in labels)]),
        "priors": _sum([*model.beliefs, model.start, model.outer]),
        "draws": str(draws),
        "chains": str(chains),
        "seed": str(seed),
        "block size": str(block),
        "versions": ", ".join(f"{name} {installed[name]}" for name in PACKAGES),
        "device": f"{device.platform} {device.device_kind}",
    }


def _sum(parts: Iterable[Any]) -> str:
    """The start of a SHA-256 sum of arrays, numbers and texts, their types and shapes included."""
    made = hashlib.sha256()
    for part in map(np.asarray, parts):
        made.update(f"{part.dtype}{part.shape}".encode())
        made.update(np.ascontiguousarray(part).tobytes())
    return made.hexdigest()[:16]

"""Runs of a model kept in a folder: what the samplers' callbacks write there, block by block."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from hitlbayes.fitting.blocks import Store, begin, begun, open_store, put, reached
from hitlbayes.fitting.fingerprint import fingerprint
from hitlbayes.fitting.model import Model
from hitlbayes.fitting.naming import unit_dims, unit_draws
from hitlbayes.inference import gaussian
from hitlbayes.inference.chains import BLOCK, Record, Storage
from hitlbayes.inference.marginal import Means
from hitlbayes.inference.runtime import Progress
from hitlbayes.versions import usable_cores


def open_run(folder: str | Path, model: Model, *, draws: int, chains: int, seed: int) -> Store:
    """The folder of this run of this model, on the device on which JAX computes now.

    Raises
    ------
    SpecError
        The folder holds another run, or something else.
    """
    block = gaussian.BATCH if model.cells.family == "gaussian" else BLOCK
    return open_store(
        folder,
        about=fingerprint(model, draws=draws, chains=chains, seed=seed, block=block),
        dims=unit_dims(model),
        units=len(model.structure.unit.labels),
        chains=chains,
        draws=draws,
        block=block,
    )


def storage_of(store: Store, model: Model) -> Storage:
    """Callbacks of the sampler that keep its blocks in a store."""

    def keep(chain: int, block: int, record: Record, state: Sequence[np.ndarray]) -> None:
        _, _, unit, drawn = record.kept
        units = unit_draws(model, *map(np.asarray, (unit, drawn.own, drawn.unit)))
        put(store, chain, block, units=units, small=small_of(record), state=state)

    return Storage(partial(begun, store), partial(begin, store), partial(reached, store), keep)


def small_of(record: Record) -> dict[str, np.ndarray]:
    """The arrays of a record that do not grow with the units, by name."""
    psi, outer, _, drawn = record.kept
    found = {"psi": psi, "outer": outer, "average": drawn.average}
    found |= {"acceptance": record.acceptance, "diverged": record.diverged}
    return {name: np.asarray(a) for name, a in found.items()}


def keep_effects(
    store: Store,
    model: Model,
    weighed: gaussian.Weighed,
    data: Means,
    *,
    seed: int,
    progress: Progress,
) -> None:
    """Draw a Gaussian model's effects given its hyperparameters and keep them, chain after chain.

    Blocks that are there are left as they are; the others are what they would be in memory, for a batch has
    its own random key.
    """
    total, batch = store.chains * store.blocks, gaussian.BATCH
    first = sum(reached(store, chain)[0] for chain in range(store.chains))
    known: dict[int, tuple[np.ndarray, ...]] = {}
    for start in range(first, total, usable_cores()):
        progress("drawing effects", 0.7 + 0.3 * start / total)
        blocks = range(start, min(start + usable_cores(), total))
        needed = range(_rows(store, blocks[0]).start // batch, -(-_rows(store, blocks[-1]).stop // batch))
        missing = [j for j in needed if j not in known]
        made = gaussian.effect_batches(
            weighed, data, layout=model.layout, seed=seed, batches=missing, keep=lambda _, arrays: arrays
        )
        known |= dict(zip(missing, made, strict=True))
        known = {j: known[j] for j in needed}
        outer, mean, unit, own = map(np.concatenate, zip(*known.values(), strict=True))
        for block in blocks:
            rows = _rows(store, block)
            here = slice(rows.start - needed.start * batch, rows.stop - needed.start * batch)
            units = unit_draws(model, unit[here], own[here])
            small = {"psi": weighed.psi[rows], "outer": outer[here], "outer_mean": mean[here]}
            put(store, *divmod(block, store.blocks), units=units, small=small)


def _rows(store: Store, block: int) -> slice:
    """Which of all draws, chain after chain, a block holds; blocks are counted through the chains."""
    chain, number = divmod(block, store.blocks)
    end = min((number + 1) * store.block, store.draws)
    return slice(chain * store.draws + number * store.block, chain * store.draws + end)

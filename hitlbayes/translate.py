"""A PyMC model as functions that JAX computes, of a flat position and of the data.

The log density is the model's own, on its unconstrained scale; arrays of some size (observations, indices,
covariates) become arguments of the functions, so that they are never constants of a compiled program.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from threading import Thread
from types import ModuleType
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from hitlbayes.errors import FitError

if TYPE_CHECKING:
    from pymc import Model

MOST_DENSE = 64  # parameters in the dense block of the mass matrix, whose covariance warm-up has to learn
CONSTANT = 16  # elements from which on an array is data; shapes and axes have fewer


@dataclass(frozen=True, slots=True, eq=False)
class Translation:
    """A PyMC model as JAX functions of a flat position x (n,) and of its data.

    log_density : (x, data) to the log density on the unconstrained scale
    values : (x, data) to the variables on their own scales, in the order of `names`
    start, held : (n,) the model's initial point; which entries are logarithms of scales
    n_dense : how many of the first entries belong to small variables
    """

    log_density: Callable[[jax.Array, Any], jax.Array]
    values: Callable[[jax.Array, Any], list[jax.Array]]
    data: list[np.ndarray]
    names: tuple[str, ...]
    start: np.ndarray
    held: np.ndarray
    n_dense: int


def translate(model: Model, *, names: Sequence[str]) -> Translation:
    """A model's density, and its variables of these names, as functions of a flat position and data."""
    values, initial = model.value_vars, model.initial_point()
    sizes = {v.name: int(np.size(initial[v.name])) for v in values}
    small = _small(sizes)
    order = sorted(values, key=lambda v: v.name not in small)
    density, wanted = model.logp(), [model.named_vars[name] for name in names]
    function, data = _jaxified(model, [density, *model.replace_rvs_by_values(wanted)])
    place = partial(_unravel, names=[v.name for v in order], shapes=[initial[v.name].shape for v in order])

    def at(x: jax.Array, data: Any) -> list[jax.Array]:
        parts = place(x)
        return function(*(parts[v.name] for v in values), *data)

    return Translation(
        lambda x, data: at(x, data)[0],
        lambda x, data: list(at(x, data)[1:]),
        data,
        tuple(names),
        np.concatenate([np.ravel(initial[v.name]).astype(float) for v in order]),
        np.concatenate([np.full(sizes[v.name], _is_log(model, v)) for v in order]),
        sum(sizes[name] for name in small),
    )


def _small(sizes: dict[str, int]) -> set[str]:
    """Variables in the dense block: the smallest first, while there is room."""
    chosen, total = set(), 0
    for name, size in sorted(sizes.items(), key=lambda item: item[1]):
        total += size
        if total > MOST_DENSE:
            break
        chosen.add(name)
    return chosen


def _unravel(x: jax.Array, *, names: Sequence[str], shapes: Sequence[tuple]) -> dict[str, jax.Array]:
    parts, start = {}, 0
    for name, shape in zip(names, shapes, strict=True):
        size = int(np.prod(shape, dtype=int))
        parts[name] = x[start : start + size].reshape(shape)
        start += size
    return parts


def _is_log(model: Model, value: Any) -> bool:
    """Whether a value is the logarithm of its variable, as of a scale."""
    from pymc.distributions.transforms import log

    return isinstance(model.rvs_to_transforms[model.values_to_rvs[value]], type(log))


def _jaxified(model: Model, outputs: Sequence[Any]) -> tuple[Callable[..., Any], list[np.ndarray]]:
    """Outputs as a JAX function of the model's values and of its data, and these data.

    Where the shape of something depends on the data (a nonzero, say), the data stay inside the function.
    """
    outputs, initial = list(outputs), model.initial_point()
    start = [initial[v.name] for v in model.value_vars]
    try:
        function, data = _compose(model, outputs, _data_of(outputs))
        jax.eval_shape(function, *start, *data)
        return function, data
    except (NotImplementedError, TypeError, jax.errors.JAXTypeError, jax.errors.JAXIndexError):
        pass
    try:
        function, data = _compose(model, outputs, [])
        jax.eval_shape(function, *start)
    except NotImplementedError as error:
        raise FitError(f"JAX cannot compute a part of this model: {error}. Use pymc.sample.") from error
    return function, data


def _data_of(outputs: list[Any]) -> list[Any]:
    """Constants and shared variables that are data; a mask decides on shapes, so it is none."""
    from pytensor.compile import SharedVariable
    from pytensor.graph.basic import Constant
    from pytensor.graph.traversal import ancestors

    found = [v for v in ancestors(outputs) if isinstance(v, Constant | SharedVariable)]
    arrays = [v for v in found if isinstance(_array(v), np.ndarray)]
    return [v for v in arrays if _array(v).size >= CONSTANT and _array(v).dtype != bool]


def _array(leaf: Any) -> Any:
    return leaf.get_value(borrow=True) if hasattr(leaf, "get_value") else leaf.data


def _compose(
    model: Model, outputs: list[Any], leaves: list[Any]
) -> tuple[Callable[..., Any], list[np.ndarray]]:
    from pytensor.graph.replace import clone_replace

    inputs = [v.type() for v in leaves]
    replaced = clone_replace(outputs, replace=dict(zip(leaves, inputs, strict=True)))
    function = _borrow_pymc_jax().get_jaxified_graph(inputs=[*model.value_vars, *inputs], outputs=replaced)
    return function, [np.asarray(_array(v)) for v in leaves]


@cache
def _borrow_pymc_jax() -> ModuleType:
    """PyMC's translator to JAX, its import leaving nothing behind.

    The import turns on double precision and asks XLA for a hundred devices, in the whole process. Both are
    put back; and, since it would do neither when the user imports it later, neither is it kept as imported.
    Where the user has imported it already, that one is used.
    """
    import pymc  # noqa: F401  # what PyMC itself imports stays

    if "pymc.sampling.jax" in sys.modules:
        return sys.modules["pymc.sampling.jax"]
    found: list[ModuleType] = []
    # In a thread of its own, where the settings read are the process's, not those of the session around this.
    thread = Thread(target=lambda: found.append(_import_pymc_jax()))
    thread.start()
    thread.join()
    if not found:
        raise FitError("PyMC's translator to JAX (pymc.sampling.jax) could not be imported; see above.")
    return found[0]


def _import_pymc_jax() -> ModuleType:
    before, double, flags = set(sys.modules), jax.config.values["jax_enable_x64"], os.environ.get("XLA_FLAGS")
    try:
        import pymc.sampling.jax as made
    finally:
        jax.config.update("jax_enable_x64", double)
        if flags is None:
            os.environ.pop("XLA_FLAGS", None)
        else:
            os.environ["XLA_FLAGS"] = flags
    for name in set(sys.modules) - before:
        if name == made.__name__ or name.startswith("pytensor.link.jax"):
            parent, _, leaf = name.rpartition(".")
            module = sys.modules.pop(name)
            if getattr(sys.modules.get(parent), leaf, None) is module:
                delattr(sys.modules[parent], leaf)
    return made

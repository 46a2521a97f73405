"""Single precision for arrays of the data's size; totals and what is solved stay in double."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

T = TypeVar("T")


def narrowed(tree: T, dtype: Any = jnp.float32) -> T:
    """Floating arrays of a tree in single precision, or in `dtype`; integers as they are.

    Examples
    --------
    >>> {name: str(a.dtype) for name, a in narrowed({"y": jnp.zeros(2), "unit": jnp.zeros(2, int)}).items()}
    {'unit': 'int64', 'y': 'float32'}
    """

    def cast(a: jax.Array) -> jax.Array:
        if not jnp.issubdtype(a.dtype, jnp.floating):
            return a
        # Outside of a program a cast would be compiled for every shape: the processor makes it.
        return a.astype(dtype) if isinstance(a, jax.core.Tracer) else jax.device_put(np.asarray(a, dtype))

    return jax.tree.map(cast, tree)


def with_narrow(record: T, names: Iterable[str]) -> T:
    """A named tuple with these fields in single precision."""
    return record._replace(**{name: narrowed(getattr(record, name)) for name in names})  # type: ignore[attr-defined]

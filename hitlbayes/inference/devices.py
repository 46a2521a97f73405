"""Where a posterior is computed: on an accelerator where a gradient is work enough to fill one."""

from __future__ import annotations

from collections.abc import Collection

from hitlbayes.errors import SpecError

# Gradients of four chains took an H100 1.1 to 1.6 ms, from 3,555 rows to 1.2 million, and 16 cores 34 ms for
# 115,000 rows, 155 ms for 1.2 million (benchmarks/README.md).
ENOUGH_ROWS = 100_000


def known_device(asked: str, *, found: Collection[str]) -> str:
    """The kind of device that was asked for, where it is among those found.

    Raises
    ------
    SpecError
        The device is not on this machine.
    """
    if asked not in found:
        raise SpecError(f"device {asked!r} is not on this machine; it has: {', '.join(sorted(found))}.")
    return asked


def choose_device(
    asked: str | None, *, rows: int, gradients: bool, found: Collection[str]
) -> tuple[str | None, str]:
    """The kind of device to compute on, None for JAX's only one, and why, empty where there is no choice.

    Parameters
    ----------
    asked : what the user wants; None leaves the choice to the work
    rows : rows of data that a gradient passes over
    gradients : whether the posterior is sampled along gradients, not integrated
    found : kinds of devices on this machine, as JAX names them

    Raises
    ------
    SpecError
        The device is not on this machine.

    Examples
    --------
    >>> choose_device(None, rows=1_178_000, gradients=True, found={"cpu", "gpu"})
    ('gpu', 'on gpu: a gradient passes over 1,178,000 rows, 100,000 or more')
    >>> choose_device(None, rows=15_000, gradients=True, found={"cpu"})
    (None, '')
    """
    if asked is not None:
        return known_device(asked, found=found), ""
    others = sorted(set(found) - {"cpu"})
    if not others:
        return None, ""
    if not gradients:
        return "cpu", "on cpu: integrated, which takes few passes over the data"
    if rows < ENOUGH_ROWS:
        return "cpu", f"on cpu: a gradient passes over {rows:,} rows, fewer than {ENOUGH_ROWS:,}"
    return others[0], f"on {others[0]}: a gradient passes over {rows:,} rows, {ENOUGH_ROWS:,} or more"

"""Where a posterior is computed, and what is said of it."""

from __future__ import annotations

import pytest

from hitlbayes.errors import SpecError
from hitlbayes.inference.devices import ENOUGH_ROWS, choose_device

BOTH = {"cpu", "gpu"}


def test_without_an_accelerator_there_is_nothing_to_choose_and_nothing_to_say():
    assert choose_device(None, rows=10 * ENOUGH_ROWS, gradients=True, found={"cpu"}) == (None, "")


@pytest.mark.parametrize(
    ("rows", "gradients", "device"),
    [(ENOUGH_ROWS, True, "gpu"), (ENOUGH_ROWS - 1, True, "cpu"), (10 * ENOUGH_ROWS, False, "cpu")],
)
def test_the_work_in_a_gradient_chooses(rows, gradients, device):
    chosen, why = choose_device(None, rows=rows, gradients=gradients, found=BOTH)
    assert chosen == device
    assert why.startswith(f"on {device}: ")


def test_what_is_asked_for_is_done():
    assert choose_device("cpu", rows=10 * ENOUGH_ROWS, gradients=True, found=BOTH) == ("cpu", "")
    with pytest.raises(SpecError, match="device 'gpu' is not on this machine; it has: cpu"):
        choose_device("gpu", rows=1, gradients=True, found={"cpu"})

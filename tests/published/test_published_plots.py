"""The figures show what the results hold."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest

from hitlbayes.errors import SpecError
from hitlbayes.published import decompose_effort, plot_decomposition, plot_shrinkage, reanalyze


def test_shrinkage_shows_every_estimate_and_posterior_mean() -> None:
    result = reanalyze("5", draws=200)
    figure = plot_shrinkage(result)
    shown = [line.get_xdata()[0] for axis in figure.axes for line in axis.lines if len(line.get_xdata()) == 1]
    want = np.concatenate(
        [
            result.draws["estimate"].values.ravel(),
            result.draws["effect"].mean(("chain", "draw")).values.ravel(),
        ]
    )
    assert sorted(shown) == pytest.approx(sorted(want))
    assert "Table 5" in figure.get_supxlabel()
    out = BytesIO()
    figure.savefig(out, format="png")
    assert out.getvalue()[:4] == b"\x89PNG"


def test_decomposition_shows_the_parts() -> None:
    result = decompose_effort(draws=200)
    left = plot_decomposition(result).axes[0]
    shown = [line.get_xdata()[0] for line in left.lines if len(line.get_xdata()) == 1]
    want = [
        100 * float(result.draws[p].sel(comparison=g).mean())
        for p in ("gap", "part_ai", "part_human")
        for g in ("human", "emotional")
    ]
    assert shown == pytest.approx(want)


def test_an_unpooled_result_has_no_shrinkage_to_show() -> None:
    with pytest.raises(SpecError, match="not pooled"):
        plot_shrinkage(reanalyze("3", draws=10))

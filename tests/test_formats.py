"""Files of every format version that was ever written still open, and give the numbers that they gave.

The files hold fits to 32 synthetic rows, 2 chains of 50 draws, and were written by the first code that wrote
files (commit c5515da, format version 1). The numbers are what that code printed. A new format version adds
files here and keeps these.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import hitlbayes as hb

DATA = Path(__file__).parent / "data"
SAME = 1e-9  # the draws are bytes of the file; sums over them may be taken in another order
TWIN = 1e-6  # a least-squares fit is made again, by whichever version of pyfixest is there
# file: units, mean and SD of the effect, its 95 % interval, the twin's estimate and standard error
WRITTEN = {
    "format_1_gaussian.nc": (
        "outcome units", 0.41819901151266514, 0.4653599961395333,
        -0.4481654184950087, 1.2675427348303034, 0.5365953764712045, 0.6152593886069129,
    ),
    "format_1_ordinal.nc": (
        "points", 0.040141710724932674, 0.36284767121193967,
        -0.5943585397810072, 0.6895705227590341, 0.125, 0.6829606029524582,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRITTEN)
def test_a_file_of_an_earlier_format_gives_the_same_numbers(name):
    units, mean, sd, lower, upper, estimate, se = WRITTEN[name]
    fit = hb.load(DATA / name)
    att = fit.effects()["att"].to_numpy()
    np.testing.assert_allclose((att.mean(), att.std()), (mean, sd), rtol=SAME)
    np.testing.assert_allclose(
        fit.summary().loc["ATT", ["lower", "upper"]].astype(float), (lower, upper), rtol=SAME
    )
    np.testing.assert_allclose((fit.frequentist.estimate, fit.frequentist.se), (estimate, se), rtol=TWIN)
    assert fit.units == units
    assert fit.posterior["posterior"].sizes["unit"] == 8
    assert not fit.check().ok  # 100 draws are too few, and the file still says so


@pytest.mark.parametrize("name", WRITTEN)
def test_a_file_of_an_earlier_format_is_reported_and_saved_again(name, tmp_path):
    fit = hb.load(DATA / name)
    assert "failed" in fit.report(tmp_path / "report.html").read_text().lower()
    again = hb.load(fit.save(tmp_path / "again.nc"))
    np.testing.assert_array_equal(again.effects()["att"], fit.effects()["att"])

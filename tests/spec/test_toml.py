from __future__ import annotations

import inspect

import pytest

from hitlbayes.errors import SpecError
from hitlbayes.spec.priors import half_normal
from hitlbayes.spec.toml import FitSpec, parse_spec, read_spec
from hitlbayes.studies import fit_did

CASTLE = {
    "outcome": "l_homicide",
    "unit": "sid",
    "time": "year",
    "family": "gaussian",
    "treatment": "post",
    "precision": "popwt",
}


def test_chat_log_keywords_reach_their_functions(tmp_path):
    path = tmp_path / "rating.toml"
    path.write_text(
        'outcome = "rating"\nscope = "eligible"\nstart = 2024-08-15\ntz = "Asia/Shanghai"\nlag = "calendar"\n'
        'treated_level = "ai"\ndraws = 500\n[columns]\nworker_id = "agent"\n'
        "[priors]\nsd_effect = {half_normal = 0.5}\n"
    )
    spec = read_spec(path)
    assert spec.read_arguments() == {
        "columns": {"worker_id": "agent"},
        "tz": "Asia/Shanghai",
        "start": "2024-08-15",
        "outcome": "rating",
        "synthetic": False,
        "treated_level": "ai",
    }
    assert spec.panel_arguments() == {"scope": "eligible", "period": "day", "by": (), "lag": "calendar"}
    assert spec.fit_arguments() == {
        "outcome": "rating",
        "priors": {"sd_effect": half_normal(0.5)},
        "draws": 500,
    }


def test_plain_table_keywords_reach_fit_did():
    assert parse_spec(CASTLE).fit_arguments() == CASTLE


def test_the_keys_of_a_fit_are_the_keywords_of_fit_did():
    apart = {"name", "synthetic", "scope", "period", "lag", "by", "columns", "tz", "start"}
    # Where draws are kept and whether a bar is shown are no part of a fit.
    keywords = set(inspect.signature(fit_did).parameters) - {"panel", "progress", "store"}
    assert set(FitSpec.model_fields) - apart == keywords


def test_seed_zero_is_kept():
    assert parse_spec({"outcome": "rating", "seed": 0}).fit_arguments() == {"outcome": "rating", "seed": 0}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"outcome": "rating", "scpoe": "all"}, ["'scpoe'", "did you mean 'scope'"]),
        ({"outcome": "rating", "Draws": 5}, ["'Draws'", "did you mean 'draws'"]),
        ({"outcome": "rating", "zzz": 1}, ["'zzz'", "known keys"]),
        ({"outcome": "rating", "scope": "eligable"}, ["'eligable'", "did you mean 'eligible'"]),
        ({"outcome": "rating", "family": "gausian"}, ["'gausian'", "did you mean 'gaussian'"]),
        ({"outcome": "rating", "draws": "500"}, ["draws", "'500'", "integer"]),
        ({"outcome": "rating", "draws": 0}, ["draws", "greater than or equal to 1"]),
        ({}, ["outcome", "required"]),
        ({"outcome": "y", "priors": {"rho": {"ljk": 2.0}}}, ["priors.rho", "did you mean 'lkj'"]),
        ({"outcome": "y", "priors": {"treatment": {"normal": 1.0}}}, ["[location, scale]"]),
        ({"outcome": "y", "priors": {"rho": {}}}, ["priors.rho", "one kind"]),
        ({"outcome": "y", "priors": {"rho": {"lkj": 0.0}}}, ["positive"]),
        ({"outcome": "y", "treated": "arm"}, ["treated", "without unit"]),
        ({"outcome": "y", "unit": "id"}, ["time, family missing"]),
        ({**CASTLE, "scope": "all"}, ["scope", "chat log"]),
        ({"outcome": "y", "unit": "i", "time": "t", "family": "gaussian"}, ["post, or treatment"]),
    ],
)
def test_what_is_wrong_is_said(values, words):
    with pytest.raises(SpecError) as caught:
        parse_spec(values)
    for word in words:
        assert word in str(caught.value)


def test_unreadable_files(tmp_path):
    with pytest.raises(SpecError, match="no specification at"):
        read_spec(tmp_path / "nowhere.toml")
    broken = tmp_path / "broken.toml"
    broken.write_text("outcome = rating\n")
    with pytest.raises(SpecError, match=r"broken\.toml is not TOML.*line 1"):
        read_spec(broken)

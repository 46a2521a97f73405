from __future__ import annotations

import pytest

from hitlbayes.twin.calibrate import read_stages, stage_targets, tolerance, turn
from hitlbayes.twin.measure import exemptions, flat_targets, measure, tensions
from hitlbayes.twin.parameters import Parameters
from hitlbayes.twin.simulate import simulate
from hitlbayes.twin.verify import coefficient_table, moment_table, runs

SEEDS = 20
"""As the acceptance line of the twin asks."""


def test_every_target_is_measured():
    measured = measure(simulate(seed=1))
    assert set(flat_targets()) <= set(measured)


def test_published_figures_under_their_keys():
    flat = flat_targets()
    assert flat["T3.eligible.log_duration.estimate"] == -0.168
    assert flat["T2.all.rating.n"] == 14_467
    assert flat["A1.duration.control.sd"] == 113.94
    assert flat["T6.emotional.human_rounds.mean"] == 5.135


def test_every_exemption_names_figures_and_a_reason():
    flat = flat_targets()
    for entry in [*exemptions(), *tensions()]:
        assert len(entry["reason"]) > 20
        for prefix in entry["keys"]:
            assert any(key.startswith(prefix) for key in flat), prefix


def test_a_knob_turns_its_parameter_and_nothing_else():
    parameters = Parameters.load()
    stage = read_stages()[-1]
    by = [0.0] * len(stage.knobs)
    by[0] = 1.0
    path, _, step = stage.knobs[0]
    assert path == "effects.duration.none"
    moved = turn(parameters, stage=stage, by=by)
    assert moved.effects.duration.none == pytest.approx(parameters.effects.duration.none + step)
    assert moved.effects.rating == parameters.effects.rating
    assert moved.volume == parameters.volume


def test_tolerances_are_positive_for_every_stage():
    flat = flat_targets()
    for stage in read_stages():
        assert all(tolerance(key, target=flat) > 0 for key in stage_targets(stage))


@pytest.mark.slow
def test_twin_returns_the_published_figures():
    measured = runs(seeds=SEEDS)
    coefficients, moments = coefficient_table(measured), moment_table(measured)
    assert coefficients["accepted"].all(), coefficients[~coefficients["accepted"]].to_string()
    assert moments["accepted"].all(), moments[~moments["accepted"]].to_string()

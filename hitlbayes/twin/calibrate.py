"""Fit the twin to the paper: least standardised distance between measured and published figures.

Run `python -m hitlbayes.twin.calibrate`; it writes `parameters.toml`. Damped Gauss-Newton steps on averages
over seeds, with the same seeds for every evaluation; the Jacobian is by finite differences and kept through
a stage.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import time
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hitlbayes.twin.measure import exemptions, flat_targets, measure
from hitlbayes.twin.parameters import Parameters
from hitlbayes.twin.sections import Effects
from hitlbayes.twin.simulate import simulate

Floats = NDArray[np.float64]

FIRST_SEED = 700_000
DAMPING = 0.3
"""Ridge on steps, in units of each knob's step: knobs that no figure pins down stay where they are."""
SMALLEST = 1e-3
"""A logarithmic knob at zero would stay there."""
MAIN = ("T2", "T3", "T4", "T7")
PANELS = (*MAIN, "A2", "A4")
"""Tables of difference-in-differences estimates."""


@dataclasses.dataclass(frozen=True, slots=True)
class Stage:
    """Knobs (path, kind, step), and prefixes and endings of the figures that they are fitted to."""

    name: str
    moments: tuple[str, ...]
    parts: tuple[str, ...]
    knobs: tuple[tuple[str, str, float], ...]


def read_stages() -> list[Stage]:
    """Stages of `knobs.toml`, in order."""
    text = resources.files("hitlbayes.twin").joinpath("knobs.toml").read_text("utf-8")
    return [
        Stage(
            name,
            tuple(s["moments"]),
            tuple(s["parts"]),
            tuple((path, *spec) for path, spec in s["knobs"].items()),
        )
        for name, s in tomllib.loads(text).items()
    ]


def tolerance(key: str, *, target: dict[str, float]) -> float:
    """Distance that counts as one: a fraction of the published standard error, or a few per cent."""
    main = key.startswith(MAIN)
    value = target[key]
    if key.endswith(".estimate"):
        # most of half a standard error in side tables weighs as much as a twentieth in the main ones
        return (0.05 if main else 0.4) * target[key.removesuffix(".estimate") + ".se"]
    if key.endswith(".r2"):
        return 0.02 if main else 0.05
    if key.endswith(".se"):
        return (0.05 if main else 0.15) * value
    if key.endswith(".n"):
        return (0.01 if main else 0.04) * value
    return (0.01 if key.startswith("T1") else 0.03) * abs(value)


def calibrate(
    start: Parameters, *, stages: list[Stage], seeds: int, slope_seeds: int, rounds: int
) -> Parameters:
    """Parameters after at most `rounds` damped Gauss-Newton steps of every stage; the closest are kept."""
    current = start
    for stage in stages:
        target = stage_targets(stage)
        slopes = jacobian(current, stage=stage, keys=list(target), seeds=slope_seeds)
        luck = chance_estimates(current, keys=list(target), seeds=seeds)
        best, least = current, math.inf
        for number in range(rounds + 1):
            began = time.monotonic()
            found = average(current, keys=list(target), seeds=seeds) - luck
            gap = standardised_gap(found, target=target)
            distance = math.sqrt(float(gap @ gap))
            print(
                f"{stage.name} {number}: distance {distance:.2f}, {time.monotonic() - began:.0f} s",
                flush=True,
            )
            if distance < least:
                best, least = current, distance
            current = turn(current, stage=stage, by=gauss_newton_step(slopes, gap=gap, target=target))
        current = best
    return current


def stage_targets(stage: Stage) -> dict[str, float]:
    """Published figures of a stage, without what is exempt."""
    exempt = tuple(key for entry in exemptions() for key in entry["keys"])
    flat = flat_targets()
    fits = {k: v for k, v in flat.items() if k.startswith(stage.moments) and k.endswith(stage.parts)}
    return {k: v for k, v in fits.items() if not k.startswith(exempt) and tolerance(k, target=flat) > 0}


def average(parameters: Parameters, *, keys: list[str], seeds: int) -> Floats:
    """Measured figures averaged over seeds, shape (keys,)."""
    matched = any(key.startswith(("T5", "A5")) for key in keys)
    hours = any(key.startswith("A4") for key in keys)
    runs = []
    for seed in range(FIRST_SEED, FIRST_SEED + seeds):
        found = measure(simulate(seed=seed, parameters=parameters), matched=matched, hours=hours)
        runs.append([found[key] for key in keys])
    return np.mean(runs, axis=0)


def chance_estimates(parameters: Parameters, *, keys: list[str], seeds: int) -> Floats:
    """What difference-in-differences finds on these seeds where there is no effect, shape (keys,).

    Its expectation is zero and its noise that of the estimates: taking it off leaves little noise. Other
    figures get zero.
    """
    controlled = np.array([key.startswith(PANELS) and key.endswith(".estimate") for key in keys])
    if not controlled.any():
        return np.zeros(len(keys))
    without = dataclasses.replace(parameters, effects=Effects())
    return np.where(controlled, average(without, keys=keys, seeds=seeds), 0.0)


def jacobian(parameters: Parameters, *, stage: Stage, keys: list[str], seeds: int) -> Floats:
    """Change of each figure per step of each knob, shape (keys, knobs)."""
    centre = average(parameters, keys=keys, seeds=seeds)
    columns = []
    for index in range(len(stage.knobs)):
        unit = np.eye(len(stage.knobs))[index]
        columns.append(average(turn(parameters, stage=stage, by=unit), keys=keys, seeds=seeds) - centre)
    return np.column_stack(columns)


def standardised_gap(found: Floats, *, target: dict[str, float]) -> Floats:
    """(measured - published) / tolerance, shape (keys,)."""
    flat = flat_targets()
    return np.array([(f - target[k]) / tolerance(k, target=flat) for f, k in zip(found, target, strict=True)])


def gauss_newton_step(slopes: Floats, *, gap: Floats, target: dict[str, float]) -> Floats:
    """Damped least-squares step in units of the knobs' steps, at most two steps each."""
    flat = flat_targets()
    scaled = slopes / np.array([tolerance(k, target=flat) for k in target])[:, None]
    gram = scaled.T @ scaled + DAMPING**2 * np.eye(scaled.shape[1])
    return np.clip(-np.linalg.solve(gram, scaled.T @ gap), -2.0, 2.0)


def turn(parameters: Parameters, *, stage: Stage, by: Floats) -> Parameters:
    """Move every knob of the stage by so many of its steps."""
    values = dataclasses.asdict(parameters)
    for (path, kind, step), amount in zip(stage.knobs, by, strict=True):
        *parents, last = path.split(".")
        holder: Any = values
        for name in parents:
            if isinstance(holder[name], tuple):
                holder[name] = list(holder[name])
            holder = holder[name]
        key = int(last) if isinstance(holder, list) else last
        old = holder[key]
        holder[key] = old + step * amount if kind == "add" else max(old, SMALLEST) * math.exp(step * amount)
    return Parameters.from_dict(values)


def main() -> None:
    """Command line: calibrate from the present parameter file and write it anew."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=30, help="experiments per evaluation")
    parser.add_argument("--slope-seeds", type=int, default=4, help="experiments per column of the Jacobian")
    parser.add_argument("--rounds", type=int, default=4, help="steps per stage")
    parser.add_argument("--stages", nargs="*", help="names of the stages to run; all unless given")
    parser.add_argument("--output", type=Path, default=Path(__file__).with_name("parameters.toml"))
    options = parser.parse_args()
    stages = [s for s in read_stages() if not options.stages or s.name in options.stages]
    fitted = calibrate(
        Parameters.load(),
        stages=stages,
        seeds=options.seeds,
        slope_seeds=options.slope_seeds,
        rounds=options.rounds,
    )
    options.output.write_text(fitted.dump(), "utf-8")


if __name__ == "__main__":
    main()

"""Randomisation inference: how often chance alone would have made an effect as large as the one observed.

Units were drawn into arms, so the reference is every other draw of units, whatever happens within them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np
import pandas as pd

from hitlbayes.chatlog import Panel
from hitlbayes.design.absorb import Absorbed, absorb
from hitlbayes.design.assignments import SEED, Assignments, assignments, p_value
from hitlbayes.design.periods import UnitPeriods, unit_periods
from hitlbayes.errors import SpecError

Statistic = Literal["studentized", "coefficient"]
CHUNK = 4_000_000  # numbers held at once


@dataclass(frozen=True, slots=True, eq=False)
class RandomizationTest:
    """A difference-in-differences effect against the assignments that might have been drawn.

    Attributes
    ----------
    effect : float
        Two-way fixed-effects estimate, in the outcome's units.
    se : float
        Its standard error clustered by unit (CR1).
    p_value : float
        Two-sided; of the sharp hypothesis of no effect on anybody and, for the studentized statistic in large
        samples, of no effect on average (Wu and Ding 2021, doi:10.1080/01621459.2020.1750415).
    lower, upper : float
        Effects, the same for all, that the test does not reject at 1 - `level`.
    level : float
    statistic : str
    permutations : int
        Assignments compared, the actual one included.
    complete : bool
        Whether these are all assignments there are.
    reference : (permutations,)
        The statistic under each assignment, the actual one first.
    n, units : int
        Unit-periods and units that entered.
    dropped : int
        Unit-periods without the outcome, a control, or weight.
    outcome : str
    synthetic : bool
    """

    effect: float
    se: float
    p_value: float
    lower: float
    upper: float
    level: float
    statistic: str
    permutations: int
    complete: bool
    reference: np.ndarray
    n: int
    units: int
    dropped: int
    outcome: str
    synthetic: bool = False

    def __repr__(self) -> str:
        many = "all" if self.complete else "random"
        lines = [
            f"Randomisation test of {self.outcome}" + (" (SYNTHETIC)" if self.synthetic else ""),
            f"  effect      {self.effect:.5g} (clustered SE {self.se:.3g})",
            f"  p           {self.p_value:.4g} ({self.statistic}; {self.permutations:,} {many} assignments "
            f"of {self.units:,} units)",
            f"  {self.level:.0%} not rejected: {self.lower:.5g} to {self.upper:.5g}",
        ]
        if self.dropped:
            lines.append(
                f"  without     {self.dropped:,} unit-periods that lack the outcome, a control or weight"
            )
        return "\n".join(lines)


class Fitted(NamedTuple):
    """Two-way estimates under every assignment, for the outcome and for the actual treatment as outcome.

    coefficients : (permutations, 2); covariance : (permutations, 2, 2), clustered by unit.
    """

    coefficients: np.ndarray
    covariance: np.ndarray


def randomization_test(
    data: Panel | pd.DataFrame,
    *,
    outcome: str,
    unit: str = "unit",
    time: str = "period",
    treated: str = "treated",
    post: str = "post",
    treatment: str | None = None,
    weights: str | None = None,
    controls: Sequence[str] = (),
    blocks: str | None = None,
    statistic: Statistic = "studentized",
    permutations: int = 2000,
    level: float = 0.95,
    seed: int = SEED,
) -> RandomizationTest:
    """Average effect by two-way fixed effects, its p-value and interval by shuffling units between arms.

    Parameters
    ----------
    data : Panel or DataFrame
        `hitlbayes.panel(chats)`, whose unit-period means are used, or a frame with a row per unit and period.
    outcome : str
    unit, time, treated, post, treatment : str
        A frame's columns, as in `hitlbayes.fit_did`: `treated` and `post` (0/1), or `treatment` (0/1, treated
        now) where starts are staggered; then starts, a unit's first treated period, are shuffled among units.
    weights : str, optional
        A frame's column; for a panel ``"chats"``, the number of chats behind each mean. Cells weigh alike
        unless given.
    controls : sequence of str
        Columns taken out linearly, for instance the paper's lagged ones.
    blocks : str, optional
        Column within whose values units were randomised.
    statistic : {"studentized", "coefficient"}
        The estimate over its clustered standard error, or the estimate.
    permutations : int
    level : float
        Of the interval.
    seed : int

    Returns
    -------
    RandomizationTest

    Raises
    ------
    SchemaError, DesignError, SpecError

    Notes
    -----
    Outcome and controls are residualised once; each assignment's treatment is residualised and regressed on
    (Frisch, Waugh and Lovell), so that 2,000 assignments of 647 workers over 31 days take seconds.

    Examples
    --------
    >>> frame = pd.DataFrame({
    ...     "unit": np.repeat(list("abcdef"), 2), "period": [0, 1] * 6, "post": [0, 1] * 6,
    ...     "treated": np.repeat([1, 1, 1, 0, 0, 0], 2), "y": [0, 5, 1, 7, 2, 9, 0, 1, 1, 2.5, 2, 3],
    ... })
    >>> test = randomization_test(frame, outcome="y", statistic="coefficient")
    >>> round(test.effect, 3), test.permutations, round(test.p_value, 3)
    (4.833, 20, 0.1)
    """
    if statistic not in get_args(Statistic):
        raise SpecError(f"statistic={statistic!r}.\n  expected: one of {', '.join(get_args(Statistic))}.")
    if not 0 < level < 1:
        raise SpecError(f"level={level}.\n  expected: between 0 and 1.")
    columns = {"unit": unit, "time": time, "treated": treated, "post": post, "treatment": treatment}
    rows = unit_periods(
        data, outcome=outcome, columns=columns, weights=weights, controls=list(controls), blocks=blocks
    )
    drawn = assignments(rows.start, permutations=permutations, blocks=rows.blocks, seed=seed)
    projection = absorb(rows.unit, regressors=rows.regressors, weights=rows.weights)
    fitted = fit_assignments(rows, drawn=drawn, projection=projection)
    studentized = statistic == "studentized"
    reference = statistics_at(fitted, effect=0.0, studentized=studentized)
    lower, upper = invert(fitted, studentized=studentized, level=level)
    units, n = len(rows.start), len(rows.outcome)
    # Unit effects lie within clusters and do not count: Cameron and Miller 2015, doi:10.3368/jhr.50.2.317.
    parameters = np.linalg.matrix_rank(projection.inverse) + 2
    correction = units / (units - 1) * (n - 1) / (n - parameters) if n > parameters else np.nan
    return RandomizationTest(
        effect=float(fitted.coefficients[0, 0]),
        se=float(np.sqrt(correction * fitted.covariance[0, 0, 0])),
        p_value=p_value(reference),
        lower=lower,
        upper=upper,
        level=level,
        statistic=statistic,
        permutations=len(drawn.arms),
        complete=drawn.complete,
        reference=reference,
        n=n,
        units=units,
        dropped=rows.dropped,
        outcome=outcome,
        synthetic=rows.synthetic,
    )


def fit_assignments(rows: UnitPeriods, *, drawn: Assignments, projection: Absorbed) -> Fitted:
    """Regress the outcome, and the actual treatment, on the treatment under each assignment."""
    actual = rows.exposure[rows.start[rows.unit], rows.period]
    left = projection.residuals(np.column_stack([rows.outcome, actual]).astype(float))
    coefficients, covariance = [], []
    size = max(1, CHUNK // len(rows.outcome))
    for begin in range(0, len(drawn.arms), size):
        arms = drawn.arms[begin : begin + size]
        treatment = rows.exposure[arms[:, rows.unit], rows.period[None, :]].T.astype(float)
        d = projection.residuals(treatment)
        wd = projection.weights * d
        power = projection.sums(wd * d)
        scores = np.stack([projection.sums(wd * left[:, [k]]) for k in (0, 1)])  # (2, units, b)
        total = power.sum(axis=0)
        beta = scores.sum(axis=1) / total
        scores = scores - beta[:, None, :] * power
        coefficients.append(beta.T)
        covariance.append(np.einsum("aub,cub->bac", scores, scores) / total[:, None, None] ** 2)
    return Fitted(np.concatenate(coefficients), np.concatenate(covariance))


def statistics_at(fitted: Fitted, *, effect: float, studentized: bool) -> np.ndarray:
    """The statistic (permutations,) under each assignment if everybody treated gained `effect`."""
    of_y, of_d = fitted.coefficients.T
    difference = of_y - effect * of_d
    if not studentized:
        return difference
    v = fitted.covariance
    variance = v[:, 0, 0] - 2 * effect * v[:, 0, 1] + effect**2 * v[:, 1, 1]
    return difference / np.sqrt(np.maximum(variance, np.finfo(float).tiny))


def invert(fitted: Fitted, *, studentized: bool, level: float) -> tuple[float, float]:
    """Least and greatest constant effect that the test does not reject at 1 - `level`; infinite if none."""
    estimate = float(fitted.coefficients[0, 0])
    step = float(np.sqrt(fitted.covariance[0, 0, 0])) or 1.0

    def kept(effect: float) -> bool:
        return p_value(statistics_at(fitted, effect=effect, studentized=studentized)) > 1 - level

    ends = []
    for sign in (-1, 1):
        inside, outside = 0.0, 1.0
        while kept(estimate + sign * outside * step) and outside < 1e6:
            inside, outside = outside, 2 * outside
        if outside >= 1e6:
            ends.append(sign * np.inf)
            continue
        while outside - inside > 1e-4 * outside:
            middle = (inside + outside) / 2
            inside, outside = (middle, outside) if kept(estimate + sign * middle * step) else (inside, middle)
        ends.append(estimate + sign * outside * step)
    return float(ends[0]), float(ends[1])

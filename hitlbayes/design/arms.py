"""Whether arms were alike before: means, spreads, standardised differences, and tests that know of units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from hitlbayes.design.assignments import SEED, Assignments, assignments, p_value
from hitlbayes.design.clusters import clustered_p, contrast, joint_p, unit_sums
from hitlbayes.design.distances import Spread, ecdf_distance, standardized_difference, variance_ratio
from hitlbayes.design.samples import units_of, variables_of, weights_of
from hitlbayes.errors import SchemaError


@dataclass(frozen=True, slots=True, eq=False)
class ArmBalance:
    """How alike two arms are in each variable.

    Attributes
    ----------
    table : DataFrame, one row per variable (and per level of a categorical one)
        `variable`; `n_treated`, `n_control` rows with a value, `missing`; `mean_treated`, `mean_control`,
        `sd_treated`, `sd_control`; `difference`; `std_difference`; `variance_ratio`; `ecdf_mean`, `ecdf_max`
        (distances of distribution functions). P-values: `p_t` (two-sample t test, equal variances) and
        `p_rank_sum` (Wilcoxon), which take rows as independent; `p_clustered` (t test, errors clustered by
        unit), `p_randomized` and `p_randomized_rank` (difference in means, and in mean ranks, among other
        assignments of units), which do not.
    joint_p : float
        Of all differences in means together, among other assignments of units.
    units : int
    rows : int
    level : str
        What a row is, in words.
    synthetic : bool
    """

    table: pd.DataFrame
    joint_p: float
    units: int
    rows: int
    level: str
    synthetic: bool = False

    def __repr__(self) -> str:
        title = f"Balance of {self.rows:,} {self.level}s in {self.units:,} units"
        title += " (SYNTHETIC)" if self.synthetic else ""
        names = ["variable", "mean_treated", "mean_control", "std_difference", "p_clustered", "p_randomized"]
        shown = self.table[names].to_string(index=False, float_format=lambda v: f"{v:.3f}")
        return f"{title}\n{shown}\njoint p = {self.joint_p:.3f}"


def compare_arms(
    frame: pd.DataFrame,
    *,
    columns: Sequence[str],
    treated: str = "treated",
    unit: str | None = None,
    weights: str | None = None,
    blocks: str | None = None,
    spread: Spread = "pooled",
    level: str = "row",
    permutations: int = 2000,
    seed: int = SEED,
) -> ArmBalance:
    """Differences between arms in any variables, by row or by unit of assignment (paper, Table A1).

    Parameters
    ----------
    frame : DataFrame
        Rows at any level (workers, worker-days, chats; matched or not).
    columns : sequence of str
        Numbers, booleans, or text; a text column becomes one variable for each of its levels.
    treated : str
        The arm, 0/1.
    unit : str, optional
        The unit that was assigned; each row is one unless given.
    weights : str, optional
        Weights, for instance of a match (0 for rows left out). The tests of independent rows are then left
        out, and standardised differences are in standard deviations of all rows.
    blocks : str, optional
        Column within whose values units were randomised.
    spread : {"pooled", "treated", "control"}
        Whose standard deviation standardises.
    level : str
        What a row is, for titles.
    permutations, seed : int

    Returns
    -------
    ArmBalance

    Raises
    ------
    SchemaError, SpecError, DesignError

    Examples
    --------
    >>> frame = pd.DataFrame({"treated": [1, 1, 1, 0, 0, 0], "age": [30.0, 34, 38, 31, 33, 41]})
    >>> table = compare_arms(frame, columns=["age"]).table
    >>> table[["mean_treated", "mean_control", "std_difference", "p_randomized"]].round(3).values.tolist()
    [[34.0, 35.0, -0.213, 0.9]]
    """
    variables = variables_of(frame, columns=columns, others=[treated, unit, weights, blocks])
    code, arms, in_blocks = units_of(frame, treated=treated, unit=unit, blocks=blocks)
    drawn = assignments(arms, permutations=permutations, blocks=in_blocks, seed=seed)
    w = None if weights is None else weights_of(frame, weights=weights)
    rows, differences = [], []
    for name, x in variables.items():
        row, difference = _row(x, code=code, drawn=drawn, weights=w, spread=spread)
        rows.append({"variable": name, **row})
        differences.append(difference)
    return ArmBalance(
        table=pd.DataFrame(rows),
        joint_p=joint_p(np.column_stack(differences)),
        units=len(arms),
        rows=len(frame),
        level=level,
        synthetic=bool(frame.attrs.get("synthetic", False)),
    )


def _row(
    x: np.ndarray, *, code: np.ndarray, drawn: Assignments, weights: np.ndarray | None, spread: Spread
) -> tuple[dict[str, float], np.ndarray]:
    """Everything about one variable, and its difference under each assignment."""
    arm = drawn.arms[0][code]
    seen = np.isfinite(x)
    x, code, arm = x[seen], code[seen], arm[seen]
    w = None if weights is None else weights[seen]
    groups = {"treated": x[arm == 1], "control": x[arm == 0]}
    if min(map(len, groups.values())) < 2:
        raise SchemaError(
            "a variable has fewer than two values in an arm.\n  to do: leave it out of columns=."
        )
    total, size = _padded(code, x=x, weights=w, units=drawn.arms.shape[1])
    found = contrast(total, size=size, arms=drawn.arms)
    ranks = _ranks(x)
    ranked = contrast(
        _padded(code, x=ranks, weights=w, units=drawn.arms.shape[1])[0], size=size, arms=drawn.arms
    )
    units, n = int((size > 0).sum()), float(len(x))
    ecdf = ecdf_distance(x, arm, weights=w)
    row: dict[str, float] = {}
    for name, chosen in (("treated", arm == 1), ("control", arm == 0)):
        row[f"n_{name}"] = int(chosen.sum() if w is None else (w[chosen] > 0).sum())
        row[f"mean_{name}"] = float(np.average(x[chosen], weights=None if w is None else w[chosen]))
    row |= {"missing": int((~seen).sum())}
    row |= {f"sd_{name}": float(np.std(values, ddof=1)) for name, values in groups.items()}
    row |= {
        "difference": float(found.difference[0]),
        "std_difference": standardized_difference(x, arm, weights=w, spread=spread),
        "variance_ratio": variance_ratio(x, arm, weights=w),
        "ecdf_mean": ecdf.mean,
        "ecdf_max": ecdf.maximum,
        **_independent(groups, weighted=w is not None),
        "p_clustered": clustered_p(found, units=units, rows=n),
        "p_randomized": p_value(found.studentized()),
        "p_randomized_rank": p_value(ranked.studentized()),
    }
    return row, found.difference


def _independent(groups: dict[str, np.ndarray], *, weighted: bool) -> dict[str, float]:
    """P-values of tests that take rows as independent; none for weighted rows."""
    from scipy.stats import mannwhitneyu, ttest_ind

    if weighted:
        return {"p_t": np.nan, "p_rank_sum": np.nan}
    one, two = groups["treated"], groups["control"]
    return {
        "p_t": float(ttest_ind(one, two).pvalue) if np.ptp(np.concatenate([one, two])) > 0 else np.nan,
        "p_rank_sum": float(mannwhitneyu(one, two, method="asymptotic").pvalue),
    }


def _ranks(x: np.ndarray) -> np.ndarray:
    from scipy.stats import rankdata

    return np.asarray(rankdata(x))


def _padded(
    code: np.ndarray, *, x: np.ndarray, weights: np.ndarray | None, units: int
) -> tuple[np.ndarray, np.ndarray]:
    """Sums of every unit, 0 for those without a value."""
    total, size = unit_sums(code, x=x, weights=weights)
    return np.pad(total, (0, units - len(total))), np.pad(size, (0, units - len(size)))

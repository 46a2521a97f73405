"""For whom: the effect by a group of workers or chats, each group against its own controls.

    eta_it = alpha + theta_i + a_i Post_t + mu_t + delta_it
             + [group] + [group] Treated_i + [group] Post_t + (beta_group + b_i) D_it

Groups may differ in level, arms may differ within a group, and a group may change by itself from before to
after: its effect is the change of its treated less the change of its controls. That is also what keeps a
return to the mean from passing as an effect where groups are made of the outcome before the start. The
groups' effects are drawn towards their mean, by as much as `pool` says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
import xarray as xr

from hitlbayes.errors import DesignError, SpecError
from hitlbayes.fitting.structure import Structure
from hitlbayes.result import Fit
from hitlbayes.spec.priors import Prior
from hitlbayes.studies.frames import Source, from_frame, from_panel
from hitlbayes.studies.labelled import Labels, fit_labelled, grouped, grouped_shares, labelled_study
from hitlbayes.studies.mixed import SEED, Device, Sampling
from hitlbayes.studies.moderators import group_of
from hitlbayes.studies.structure import check_treatment, did_structure, varies_within
from hitlbayes.summaries import interval

if TYPE_CHECKING:
    from hitlbayes.chatlog import Panel

POOL = 0.5


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Heterogeneity:
    """Fitted effects by group; ``Heterogeneity(hb.load(path))`` opens one that was saved."""

    fit: Fit

    def __post_init__(self) -> None:
        if self.fit.spec.get("study") != "heterogeneity":
            raise SpecError(f"{self.fit.name} has no groups; make it with hb.fit_heterogeneity.")

    @property
    def by(self) -> str:
        """What the groups are made of."""
        return str(self.fit.spec["by"])

    def effects(self, *, weight: str = "chat") -> xr.DataArray:
        """Draws of each group's average effect on its treated (chain, draw, group), in the fit's units."""
        return grouped(self.fit, self._groups(), dim="group", weight=weight)

    def shares(self, *, weight: str = "chat") -> xr.DataArray:
        """Draws of the change in each category's probability, percentage points (ordinal outcomes)."""
        return grouped_shares(self.fit, self._groups(), dim="group", weight=weight)

    def contrasts(self, reference: str | None = None, *, weight: str = "chat") -> xr.DataArray:
        """Draws of each group's effect less that of `reference` (by default the first group)."""
        draws = self.effects(weight=weight)
        names = [str(name) for name in draws["group"].to_numpy()]
        reference = names[0] if reference is None else reference
        if reference not in names:
            raise SpecError(f"no group {reference!r}; there are: {', '.join(names)}.")
        others = [name for name in names if name != reference]
        made = draws.sel(group=others) - draws.sel(group=reference, drop=True)
        return made.assign_attrs(draws.attrs, reference=reference)

    def summary(self, prob: float = 0.95, kind: str = "eti") -> pd.DataFrame:
        """Each group's effect, the probability that it is positive, and that it is the largest of all."""
        draws = self.effects()
        flat = draws.transpose("chain", "draw", "group").to_numpy().reshape(-1, draws.sizes["group"])
        ends = [interval(column, prob=prob, kind=kind) for column in flat.T]
        largest = np.bincount(flat.argmax(axis=1), minlength=flat.shape[1]) / len(flat)
        data = {
            "mean": flat.mean(axis=0),
            "sd": flat.std(axis=0),
            "lower": [low for low, _ in ends],
            "upper": [high for _, high in ends],
            "prob_positive": np.mean(flat > 0, axis=0),
            "prob_largest": largest,
            "cells": self.fit.posterior["effects"]["size"].sel(weight="cell").to_numpy().astype(int),
        }
        index = pd.Index([str(g) for g in draws["group"].to_numpy()], name=self.by)
        return pd.DataFrame(data, index=index).assign(units=self.fit.units)

    def plot(self, **options: Any):
        """Each group's effect with its interval."""
        from hitlbayes.report.plot_groups import plot_groups

        return plot_groups(self, **options)

    def save(self, path: str | Path) -> Path:
        """Write the fit to one file; ``Heterogeneity(hb.load(path))`` reads it."""
        return self.fit.save(path)

    def __repr__(self) -> str:
        fit, label = self.fit, " (SYNTHETIC data)" if self.fit.synthetic else ""
        shown = self.summary().drop(columns="units").to_string(float_format=lambda x: f"{x:.3f}")
        return f"Effect by {self.by}: {fit.name}{label}; {fit.units}, 95% ETI\n{shown}\n{fit.check()}"

    def _groups(self) -> dict[str, list[str]]:
        effects = self.fit.posterior["effects"]
        names, groups = effects["effect"].to_numpy(), effects["group"].to_numpy()
        return {str(group): [str(name)] for name, group in zip(names, groups, strict=True)}


def fit_heterogeneity(
    panel: Panel | pd.DataFrame,
    *,
    by: str | pd.Series,
    bins: int | Sequence[float] | None = None,
    pool: float | None = POOL,
    outcome: str | None = None,
    likelihood: Literal["cells", "means"] = "cells",
    unit: str = "unit",
    time: str = "period",
    treated: str | None = None,
    treated_level: object = None,
    post: str | None = None,
    family: str | None = None,
    trials: str | None = None,
    precision: str | None = None,
    formula: str | None = None,
    priors: Mapping[str, Prior] | None = None,
    draws: int = 1000,
    chains: int = 4,
    seed: int = SEED,
    device: Device | None = None,
    progress: bool | None = None,
) -> Heterogeneity:
    """Average effect on the treated by group (tenure, past performance, issue, ...), as posterior draws.

    Parameters
    ----------
    panel : Panel or DataFrame
        For a panel, chats are grouped by a column of its ``by=``, ``hb.panel(chats, by="issue")``.
    by : str or Series
        A column that tells cells apart, or values indexed by unit (tenure, `hitlbayes.before_start`).
    bins : int or sequence of float, optional
        Numbers are cut into this many groups of about equally many units, or at these edges. Other values
        are groups as they are.
    pool : float, optional
        Prior SD of the groups' effects about their mean, in units of the prior of ``effects`` (an outcome
        SD or a logit, by default); None: independent.
    outcome, likelihood, unit, time, treated, treated_level, post, family, trials, precision, formula, priors
        As in `hitlbayes.fit_did`, ``effects`` being the prior of the effects' mean; so are draws, chains,
        seed, device and progress.

    Returns
    -------
    Heterogeneity
        `effects()`, `contrasts()`, `summary()`, `plot()` and the `fit`.

    Raises
    ------
    SchemaError, DesignError, SpecError
        A group without treated and control cells before and after, too many groups, units without a value.

    Notes
    -----
    What differs between groups need not be caused by what they are made of: only the treatment was
    randomised. A column that the treatment changes (concurrency, say) makes no groups.

    Examples
    --------
    >>> import hitlbayes as hb
    >>> cells = hb.simulate_cells(seed=2, workers=40, periods=6, start=3, effect=0.5)
    >>> tenure = pd.Series(range(40), index=range(1, 41), name="tenure")
    >>> found = hb.fit_heterogeneity(cells, by=tenure, bins=2, outcome="y", draws=250, progress=False)
    >>> found.effects().sizes["group"], found.contrasts().sizes["group"]
    (2, 1)
    """
    began = perf_counter()
    sampling = Sampling(draws, chains, seed, progress, device)
    if pool is not None and not pool > 0:
        raise SpecError(f"pool is {pool}; expected a positive SD, or None for independent effects.")
    columns: dict[str, Any] = {
        "unit": unit,
        "time": time,
        "treated": treated,
        "treated_level": treated_level,
        "post": post,
    }
    columns |= {"family": family, "trials": trials, "precision": precision, "formula": formula}
    if isinstance(panel, pd.DataFrame):
        keep = [by] if isinstance(by, str) else []
        source = from_frame(panel, outcome=outcome, likelihood=likelihood, groups=keep, **columns)
    else:
        source = from_panel(panel, outcome=outcome or "rating", likelihood=likelihood, **columns)
    check_treatment(source.cells)
    name, group = group_of(source.cells.keys, by=by, bins=bins)
    chats = likelihood == "cells" and varies_within(source.cells)
    structure = did_structure(source.cells, shock=chats, by_phase=chats)
    labels = _labels(source, structure, group, name=name, pool=pool)
    study = labelled_study(
        source,
        labels=labels,
        arms=_arms(source, group, name=name),
        structure=structure,
        name=f"{source.name}, by {name}",
        priors=priors,
        spec={"study": "heterogeneity", "by": name, "pool": pool, "likelihood": likelihood},
    )
    fit = fit_labelled(study, labels=labels, sampling=sampling, seconds=lambda: perf_counter() - began)
    return Heterogeneity(fit)


def _labels(
    source: Source, structure: Structure, group: pd.Categorical, *, name: str, pool: float | None
) -> Labels:
    """One effect for each group, correlated a priori through their mean."""
    if "treatment" in source.cells.keys:
        raise SpecError("effects by group need treated= and post=; treatment= cannot say who is a control.")
    groups = list(group.categories)
    _check_groups(source.cells.keys, group, name=name)
    code = np.where(structure.exposure > 0, group.codes, -1)
    e = len(groups)
    transform = np.eye(e) if pool is None else np.linalg.cholesky(np.ones((e, e)) + pool**2 * np.eye(e))
    table = pd.DataFrame({"group": groups}, index=pd.Index([f"effect, {name} {g}" for g in groups]))
    return Labels(code, table, transform)


def _arms(source: Source, group: pd.Categorical, *, name: str) -> pd.DataFrame:
    """Columns of the arm, of every group but the first, and of the group with arm and with post."""
    treated, post = (source.cells.keys[c].to_numpy(float) for c in ("treated", "post"))
    made = {"treated": treated}
    for code, label in enumerate(group.categories):
        if code:
            here = (group.codes == code).astype(float)
            made[f"{name} {label}"] = here
            made[f"{name} {label}, treated"] = here * treated
            made[f"{name} {label}, post"] = here * post
    return pd.DataFrame(made)


def _check_groups(keys: pd.DataFrame, group: pd.Categorical, *, name: str) -> None:
    frame = pd.DataFrame({"group": group, "treated": keys["treated"], "post": keys["post"]})
    filled = frame.drop_duplicates().groupby("group", observed=False).size()
    short = filled.index[filled < 4]
    if len(short):
        shown = ", ".join(map(str, short[:5]))
        raise DesignError(
            f"{len(short)} groups of {name!r} lack treated or control cells before or after the start "
            f"({shown}); join them with others."
        )

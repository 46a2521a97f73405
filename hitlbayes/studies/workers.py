"""Each worker's own effect: who is harmed, how effects go with skill, what groups of workers have in common.

All of it is read off the draws of one hierarchical fit, in which a worker's effect is shrunk towards the
average by as much as the data of all workers say. Shrunk effects understate differences between groups of
workers with little data; where a group is the question, fit it (`hitlbayes.fit_heterogeneity`).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd
import xarray as xr

from hitlbayes.errors import SchemaError, SpecError
from hitlbayes.result import Fit


def harm(
    fit: Fit, *, worse: Literal["lower", "higher"] = "lower", size: float = 0.0, prob: float = 0.95
) -> pd.DataFrame:
    """Each treated unit's own effect, and the posterior probability that it is harmed.

    Parameters
    ----------
    fit : Fit of `hitlbayes.fit_did`
    worse : is a lower outcome worse (ratings), or a higher one (durations, retrials)?
    size : harm is an effect beyond this, in the fit's units
    prob : of the equal-tailed interval

    Returns
    -------
    DataFrame
        Indexed by unit, the most probably harmed first: mean, sd, lower, upper, prob_harm. Its attrs hold
        `harmed`, the expected share of harmed units, and `harmed_interval`, from their joint draws.

    Examples
    --------
    >>> import hitlbayes as hb
    >>> cells = hb.simulate_cells(seed=1, workers=20, periods=6, start=3, effect=1.0)
    >>> told = harm(hb.fit_did(cells, outcome="y", draws=250, progress=False))
    >>> bool((told["prob_harm"] < 0.05).all()), bool(told.attrs["harmed"] < 0.05)
    (True, True)
    """
    if worse not in ("lower", "higher"):
        raise SpecError(f"worse is {worse!r}; expected 'lower' or 'higher'.")
    if size < 0 or not 0 < prob < 1:
        raise SpecError(
            f"size={size}, prob={prob}; expected a size from 0 and a probability between 0 and 1."
        )
    own = fit.worker_effects()
    draws = own.transpose("chain", "draw", "unit").to_numpy().reshape(-1, own.sizes["unit"])
    harmed = draws < -size if worse == "lower" else draws > size
    lower, upper = np.quantile(draws, [(1 - prob) / 2, (1 + prob) / 2], axis=0)
    data = {"mean": draws.mean(axis=0), "sd": draws.std(axis=0), "lower": lower, "upper": upper}
    table = pd.DataFrame(data, index=pd.Index(own["unit"].to_numpy(), name="unit"))
    table["prob_harm"] = harmed.mean(axis=0)
    share = harmed.mean(axis=1)
    ends = tuple(map(float, np.quantile(share, [(1 - prob) / 2, (1 + prob) / 2])))
    table.attrs |= {"units": fit.units, "harmed": float(share.mean()), "harmed_interval": ends}
    return table.sort_values("prob_harm", ascending=False)


def effect_by_level(fit: Fit, *, groups: int = 3) -> xr.DataArray:
    """Draws of the average effect on workers of low to high skill: groups of their own level.

    The level is the model's (on the linear predictor, without the treatment), draw by draw, and not a mean
    of noisy observations: no return to the mean.

    Parameters
    ----------
    fit : Fit of `hitlbayes.fit_did`
    groups : how many, of about equally many treated units each

    Returns
    -------
    DataArray
        (chain, draw, level): 1 is the group of the lowest levels; in the fit's units.

    Examples
    --------
    >>> import hitlbayes as hb
    >>> cells = hb.simulate_cells(seed=1, workers=20, periods=6, start=3, effect=1.0)
    >>> fit = hb.fit_did(cells, outcome="y", draws=250, progress=False)
    >>> effect_by_level(fit, groups=2).dims
    ('chain', 'draw', 'level')
    """
    own = fit.worker_effects()
    level = fit.posterior["posterior"].to_dataset()[f"{fit.unit_name}_level"]
    keep = level[fit.unit_name].isin(own["unit"].to_numpy()).to_numpy()
    level = level.isel({fit.unit_name: np.flatnonzero(keep)}).transpose("chain", "draw", ...)
    if not 2 <= groups <= level.shape[-1]:
        raise SpecError(f"groups is {groups}; expected 2 to {level.shape[-1]}, the number of treated units.")
    order = np.argsort(level.to_numpy(), axis=-1, kind="stable")
    sorted_effects = np.take_along_axis(own.transpose("chain", "draw", "unit").to_numpy(), order, axis=-1)
    parts = np.array_split(np.arange(level.shape[-1]), groups)
    made = np.stack([sorted_effects[..., part].mean(axis=-1) for part in parts], axis=-1)
    coords = {"level": np.arange(1, groups + 1)}
    return xr.DataArray(made, dims=("chain", "draw", "level"), coords=coords, attrs={"units": fit.units})


def worker_averages(fit: Fit, *, by: pd.Series) -> xr.DataArray:
    """Draws of the average of treated units' own effects in groups of units (chain, draw, group).

    Parameters
    ----------
    fit : Fit of `hitlbayes.fit_did`
    by : Series
        Group of each treated unit, indexed by unit.

    Examples
    --------
    >>> import hitlbayes as hb
    >>> cells = hb.simulate_cells(seed=1, workers=20, periods=6, start=3, effect=1.0)
    >>> fit = hb.fit_did(cells, outcome="y", draws=250, progress=False)
    >>> units = fit.worker_effects()["unit"].to_numpy()
    >>> team = pd.Series(["early", "late"] * (len(units) // 2), index=units)
    >>> list(worker_averages(fit, by=team)["group"].values)
    ['early', 'late']
    """
    own = fit.worker_effects()
    group = pd.Index(own["unit"].to_numpy()).map(by)
    if group.isna().any():
        raise SchemaError(f"{int(group.isna().sum())} treated units have no group in by=; give them one.")
    made = own.assign_coords(group=("unit", np.asarray(group))).groupby("group").mean("unit")
    return made.transpose("chain", "draw", "group").assign_attrs(own.attrs)

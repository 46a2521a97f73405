"""Any mixed model of the supported families: what `fit_did` and the other studies call.

    link(E[y_r]) = X_r b + u_{g1[r]} + u_{g2[r]} + ...,      u_g ~ Normal(0, sd_g^2)

Rows that share every covariate and group are collapsed to their sufficient statistics first, which changes
nothing but the time it takes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, Literal

import numpy as np
import pandas as pd
import xarray as xr

from hitlbayes.errors import SpecError
from hitlbayes.fitting.model import Model, build_model
from hitlbayes.fitting.progress import follow
from hitlbayes.fitting.run import Draws, run
from hitlbayes.fitting.structure import Structure, crossed
from hitlbayes.result import Fit
from hitlbayes.spec.cells import Cells, cells_of_frame
from hitlbayes.spec.columns import others
from hitlbayes.spec.predictor import mixed_design, needed_columns
from hitlbayes.spec.priors import Prior
from hitlbayes.studies.structure import check_names
from hitlbayes.versions import versions

SEED = 20240815


Device = Literal["cpu", "gpu"]


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a posterior is drawn."""

    draws: int = 1000
    chains: int = 4
    seed: int = SEED
    progress: bool | None = None
    device: Device | None = None
    store: str | Path | None = None

    def __post_init__(self) -> None:
        if self.draws < 4 or self.chains < 1:
            raise SpecError(
                f"draws={self.draws}, chains={self.chains}; expected at least 4 draws of 1 chain."
            )


@dataclass(frozen=True, slots=True, eq=False)
class Study:
    """A model, and what a `Fit` of it says about itself.

    units : of the effect
    means : unit-period means behind the frequentist twin
    """

    model: Model
    name: str
    outcome: str
    units: str
    spec: Mapping[str, Any]
    means: pd.DataFrame | None = None
    scope: str | None = None
    synthetic: bool = False


def fit_mixed(
    frame: pd.DataFrame,
    *,
    outcome: str,
    family: str,
    formula: str | None = None,
    groups: Sequence[str],
    trials: str | None = None,
    precision: str | None = None,
    priors: Mapping[str, Prior] | None = None,
    draws: int = 1000,
    chains: int = 4,
    seed: int = SEED,
    device: Device | None = None,
    store: str | Path | None = None,
    progress: bool | None = None,
) -> Fit:
    """Posterior of a mixed model with crossed random intercepts.

    Parameters
    ----------
    frame : DataFrame
        Rows at any level. It is not changed.
    outcome : str
    family : {"gaussian", "bernoulli", "ordinal", "count"}
        `count` is negative binomial, and Poisson with ``{"overdispersion": hb.fixed(0)}``; `ordinal` takes
        whole numbers or an ordered categorical.
    formula : str, optional
        Fixed effects, for example ``"~ service + C(year)"``.
    groups : sequence of str
        Columns with a random intercept each; they may be crossed.
    trials, precision : str, optional
        Column of trials behind a number of successes (bernoulli); column of weights w in
        y ~ Normal(eta, sigma^2 / w), scaled to mean one (gaussian).
    priors : mapping, optional
        Overrides by name (`hitlbayes.spec.priors`): coefficients by their names, ``sd_<group>``, ``sigma``.
    draws, chains, seed : int
    device : {"cpu", "gpu"}, optional
        Where to compute. By default on an accelerator where there is one and a gradient is work enough for
        it; `Fit.sampler` then says why.
    store : str or Path, optional
        Folder in which draws are kept, a block at a time: a run that is cut short, by Ctrl-C or a kill, goes
        on from the last whole block when the same call is made again, and gives the same draws. Units' draws
        are then read from the folder where they are used, in single precision, so that memory does not grow
        with draws x units; keep the folder as long as the fit. A folder of another run is refused.
    progress : bool, optional
        Show a progress bar; by default where the output is a terminal.

    Returns
    -------
    Fit

    Raises
    ------
    SchemaError, SpecError
        What was found, in which rows, and what was expected.

    Examples
    --------
    >>> import numpy as np, pandas as pd, hitlbayes as hb
    >>> rng = np.random.default_rng(1)
    >>> frame = pd.DataFrame({"judge": np.repeat(np.arange(8), 10), "x": np.tile([0.0, 1.0], 40)})
    >>> frame["y"] = frame["x"] + rng.normal(size=80)
    >>> fit = hb.fit_mixed(frame, outcome="y", family="gaussian", formula="~ x", groups=["judge"], draws=100)
    >>> bool(0 < fit.tidy().set_index("term").loc["x", "mean"] < 2)
    True
    """
    if isinstance(groups, str) or not len(groups):
        raise SpecError(
            f"groups is {groups!r}; expected a list of column names, for example groups=['worker']."
        )
    began = perf_counter()
    sampling = Sampling(draws, chains, seed, progress, device, store)
    keys = [*check_names(groups), *needed_columns(formula)]
    others(frame, values=[outcome, trials, precision], keys=keys, columns={})
    cells = cells_of_frame(
        frame, outcome=outcome, family=family, keys=keys, trials=trials, precision=precision
    )
    model = build_model(
        cells, mixed_design(cells, formula=formula), crossed_levels(cells, groups=groups), priors=priors
    )
    study = Study(
        model,
        name=outcome,
        outcome=outcome,
        units="linear predictor",
        spec={
            "study": "mixed",
            "formula": formula,
            "groups": list(groups),
            "block": "level",
            "precision": precision,
        },
        synthetic=bool(frame.attrs.get("synthetic", False)),
    )
    drawn = sample_model(study, sampling)
    return make_fit(study, drawn, sampling, seconds=perf_counter() - began)


def crossed_levels(cells: Cells, *, groups: Sequence[str]) -> Structure:
    """Random intercepts: the factor with most levels is eliminated, the others are crossed with it."""
    factors = sorted(crossed(cells.keys, groups), key=lambda g: -len(g.labels))
    rows, first = len(cells.n), factors[0]
    return Structure(
        "level",
        first,
        tuple(factors[1:]),
        np.ones((rows, 1)),
        np.zeros(rows),
        np.zeros(len(first.labels), int),
        None,
        np.zeros(rows, int),
        ("all",),
    )


def sample_model(study: Study, sampling: Sampling) -> Draws:
    """Run the sampler that the model calls for, showing progress."""
    with follow(study.name, show=sampling.progress) as progress:
        return run(
            study.model,
            draws=sampling.draws,
            chains=sampling.chains,
            seed=sampling.seed,
            device=sampling.device,
            store=sampling.store,
            progress=progress,
        )


def make_fit(study: Study, drawn: Draws, sampling: Sampling, *, seconds: float) -> Fit:
    """Draws, cells and specification as a `Fit`."""
    model = study.model
    tree = xr.DataTree.from_dict(
        {"posterior": drawn.posterior, "effects": drawn.effects, "sample_stats": drawn.sample_stats}
    )
    spec = {
        **study.spec,
        "family": model.cells.family,
        "priors": {name: str(prior) for name, prior in model.priors.items()},
        "draws": sampling.draws,
        "chains": sampling.chains,
        "seed": sampling.seed,
        "device": sampling.device,
        "coef": list(model.design.names),
        "left_out": list(model.design.dropped),
    }
    return Fit(
        name=study.name,
        outcome=study.outcome,
        family=model.cells.family,
        units=study.units,
        posterior=tree,
        cells=_table(model),
        means=study.means,
        spec=spec,
        labels=tuple(model.cells.labels),
        unit_name=model.structure.unit.name,
        synthetic=study.synthetic,
        scope=study.scope,
        seed=sampling.seed,
        seconds=seconds,
        sampler=drawn.sampler,
        k_hat=drawn.k_hat,
        effective=drawn.effective,
        drops=dict(model.cells.drops or {}),
        versions=versions(),
    )


def _table(model: Model) -> pd.DataFrame:
    """Cells with their keys, the code of their unit, whether they are treated, and their statistics."""
    cells, structure = model.cells, model.structure
    table = cells.keys.copy()
    table["unit_code"], table["exposure"], table["n"] = structure.unit.codes, structure.exposure, cells.n
    table[[f"statistic_{j}" for j in range(cells.stats.shape[1])]] = cells.stats
    return table

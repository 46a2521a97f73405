"""Any mixed model of the supported families: what `fit_did` and the other studies call.

    link(E[y_r]) = X_r b + u_{g1[r]} + u_{g2[r]} + ...,      u_g ~ Normal(0, sd_g^2)

Rows that share every covariate and group are collapsed to their sufficient statistics first, which changes
nothing but the time it takes.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from hitlbayes.errors import SpecError
from hitlbayes.fitting.model import Model, Structure, build_model, crossed
from hitlbayes.fitting.progress import follow
from hitlbayes.fitting.run import Draws, run
from hitlbayes.result import Fit
from hitlbayes.spec.cells import cells_of_frame
from hitlbayes.spec.predictor import mixed_design, needed_columns
from hitlbayes.spec.priors import Prior

SEED = 20240815


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a posterior is drawn."""

    draws: int = 1000
    chains: int = 4
    seed: int = SEED
    progress: bool | None = None

    def __post_init__(self) -> None:
        if self.draws < 4 or self.chains < 1:
            raise SpecError(
                f"draws={self.draws}, chains={self.chains}; expected at least 4 draws of 1 chain."
            )


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
    progress: bool | None = None,
) -> Fit:
    """Posterior of a mixed model with crossed random intercepts.

    Parameters
    ----------
    frame : DataFrame
        Rows at any level. It is not changed.
    outcome : str
    family : {"gaussian", "bernoulli", "ordinal", "count"}
        `count` is negative binomial, and Poisson with ``{"overdispersion": hb.fixed(0)}``; `ordinal` takes whole numbers or an ordered categorical.
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
    began = time.perf_counter()
    keys = [*groups, *needed_columns(formula)]
    cells = cells_of_frame(
        frame, outcome=outcome, family=family, keys=keys, trials=trials, precision=precision
    )
    design = mixed_design(cells, formula=formula)
    factors = sorted(crossed(cells.keys, groups), key=lambda g: -len(g.labels))
    rows, first = len(cells.n), factors[0]
    structure = Structure(
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
    model = build_model(cells, design, structure, priors=priors)
    sampling = Sampling(draws, chains, seed, progress)
    drawn = sample_model(model, sampling, name=outcome)
    spec = {"study": "mixed", "formula": formula, "groups": list(groups)}
    return make_fit(
        model,
        drawn,
        sampling,
        name=outcome,
        outcome=outcome,
        units="linear predictor",
        spec=spec,
        began=began,
    )


def sample_model(model: Model, sampling: Sampling, *, name: str) -> Draws:
    """Run the sampler that the model calls for, showing progress."""
    with follow(name, show=sampling.progress) as progress:
        return run(model, draws=sampling.draws, chains=sampling.chains, seed=sampling.seed, progress=progress)


def make_fit(
    model: Model,
    drawn: Draws,
    sampling: Sampling,
    *,
    name: str,
    outcome: str,
    units: str,
    spec: Mapping,
    began: float,
    means: pd.DataFrame | None = None,
    scope: str | None = None,
    synthetic: bool = False,
) -> Fit:
    """Draws, cells and specification as a `Fit`."""
    cells, structure = model.cells, model.structure
    table = cells.keys.copy()
    table["unit_code"], table["exposure"], table["n"] = structure.unit.codes, structure.exposure, cells.n
    width = [f"statistic_{j}" for j in range(cells.stats.shape[1])]
    table[width] = cells.stats
    tree = xr.DataTree.from_dict(
        {"posterior": drawn.posterior, "effects": drawn.effects, "sample_stats": drawn.sample_stats}
    )
    priors = {k: str(p) for k, p in model.priors.items()}
    full = {
        **spec,
        "family": cells.family,
        "priors": priors,
        "draws": sampling.draws,
        "chains": sampling.chains,
        "seed": sampling.seed,
        "left_out": list(model.design.dropped),
        "coef": list(model.design.names),
    }
    return Fit(
        name,
        outcome,
        cells.family,
        units,
        tree,
        table,
        means,
        full,
        tuple(cells.labels),
        structure.unit.name,
        synthetic,
        scope,
        sampling.seed,
        time.perf_counter() - began,
        drawn.sampler,
        drawn.k_hat,
        drawn.effective,
        dict(cells.drops or {}),
    )

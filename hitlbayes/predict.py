"""The mean response of new rows, draw by draw.

Units, periods and groups that were fitted keep their own draws; others are drawn from their populations,
and so is every unit-period's shock. The draws depend on the fit's seed and on the rows alone: with and
without the treatment they share every random number, so that their difference is the effect.

Random effects come with the unit and period means of what varies (`hitlbayes.spec.predictor`). Those of
fitted units and periods are the fitted ones, whatever the new rows say; those of others are taken over
the new rows.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from hitlbayes.errors import SchemaError, SpecError
from hitlbayes.fitting.population import correlated, mean_response
from hitlbayes.fitting.structure import encode
from hitlbayes.result import Fit
from hitlbayes.spec.cells import refuse
from hitlbayes.spec.columns import by_role, calendar_days, others
from hitlbayes.spec.predictor import columns_like, control_columns, needed_columns

UNITS, SHOCKS, GROUPS = 0, 1, 2  # streams of random numbers


def predict(fit: Fit, newdata: pd.DataFrame, *, treatment: float | None = None) -> xr.DataArray:
    """Draws of the mean response for new rows, on the outcome's own scale (logs stay logs).

    Parameters
    ----------
    fit : Fit
    newdata : DataFrame
        Unit, period, treated and post (or treatment), groups and controls, under the names of the data
        that were fitted (unit, period, treated, post for a panel).
    treatment : {0, 1}, optional
        What if every row had been untreated, or treated? By default treated are those that the rows say.

    Returns
    -------
    DataArray
        (chain, draw, row), rows by position: the mean, the probability, the expected category or the
        expected count of one observation. It takes chains x draws x rows numbers of memory.

    Raises
    ------
    SchemaError
        A column is missing or holds missing values or another type than before.
    SpecError
        The formula's columns cannot be made for the new rows, or a fitted unit has changed its arm.

    Examples
    --------
    >>> with_ai, without = fit.predict(rows, treatment=1), fit.predict(rows, treatment=0)  # doctest: +SKIP
    >>> (with_ai - without).mean("row")  # doctest: +SKIP
    """
    if treatment not in (None, 0, 1):
        raise SpecError(f"treatment is {treatment!r}; expected 0, 1 or None.")
    if fit.spec["study"] not in ("did", "mixed"):
        raise SpecError(f"{fit.name} has several effects; only fits of fit_did or fit_mixed predict.")
    rows = _rows(fit, newdata)
    is_did = fit.spec["study"] == "did"
    if treatment is not None and not is_did:
        raise SpecError(f"{fit.name} has no treatment; leave treatment= out.")
    posterior = fit.posterior["posterior"]
    terms = [t for t in fit.spec["coef"] if not (is_did and t == "treatment")]
    X = np.column_stack([np.zeros((len(rows), 0)), *_columns(fit, rows, terms).values()])
    eta = posterior["coef"].sel(term=terms).to_numpy() @ X.T
    eta += _units(fit, rows, treatment=treatment)
    groups = [g for g in dict.fromkeys(("period", *fit.spec["groups"])) if g in posterior.data_vars]
    for j, name in enumerate(groups):
        values = calendar_days(rows[name]) if name == "period" else rows[name]
        eta += _levels(fit, values, name=name, stream=GROUPS + j)
    if "sd_shock" in posterior:
        pair = rows.groupby(["unit", "period"], sort=False, observed=True).ngroup().to_numpy()
        z = _normals(fit, SHOCKS, (*eta.shape[:2], int(pair.max(initial=-1)) + 1))
        eta += (_of(fit, "sd_shock")[..., None] * z)[..., pair]
    cut = _of(fit, "cutpoints") if fit.family == "ordinal" else None
    mean = mean_response(fit.family, eta, cutpoints=cut, labels=fit.labels)
    attrs = {"outcome": fit.outcome, "synthetic": int(fit.synthetic)}
    return xr.DataArray(mean, dims=("chain", "draw", "row"), name=fit.outcome, attrs=attrs)


def _rows(fit: Fit, newdata: pd.DataFrame) -> pd.DataFrame:
    """The new rows under canonical names, checked, with `exposure`, whether they are treated now."""
    columns = fit.spec.get("columns", {})
    keys = [*fit.spec["groups"], *needed_columns(fit.spec["formula"])]
    made = newdata[[]].copy()
    if columns:
        made = by_role(newdata, columns=columns, treated_level=fit.spec["treated_level"])
    absent = [key for key in keys if key not in newdata.columns and key not in fit.spec["groups"]]
    if absent:
        raise SpecError(
            f"formula {fit.spec['formula']!r} needs {', '.join(absent)}, which the new rows have not."
        )
    kept = others(newdata, values=[], keys=keys, columns=columns)
    made = pd.concat([made, newdata[kept]], axis=1).reset_index(drop=True)
    for name in made.columns:
        what = f"missing values in {columns.get(name, name)!r}"
        refuse(made, made[name].isna(), what, "fill them in or leave those rows out")
    for name in {"treated", "post", "treatment"}.intersection(columns):
        bad = ~made[name].isin([0, 1])
        refuse(made, bad, f"{columns[name]!r} is not 0 or 1", "expected as in the data that were fitted")
    if "treatment" in columns:
        return made.assign(exposure=made["treatment"].astype(float))
    return made.assign(exposure=(made["treated"] * made["post"]).astype(float)) if columns else made


def _columns(fit: Fit, rows: pd.DataFrame, terms: list[str]) -> dict[str, np.ndarray]:
    """The column of every coefficient but the treatment's, on the scale of the data."""
    cells, formula = fit.cells, fit.spec["formula"]
    fitted = {name: column.to_numpy() for name, column in control_columns(cells, formula).items()}
    new = columns_like(rows, keys=cells, formula=formula)
    made = {str(name): column.to_numpy() for name, column in new.items()}
    made["intercept"] = np.ones(len(rows))
    if fit.spec["study"] == "did":
        made["treated"] = _arm(fit, rows)
        pairs = {"treatment": (cells["exposure"].to_numpy(), rows["exposure"].to_numpy())}
        pairs |= {str(name): (values, made[str(name)]) for name, values in fitted.items()}
        for name, (before, now) in pairs.items():
            for key, word in ((fit.unit_name, "unit"), ("period", "period")):
                if f"{name}, {word} mean" in terms:
                    made[f"{name}, {word} mean"] = _mean_of(fit, rows, before, now, key=key)
    return {term: made[term] for term in terms}


def _mean_of(fit: Fit, rows: pd.DataFrame, before: np.ndarray, now: np.ndarray, *, key: str) -> np.ndarray:
    """Mean by unit or period: the fitted one where there is one, else over the new rows."""
    fitted, asked = fit.cells[key], rows[key]
    if key == "period":
        fitted, asked = calendar_days(fitted), calendar_days(asked)
    known = pd.Series(before).groupby(fitted.to_numpy()).mean()
    position = _position(fit, asked, name=key)
    labels = encode(fitted, name=key).labels
    fresh = pd.Series(now).groupby(asked.to_numpy()).transform("mean").to_numpy()
    return np.where(position >= 0, known.reindex(labels).to_numpy()[position], fresh)


def _arm(fit: Fit, rows: pd.DataFrame) -> np.ndarray:
    """Whether each row's unit is ever treated: as fitted, or as the new rows of a new unit say."""
    position = _position(fit, rows[fit.unit_name], name=fit.unit_name)
    told = "treated" if "treated" in rows else "exposure"
    said = rows.groupby(fit.unit_name, observed=True)[told].transform("max").to_numpy(float)
    fitted = _treated_units(fit)[position]
    moved = (position >= 0) & (told == "treated") & (rows[told].to_numpy() != fitted)
    if moved.any():
        shown = ", ".join(map(str, pd.unique(rows[fit.unit_name][moved])[:5]))
        raise SpecError(
            f"{int(moved.sum())} rows give fitted units another arm ({shown}); to ask what if, keep the arm "
            "and use treatment=0 or treatment=1."
        )
    return np.where(position >= 0, fitted, said)


def _treated_units(fit: Fit) -> np.ndarray:
    told = "treated" if "treated" in fit.cells else "exposure"
    return fit.cells.groupby("unit_code")[told].max().to_numpy(float)


def _units(fit: Fit, rows: pd.DataFrame, *, treatment: float | None) -> np.ndarray:
    """What the rows' units add: level, drift after the start, effect under treatment (chain, draw, row)."""
    name = fit.unit_name
    codes, labels = pd.factorize(rows[name])
    position = _position(fit, pd.Series(labels), name=name)
    known = position >= 0
    own = _of(fit, f"{name}_level")[..., position]
    sd = _of(fit, f"sd_{name}" if f"sd_{name}" in fit.posterior["posterior"] else "sd_level")[..., None]
    z = _normals(fit, UNITS, (3, *own.shape))
    total = np.where(known, own, sd * z[0])[..., codes]
    if fit.spec["study"] != "did":
        return total
    standard = np.where(known & (sd > 0), own / np.where(sd > 0, sd, 1.0), z[0])
    drift, effect = _changes(fit, position, standard, z)
    now = rows["exposure"].to_numpy() if treatment is None else np.full(len(rows), float(treatment))
    total += effect[..., codes] * now
    if drift is not None:
        total += drift[..., codes] * rows["post"].to_numpy(float)
    return total


def _changes(
    fit: Fit, position: np.ndarray, standard: np.ndarray, z: np.ndarray
) -> tuple[np.ndarray | None, np.ndarray]:
    """Drift (None where starts are staggered) and effect of units (chain, draw, U), given their levels.

    An untreated unit has no effect of its own yet: it is drawn, given its level.
    """
    name, known = fit.unit_name, position >= 0
    beta = fit.posterior["posterior"]["coef"].sel(term="treatment").to_numpy()[..., None]
    has_own = known & ((_treated_units(fit)[position] > 0) | (fit.spec["block"] == "slope"))
    drawn = _of(fit, f"{name}_effect")[..., position]
    fresh = correlated(_of(fit, "sd_effect")[..., None], _of(fit, "rho_effect")[..., None], standard, z[2])
    effect = np.where(has_own, drawn, beta + fresh)
    if fit.spec["block"] == "slope":
        return None, effect
    # What was drawn for a treated unit is the sum of its drift and of its own part of the effect.
    change = _of(fit, f"{name}_change")[..., position] - np.where(has_own, drawn - beta, 0.0)
    fresh = correlated(_of(fit, "sd_drift")[..., None], _of(fit, "rho_drift")[..., None], standard, z[1])
    return np.where(known, change, fresh), effect


def _of(fit: Fit, name: str) -> np.ndarray:
    return fit.posterior["posterior"][name].to_numpy()


def _levels(fit: Fit, values: pd.Series, *, name: str, stream: int) -> np.ndarray:
    """What each row's level of a crossed group adds (chain, draw, row)."""
    codes, labels = pd.factorize(values)
    position = _position(fit, pd.Series(labels), name=name)
    drawn = _of(fit, name)[..., position]
    z = _normals(fit, stream, drawn.shape)
    return np.where(position >= 0, drawn, _of(fit, f"sd_{name}")[..., None] * z)[..., codes]


def _position(fit: Fit, values: pd.Series, *, name: str) -> np.ndarray:
    """Which fitted level each value is; -1 for a new one."""
    labels = pd.Index(encode(fit.cells[name], name=name).labels)
    if len(values) and _kind(pd.Index(values)) != _kind(labels):
        raise SchemaError(
            f"{name!r} holds {_kind(pd.Index(values))}, and {_kind(labels)} where it was fitted; none of its "
            f"values would be known (fitted: {', '.join(map(str, labels[:3]))}, ...)."
        )
    return labels.get_indexer(pd.Index(values))


def _kind(labels: pd.Index) -> str:
    kinds = {"floating": "numbers", "integer": "numbers", "mixed-integer-float": "numbers"}
    kinds |= {"string": "text", "datetime64": "times", "datetime": "times", "boolean": "true or false"}
    kind = pd.api.types.infer_dtype(labels.astype(object), skipna=True)
    return kinds.get(kind, kind)


def _normals(fit: Fit, stream: int, shape: tuple[int, ...]) -> np.ndarray:
    """Standard normals of a stream of their own, so that what is asked elsewhere does not move them."""
    sequence = np.random.SeedSequence(fit.seed, spawn_key=(stream,))
    return np.random.default_rng(sequence).standard_normal(shape)

"""Effects by escalation type made to agree with the randomised average effect.

The average effect on AI-eligible chats is identified by randomisation; its split by type is not, since type
is known only after treatment. Weighted by the number of chats, the types' effects must add up to the average:

    sum_k w_k tau_k = A,    w_k the share of type k among AI chats.

`anchor_types` conditions the types' posterior on that, draw by draw of A's own posterior: the sum is taken
from the randomised comparison alone, and only how it splits from the matched chats. For normal posteriors
with covariance S this is exactly

    tau -> tau + S w (a - w'tau) / (w'S w),    a a draw of A

(the pathwise rule, Wilson et al. 2021, arXiv:2011.04026). `Anchored.room` says how far one type's effect
may move, the others held, before the sum leaves A's interval. Two types that move against each other can
leave the sum where it is: no anchor bounds that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from hitlbayes.design.matched_types import ASSUMPTION
from hitlbayes.errors import SchemaError, SpecError
from hitlbayes.published import table
from hitlbayes.result import Fit
from hitlbayes.studies.escalation_result import EscalationFit
from hitlbayes.summaries import summarise

DRAWS = 4000
SEED = 20240815
PAIR = ("emotional", "technical")
WEIGHTS_DIFFER = (
    "Table 3 weights worker-days equally and Table 5 chats: where effects differ between light and heavy "
    "days the two averages need not agree even without bias"
)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Anchored:
    """Type effects before and after they are made to agree with the average effect.

    Attributes
    ----------
    draws : xarray.Dataset
        ``free`` and ``anchored`` (chain, draw, type); ``average`` (chain, draw), the anchor's posterior;
        ``gap`` (chain, draw), the average less the weighted sum of the free effects; ``weight`` (type).
    units, assumption : str
    notes : tuple of str
    source : str
        ``"published"``, ``"synthetic"`` or ``"data"``.
    """

    draws: xr.Dataset
    units: str
    assumption: str
    notes: tuple[str, ...]
    source: str

    @property
    def types(self) -> list[str]:
        """Escalation types."""
        return [str(t) for t in self.draws["type"].to_numpy()]

    def summary(self, prob: float = 0.95, kind: str = "eti") -> pd.DataFrame:
        """Each type's effect, free and anchored, the weighted sums, the anchor, and the gap between them."""
        named: dict[str, np.ndarray] = {}
        for name in ("free", "anchored"):
            named |= {f"{t}, {name}": self.draws[name].sel(type=t).to_numpy() for t in self.types}
            named[f"weighted sum, {name}"] = (self.draws[name] @ self.draws["weight"]).to_numpy()
        named |= {
            "average (randomised)": self.draws["average"].to_numpy(),
            "gap": self.draws["gap"].to_numpy(),
        }
        made = summarise(named, prob=prob, kind=kind)[["mean", "sd", "lower", "upper"]]
        made["prob_positive"] = [float((v > 0).mean()) for v in named.values()]
        return made.rename_axis("quantity").reset_index().assign(units=self.units, assumption=self.assumption)

    def room(self, pair: tuple[str, str] = PAIR, *, prob: float = 0.95) -> pd.DataFrame:
        """How far the contrast of two types can move before the weighted sum breaks.

        The gap's interval bounds what may be added to the sum. One row for each type moving alone:
        ``lower`` and ``upper`` bound the change of the contrast (first less second), ``contrast_lower`` and
        ``contrast_upper`` the contrast's posterior mean after it. A last row: both moving so that the sum
        stays, which nothing here bounds.
        """
        if not set(pair) <= set(self.types) or pair[0] == pair[1]:
            raise SpecError(f"pair is {pair!r}; expected two of {', '.join(self.types)}.")
        low, high = np.quantile(self.draws["gap"], [(1 - prob) / 2, (1 + prob) / 2])
        free = self.draws["free"]
        contrast = float(free.sel(type=pair[0]).mean() - free.sel(type=pair[1]).mean())
        rows = []
        for name, sign in zip(pair, (1.0, -1.0), strict=True):
            weight = float(self.draws["weight"].sel(type=name))
            ends = sorted((sign * low / weight, sign * high / weight))
            rows.append((f"{name} alone", *ends))
        rows.append((f"{pair[0]} and {pair[1]}, the sum held", -np.inf, np.inf))
        made = pd.DataFrame(rows, columns=["moves", "lower", "upper"])
        made["contrast_lower"], made["contrast_upper"] = contrast + made["lower"], contrast + made["upper"]
        return made.assign(contrast=f"{pair[0]} - {pair[1]}", prob=prob, units=self.units)

    def __repr__(self) -> str:
        label = {"synthetic": " (SYNTHETIC)", "published": " (published)"}.get(self.source, "")
        lines = [f"Type effects anchored to the average effect{label}, {self.units}, {self.assumption}"]
        for row in self.summary().itertuples():
            lines.append(f"  {row.quantity:<24} {row.mean:8.3f} (95% ETI {row.lower:.3f} to {row.upper:.3f})")
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])


def anchor_escalation(fit: EscalationFit, did: Fit, *, pool: bool = True) -> Anchored:
    """Type effects of matched chats made to agree with the randomised difference-in-differences.

    Parameters
    ----------
    fit : EscalationFit
    did : Fit
        Of the same outcome on the same chats' scope: ``hb.fit_did(hb.panel(chats, scope="eligible"))``. Its
        effect weighted by chat is the anchor.
    pool : bool
        Start from the partially pooled effects.

    Returns
    -------
    Anchored
        In log points where effects are percents, since percents do not add up. The two posteriors are taken
        as independent: both rest on the treated chats, but the randomised effect also on the arms' past.

    Raises
    ------
    SpecError
        The fits are of different outcomes, units or origin (simulated or not).
    """
    if (fit.outcome, fit.units) != (did.outcome, did.units):
        raise SpecError(
            f"the types' effects are on {fit.outcome} in {fit.units}, the average's on {did.outcome} in "
            f"{did.units}; expected the same outcome."
        )
    if did.scope not in (None, "eligible"):
        raise SpecError(f"the average effect is on {did.scope} chats; the types are of eligible ones.")
    if fit.synthetic != did.synthetic:
        raise SpecError("one of the two fits is of simulated chats and the other is not.")
    average, name = did.effects("chat")["att"].to_numpy().ravel(), "pooled" if pool else "unpooled"
    percent = fit.units == "percent"
    effect = fit.draws[f"{name}_linear"] if percent else fit.draws[name]
    return anchor_types(
        effect,
        np.log1p(average / 100) if percent else average,
        sizes=fit.draws["size"].to_numpy(),
        units="log points" if percent else fit.units,
        source="synthetic" if fit.synthetic else "data",
    )


def anchor_published(outcome: str = "rating", *, draws: int = DRAWS, seed: int = SEED) -> Anchored:
    """The paper's Table 5 made to agree with its Table 3, from the printed estimates and standard errors.

    Parameters
    ----------
    outcome : {"rating", "log_duration", "retrial"}

    Examples
    --------
    >>> made = anchor_published("rating")
    >>> made.summary().set_index("quantity").loc["weighted sum, free", "mean"].round(2)
    np.float64(-0.45)
    """
    printed = table("5").query("column == @outcome")
    effects = printed.query("quantity == 'estimate'").set_index("panel")
    counts = printed.query("quantity == 'count'").set_index("panel")["value"]
    average = table("3").query("column == @outcome and quantity == 'estimate'")
    if effects.empty or average.empty:
        raise SpecError(
            f"Tables 3 and 5 have no outcome {outcome!r}; they have log_duration, retrial, rating."
        )
    types = list(effects.index)
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((1, draws, len(types)))
    values = effects["value"].to_numpy(float) + effects["se"].to_numpy(float) * noise
    free = xr.DataArray(values, dims=("chain", "draw", "type"), coords={"type": types})
    anchor = float(average["value"].iloc[0]) + float(average["se"].iloc[0]) * rng.standard_normal(draws)
    return anchor_types(
        free,
        anchor,
        sizes=counts.loc[types].to_numpy(float),
        units=str(effects["units"].iloc[0]),
        source="published",
        notes=(
            WEIGHTS_DIFFER,
            "covariances between printed estimates are not printed; independence is assumed",
        ),
        seed=seed,
    )


def anchor_types(
    effect: xr.DataArray,
    average: np.ndarray,
    *,
    sizes: Sequence[float] | np.ndarray,
    units: str,
    source: str = "data",
    notes: tuple[str, ...] = (),
    seed: int = SEED,
) -> Anchored:
    """Condition types' effects on their weighted sum being the average effect.

    Parameters
    ----------
    effect : DataArray (chain, draw, type)
    average : (d,) independent draws of the average effect, any number of them
    sizes : (types,) numbers of chats

    Raises
    ------
    SchemaError
        Draws that are not finite, or sizes that are not positive.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> free = xr.DataArray(rng.normal(size=(1, 4000, 2)), dims=("chain", "draw", "type"),
    ...                     coords={"type": ["a", "b"]})
    >>> made = anchor_types(free, np.full(10, 3.0), sizes=[1, 1], units="points")
    >>> bool(abs((made.draws["anchored"] @ made.draws["weight"]).mean() - 3.0) < 1e-9)
    True
    """
    effect = effect.transpose("chain", "draw", "type")
    size = np.asarray(sizes, float)
    flat = effect.to_numpy().reshape(-1, effect.sizes["type"])
    if size.shape != flat.shape[1:] or not np.all(size > 0):
        raise SchemaError(f"sizes are {size.tolist()}; expected a positive number for each of the types.")
    if not np.ptp(flat, axis=0).all():
        raise SchemaError("some type's effect is the same in all draws; expected draws of a posterior.")
    if not (np.isfinite(flat).all() and np.isfinite(average).all() and len(average)):
        raise SchemaError("some draws of the effects or of the average are missing or infinite.")
    weight = size / size.sum()
    rng = np.random.default_rng(seed)
    anchor = rng.choice(np.asarray(average, float), len(flat))
    total = flat @ weight
    gain = np.cov(flat.T).reshape(len(weight), -1) @ weight
    anchored = flat + np.outer(anchor - total, gain / (weight @ gain))
    shape = effect.shape
    draws = xr.Dataset(
        {
            "free": effect.reset_coords(drop=True),
            "anchored": (("chain", "draw", "type"), anchored.reshape(shape)),
            "average": (("chain", "draw"), anchor.reshape(shape[:2])),
            "gap": (("chain", "draw"), (anchor - total).reshape(shape[:2])),
            "weight": ("type", weight),
        }
    )
    return Anchored(draws, units, ASSUMPTION, notes, source)

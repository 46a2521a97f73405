"""What a joint model of effort says: effects by set of covariates, what survives, whether to trust it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
import pandas as pd
import xarray as xr

from hitlbayes.diagnostics import R_HAT_LIMIT, Check, diagnose, judge, split_r_hat
from hitlbayes.errors import SpecError
from hitlbayes.fitting.factor import Layout
from hitlbayes.studies.effort_columns import Roles
from hitlbayes.studies.effort_frame import Measure, Takeovers
from hitlbayes.summaries import interval

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from hitlbayes.studies.effort_surface import Surface

EFFORT = "effort"
SHARE = "human_share"
LATENT = "SDs of effort between like chats"
BOOTSTRAP = 2000
JUDGED = ("loading", "intercept", "coef", "kappa", "log_sigma", "overdispersion", "log_gap")
SCALES = ("sd_worker", "sd_day", "sd_direct")
LATENT_SHARE, LATENT_R_HAT = 0.01, 1.03  # of thousands of perfect draws a few exceed 1.01 by chance
LATENTS = ("worker", "day", "chat_effort")
_checked: WeakKeyDictionary[EffortFit, Check] = WeakKeyDictionary()  # looking takes seconds


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class EffortFit:
    """A joint model of effort after takeovers, fitted once for each set of covariates.

    Attributes
    ----------
    posterior : dict of str to Dataset
        By set ("raw", "clock", "sentiment"): draws (chain, draw, ...) of loadings, coefficients, scales,
        worker and day effects, and the expected measures of each contrast's takeovers as they are (`level`)
        and had they been of the reference type (`level_reference`).
    measures, types : tuple
        Types with the reference first.
    observed : DataFrame
        Mean, SE and number of takeovers of each measure and type, as in the paper's Table 6.
    overlap : DataFrame
        Takeovers by level of sentiment and type, and which levels are compared.
    notes : tuple of str
        What was left out or filled in, counted.
    synthetic : bool
    """

    posterior: Mapping[str, xr.Dataset]
    measures: tuple[Measure, ...]
    types: tuple[str, ...]
    observed: pd.DataFrame
    overlap: pd.DataFrame
    takeovers: Takeovers
    layout: Layout
    roles: Roles
    notes: tuple[str, ...]
    synthetic: bool
    seed: int
    seconds: float
    versions: Mapping[str, str]

    def effects(self, adjust: str | None = None) -> xr.DataArray:
        """Draws of the effect of type (chain, draw, contrast, outcome), the reference type being zero.

        Parameters
        ----------
        adjust : {"raw", "clock", "sentiment"}, optional
            The set of covariates; by default the largest that was fitted.

        Returns
        -------
        xarray.DataArray
            Measures on their own scales, averaged over the contrast's takeovers with a shared sentiment; the
            human share of rounds, derived; and `effort` in SDs between like chats.

        Notes
        -----
        The raw share is the observed difference (Bayesian bootstrap over takeovers, Rubin 1981), since in
        the raw model rounds do not know how long the AI kept the chat.
        """
        name = list(self.posterior)[-1] if adjust is None else adjust
        if name not in self.posterior:
            raise SpecError(f"adjust is {name!r}; fitted were {', '.join(map(repr, self.posterior))}.")
        draws = self.posterior[name]
        change = (draws["level"] - draws["level_reference"]).rename(expected="outcome")
        types = [f"type {t}" for t in self.types[1:]]
        latent = draws["kappa"].sel(column=types).rename(column="contrast")
        latent = latent.assign_coords(contrast=list(self.types[1:])).expand_dims(outcome=[EFFORT])
        made = xr.concat([change, latent], dim="outcome").transpose("chain", "draw", "contrast", "outcome")
        if name == "raw" and SHARE in made["outcome"]:
            made.loc[{"outcome": SHARE}] = self._raw_share(made.sizes["chain"], made.sizes["draw"])
        return made.rename("effect").assign_attrs(adjust=name)

    def summary(self, prob: float = 0.95, kind: str = "eti") -> pd.DataFrame:
        """One row per set, contrast and outcome: mean, SD, interval, Pr(> 0), units, r_hat and ESS."""
        rows = []
        for name in self.posterior:
            effects = self.effects(name)
            for contrast in self.types[1:]:
                for outcome in map(str, effects["outcome"].values):
                    draws = effects.sel(contrast=contrast, outcome=outcome).to_numpy()
                    lower, upper = interval(draws, prob=prob, kind=kind)
                    rows.append(
                        {
                            "adjust": name,
                            "contrast": contrast,
                            "outcome": outcome,
                            "mean": float(draws.mean()),
                            "sd": float(draws.std()),
                            "lower": lower,
                            "upper": upper,
                            "prob_positive": float(np.mean(draws > 0)),
                            "units": self.units(outcome),
                            **diagnose({"x": draws}).iloc[0].to_dict(),
                        }
                    )
        return pd.DataFrame(rows)

    def survival(self, prob: float = 0.95) -> pd.DataFrame:
        """What becomes of each raw difference once the types are compared at equal terms.

        Returns
        -------
        DataFrame
            One row per contrast and outcome: mean of each set, and a verdict: "survives" (the interval of
            every set excludes zero on the raw side), "gone" (raw excludes zero, the last set does not),
            "reversed", "appears" (only the last set excludes zero), "none".
        """
        table = self.summary(prob)
        rows = []
        for (contrast, outcome), part in table.groupby(["contrast", "outcome"], sort=False):
            sign = np.where(part["lower"] > 0, 1, np.where(part["upper"] < 0, -1, 0))
            means = dict(zip(part["adjust"], part["mean"], strict=True))
            rows.append({"contrast": contrast, "outcome": outcome, **means, "verdict": verdict(sign)})
        return pd.DataFrame(rows)

    def surface(self, **options: Any) -> Surface:
        """Expected effort over sentiment at takeover and AI rounds; see `effort_surface.surface`."""
        from hitlbayes.studies.effort_surface import surface

        return surface(self, **options)

    def check(self) -> Check:
        """Whether the draws of every set can be trusted (r_hat, bulk and tail ESS, divergences).

        Of thousands of worker, day and chat effects one in a hundred may exceed r_hat's limit, by chance.
        """
        if self not in _checked:
            _checked[self] = self._judged()
        return _checked[self]

    def _judged(self) -> Check:
        named: dict[str, np.ndarray] = {}
        latent: list[str] = []
        for name, draws in self.posterior.items():
            latent += latent_problems(name, draws)
            for variable in (*JUDGED, *SCALES):
                values = draws[variable].to_numpy()
                flat = values.reshape(*values.shape[:2], -1)
                named |= {f"{name}: {variable}[{j}]": flat[..., j] for j in range(flat.shape[2])}
            effects = self.effects(name)
            for contrast in self.types[1:]:
                for outcome in map(str, effects["outcome"].values):
                    one = effects.sel(contrast=contrast, outcome=outcome).to_numpy()
                    named[f"{name}: {contrast} {outcome}"] = one
        stats = xr.Dataset(
            {"diverging": ("fit", [float(d["diverging"].sum()) for d in self.posterior.values()])}
        )
        found = judge(diagnose(named), stats=stats, k_hat=float("nan"), effective=float("nan"))
        problems = (*found.problems, *latent)
        return replace(found, ok=not problems, problems=problems)

    def units(self, outcome: str) -> str:
        """Units of an outcome's effect."""
        if outcome == EFFORT:
            return LATENT
        return {m.column: m.units for m in self.measures}.get(outcome, "share of rounds")

    def plot(self, kind: str = "effects", **options: Any) -> Figure:
        """A figure: "effects" by set of covariates, "surface" of effort, or "overlap" in sentiment."""
        from hitlbayes.report.plot_effort import plot_effort

        return plot_effort(self, kind=kind, **options)

    def __repr__(self) -> str:
        label = " (SYNTHETIC)" if self.synthetic else ""
        counts = self.overlap[list(self.types)].sum()
        sizes = ", ".join(f"{t} {counts[t]:,}" for t in self.types)
        told = [f"Effort after a takeover{label}, against {self.types[0]}: {sizes}", *self.notes]
        return "\n".join([*told, self.survival().round(3).to_string(index=False), str(self.check())])

    def _raw_share(self, chains: int, draws: int) -> np.ndarray:
        """Observed difference in the human share, its takeovers weighted at random."""
        column = self.measures[self.layout.share_of].column
        frame = self.takeovers.frame
        human = pd.to_numeric(frame[column]).astype(float).to_numpy()
        ai = pd.to_numeric(frame[self.roles.ai_rounds]).astype(float).to_numpy()
        share, kind = human / (human + ai), frame["type"].to_numpy()
        rng = np.random.default_rng([self.seed, 6])
        size = chains * draws
        mean = {t: bootstrap_mean(share[(kind == t) & np.isfinite(share)], size, rng) for t in self.types}
        made = np.stack([mean[t] - mean[self.types[0]] for t in self.types[1:]], axis=1)
        return made.reshape(chains, draws, len(self.types) - 1)


def latent_problems(name: str, draws: xr.Dataset) -> list[str]:
    """What is wrong with the draws of worker, day and chat effects; nothing where all is well."""
    parts = [draws[v].to_numpy().reshape(draws.sizes["chain"], draws.sizes["draw"], -1) for v in LATENTS]
    r_hat = split_r_hat(np.concatenate(parts, axis=2))
    share, worst = float(np.mean(r_hat > R_HAT_LIMIT)), float(np.max(r_hat))
    if share <= LATENT_SHARE and worst <= LATENT_R_HAT:
        return []
    return [
        f"{name}: r_hat of worker, day and chat effects is up to {worst:.3f}, above in {share:.1%} of them"
    ]


def verdict(sign: Sequence[int] | np.ndarray) -> str:
    """What became of a difference; `sign` of each set's interval, 0 where it holds zero.

    Examples
    --------
    >>> [verdict(s) for s in ([-1, -1, -1], [-1, 0, 0], [0, 0, 1], [-1, 0, 1], [0, 0, 0], [-1, 0, -1])]
    ['survives', 'gone', 'appears', 'reversed', 'none', 'survives at the end, not throughout']
    """
    first, last = sign[0], sign[-1]
    if first == 0:
        return "none" if last == 0 else "appears"
    if last == 0:
        return "gone"
    if last == -first:
        return "reversed"
    return "survives" if all(s == first for s in sign) else "survives at the end, not throughout"


def bootstrap_mean(values: np.ndarray, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Draws of a mean by the Bayesian bootstrap (Rubin 1981, doi:10.1214/aos/1176345338)."""
    out = np.empty(draws)
    for start in range(0, draws, 250):
        weights = rng.standard_exponential((min(250, draws - start), values.size))
        out[start : start + len(weights)] = weights @ values / weights.sum(axis=1)
    return out


def observed_means(
    takeovers: Takeovers, *, measures: Sequence[Measure], ai_rounds: str, layout: Layout, seed: int
) -> pd.DataFrame:
    """Mean, SE and count of each measure by type, and of the human share of rounds."""
    frame = takeovers.frame
    values = {m.column: pd.to_numeric(frame[m.column]).astype(float) for m in measures}
    if layout.share_of >= 0:
        human = values[measures[layout.share_of].column]
        values[SHARE] = human / (human + pd.to_numeric(frame[ai_rounds]).astype(float))
    rows = []
    for name, column in values.items():
        for kind in takeovers.types:
            part = column[frame["type"] == kind].dropna()
            se = float(part.std() / np.sqrt(len(part)))
            rows.append({"outcome": name, "type": kind, "mean": float(part.mean()), "se": se, "n": len(part)})
    return pd.DataFrame(rows)

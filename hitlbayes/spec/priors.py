"""Priors: weakly informative defaults with their meaning, and how to override them.

==============  =====================================  ==================================================
name            default                                in words
==============  =====================================  ==================================================
intercept       normal(mean outcome, 5 s)              the outcome's level is somewhere near the data
treatment       normal(0, s)                           an effect of one outcome SD (Gaussian) or of one
                                                       logit or log point would already be large
coef            normal(0, 2.5 s), standardised         looser, for one SD of a control, or for a binary
                                                       one's two values
sd_level        half-normal(s)                         units differ by at most about one SD or logit
sd_drift        half-normal(s / 2)                     and move by less than they differ
sd_effect       half-normal(s / 2)                     and respond about as differently as they drift
sd_period       half-normal(s / 2)                     what all units share in a period
sd_shock        half-normal(s / 2)                     unit-period shocks
sd_<group>      half-normal(s)                         other grouping factors
rho             lkj(2)                                 correlations near -1 or 1 are doubted
sigma           half-normal(2 s)                       residual SD (Gaussian)
overdispersion  half-normal(1)                         counts have variance m + (x m)^2; zero is Poisson
cutpoints       dirichlet(1)                           any shares of the categories are as likely as any
==============  =====================================  ==================================================

s is the SD of the outcome's cell means for Gaussian outcomes, and 1 for the others (logit or log scale).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from hitlbayes.errors import SpecError

_NARROW = ("sd_drift", "sd_effect", "sd_period", "sd_shock")
Kind = Literal["normal", "half_normal", "fixed", "lkj", "dirichlet"]


@dataclass(frozen=True, slots=True)
class Prior:
    """One prior: its kind, location and scale (or concentration, or held value)."""

    kind: Kind
    loc: float = 0.0
    scale: float = 1.0

    def __str__(self) -> str:
        if self.kind == "normal":
            return f"normal({self.loc:g}, {self.scale:g})"
        return f"{self.kind}({self.loc if self.kind == 'fixed' else self.scale:g})"


def normal(loc: float = 0.0, scale: float = 1.0) -> Prior:
    """A normal prior for a coefficient.

    Examples
    --------
    >>> import hitlbayes as hb
    >>> str(hb.normal(0, 0.5))
    'normal(0, 0.5)'
    """
    return Prior("normal", float(loc), _positive(scale))


def half_normal(scale: float) -> Prior:
    """A half-normal prior for a standard deviation.

    Examples
    --------
    >>> str(half_normal(0.5))
    'half_normal(0.5)'
    """
    return Prior("half_normal", 0.0, _positive(scale))


def fixed(value: float) -> Prior:
    """Hold a standard deviation at a value: 0 leaves the effect out, a very large one fixes it.

    Examples
    --------
    >>> str(fixed(0))
    'fixed(0)'
    """
    return Prior("fixed", float(value))


def lkj(concentration: float) -> Prior:
    """A prior for a correlation, with density proportional to (1 - rho^2)^(concentration - 1).

    Examples
    --------
    >>> str(lkj(2))
    'lkj(2)'
    """
    return Prior("lkj", 0.0, _positive(concentration))


def dirichlet(concentration: float) -> Prior:
    """A prior for cutpoints: Dirichlet on the category probabilities at a linear predictor of zero.

    Examples
    --------
    >>> str(dirichlet(1))
    'dirichlet(1)'
    """
    return Prior("dirichlet", 0.0, _positive(concentration))


def default_priors(
    *, scale: float, location: float, coefs: Iterable[str], scales: Iterable[str], aux: Iterable[str] = ()
) -> dict[str, Prior]:
    """The default prior of every parameter of a model, by name.

    Parameters
    ----------
    scale, location : s and the mean outcome of the module's table
    coefs : names of the coefficients
    scales : names of the standard deviations
    aux : further names (``sigma``, ``cutpoints``)
    """
    made = {name: normal(0.0, scale if name in ("treatment", "treated") else 2.5 * scale) for name in coefs}
    if "intercept" in made:
        made["intercept"] = normal(location, 5.0 * scale)
    made |= {name: half_normal(scale / 2 if name in _NARROW else scale) for name in scales}
    if "overdispersion" in made:
        made["overdispersion"] = half_normal(1.0)
    made["rho"] = lkj(2.0)
    extra = {"sigma": half_normal(2.0 * scale), "cutpoints": dirichlet(1.0)}
    return made | {name: extra[name] for name in aux}


def override(defaults: Mapping[str, Prior], priors: Mapping[str, Prior] | None) -> dict[str, Prior]:
    """Defaults with the user's priors in their place; ``coef`` stands for every coefficient but treatment.

    Raises
    ------
    SpecError
        A name that the model does not have (the nearest one is suggested), or a kind that does not fit it.
    """
    made = dict(defaults)
    for name, prior in (priors or {}).items():
        if not isinstance(prior, Prior):
            raise SpecError(
                f"the prior of {name!r} is {prior!r}; expected hb.normal, hb.half_normal, hb.fixed, hb.lkj "
                f"or hb.dirichlet, for example hb.half_normal(0.5)."
            )
        if name == "coef":
            others = [
                k for k, p in made.items() if p.kind == "normal" and k not in ("treatment", "intercept")
            ]
            made |= {k: prior for k in others}
        elif name in made:
            _check_kind(name, made[name], prior)
            made[name] = prior
        else:
            near = difflib.get_close_matches(name, made, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise SpecError(
                f"no parameter named {name!r} in this model; {hint}It has: {', '.join(sorted(made))}."
            )
    return made


def _check_kind(name: str, default: Prior, given: Prior) -> None:
    """A standard deviation may be held; nothing else changes its kind."""
    holdable = default.kind in ("half_normal", "fixed") and name != "sigma"
    allowed = {"fixed", "half_normal"} if holdable else {default.kind}
    if given.kind not in allowed:
        raise SpecError(f"the prior of {name!r} is {given}; expected one of: {', '.join(sorted(allowed))}.")


def _positive(scale: float) -> float:
    if not scale > 0:
        raise SpecError(f"a prior's scale is {scale}; expected a positive number.")
    return float(scale)

"""Several measures of one chat, of different families, with one latent factor at every level.

For measure m of chat k of unit i in period t, with link scale eta:

    eta_km = alpha_m + sum_p x_kp B_pm + u_im + d_tm + lambda_m f_k,        f_k ~ Normal(0, 1)
    B_pm   = lambda_m kappa_p + own_pm,   kappa_p ~ Normal(0, common_p^2),  own_pm ~ Normal(0, (tau_p c_pm)^2)
    u_im   = lambda_m w_i + v_im,         w_i ~ Normal(0, s_0^2),           v_im ~ Normal(0, s_m^2)
    d_tm   likewise, with scales of its own.

The factor is in units of its SD between chats, given covariates, unit and period: column p moves it by
kappa_p, and measure m beyond what the factor foretells by own_pm. Families are lognormal, count (negative
binomial with log link, or truncated at zero), ordinal (cumulative logit) and bernoulli (logit). A count can
be one per unit of another count of the same chat (messages per round), given that other: two counts of the
same text would otherwise take the factor for themselves.

Everything random is kept standardised (`State`); scales carry a sign, which no density sees, so that no
boundary is met at zero. Signs of loadings are turned afterwards, so that an anchor measure's is positive.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp

from hitlbayes.inference.problem import Array

COUNTS = ("count", "truncated count")
SIGNED = ("over", "unit", "period", "tau")  # scales in psi that carry a sign, which no density sees


@dataclass(frozen=True, slots=True)
class Layout:
    """Sizes of a model, known when it is compiled.

    families, categories : of each measure; categories of ordinal ones, 0 elsewhere
    columns, units, periods, chats, taus : how many
    per : for each measure which one it is counted per (messages per round), -1 for none
    floor : whether such a measure is what exceeds one per unit of the other (messages beyond one a round)
    share_of : which measure counts rounds, whose share of all rounds is derived; -1 for none
    """

    families: tuple[str, ...]
    categories: tuple[int, ...]
    columns: int
    units: int
    periods: int
    chats: int
    taus: int
    per: tuple[int, ...]
    floor: tuple[bool, ...]
    share_of: int = -1

    @property
    def measures(self) -> int:
        return len(self.families)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Entries of psi, outer effects, period effects, unit effects, chats' factors."""
        m, p = self.measures, self.columns
        gaps = sum(max(k - 2, 0) for k in self.categories)
        own = self.families.count("lognormal") + sum(f in COUNTS for f in self.families) + gaps
        psi = m + own + 2 * (1 + m) + self.taus
        return psi, m + p * (1 + m), self.periods * (1 + m), self.units * (1 + m), self.chats

    @property
    def size(self) -> int:
        return sum(self.sizes)


class Psi(NamedTuple):
    """Loadings (M,), log residual SDs, overdispersions of counts, log gaps between cutpoints, scales.

    A count with mean m has variance m + (over m)^2; at zero it is Poisson.

    unit, period : (1 + M,) scales of the factor's part and of each measure's own; tau : (G,)
    """

    loading: Array
    log_sigma: Array
    over: Array
    log_gap: Array
    unit: Array
    period: Array
    tau: Array


class State(NamedTuple):
    """psi, and standard normal effects: intercept (M,), common (P,), own (P, M), period, unit, chat.

    period (T, 1 + M), unit (N, 1 + M) hold the factor's part first; chat (n,) is f.
    """

    psi: Psi
    intercept: Array
    common: Array
    own: Array
    period: Array
    unit: Array
    chat: Array


class Scales(NamedTuple):
    """Scales of half-normal priors (of the normal prior of loadings): numbers or arrays like the scales."""

    loading: Array
    sigma: Array
    over: Array
    unit: Array
    period: Array
    tau: Array


class Data(NamedTuple):
    """What was observed; chats are sorted by unit.

    y, seen : (M, n) values (ordinal ones 0..K-1; 0 where not seen), 1 where seen
    offset : (M, n) log of what a measure is counted per, 0 for none; no part of the predictor
    X : (P, n) columns; unit, period : (n,) codes
    common : (P,) prior SD of kappa; own : (P, M) c_pm; tau_of : (P,) which tau, `taus` for none (1)
    centre, spread : (M,) of the normal prior of intercepts (not used of ordinal ones)
    tallies : for each count measure its distinct values and how often each was seen
    """

    y: Array
    seen: Array
    offset: Array
    X: Array
    unit: Array
    period: Array
    common: Array
    own: Array
    tau_of: Array
    centre: Array
    spread: Array
    tallies: tuple[tuple[Array, Array], ...]
    scales: Scales


def split_psi(flat: jax.Array, layout: Layout) -> Psi:
    """Psi from its flat form."""
    m = layout.measures
    gaps = sum(max(k - 2, 0) for k in layout.categories)
    lengths = (
        m,
        layout.families.count("lognormal"),
        sum(f in COUNTS for f in layout.families),
        gaps,
        1 + m,
        1 + m,
        layout.taus,
    )
    parts, at = [], 0
    for length in lengths:
        parts.append(flat[at : at + length])
        at += length
    return Psi(*parts)


def split_outer(flat: jax.Array, layout: Layout) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Standardised intercepts (M,), common (P,) and own (P, M) effects of columns."""
    m, p = layout.measures, layout.columns
    return flat[:m], flat[m : m + p], flat[m + p :].reshape(p, m)


def column_scales(psi: Psi, data: Data) -> jax.Array:
    """Prior SDs (P, M) of what columns do beyond the factor."""
    tau = jnp.concatenate([psi.tau, jnp.ones(1)])
    return data.own * tau[data.tau_of][:, None]


def coefficients(state: State, data: Data) -> tuple[jax.Array, jax.Array]:
    """Intercepts (M,) and coefficients B (P, M) on the links' scales."""
    intercept = data.centre + data.spread * state.intercept
    shared = (data.common * state.common)[:, None] * state.psi.loading
    return intercept, shared + column_scales(state.psi, data) * state.own


def group_effects(effects: jax.Array, scales: jax.Array, loading: jax.Array) -> jax.Array:
    """Effects of groups on the links' scales (groups, M) from standardised ones (groups, 1 + M)."""
    scaled = effects * scales
    return scaled[:, :1] * loading + scaled[:, 1:]


def predictor(state: State, data: Data) -> jax.Array:
    """eta of every measure and chat (M, n)."""
    psi = state.psi
    intercept, slopes = coefficients(state, data)
    unit = group_effects(state.unit, psi.unit, psi.loading)
    period = group_effects(state.period, psi.period, psi.loading)
    eta = intercept[:, None] + slopes.T @ data.X + unit[data.unit].T + period[data.period].T
    return eta + psi.loading[:, None] * state.chat

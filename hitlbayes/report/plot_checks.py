"""Plot of whether draws can be trusted: r_hat and effective sizes of terms, ranks of the effect by chain."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.stats import binom, rankdata

from hitlbayes.report import canvas
from hitlbayes.report.draws import draws_of
from hitlbayes.report.protocol import FitLike
from hitlbayes.report.verdict import worst_values
from hitlbayes.report.wording import subject

R_HAT, ESS = 1.01, 400  # Vehtari, Gelman, Simpson, Carpenter and Bürkner 2021, doi:10.1214/20-BA1221
TERMS = 24  # more terms than this and only the worst are drawn
BINS = 20


@canvas.styled
def plot_checks(fit: FitLike) -> Figure:
    """r_hat and effective sample sizes of every term, and the effect's ranks by chain.

    Parameters
    ----------
    fit : Fit

    Returns
    -------
    Figure
        Its `caption` gives the worst values and how many rank bins fall outside their 99 % band.
    """
    terms = worst_terms(fit.tidy())
    draws = fit.effects()["att"].transpose("chain", "draw").to_numpy()
    draws_of(draws, what=f"the effect on {fit.outcome}")
    counts = rank_counts(draws, bins=BINS)
    figure = canvas.sheet(height=max(4.6, 1.6 + 0.18 * len(terms) + 1.6))
    grid = figure.add_gridspec(2, 2, height_ratios=[max(2.2, 0.18 * len(terms)), 1.5])
    left = figure.add_subplot(grid[0, 0])
    _r_hat(left, terms)
    _ess(figure.add_subplot(grid[0, 1], sharey=left), terms)
    _ranks(figure.add_subplot(grid[1, :]), counts, draws=draws.size)
    return canvas.finish(
        figure,
        caption=checks_caption(fit, counts=counts, draws=draws.size),
        synthetic=fit.synthetic,
        ok=fit.check().ok,
        title=f"Checks: {subject(fit.outcome, scope=fit.scope)}",
    )


def rank_counts(draws: NDArray[np.float64], *, bins: int) -> NDArray[np.int64]:
    """How many of each chain's draws fall into each bin of ranks over all chains.

    Chains that explore the same distribution have about as many draws in every bin (Vehtari et al. 2021).

    Parameters
    ----------
    draws : array, shape (chains, draws)
    bins : int

    Returns
    -------
    array of int, shape (chains, bins)

    Examples
    --------
    >>> rank_counts(np.array([[1.0, 3.0], [2.0, 4.0]]), bins=2).tolist()
    [[1, 1], [1, 1]]
    """
    ranks = rankdata(draws, method="average").reshape(draws.shape)
    edges = np.linspace(0.5, draws.size + 0.5, bins + 1)
    return np.stack([np.histogram(chain, bins=edges)[0] for chain in ranks])


def rank_band(*, draws: int, chains: int, bins: int, prob: float = 0.99) -> tuple[float, float]:
    """Counts a rank bin would hold with this probability if the chains agreed and draws were independent.

    Examples
    --------
    >>> rank_band(draws=4000, chains=4, bins=20)
    (33.0, 69.0)
    """
    tail = (1 - prob) / 2
    low, high = binom.ppf([tail, 1 - tail], draws // chains, 1 / bins)
    return float(low), float(high)


def worst_terms(tidy: pd.DataFrame, *, limit: int = TERMS) -> pd.DataFrame:
    """The terms with the smallest effective sizes, in the order of the table, at most `limit` of them.

    Examples
    --------
    >>> frame = pd.DataFrame({"term": ["a", "b"], "ess_bulk": [900, 500], "ess_tail": [800, 900]})
    >>> worst_terms(frame, limit=1)["term"].tolist()
    ['b']
    """
    if len(tidy) <= limit:
        return tidy.reset_index(drop=True)
    worst = tidy[["ess_bulk", "ess_tail"]].min(axis=1).nsmallest(limit).index
    return tidy.loc[tidy.index.isin(worst)].reset_index(drop=True)


def checks_caption(fit: FitLike, *, counts: NDArray[np.int64], draws: int) -> str:
    """What the plot of checks shows: verdict, worst values, rank bins outside their band."""
    check = fit.check()
    verdict = "All checks passed" if check.ok else "CHECKS FAILED (" + "; ".join(check.problems) + ")"
    shown, total = min(len(fit.tidy()), TERMS), len(fit.tidy())
    terms = (
        f"{total} terms"
        if shown == total
        else f"the {shown} of {total} terms with the smallest effective sizes"
    )
    text = f"{verdict}: {worst_values(check)}. Shown: {terms}; dashed lines at {R_HAT} and {ESS}."
    if len(counts) < 2:
        return f"{text} One chain only, so chains cannot be compared."
    low, high = rank_band(draws=draws, chains=len(counts), bins=counts.shape[1])
    outside = int(((counts < low) | (counts > high)).sum())
    return (
        f"{text} {outside} of {counts.size} rank bins lie outside the grey 99% band of agreeing chains "
        "with independent draws."
    )


def _r_hat(ax: Axes, terms: pd.DataFrame) -> None:
    rows = np.arange(len(terms))
    ax.plot(terms["r_hat"], rows, "o", color=canvas.BLUE, ms=4.5)
    ax.axvline(R_HAT, color=canvas.VERMILLION, lw=1, ls=(0, (5, 2)))
    ax.set_yticks(rows, terms["term"].astype(str).tolist(), fontsize=7.5)
    ax.set_ylim(len(terms) - 0.4, -0.6)
    ax.set_xlim(
        0.999, max(R_HAT + 0.002, float(np.nanmax(terms["r_hat"].to_numpy(float), initial=1.0)) + 0.002)
    )
    ax.grid(axis="y", color="#E6E6E6", lw=0.5)
    ax.set_xlabel("r_hat")


def _ess(ax: Axes, terms: pd.DataFrame) -> None:
    rows = np.arange(len(terms))
    ax.plot(terms["ess_bulk"], rows, "o", color=canvas.BLUE, ms=4.5, label="bulk")
    ax.plot(terms["ess_tail"], rows, "D", color=canvas.ORANGE, mfc="white", ms=4, label="tail")
    ax.axvline(ESS, color=canvas.VERMILLION, lw=1, ls=(0, (5, 2)))
    ax.set_xlim(left=0)
    ax.tick_params(axis="y", labelleft=False)
    ax.grid(axis="y", color="#E6E6E6", lw=0.5)
    ax.set_xlabel("effective sample size (draws)")
    ax.legend(loc="lower right", frameon=True, framealpha=0.9, edgecolor="none")


def _ranks(ax: Axes, counts: NDArray[np.int64], *, draws: int) -> None:
    chains, bins = counts.shape
    edges = np.linspace(0, draws, bins + 1)
    if chains > 1:
        low, high = rank_band(draws=draws, chains=chains, bins=bins)
        ax.axhspan(low, high, color="#E9E9E9", lw=0)
    colours = (canvas.BLUE, canvas.ORANGE, canvas.GREEN, canvas.PURPLE, canvas.BLACK, canvas.SKY)
    dashes: tuple[Any, ...] = ("-", (0, (5, 1)), (0, (1, 1)), (0, (4, 1, 1, 1)))
    for chain, heights in enumerate(counts):
        colour, dash = colours[chain % len(colours)], dashes[chain % len(dashes)]
        ax.stairs(heights, edges, lw=1.2, baseline=None, color=colour, ls=dash, label=f"chain {chain + 1}")
    ax.set_xlim(0, draws)
    ax.set_ylim(0, 1.3 * counts.max())
    ax.set_xlabel("rank of the effect's draws over all chains")
    ax.set_ylabel("draws a bin")
    if chains <= 6:
        ax.legend(loc="upper center", ncols=chains)

"""Whether ranks are uniform: simultaneous bands of their distribution function, a table and figures.

The statistic of a sample of ranks is the smallest two-sided binomial tail probability of its empirical
distribution function over all ranks; its null distribution is simulated, and its quantile makes a band that
holds the whole function at once (Sailynoja, Burkner and Vehtari 2022, doi:10.1007/s11222-022-10090-6).
Several quantities of a family are judged together by Holm's correction.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import binom

FAMILYWISE = 0.05  # chance that any quantity of a right family leaves its band
SIMULATED = 40_000  # null samples; the smallest p-value asked for is .05 over some 20 quantities
APART = ("run", "ok", "ess", "seconds")  # columns of a file of ranks that are not ranks


def distribution(ranks: np.ndarray, *, levels: int) -> np.ndarray:
    """How many ranks lie at or below 0, 1, ..., levels - 2: (samples, runs) to (samples, levels - 1)."""
    samples = len(ranks)
    place = ranks + levels * np.arange(samples)[:, None]
    counts = np.bincount(place.ravel(), minlength=samples * levels).reshape(samples, levels)
    return np.cumsum(counts, axis=1)[:, :-1]


def smallest_tails(below: np.ndarray, *, runs: int, levels: int) -> np.ndarray:
    """Smallest two-sided binomial tail probability of each sample's distribution function (samples,)."""
    share = np.arange(1, levels) / levels
    count = np.arange(runs + 1)[:, None]
    both = 2.0 * np.minimum(binom.cdf(count, runs, share), binom.sf(count - 1, runs, share))
    return np.min(np.take_along_axis(both, below, axis=0), axis=1)


def null_tails(*, runs: int, levels: int, seed: int = 1) -> np.ndarray:
    """The statistic of SIMULATED samples of uniform ranks, sorted."""
    rng, parts = np.random.default_rng(seed), 20
    made = []
    for _ in range(parts):
        ranks = rng.integers(0, levels, (SIMULATED // parts, runs))
        made.append(smallest_tails(distribution(ranks, levels=levels), runs=runs, levels=levels))
    return np.sort(np.concatenate(made))


def p_values(ranks: np.ndarray, null: np.ndarray, *, levels: int) -> np.ndarray:
    """How often uniform ranks look less uniform than each row of ranks (quantities, runs) does."""
    found = smallest_tails(distribution(ranks, levels=levels), runs=ranks.shape[1], levels=levels)
    return (1.0 + np.searchsorted(null, found, side="right")) / (1.0 + len(null))


def holm(p: np.ndarray) -> np.ndarray:
    """P-values corrected for their number."""
    order = np.argsort(p)
    raised = np.maximum.accumulate(p[order] * (len(p) - np.arange(len(p))))
    made = np.empty_like(p)
    made[order] = np.minimum(raised, 1.0)
    return made


def band(null: np.ndarray, *, runs: int, levels: int, alpha: float) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper edge (levels - 1,) of the distribution function that all hold with chance 1 - alpha."""
    share = np.arange(1, levels) / levels
    tail = null[int(alpha * len(null))]
    return binom.ppf(tail / 2, runs, share) / runs, binom.isf(tail / 2, runs, share) / runs


def report(folder: Path, *, families: Sequence[str], levels: int, table: Path, figures: Path) -> pd.DataFrame:
    """Write the table of p-values and a figure of each family that has ranks."""
    parts = []
    for family in families:
        path = folder / f"{family}.csv"
        if not path.exists():
            continue
        frame = pd.read_csv(path).drop_duplicates("run")
        names = [c for c in frame.columns if c not in APART]
        ranks, null = frame[names].to_numpy().T, null_tails(runs=len(frame), levels=levels)
        p = p_values(ranks, null, levels=levels)
        made = {"family": family, "quantity": names, "runs": len(frame), "p": p, "p_holm": holm(p)}
        parts.append(pd.DataFrame(made))
        worst = names[int(np.argmin(p))]
        print(
            f"{family}: {len(frame)} experiments, checks passed in {frame['ok'].mean():.0%}, "
            f"{frame['seconds'].median()} s a fit; smallest p after Holm {holm(p).min():.3f} ({worst})"
        )
        figures.mkdir(parents=True, exist_ok=True)
        figure = draw(names, ranks, null, p=holm(p), family=family, levels=levels)
        figure.savefig(figures / f"sbc_{family}.png", dpi=80)
    joined = pd.concat(parts, ignore_index=True)
    joined.to_csv(table, index=False, float_format="%.4g")
    return joined


def draw(
    names: Sequence[str], ranks: np.ndarray, null: np.ndarray, *, p: np.ndarray, family: str, levels: int
):
    """Distribution of each quantity's ranks less the uniform one, on the band that all quantities share."""
    from hitlbayes.report import canvas

    return canvas.styled(_draw)(names, ranks, null, p=p, family=family, levels=levels)


def _draw(names, ranks, null, *, p, family, levels):
    from hitlbayes.report import canvas

    runs, columns = ranks.shape[1], 5
    rows = -(-len(names) // columns)
    figure = canvas.sheet(height=0.8 + 1.15 * rows, width=1.25 * canvas.WIDTH)
    share = np.arange(1, levels) / levels
    edges = band(null, runs=runs, levels=levels, alpha=FAMILYWISE / len(names))
    below = distribution(ranks, levels=levels) / runs
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    for ax, name, line, value in zip(grid, names, below, p, strict=False):
        ax.fill_between(
            share, edges[0] - share, edges[1] - share, color=canvas.SKY, alpha=0.35, lw=0, step="mid"
        )
        ax.step(
            share,
            line - share,
            where="mid",
            lw=1.0,
            color=canvas.VERMILLION if value < FAMILYWISE else canvas.BLUE,
        )
        ax.axhline(0, color=canvas.FAINT, lw=0.6)
        ax.set_title(name, fontsize=7.5, fontweight="normal")
        ax.tick_params(labelsize=7)
    for ax in grid[len(names) :]:
        ax.set_visible(False)
    caption = (
        f"Rank of the truth among {levels - 1} posterior draws in {runs} experiments drawn from the prior: "
        f"empirical distribution function less the uniform one. The shaded bands hold all {len(names)} "
        f"functions at once with chance {1 - FAMILYWISE:.0%} (each at {FAMILYWISE:g}/{len(names)}) if the "
        f"draws are the posterior."
    )
    return canvas.finish(
        figure, caption=caption, synthetic=True, ok=True, title=f"Calibration of the {family} model"
    )

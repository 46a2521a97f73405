"""The figure of the README: the published Table 5, its estimates as printed and partially pooled over types.

Real figures of the paper, no simulated data. Run it with `python docs/figures/table5.py` from anywhere.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib

import hitlbayes as hb

OUT = Path(__file__).with_suffix(".svg")


def main() -> None:
    """Write the figure beside this script; the same file on every run of the same versions."""
    matplotlib.rcParams |= {"svg.hashsalt": "hitlbayes", "svg.fonttype": "path"}
    figure = hb.published.plot_shrinkage(hb.reanalyze("5"))
    figure.savefig(OUT, metadata={"Date": None, "Creator": None})


if __name__ == "__main__":
    main()

"""Figures A1 to A4: tenure, a chat's measures, rating responses, ratings before the start.

Run it with `python paper_replication/figures.py`, or with `--quick` for a tenth of the workers.
"""

from __future__ import annotations

import sys

from hitlbayes.cli import main

if __name__ == "__main__":
    main(["replicate", "--only", "figures", *sys.argv[1:]])

"""Figures A5 and A6: when takeovers come and how customers feel by then; hazards of takeover.

Run it with `python paper_replication/timing.py`, or with `--quick` for a tenth of the workers.
"""

from __future__ import annotations

import sys

from hitlbayes.cli import main

if __name__ == "__main__":
    main(["replicate", "--only", "timing", *sys.argv[1:]])

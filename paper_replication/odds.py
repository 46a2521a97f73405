"""Proportional odds of the rating effect, synthetic.

Run it with `python paper_replication/odds.py`, or with `--quick` for a tenth of the workers.
"""

from __future__ import annotations

import sys

from hitlbayes.cli import main

if __name__ == "__main__":
    main(["replicate", "--only", "odds", *sys.argv[1:]])

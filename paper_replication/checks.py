"""Posterior predictive, leave-one-worker-out and prior predictive checks of Table 3, synthetic.

Run it with `python paper_replication/checks.py`, or with `--quick` for a tenth of the workers.
"""

from __future__ import annotations

import sys

from hitlbayes.cli import main

if __name__ == "__main__":
    main(["replicate", "--only", "checks", *sys.argv[1:]])

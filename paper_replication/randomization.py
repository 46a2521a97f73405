"""Randomisation inference for the effects of Tables 2 to 4, synthetic.

Run it with `python paper_replication/randomization.py`, or with `--quick` for a tenth of the workers.
"""

from __future__ import annotations

import sys

from hitlbayes.cli import main

if __name__ == "__main__":
    main(["replicate", "--only", "randomization", *sys.argv[1:]])

"""Effects by tenure, performance before the start and issue, synthetic.

Run it with `python paper_replication/heterogeneity.py`, or with `--quick` for a tenth of the workers.
"""

from __future__ import annotations

import sys

from hitlbayes.cli import main

if __name__ == "__main__":
    main(["replicate", "--only", "heterogeneity", *sys.argv[1:]])

"""Each worker's own effect and the probability of harm, synthetic.

Run it with `python paper_replication/workers.py`, or with `--quick` for a tenth of the workers.
"""

from __future__ import annotations

import sys

from hitlbayes.cli import main

if __name__ == "__main__":
    main(["replicate", "--only", "workers", *sys.argv[1:]])

"""Table 1: variables of the experiment, published and synthetic.

Run it with `python paper_replication/table1.py`, or with `--quick` for a tenth of the workers.
"""

from __future__ import annotations

import sys

from hitlbayes.cli import main

if __name__ == "__main__":
    main(["replicate", "--only", "1", *sys.argv[1:]])

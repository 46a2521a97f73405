"""Table A2: effects on concurrency.

Run it with `python paper_replication/table_a2.py`, or with `--quick` for a tenth of the workers.
"""

from __future__ import annotations

import sys

from hitlbayes.cli import main

if __name__ == "__main__":
    main(["replicate", "--only", "A2", *sys.argv[1:]])

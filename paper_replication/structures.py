"""The model of Table 3 without each of its parts, synthetic.

Run it with `python paper_replication/structures.py`, or with `--quick` for a tenth of the workers.
"""

from __future__ import annotations

import sys

from hitlbayes.cli import main

if __name__ == "__main__":
    main(["replicate", "--only", "structures", *sys.argv[1:]])

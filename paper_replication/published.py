"""The published tables re-analysed: real numbers, no synthetic data.

Run it with `python paper_replication/published.py`, or with `--quick` for a tenth of the workers.
"""

from __future__ import annotations

import sys

from hitlbayes.cli import main

if __name__ == "__main__":
    main(["replicate", "--only", "published", *sys.argv[1:]])

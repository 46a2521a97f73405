"""Table 6: effort after a takeover by type, published and synthetic.

Run it with `python paper_replication/table6.py`, or with `--quick` for a tenth of the workers.
"""

from __future__ import annotations

import sys

from hitlbayes.cli import main

if __name__ == "__main__":
    main(["replicate", "--only", "6", *sys.argv[1:]])

"""Event study of the direct effects, synthetic.

Run it with `python paper_replication/event.py`, or with `--quick` for a tenth of the workers.
"""

from __future__ import annotations

import sys

from hitlbayes.cli import main

if __name__ == "__main__":
    main(["replicate", "--only", "event", *sys.argv[1:]])

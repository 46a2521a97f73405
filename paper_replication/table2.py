"""Table 2: total effects on all chats.

Run it with `python paper_replication/table2.py`, or with `--quick` for a tenth of the workers.
"""

from __future__ import annotations

import sys

from hitlbayes.cli import main

if __name__ == "__main__":
    main(["replicate", "--only", "2", *sys.argv[1:]])

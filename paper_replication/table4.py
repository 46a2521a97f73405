"""Table 4: spillover effects on AI-ineligible chats.

Run it with `python paper_replication/table4.py`, or with `--quick` for a tenth of the workers.
"""

from __future__ import annotations

import sys

from hitlbayes.cli import main

if __name__ == "__main__":
    main(["replicate", "--only", "4", *sys.argv[1:]])

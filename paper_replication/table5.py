"""Table 5: effects by escalation type on matched chats, published and synthetic.

Run it with `python paper_replication/table5.py`, or with `--quick` for a tenth of the workers.
"""

from __future__ import annotations

import sys

from hitlbayes.cli import main

if __name__ == "__main__":
    main(["replicate", "--only", "5", *sys.argv[1:]])

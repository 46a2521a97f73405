"""Table A5: balance of matched chats by escalation type, published and synthetic.

Run it with `python paper_replication/table_a5.py`, or with `--quick` for a tenth of the workers.
"""

from __future__ import annotations

import sys

from hitlbayes.cli import main

if __name__ == "__main__":
    main(["replicate", "--only", "A5", *sys.argv[1:]])

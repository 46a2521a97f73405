"""Table 3: direct effects on AI-eligible chats.

Run it with `python paper_replication/table3.py`, or with `--quick` for a tenth of the workers.
"""

from __future__ import annotations

import sys

from hitlbayes.cli import main

if __name__ == "__main__":
    main(["replicate", "--only", "3", *sys.argv[1:]])

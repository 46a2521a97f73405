"""Table 7: multitasking on AI-ineligible chats.

Run it with `python paper_replication/table7.py`, or with `--quick` for a tenth of the workers.
"""

from __future__ import annotations

import sys

from hitlbayes.cli import main

if __name__ == "__main__":
    main(["replicate", "--only", "7", *sys.argv[1:]])

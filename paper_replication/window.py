"""The effect on retrials with and without chats whose seven days cross the end of the experiment, synthetic.

Run it with `python paper_replication/window.py`, or with `--quick` for a tenth of the workers.
"""

from __future__ import annotations

import sys

from hitlbayes.cli import main

if __name__ == "__main__":
    main(["replicate", "--only", "window", *sys.argv[1:]])

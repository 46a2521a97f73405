"""Table A4: the effects of Tables 2 to 4 on worker-hour panels.

Run it with `python paper_replication/table_a4.py`, or with `--quick` for a tenth of the workers.
"""

from __future__ import annotations

import sys

from hitlbayes.cli import main

if __name__ == "__main__":
    main(["replicate", "--only", "A4", *sys.argv[1:]])

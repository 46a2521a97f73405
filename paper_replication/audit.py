"""Which of the paper's printed figures fit together, and which do not.

Run it with `python paper_replication/audit.py`.
"""

from __future__ import annotations

import hitlbayes as hb

if __name__ == "__main__":
    findings = hb.published.audit(agreeing=False)
    for row in findings.itertuples():
        print(f"{row.what} ({row.where}): printed {row.printed:g}, implied {row.implied:g}.")
        print(f"  {row.verdict}. {row.note}")

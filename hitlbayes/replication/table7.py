"""Table 7: the average effect on multitasking in AI-ineligible chats (section 5.3 of the paper)."""

from __future__ import annotations

from hitlbayes.replication.context import Context
from hitlbayes.replication.did import did_result, did_units
from hitlbayes.replication.table_result import TableResult
from hitlbayes.replication.work import Unit

TABLE = "7"


def units(context: Context) -> list[Unit]:
    """Its fits, each done once."""
    return did_units(TABLE, context=context)


def result(context: Context) -> TableResult:
    """Its effects from the finished fits, beside the published ones."""
    return did_result(TABLE, context=context)

"""What the realtime collectors share: a record of now, and no past."""

from __future__ import annotations

import sys
from datetime import UTC, datetime

from .records import Record

__all__ = ["record", "refuse_dates"]


def record(visitors: int, for_url: str) -> Record:
    """Return the record of a reading taken now."""
    now = datetime.now(UTC).replace(microsecond=0).isoformat()
    return {"_timestamp": now, "_id": now, "unique_visitors": visitors, "for_url": for_url}


def refuse_dates(start_at: datetime | None, end_at: datetime | None) -> None:
    """End the run where dates were given: realtime has no past.

    Raises:
        SystemExit: with code 1, after a sentence on standard output, as the original did.
    """
    if start_at or end_at:
        sys.stdout.write("Cannot backfill realtime collectors\n")
        sys.stdout.flush()
        raise SystemExit(1)

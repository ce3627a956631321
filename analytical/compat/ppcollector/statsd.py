"""One counter for every call of Google's API, as the original counted: UDP to port 8125 of this machine.

Protocol: https://github.com/statsd/statsd/blob/master/docs/metric_types.md
"""

from __future__ import annotations

import logging
import os
import socket

__all__ = ["StatsClient", "statsd"]


class StatsClient:
    """Counts.

    Args:
        host: who listens.
        port: where.
        prefix: what the names begin with; ``GOVUK_STATSD_PREFIX`` or ``pp.apps.collector`` unless given.
    """

    def __init__(self, host: str = "localhost", port: int = 8125, prefix: str | None = None) -> None:
        self._address = (host, port)
        self._prefix = prefix

    def incr(self, stat: str, count: int = 1) -> None:
        """Add to a counter; nobody need listen."""
        prefix = self._prefix or os.environ.get("GOVUK_STATSD_PREFIX", "pp.apps.collector")
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
                out.sendto(f"{prefix}.{stat}:{count}|c".encode(), self._address)
        except OSError as error:
            logging.getLogger("analytical.compat.ppcollector").debug("statsd: %s", error)


#: The counter that collectors import.
statsd = StatsClient()

"""The reading half: what the platforms count, as plain records, in files, databases and Prometheus.

>>> import analytical
>>> site = analytical.Provider("matomo", 9, endpoint="https://stats.example.com/matomo.php")
>>> devices = site.report("DevicesDetection.getType", by={"label": "device"}, metrics={"nb_visits": "sessions"})
>>> devices
<Report DevicesDetection.getType every='day'>

Nothing is asked before a report is iterated or sent somewhere. Everything here is loaded when first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .config import load
    from .exporter import Exporter, serve
    from .metrics import Metrics, counter, gauge, source
    from .period import Period
    from .protocol import SOURCES, Page, Query, Refusal, Source
    from .records import Record
    from .report import Outcome, Report, report_for
    from .runner import Summary, run
    from .session import Session
    from .sink import SINKS, Sink, Target, sink_for

__all__ = [
    "SINKS",
    "SOURCES",
    "Exporter",
    "Metrics",
    "Outcome",
    "Page",
    "Period",
    "Query",
    "Record",
    "Refusal",
    "Report",
    "Session",
    "Sink",
    "Source",
    "Summary",
    "Target",
    "counter",
    "gauge",
    "load",
    "report_for",
    "run",
    "serve",
    "sink_for",
    "source",
]

_HOMES = {
    **dict.fromkeys(("SINKS", "Sink", "Target", "sink_for"), "sink"),
    **dict.fromkeys(("SOURCES", "Page", "Query", "Refusal", "Source"), "protocol"),
    **dict.fromkeys(("Outcome", "Report", "report_for"), "report"),
    **dict.fromkeys(("Metrics", "counter", "gauge", "source"), "metrics"),
    **dict.fromkeys(("Exporter", "serve"), "exporter"),
    **dict.fromkeys(("Summary", "run"), "runner"),
    "Period": "period",
    "Record": "records",
    "Session": "session",
    "load": "config",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'analytical.collect' has no attribute {name!r}")
    value = getattr(import_module(f".{home}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

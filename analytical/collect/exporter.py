"""Reports as a Prometheus endpoint: refreshed in the background, so that a scrape never calls an API."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .._stop import Stop
from ..errors import ConfigurationError, MissingExtra, QuotaExhausted, SourceError
from .metrics import Metrics
from .period import seconds
from .records import RESERVED, Record
from .report import Report

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.metrics_core import Metric

__all__ = ["Exporter", "Snapshot", "exposition", "serve"]

log = logging.getLogger("analytical.collect")

#: Series of one report, unless raised.
MAX_SERIES = 1000

Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The numbers of one report at one time: what a scrape shows, replaced as a whole.

    Args:
        report: the report's name.
        series: metric → labels → number.
        kinds: metric → ``counter`` or ``gauge``.
        helps: metric → description.
        records: how many records it came from.
        start: the start of the period, as records spell it.
    """

    report: str
    series: Mapping[str, Mapping[Labels, float]]
    kinds: Mapping[str, str] = field(default_factory=dict)
    helps: Mapping[str, str] = field(default_factory=dict)
    records: int = 0
    start: str = ""

    @classmethod
    def of(
        cls,
        report: str,
        records: Iterable[Record],
        *,
        kinds: Mapping[str, str] | None = None,
        helps: Mapping[str, str] | None = None,
        max_series: int = MAX_SERIES,
    ) -> Snapshot:
        """Turn the records of the latest period into series: text becomes labels, numbers become values.

        Raises:
            SourceError: more series than ``max_series``, or two records make one series.
        """
        series: dict[str, dict[Labels, float]] = {}
        names: dict[str, str] = {}
        known_kinds, known_helps = dict(kinds or {}), dict(helps or {})
        count = total = 0
        latest = ""
        for record in records:
            when = str(record["_timestamp"])
            if when < latest:
                continue
            if when > latest:
                latest, series, count, total = when, {}, 0, 0
            count += 1
            texts = {
                _label(key): value for key, value in record.items() if key not in RESERVED and isinstance(value, str)
            }
            labels = tuple(sorted(texts.items()))
            for key, value in record.items():
                if key in RESERVED or isinstance(value, bool) or not isinstance(value, int | float):
                    continue
                name = names.setdefault(key, _metric(key))
                found = series.setdefault(name, {})
                if labels in found:
                    raise SourceError(
                        f"two records make one series {name}{dict(labels)}; name in by= what tells them apart"
                    )
                found[labels] = value
                total += 1
                if total > max_series:
                    raise SourceError(
                        f"more than {max_series} series; take fewer dimensions in by=, or raise max_series="
                    )
        return cls(
            report,
            series,
            {names.get(key, key): kind for key, kind in known_kinds.items()},
            {names.get(key, key): text for key, text in known_helps.items()},
            count,
            latest,
        )


class Exporter:
    """Holds the last good snapshot of every report, and serves them.

    Args:
        reports: a report or :class:`Metrics`, or several.
        port: 0 for any free one; see :attr:`port` after :meth:`start`.
        host: the address to listen on. Other machines are let in with ``0.0.0.0``.
        refresh: how often each report is asked; a number of seconds, or ``"5m"``. By default what a Metrics class
            says, or 5 minutes.
        max_age: how long a snapshot is shown when nothing newer comes; then its series vanish. By default the
            longer of an hour and ten times ``refresh``.
        max_series: more series of one report than this are refused.
        clock: the time in seconds since 1970.
        monotonic: a clock that is never set.
    """

    def __init__(
        self,
        reports: Any,
        *,
        port: int = 8000,
        host: str = "127.0.0.1",
        refresh: str | float | None = None,
        max_age: str | float | None = None,
        max_series: int = MAX_SERIES,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        try:
            import prometheus_client  # noqa: F401 - said now, not at the first scrape
        except ImportError:
            raise MissingExtra("a Prometheus endpoint", "prometheus") from None
        self.host, self.port = host, port
        self._max_series = max_series
        self._clock, self._monotonic = clock, monotonic
        self._stop = Stop()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._server: Any = None
        self._states: dict[str, _State] = {}
        for report, interval in _listed(reports):
            every = seconds(refresh if refresh is not None else interval or "5m", what="refresh")
            age = seconds(max_age, what="max_age") if max_age is not None else max(3600.0, 10 * every)
            if report.name in self._states:
                raise ConfigurationError(f'two reports are called "{report.name}"; give one another title=')
            # Trying again beyond the next refresh would only hide from analytical_up that the API fails.
            report.session.retry_for = min(report.session.retry_for, every)
            self._states[report.name] = _State(report, every, age)

    def start(self) -> None:
        """Listen, and begin to ask; returns at once.

        Raises:
            ConfigurationError: the port is taken.
        """
        from prometheus_client import CollectorRegistry, start_http_server

        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)
        try:
            self._server, thread = start_http_server(self.port, addr=self.host, registry=registry)
        except OSError as error:
            raise ConfigurationError(f"cannot listen on {self.host}:{self.port}: {error.strerror or error}") from None
        self.port = int(self._server.server_port)
        self._threads.append(thread)
        for state in list(self._states.values()):
            worker = threading.Thread(
                target=self._keep_fresh, args=(state,), name=f"analytical-{state.name}", daemon=True
            )
            self._threads.append(worker)
            worker.start()

    def stop(self) -> None:
        """Stop asking and listening."""
        self._stop.set()
        for state in self._states.values():
            if state.report is not None:
                state.report.session.stop()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
        for thread in self._threads:
            thread.join(timeout=5)
        for state in self._states.values():
            if state.report is not None:
                state.report.close()

    def wait(self) -> None:
        """Block until :meth:`stop`, Ctrl-C or a signal that ends the process."""
        self._stop.wait()

    def refresh(self, name: str) -> bool:
        """Ask for one report now; returns whether it gave a new snapshot. Never raises for what an API does."""
        state = self._states[name]
        report = state.report
        assert report is not None, "a published report is not asked"
        began = self._monotonic()
        try:
            reading = report if report.bounded or report.query.every is None else report.last(1)
            snapshot = Snapshot.of(name, reading, kinds=report.kinds, helps=report.helps, max_series=self._max_series)
            self._refuse_clashes(snapshot)
        except Exception as error:  # noqa: BLE001 - the endpoint outlives every API
            state.failed(self._monotonic() - began, error)
            log.warning("%s: not refreshed: %s: %s", name, type(error).__name__, report.clean(str(error))[:500])
            return False
        state.succeeded(snapshot, self._monotonic() - began, self._clock(), self._monotonic())
        return True

    def publish(self, name: str, snapshot: Snapshot) -> None:
        """Show a snapshot that somebody else made."""
        with self._lock:
            state = self._states.get(name)
            if state is None:
                state = _State(None, 0.0, float("inf"), name)
                self._states = {**self._states, name: state}
        self._refuse_clashes(snapshot)
        state.succeeded(snapshot, 0.0, self._clock(), self._monotonic())

    def describe(self) -> list[Metric]:
        """Nothing: a registry that asks what there will be would have to wait for every API."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Give everything that a scrape shows; reads memory only."""
        from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily

        up = GaugeMetricFamily("analytical_up", "Whether the last refresh of a report succeeded.", labels=["report"])
        last = GaugeMetricFamily(
            "analytical_last_success_timestamp_seconds", "When a report was last refreshed.", labels=["report"]
        )
        took = GaugeMetricFamily(
            "analytical_fetch_seconds", "How long the last refresh of a report took.", labels=["report"]
        )
        count = GaugeMetricFamily("analytical_records", "Records in a report's snapshot.", labels=["report"])
        warned = GaugeMetricFamily("analytical_warnings", "Warnings about a report's numbers.", labels=["report"])
        errors = CounterMetricFamily("analytical_errors", "Refreshes of a report that failed.", labels=["report"])
        now = self._monotonic()
        shown = []
        for state in list(self._states.values()):
            status = state.status
            up.add_metric([state.name], float(status.up))
            errors.add_metric([state.name], status.errors)
            if status.took is not None:
                took.add_metric([state.name], status.took)
            if status.snapshot is not None:
                last.add_metric([state.name], status.at)
                if now - status.monotonic <= state.max_age:
                    shown.append(status.snapshot)
                    count.add_metric([state.name], status.snapshot.records)
            if state.report is not None:
                warned.add_metric([state.name], len(state.report.warnings))
        yield from (up, last, took, count, warned, errors)
        yield from _families(shown)

    def _keep_fresh(self, state: _State) -> None:
        while not self._stop.is_set():
            self.refresh(state.name)
            if self._stop.wait(state.pause(self._clock())):
                return

    def _refuse_clashes(self, snapshot: Snapshot) -> None:
        """Two reports that make one series would break every scrape."""
        for state in list(self._states.values()):
            other = state.status.snapshot
            if other is None or other.report == snapshot.report:
                continue
            for name, series in snapshot.series.items():
                if any(labels in other.series.get(name, {}) for labels in series):
                    raise SourceError(
                        f'"{snapshot.report}" and "{other.report}" both have the series {name}; '
                        "give one metric another name in metrics=, or tell them apart with add="
                    )


@dataclass(frozen=True, slots=True)
class _Status:
    up: bool = False
    errors: int = 0
    took: float | None = None
    at: float = 0.0
    monotonic: float = 0.0
    snapshot: Snapshot | None = None
    reset: float | None = None


class _State:
    """One report: its last good snapshot, and how the last refresh went. Swapped as one value, read without a lock."""

    def __init__(self, report: Report | None, every: float, max_age: float, name: str = "") -> None:
        self.report = report
        self.name = report.name if report is not None else name
        self.every = every
        self.max_age = max_age
        self.status = _Status()

    def succeeded(self, snapshot: Snapshot, took: float, at: float, monotonic: float) -> None:
        self.status = _Status(
            up=True, errors=self.status.errors, took=took, at=at, monotonic=monotonic, snapshot=snapshot
        )

    def failed(self, took: float, error: Exception) -> None:
        old = self.status
        self.status = _Status(
            errors=old.errors + 1,
            took=took,
            at=old.at,
            monotonic=old.monotonic,
            snapshot=old.snapshot,
            reset=error.reset if isinstance(error, QuotaExhausted) else None,
        )

    def pause(self, now: float) -> float:
        """Return how long to wait before the next refresh: a quota that is used up is not asked before its reset."""
        reset = self.status.reset
        return self.every if reset is None else min(max(self.every, reset - now), 86_400.0)


def serve(
    reports: Any,
    *,
    port: int = 8000,
    host: str = "127.0.0.1",
    refresh: str | float | None = None,
    max_age: str | float | None = None,
    max_series: int = MAX_SERIES,
) -> None:
    """Serve reports at ``http://host:port/metrics`` until the process is told to end.

    A report's series are named after its metrics, its dimensions are labels. A report without a range shows its
    last complete period; ``report.now()`` shows the present one.

    Args:
        reports: a report or :class:`Metrics`, or several.
        port: where to listen.
        host: on which address.
        refresh: how often each report is asked, such as ``"5m"``.
        max_age: how long the last good numbers are shown when nothing newer comes.
        max_series: more series of one report than this are refused.
    """
    exporter = Exporter(reports, port=port, host=host, refresh=refresh, max_age=max_age, max_series=max_series)
    exporter.start()
    log.info("serving http://%s:%d/metrics", exporter.host, exporter.port)
    try:
        exporter.wait()
    except KeyboardInterrupt:
        log.info("stopping")
    finally:
        exporter.stop()


def exposition(*snapshots: Snapshot) -> bytes:
    """Return snapshots in Prometheus's text format."""
    from prometheus_client import CollectorRegistry, generate_latest

    class Fixed:
        def collect(self) -> Iterator[Metric]:
            yield from _families(list(snapshots))

    registry: CollectorRegistry = CollectorRegistry(auto_describe=False)
    registry.register(Fixed())
    return bytes(generate_latest(registry))


def _families(snapshots: list[Snapshot]) -> Iterator[Metric]:
    from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily

    families: dict[str, Metric] = {}
    for snapshot in snapshots:
        for name, series in snapshot.series.items():
            family = families.get(name)
            if family is None:
                text = snapshot.helps.get(name) or f"{name}, from the report {snapshot.report}."
                made = CounterMetricFamily if snapshot.kinds.get(name) == "counter" else GaugeMetricFamily
                family = families[name] = made(name, text)
            suffix = "_total" if family.type == "counter" else ""
            for labels, value in series.items():
                # Series of one name may have different labels, which the families' own add_metric cannot say.
                family.add_sample(family.name + suffix, dict(labels), value)
    yield from families.values()


def _listed(reports: Any) -> Iterator[tuple[Report, str | float | None]]:
    several = list(reports) if isinstance(reports, list | tuple | set | frozenset) else [reports]
    for one in several:
        if isinstance(one, type) and issubclass(one, Metrics):
            yield one().report(), one.refresh
        elif isinstance(one, Metrics):
            yield one.report(), one.refresh
        elif isinstance(one, Report):
            yield one, one.refresh
        else:
            raise ConfigurationError(f"serve: expected reports or Metrics, got <{type(one).__name__}>")


def _metric(name: str) -> str:
    found = re.sub(r"[^a-zA-Z0-9_:]", "_", name)
    return found if not found[0].isdigit() else f"_{found}"


def _label(name: str) -> str:
    found = re.sub(r"[^a-zA-Z0-9_]", "_", name)
    # Two underscores in front are Prometheus's own.
    found = found.lstrip("_") if found.startswith("__") else found
    return found if found and not found[0].isdigit() else f"_{found}"

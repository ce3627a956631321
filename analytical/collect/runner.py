"""Running the reports of a file: all of them, whatever one does; for the command line, Celery, Airflow, cron."""

from __future__ import annotations

import logging
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

import msgspec

from ..errors import AnalyticalError, ConfigurationError
from .config import Config, Spec, load
from .period import Moment, Period, moment
from .records import Batch
from .report import Report
from .sink import Sink, Target

__all__ = ["DryRun", "Event", "Result", "Summary", "run"]

log = logging.getLogger("analytical.collect")

_encode = msgspec.json.Encoder().encode


@dataclass(slots=True)
class Result:
    """What became of one report.

    Args:
        report: its name.
        ok: whether everything was stored.
        error: what went wrong, fit for people.
        periods: how many periods were stored.
        records: how many records they held.
        seconds: how long it took.
        to: where the records went, without secrets.
        warnings: what a reader of the numbers must know.
    """

    report: str
    ok: bool = False
    error: str = ""
    periods: int = 0
    records: int = 0
    seconds: float = 0.0
    to: str = ""
    warnings: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Summary:
    """What became of all. ``as_dict()`` is JSON-safe, so that a task can return it."""

    results: list[Result] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether every report succeeded."""
        return all(result.ok for result in self.results)

    def as_dict(self) -> dict[str, Any]:
        """Return the same as plain dicts."""
        found: dict[str, Any] = msgspec.to_builtins({"ok": self.ok, "results": self.results})
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that a display may show: ``begin``, ``period`` or ``end`` of one report."""

    kind: str
    report: str
    period: Period | None = None
    number: int = 0
    of: int = 0
    result: Result


def run(
    config: str | Path | Config,
    names: Iterable[str] = (),
    *,
    since: Moment | None = None,
    until: Moment | None = None,
    to: str | None = None,
    dry_run: bool = False,
    jobs: int = 1,
    on_event: Callable[[Event], object] | None = None,
    stop: threading.Event | None = None,
    out: TextIO | None = None,
    say: Callable[[str], object] | None = None,
) -> Summary:
    """Read reports and store them; one that fails does not hold up the others.

    Args:
        config: a path to ``reports.toml``, or what :func:`load` returned.
        names: which reports; all of them unless given.
        since: read every period from here again, instead of what is missing.
        until: read no further than the period this falls into.
        to: send all reports here; ``{report}`` stands for a report's name.
        dry_run: ask the platforms, but print records as JSON Lines instead of storing them.
        jobs: how many reports at once.
        on_event: is told of each beginning, period and end; may be called from several threads.
        stop: when set, running reports end after what they are waiting for, and no other begins.
        out: where a dry run prints records; standard output unless given.
        say: where a dry run says what would be done; standard error unless given.

    Raises:
        ConfigurationError: the file or a name makes no sense; nothing was sent.
    """
    loaded = config if isinstance(config, Config) else load(config)
    if jobs < 1:
        raise ConfigurationError(f"jobs={jobs}: expected 1 or more")
    halt = stop or threading.Event()
    tasks = [_Task(spec, since=since, until=until, to=to) for spec in loaded.chosen(names)]
    _refuse_sharing(tasks)
    if dry_run:
        lock = threading.Lock()
        for task in tasks:
            task.sink = DryRun(task.sink, out=out, say=say, lock=lock)

    def one(task: _Task) -> Result:
        return task.run(halt, on_event)

    if jobs == 1 or len(tasks) == 1:
        return Summary([one(task) for task in tasks])
    with ThreadPoolExecutor(max_workers=min(jobs, len(tasks)), thread_name_prefix="analytical-collect") as pool:
        return Summary(list(pool.map(one, tasks)))


class _Task:
    def __init__(self, spec: Spec, *, since: Moment | None, until: Moment | None, to: str | None) -> None:
        self.spec = spec
        self.report: Report = spec.report()
        self.sink = spec.sink(to)
        self.target = self.report.target()
        self._reading = self.report
        if self.report.query.every is not None:
            if since is not None:
                now = datetime.fromtimestamp(self.report.session.now(), self.report.tz)
                if moment(since, self.report.tz, what="--since") > now:
                    raise ConfigurationError(
                        f"--since {since} lies in the future; expected a date up to now, {now:%Y-%m-%dT%H:%M%z}"
                    )
                end = until if until is not None else self.report.latest().start
                if moment(since, self.report.tz, what="--since") <= moment(end, self.report.tz, what="--until"):
                    self._reading = self.report.between(since, end)
                elif until is not None:
                    raise ConfigurationError(f"--since {since} is after --until {until}; swap them")
                else:
                    self._reading = self.report.last(1)
            elif until is not None:
                self._reading = self.report.until(until)

    def run(self, stop: threading.Event, on_event: Callable[[Event], object] | None) -> Result:
        result = Result(self.spec.name, to=self.sink.describe())
        began = time.monotonic()

        def tell(kind: str, period: Period | None = None, number: int = 0, of: int = 0) -> None:
            if on_event is not None:
                on_event(Event(kind=kind, report=self.spec.name, period=period, number=number, of=of, result=result))

        def progress(period: Period, number: int, of: int, records: int) -> None:
            result.periods += 1
            result.records += records
            result.seconds = time.monotonic() - began
            tell("period", period, number, of)

        tell("begin")
        self.report.session.follow(stop)
        try:
            if stop.is_set():
                result.error = "stopped"
            else:
                self._reading.to(self.sink, progress=progress)
                result.ok = True
        except AnalyticalError as error:
            result.error = str(error)
        except Exception as error:  # noqa: BLE001 - whatever it raises
            # A source or a sink of the user's: the others still run, and the log has the place, without data.
            result.error = f'report "{self.spec.name}": {type(error).__name__}: {self.report.clean(str(error))[:300]}'
            log.error("%s\n%s", result.error, "".join(traceback.format_tb(error.__traceback__)).rstrip())
        finally:
            self.report.close()
        result.seconds = time.monotonic() - began
        result.warnings = list(self.report.warnings)
        tell("end")
        return result


class DryRun(Sink):
    """Stands before a sink: asks it what it has, and prints instead of writing.

    Args:
        sink: the sink that would be written to.
        out: where records go, as JSON Lines.
        say: where sentences go.
        lock: keeps the lines of two reports apart.
    """

    def __init__(
        self,
        sink: Sink,
        *,
        out: TextIO | None = None,
        say: Callable[[str], object] | None = None,
        lock: threading.Lock | None = None,
    ) -> None:
        self.sink = sink
        self.sink.dry = True
        self._out = out
        self._say = say or (lambda line: print(line, file=sys.stderr))  # noqa: T201 - a dry run is for people
        self._lock = lock or threading.Lock()

    def open(self, target: Target) -> None:
        self.sink.open(target)

    def stored(self, target: Target) -> Iterable[str] | None:
        return self.sink.stored(target)

    def write(self, records: Batch, replace: Period | None, target: Target) -> None:
        lines = self.sink.preview(records, replace, target)
        out = self._out or sys.stdout
        with self._lock:
            for record in records:
                out.write(_encode(record).decode() + "\n")
            out.flush()
            for line in lines:
                self._say(f"{target.name}: {line}")

    def close(self, target: Target) -> None:
        self.sink.close(target)  # nothing was written, so nothing is

    def describe(self) -> str:
        return f"{self.sink.describe()} (dry run, nothing stored)"


def _refuse_sharing(tasks: list[_Task]) -> None:
    taken: dict[object, str] = {}
    for task in tasks:
        key = task.sink.key(task.target)
        if key is None:
            continue
        other = taken.setdefault(key, task.spec.name)
        if other != task.spec.name:
            raise ConfigurationError(
                f"the reports {other} and {task.spec.name} would overwrite each other in {task.sink.describe()}; "
                'put {report} into the path ("out/{report}.jsonl"), or tell them apart with table= or add={…}'
            )

"""``analytical collect``: read reports and store them."""

from __future__ import annotations

import contextlib
import logging
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import click

from .._stop import Stop
from ..collect.config import load
from ..collect.period import seconds
from ..collect.runner import Event, Result, Summary, run
from ..errors import AnalyticalError

__all__ = ["command"]

#: Seconds between two lines about a report that takes long, where there is no terminal.
_PATIENCE = 10.0


@click.command("collect")
@click.argument("config", type=click.Path(dir_okay=False), metavar="REPORTS.TOML")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--since", metavar="DATE", help="Read every period from here again, instead of what is missing.")
@click.option("--until", metavar="DATE", help="Read no further than the period this falls into.")
@click.option("--to", metavar="SINK", help='Send all to this URL or path; "{report}" in it is the report\'s name.')
@click.option("--dry-run", is_flag=True, help="Print records, and on stderr what would be done; store nothing.")
@click.option("--jobs", type=click.IntRange(1, 64), default=1, show_default=True, help="Reports at once.")
@click.option("--every", metavar="TIME", help='Stay, and run again and again, such as "1h".')
def command(
    config: str,
    names: tuple[str, ...],
    since: str | None,
    until: str | None,
    to: str | None,
    dry_run: bool,
    jobs: int,
    every: str | None,
) -> None:
    """Read reports from analytics platforms and store them in files and databases.

    Without NAMEs, all reports of the file. Without --since, what the destination lacks or is still settling.

    Exit status: 0 all fine, 1 some report failed (the others ran), 2 wrong usage, nothing was sent.

    \b
    From cron, an hour and a bit after midnight:
        10 1 * * *  analytical collect /etc/reports.toml
    """
    # What reports warn of is printed with each report; a second line by way of logging would say it twice.
    logging.getLogger("analytical.collect").addHandler(logging.NullHandler())
    try:
        pause = seconds(every, what="--every") if every else None
        stop = Stop()
        ok: bool | None = None
        with _signals(stop, wanted=pause is not None or jobs > 1):
            while True:
                began = time.monotonic()
                try:
                    loaded = load(config)
                    with _display(loaded.chosen(names)) as show:
                        summary = run(
                            loaded,
                            names,
                            since=since,
                            until=until,
                            to=to,
                            dry_run=dry_run,
                            jobs=jobs,
                            on_event=show,
                            stop=stop,
                        )
                    _conclude(summary)
                    ok = summary.ok
                except AnalyticalError as error:
                    if ok is None:
                        raise
                    # Somebody edits the file of a run that stays: the next round reads it again.
                    click.echo(f"nothing was read: {error}", err=True)
                    ok = False
                if pause is None or stop.wait(max(0.0, pause - (time.monotonic() - began))):
                    break
    except AnalyticalError as error:
        # What the platforms do is in the summary: this was found before anything was asked.
        raise click.UsageError(str(error)) from None
    if not ok:
        sys.exit(1)


@contextlib.contextmanager
def _signals(stop: threading.Event, *, wanted: bool) -> Iterator[None]:
    """Let a first SIGTERM or Ctrl-C end things in order, and a second one at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def on_signal(number: int, frame: Any) -> None:
        if stop.is_set() or not wanted:
            raise KeyboardInterrupt
        stop.set()

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _conclude(summary: Summary) -> None:
    failed = [result for result in summary.results if not result.ok]
    if failed and len(summary.results) > 1:
        click.echo(f"{len(failed)} of {len(summary.results)} reports failed:", err=True)
        for result in failed:
            click.echo(f"  {result.report}", err=True)


@contextlib.contextmanager
def _display(specs: list[Any]) -> Iterator[Callable[[Event], None]]:
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[records]} records"),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=Console(stderr=True), redirect_stdout=False) as progress:
            bars = {spec.name: progress.add_task(spec.name, total=None, start=False, records=0) for spec in specs}

            def draw(event: Event) -> None:
                bar, result = bars[event.report], event.result
                if event.kind == "begin":
                    progress.start_task(bar)
                elif event.kind == "period":
                    progress.update(bar, total=event.of, completed=event.number, records=result.records)
                else:
                    progress.update(bar, total=max(result.periods, 1), completed=max(result.periods, 1))
                    progress.stop_task(bar)
                    for line in _lines(result):
                        progress.console.print(line, highlight=False, markup=False, soft_wrap=True)

            yield draw
        return
    said: dict[str, float] = {}

    def tell(event: Event) -> None:
        now = time.monotonic()
        if event.kind == "begin":
            said[event.report] = now
        elif event.kind == "end":
            for line in _lines(event.result):
                click.echo(line, err=True)
        elif now - said[event.report] >= _PATIENCE:
            said[event.report] = now
            click.echo(
                f"{event.report}: {event.number} of {event.of} periods, {event.result.records} records", err=True
            )

    yield tell


def _lines(result: Result) -> Iterator[str]:
    for warning in result.warnings:
        yield f"{result.report}: warning: {warning.removeprefix(f'{result.report}: ')}"
    counts = (
        f"{result.periods} period{'' if result.periods == 1 else 's'}, "
        f"{result.records} record{'' if result.records == 1 else 's'}"
    )
    if result.ok:
        yield f"{result.report}: {counts}, to {result.to} ({result.seconds:.1f} s)"
    else:
        yield f"{result.report}: failed after {counts}: {result.error}"

"""``analytical worker``: one process that delivers what many have put into a shared spool."""

from __future__ import annotations

import contextlib
import logging
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import click

from ..observe import Ledger
from ._spool import chosen, opened, shown

__all__ = ["command"]

#: Seconds between two plain lines, where there is no terminal.
_PACE = 10.0


@click.command("worker")
@click.option("--spool", metavar="URL", help="A path (SQLite), redis://… or kafka://…; else what --config names.")
@click.option("--config", type=click.Path(dir_okay=False), help="A TOML file of providers (see analytical.configure).")
@click.option("--once", is_flag=True, help="End when nothing is left.")
@click.option("--timeout", type=float, metavar="SECONDS", help="With --once, end after this time all the same.")
@click.option("--drain", type=float, default=5.0, show_default=True, help="Seconds to deliver on after SIGTERM.")
@click.option("--connections", type=click.IntRange(1, 512), default=32, show_default=True, help="Requests at once.")
@click.option("--quiet", is_flag=True, help="Only warnings.")
def command(
    spool: str | None,
    config: str | None,
    once: bool,
    timeout: float | None,
    drain: float,
    connections: int,
    quiet: bool,
) -> None:
    """Deliver what waits in a shared spool, until SIGTERM or Ctrl-C.

    The hits name their destinations; addresses and secrets are in this process's own configuration: --config, or
    ANALYTICAL_URL for the one named "default".

    \b
    Exit status: 0 stopped in order, or nothing left; 1 with --once, something is left; 2 wrong usage.
    """
    from .. import config as configuration
    from ..delivery.thread import ThreadDelivery
    from ..delivery.worker import Worker

    where = chosen(spool, config)
    names = configuration.names()
    if not names:
        raise click.UsageError(
            "no provider is configured, so nothing could be delivered. Give --config analytical.toml with a table "
            "[providers.NAME] for each name that the hits carry, or set ANALYTICAL_URL"
        )
    _log(quiet)
    driver = ThreadDelivery(opened(where), connections=connections)
    ledgers: dict[str, Ledger] = {}
    for name in names:
        route = configuration.route(name)
        ledgers[route.to] = ledger = Ledger()
        driver.attach(replace(route, observer=ledger))
    if not quiet:
        click.echo(f"emptying {shown(where)} for {', '.join(sorted(ledgers))}")
    strangers = _strangers(driver, ledgers)
    if strangers:
        logging.getLogger("analytical.worker").warning(
            "hits wait for %s, which the configuration does not name; they are left alone", ", ".join(strangers)
        )
    worker = Worker(driver, drain=drain)
    with worker.signals(), _display(driver, ledgers, quiet=quiet) as tick:
        empty = worker.run(once=once, timeout=timeout, tick=tick)
    if once and not empty:
        click.echo("not everything could be delivered; it waits on", err=True)
        sys.exit(1)


def _strangers(driver: object, ledgers: Mapping[str, Ledger]) -> list[str]:
    spool = getattr(driver, "spool", None)
    status = getattr(spool, "status", None)
    if status is None:
        return []
    return [row["to"] for row in status() if row["to"] not in ledgers and row["pending"]]


def _log(quiet: bool) -> None:
    handler: logging.Handler = logging.StreamHandler()
    if sys.stdout.isatty():
        from rich.logging import RichHandler

        handler = RichHandler(show_path=False)
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger = logging.getLogger("analytical")
    logger.addHandler(handler)
    logger.setLevel(logging.WARNING if quiet else logging.INFO)


class _Line:
    """The state of things in one line."""

    def __init__(self, driver: object, ledgers: Mapping[str, Ledger]) -> None:
        self._spool = getattr(driver, "spool", None)
        self._ledgers = ledgers
        self._last = (time.monotonic(), 0)
        self._rate = 0.0

    def counts(self) -> dict[str, int]:
        total: dict[str, int] = {}
        for ledger in self._ledgers.values():
            for state, count in (*ledger.stats().items(), *ledger.notes().items()):
                total[state] = total.get(state, 0) + count
        return total

    def text(self) -> str:
        counts = self.counts()
        waiting = sum(self._spool.waiting(to) for to in self._ledgers) if self._spool is not None else 0
        done = counts["delivered"] + counts["unconfirmed"]
        since, before = self._last
        now = time.monotonic()
        if now - since >= 0.5:
            self._rate = (done - before) / (now - since)
            self._last = (now, done)
        lost = counts["rejected"] + counts["expired"] + counts["dropped"]
        parts = [f"{waiting:,} waiting", f"{done:,} delivered ({self._rate:,.0f}/s)"]
        if counts.get("retried"):
            parts.append(f"{counts['retried']:,} retries")
        return " · ".join([*parts, f"{lost:,} refused or expired"])


@contextlib.contextmanager
def _display(driver: object, ledgers: Mapping[str, Ledger], *, quiet: bool) -> Iterator[Callable[[], None]]:
    line = _Line(driver, ledgers)
    if quiet:
        yield lambda: None
        return
    if sys.stdout.isatty():
        from rich.live import Live
        from rich.spinner import Spinner

        spinner = Spinner("dots", line.text())
        with Live(spinner, refresh_per_second=8):
            yield lambda: spinner.update(text=line.text())
            spinner.update(text=line.text())
        return
    last = ("", time.monotonic())

    def tick() -> None:
        nonlocal last
        now = time.monotonic()
        if now - last[1] >= _PACE:
            text = line.text()
            if text != last[0]:
                click.echo(text)
            last = (text, now)

    yield tick
    click.echo(line.text())

"""``analytical worker``: one process that delivers what many have put into a shared spool."""

from __future__ import annotations

import contextlib
import logging
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import click

from ..delivery.thread import ThreadDelivery
from ..delivery.worker import Worker
from ..observe import Ledger
from ..route import Route
from ._spool import chosen, opened, shown

__all__ = ["command"]

#: Seconds between two plain lines, where there is no terminal.
_PACE = 10.0
#: Seconds between two looks for hits under other names.
_LOOK = 5.0

log = logging.getLogger("analytical.worker")


@click.command("worker")
@click.option("--spool", metavar="URL", help="A path (SQLite), redis://… or kafka://…; else what --config names.")
@click.option("--config", type=click.Path(dir_okay=False), help="A TOML file of providers (see analytical.configure).")
@click.option("--once", is_flag=True, help="End when nothing is left.")
@click.option("--timeout", type=float, metavar="SECONDS", help="With --once, end after this time all the same.")
@click.option("--drain", type=float, default=5.0, show_default=True, help="Seconds to deliver on after SIGTERM.")
@click.option("--connections", type=click.IntRange(1, 512), default=32, show_default=True, help="Requests at once.")
@click.option(
    "--metrics",
    metavar="[HOST:]PORT",
    help="Serve Prometheus metrics at /metrics; on 127.0.0.1 unless a host is given.",
)
@click.option("--quiet", is_flag=True, help="Only warnings.")
def command(
    spool: str | None,
    config: str | None,
    once: bool,
    timeout: float | None,
    drain: float,
    connections: int,
    metrics: str | None,
    quiet: bool,
) -> None:
    """Deliver what waits in a shared spool, until SIGTERM or Ctrl-C.

    The hits name their destinations; addresses and secrets are in this process's own configuration: --config, or
    ANALYTICAL_URL for the one named "default". Hits of a provider that has no name, only a kind and an id, go to the
    one that is configured with the same.

    \b
    Exit status: 0 stopped in order, or nothing left; 1 with --once, something is left or the spool cannot be reached;
    2 wrong usage.
    """
    from .. import config as configuration

    where = chosen(spool, config)
    box = opened(where)
    click.get_current_context().call_on_close(box.close)
    names = configuration.names()
    if not names:
        raise click.UsageError(
            "no provider is configured, so nothing could be delivered. Give --config analytical.toml with a table "
            "[providers.NAME] for each name that the hits carry, or set ANALYTICAL_URL"
        )
    _log(quiet)
    driver = ThreadDelivery(box, connections=connections)
    providers = [configuration.apart(name) for name in names]
    served = _Served(driver, {f"{one.backend.name}:{one.backend.label}": one.route for one in providers})
    if metrics is not None:
        _serve(metrics, served)
    served.adopt()
    if not quiet:
        click.echo(f"emptying {shown(where)} for {', '.join(sorted(served.ledgers))}")
    worker = Worker(driver, drain=drain)
    with worker.signals(), _display(driver, served.ledgers, quiet=quiet) as line:

        def tick() -> None:
            served.adopt()
            line()

        empty = worker.run(once=once, timeout=timeout, tick=tick)
    for provider in providers:
        provider.close()
    if once and getattr(driver.spool, "away", False):
        click.echo(f"{shown(where)} cannot be reached", err=True)
        sys.exit(1)
    if once and not empty:
        click.echo("not everything could be delivered; it waits on", err=True)
        sys.exit(1)


class _Served:
    """The destinations that this worker delivers to.

    Args:
        driver: of the spool.
        routes: the configured ones, by what hits call them that were made without a name.
    """

    def __init__(self, driver: ThreadDelivery, routes: Mapping[str, Route]) -> None:
        self.driver = driver
        self.ledgers: dict[str, Ledger] = {}
        self._routes = routes
        self._looked = -1e9
        self._said: set[str] = set()
        for route in routes.values():
            self._attach(route)

    def _attach(self, route: Route) -> None:
        ledger = Ledger()
        self.driver.attach(replace(route, observer=ledger))
        self.ledgers[route.to] = ledger

    def adopt(self) -> None:
        """Look whether hits wait under another name: deliver those that are known by kind and id, say the others."""
        now = time.monotonic()
        status = getattr(self.driver.spool, "status", None)
        if status is None or now - self._looked < _LOOK:
            return
        self._looked = now
        try:
            rows = status()
        except Exception as error:  # noqa: BLE001 - whatever a spool's server does; the driver's threads try on
            log.debug("the spool cannot be looked at: %s", type(error).__name__)
            return
        for row in rows:
            to = row["to"]
            if to in self.ledgers or not row["pending"]:
                continue
            if to in self._routes:
                self._attach(replace(self._routes[to], to=to))
            elif to not in self._said:
                self._said.add(to)
                log.warning("hits wait for %s, which the configuration does not name; they are left alone", to)

    def measured(self) -> Iterator[_Measured]:
        """Return what the metrics show."""
        for to, ledger in list(self.ledgers.items()):
            yield _Measured(to, ledger, self.driver)


class _Measured:
    """What the metrics show of one destination."""

    def __init__(self, to: str, ledger: Ledger, driver: ThreadDelivery) -> None:
        self.to = to
        self.ledger = ledger
        self._driver = driver

    def stats(self) -> dict[str, int]:
        return {"pending": self._driver.spool.waiting(self.to)}


def _serve(where: str, served: _Served) -> None:
    from ..metrics import prometheus

    host, _, port = where.rpartition(":")
    if not port.isdecimal() or not 0 < int(port) < 65_536:
        raise click.UsageError(f"--metrics {where}: expected PORT or HOST:PORT, such as 9109 or 0.0.0.0:9109")
    prometheus(served.measured)
    from prometheus_client import start_http_server

    try:
        start_http_server(int(port), addr=host.strip("[]") or "127.0.0.1")
    except OSError as error:
        raise click.ClickException(f"--metrics {where}: {error.strerror or type(error).__name__}") from None
    click.echo(f"metrics at http://{host or '127.0.0.1'}:{port}/metrics")


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

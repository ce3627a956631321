"""``analytical serve``: reports as a Prometheus endpoint."""

from __future__ import annotations

import logging
import signal
from typing import Any

import click

from .._stop import Stop
from ..collect.config import load
from ..collect.exporter import MAX_SERIES, Exporter
from ..errors import AnalyticalError

__all__ = ["command"]


@click.command("serve")
@click.argument("config", type=click.Path(dir_okay=False), metavar="REPORTS.TOML")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--port", type=click.IntRange(0, 65_535), default=8000, show_default=True, help="0 takes any free one.")
@click.option("--host", default="127.0.0.1", show_default=True, help="0.0.0.0 lets other machines in.")
@click.option("--refresh", metavar="TIME", help='How often each report is asked, such as "5m".')
@click.option("--max-age", metavar="TIME", help="How long the last good numbers are shown.")
@click.option("--max-series", type=click.IntRange(1), default=MAX_SERIES, show_default=True, help="Per report.")
def command(
    config: str,
    names: tuple[str, ...],
    port: int,
    host: str,
    refresh: str | None,
    max_age: str | None,
    max_series: int,
) -> None:
    """Serve reports to Prometheus.

    APIs are asked in the background; a scrape only reads what is there, and the process outlives every API.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    stop = Stop()

    def on_signal(number: int, frame: Any) -> None:
        stop.set()

    try:
        loaded = load(config)
        exporter = Exporter(
            [spec.report() for spec in loaded.chosen(names)],
            port=port,
            host=host,
            refresh=refresh,
            max_age=max_age,
            max_series=max_series,
        )
        exporter.start()
    except AnalyticalError as error:
        raise click.UsageError(str(error)) from None
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    click.echo(f"serving http://{exporter.host}:{exporter.port}/metrics", err=True)
    try:
        # Waits in slices, because a signal only reaches Python between them on some systems.
        while not stop.wait(1.0):
            pass
    finally:
        exporter.stop()

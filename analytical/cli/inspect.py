"""``analytical inspect``: a local collector and page that shows what each provider was sent."""

from __future__ import annotations

import signal
import threading
from typing import Any

import click

from .._stop import Stop
from ..inspector import Faults, Inspector, seconds

__all__ = ["command", "until_interrupted"]


def until_interrupted() -> threading.Event:
    """Return an event that Ctrl-C and SIGTERM set."""
    stop = Stop()

    def on_signal(number: int, frame: Any) -> None:
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, on_signal)
    return stop


def _duration(context: click.Context, parameter: click.Parameter, value: str) -> float:
    try:
        return seconds(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@click.command("inspect")
@click.option("--port", type=click.IntRange(0, 65_535), default=8765, show_default=True, help="0 takes any free one.")
@click.option("--host", help="Listen elsewhere than on 127.0.0.1; whoever reaches it reads every hit.")
@click.option("--fail-rate", type=click.FloatRange(0, 1), help="The share of requests answered with --status.")
@click.option("--hang-rate", type=click.FloatRange(0, 1), default=0.0, help="The share that gets no answer.")
@click.option("--delay", default="0", callback=_duration, metavar="TIME", help="Before every answer: 500ms, 2s.")
@click.option("--status", type=click.IntRange(200, 599), help="What a failing answer says; alone, every answer fails.")
@click.option("--seed", type=int, help="Makes the failures repeatable.")
@click.option("--max-hits", type=click.IntRange(1, 100_000), default=10_000, show_default=True, help="Hits kept.")
def command(
    port: int,
    host: str | None,
    fail_rate: float | None,
    hang_rate: float,
    delay: float,
    status: int | None,
    seed: int | None,
    max_hits: int,
) -> None:
    """Show every hit on a web page, checked against its platform's published limits.

    Give the printed address to a provider as endpoint=. A hit sent with ?sleep=2 in its address is answered late.
    """
    stop = until_interrupted()
    try:
        faults = Faults(fail_rate=fail_rate, hang_rate=hang_rate, delay=delay, status=status, seed=seed)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    try:
        inspector = Inspector(port, host=host or "127.0.0.1", faults=faults, max_hits=max_hits)
    except OSError as error:
        raise click.ClickException(
            f"cannot listen on {host or '127.0.0.1'}:{port} ({error.strerror or type(error).__name__}); try --port 0"
        ) from None
    with inspector:
        click.echo(f"The inspector is at {inspector.url}  (endpoint={inspector.url!r}; Ctrl-C ends it)")
        # In slices, because a signal only reaches Python between waits on some systems.
        while not stop.wait(0.5):
            pass

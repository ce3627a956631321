"""``analytical check``: whether every report of a file can be read, and its sink understood."""

from __future__ import annotations

import logging
import sys
from collections import deque
from itertools import islice

import click
import msgspec

from ..collect.config import Spec, load
from ..errors import AnalyticalError, ConfigurationError

__all__ = ["command"]


@click.command("check")
@click.argument("config", type=click.Path(dir_okay=False), metavar="REPORTS.TOML")
@click.argument("names", nargs=-1, metavar="[NAME]...")
def command(config: str, names: tuple[str, ...]) -> None:
    """Ask every platform for one row, and every destination what it has; store nothing.

    Exit status: 0 all fine, 1 some report cannot be read, 2 the file makes no sense.
    """
    logging.getLogger("analytical.collect").addHandler(logging.NullHandler())  # warnings are printed below
    try:
        specs = load(config).chosen(names)
    except ConfigurationError as error:
        raise click.UsageError(str(error)) from None
    failed = False
    for spec in specs:
        try:
            for line in _checked(spec):
                click.echo(f"{spec.name}: {line}")
        except ConfigurationError as error:
            raise click.UsageError(str(error)) from None
        except AnalyticalError as error:
            failed = True
            click.echo(f"{spec.name}: failed: {error}")
        except Exception as error:  # noqa: BLE001 - a source of the user's; the others are still checked
            failed = True
            click.echo(f"{spec.name}: failed: {type(error).__name__}")
    if failed:
        sys.exit(1)


def _checked(spec: Spec) -> list[str]:
    report = spec.report()
    sink = spec.sink()
    sink.dry = True
    target = report.target()
    lines: list[str] = []
    try:
        one = report if report.query.every is None else report.last(1)
        left = iter(one)
        rows = list(islice(left, 1))
        if any(row.get(name) is None for row in rows for name in (*target.dimensions, *target.metrics)):
            deque(left, maxlen=0)  # a row may lack a field; that all of them do is an error at the end
        lines += [f"ok: {msgspec.json.encode(row).decode()}" for row in rows] or ["ok, but no rows"]
        lines += [f"warning: {text.removeprefix(f'{report.name}: ')}" for text in report.warnings]
        sink.open(target)
        try:
            stored = sink.stored(target)
            have = "takes records" if stored is None else f"has {len(list(stored))} periods"
            lines.append(f"{sink.describe()} {have}")
        finally:
            sink.close(target)
    finally:
        report.close()
    return lines

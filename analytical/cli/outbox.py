"""``analytical outbox``: look into a spool, and set right what went wrong."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import click
import msgspec

from ._spool import chosen, opened, shown

__all__ = ["command"]

#: Hits that one step of long work touches: between two steps others can write, and the bar moves.
_STEP = 1_000
_COUNTS = ("delivered", "unconfirmed", "rejected", "expired", "dropped")

_Options = Callable[[Any], Any]


@click.group("outbox")
@click.option("--spool", metavar="URL", help="A path (SQLite) or redis://…; else what --config names.")
@click.option("--config", type=click.Path(dir_okay=False), help="A TOML file of providers.")
@click.pass_context
def command(ctx: click.Context, spool: str | None, config: str | None) -> None:
    """Look into a spool: what waits, what was refused; send it again, or delete it.

    What is shown is what was sealed: the privacy gate has passed it. Exit status: 0 fine, 1 the spool cannot be
    reached, 2 wrong usage.
    """
    ctx.obj = (spool, config)


def _options(function: Any) -> Any:
    for option in (
        click.option("--to", metavar="NAME", help="Only hits for this destination."),
        click.option("--config", type=click.Path(dir_okay=False), help="A TOML file of providers."),
        click.option("--spool", metavar="URL", help="A path (SQLite) or redis://…"),
    ):
        function = option(function)
    return function


@command.command("status")
@_options
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_context
def status(ctx: click.Context, spool: str | None, config: str | None, to: str | None, as_json: bool) -> None:
    """Count what waits, for whom and since when, and what became of the rest."""
    place, box = _box(ctx, spool, config, "status")
    rows = [row for row in box.status() if to is None or row["to"] == to]
    if as_json:
        for row in rows:
            _json({"spool": shown(place), **row})
        return
    if not rows:
        click.echo(f"{shown(place)}: nothing was ever put in here" + (f" for {to}" if to else ""))
        return
    _table(
        ("to", "waiting", "oldest", "dead", *_COUNTS),
        [
            (
                row["to"],
                f"{row['pending']:,}",
                _ago(row["oldest"]),
                f"{row['dead']:,}",
                *(f"{row.get(state, 0):,}" for state in _COUNTS),
            )
            for row in rows
        ],
    )


@command.command("peek")
@_options
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Whole sealed records, one JSON object a line.")
@click.pass_context
def peek(ctx: click.Context, spool: str | None, config: str | None, to: str | None, limit: int, as_json: bool) -> None:
    """Show the oldest hits that wait, without taking them: ids, times and which fields they have.

    With --json, the sealed records themselves.
    """
    place, box = _box(ctx, spool, config, "peek")
    entries = box.peek(limit, to=to)
    if as_json:
        for entry in entries:
            _json({"v": 1, "to": entry.to, "attempts": entry.attempts, "since": entry.since, "hit": entry.hit})
        return
    if not entries:
        click.echo(f"{shown(place)}: nothing waits" + (f" for {to}" if to else ""))
        return
    _table(
        ("to", "id", "kind", "waits since", "attempts", "due", "fields"),
        [
            (e.to, e.hit.id, e.hit.kind, _ago(e.since), str(e.attempts), _ahead(e.due), " ".join(_fields(e.hit)))
            for e in entries
        ],
    )


@command.command("dead")
@_options
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Whole sealed records, one JSON object a line.")
@click.pass_context
def dead(ctx: click.Context, spool: str | None, config: str | None, to: str | None, limit: int, as_json: bool) -> None:
    """Show dead letters, the newest first: what was rejected, expired or dropped, and why."""
    place, box = _box(ctx, spool, config, "dead")
    letters = box.dead(limit, to=to)
    if as_json:
        for entry, state, reason in letters:
            _json({"v": 1, "to": entry.to, "state": state, "reason": reason, "since": entry.since, "hit": entry.hit})
        return
    if not letters:
        click.echo(f"{shown(place)}: no dead letters" + (f" for {to}" if to else ""))
        return
    _table(
        ("to", "id", "kind", "state", "reason"),
        [(entry.to, entry.hit.id, entry.hit.kind, state, reason) for entry, state, reason in letters],
    )


@command.command("retry")
@_options
@click.pass_context
def retry(ctx: click.Context, spool: str | None, config: str | None, to: str | None) -> None:
    """Make every waiting hit due now, whatever its back-off says."""
    _, box = _box(ctx, spool, config, "retry")
    click.echo(f"{_hits(box.retry(to=to))} made due now")


@command.command("replay")
@_options
@click.pass_context
def replay(ctx: click.Context, spool: str | None, config: str | None, to: str | None) -> None:
    """Put dead letters back among the waiting, once whatever refused them is mended."""
    _, box = _box(ctx, spool, config, "replay")
    total = _total(box, "dead", to)
    done = _long("replaying", total, lambda limit: box.replay(to=to, limit=limit))
    click.echo(f"{_hits(done)} put back")


@command.command("purge")
@_options
@click.option("--dead", "only_dead", is_flag=True, help="Dead letters, instead of hits that wait.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_context
def purge(
    ctx: click.Context, spool: str | None, config: str | None, to: str | None, only_dead: bool, yes: bool
) -> None:
    """Delete hits that wait (they count as dropped), or dead letters."""
    place, box = _box(ctx, spool, config, "purge")
    total = _total(box, "dead" if only_dead else "pending", to)
    what = f"{total:,} {'dead letters' if only_dead else 'waiting hits'}" + (f" for {to}" if to else "")
    if total and not yes:
        if not sys.stdin.isatty():
            raise click.UsageError(f"this deletes {what} in {shown(place)} for good; say --yes")
        click.confirm(f"Delete {what} in {shown(place)} for good?", abort=True)
    done = _long("deleting", total, lambda limit: box.purge(to=to, dead=only_dead, limit=limit))
    click.echo(f"{_hits(done)} deleted")


# -- the parts ----------------------------------------------------------------------------------------------------


def _box(ctx: click.Context, spool: str | None, config: str | None, verb: str) -> tuple[str, Any]:
    given: tuple[str | None, str | None] = ctx.obj or (None, None)
    place = chosen(spool or given[0], config or given[1])
    box = opened(place, must_exist=True)
    ctx.call_on_close(box.close)
    ctx.call_on_close(box.close)
    if not hasattr(box, verb):
        raise click.UsageError(
            f"a spool of the kind {place.partition(':')[0]}:// cannot {verb}; use the tools of its broker"
        )
    return place, _Reached(box, shown(place))


class _Reached:
    """A spool whose failures end the command with a sentence instead of a traceback."""

    def __init__(self, box: Any, place: str) -> None:
        self._box = box
        self._place = place

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._box, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            try:
                return method(*args, **kwargs)
            except Exception as error:
                # The text may hold an address with a password; the kind of error says enough.
                raise click.ClickException(f"{self._place} cannot be reached: {type(error).__name__}") from error

        return call


def _total(box: Any, column: str, to: str | None) -> int:
    return sum(int(row[column]) for row in box.status() if to is None or row["to"] == to)


def _long(what: str, total: int, step: Callable[[int], int]) -> int:
    """Do long work step by step, with a bar where somebody looks."""
    done = 0
    with _bar(what, total) as advance:
        while done < total:
            count = step(min(_STEP, total - done))
            if not count:
                break  # another process was quicker
            done += count
            advance(count)
    return done


@contextlib.contextmanager
def _bar(what: str, total: int) -> Iterator[Callable[[int], None]]:
    if not sys.stderr.isatty() or total <= _STEP:
        yield lambda count: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task(what, total=total)
        yield lambda count: progress.update(task, advance=count)


def _table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.markup import escape
        from rich.table import Table

        table = Table(*heads, box=None, header_style="bold")
        for row in rows:
            table.add_row(*map(escape, row))
        Console().print(table)
        return
    widths = [max(len(line[column]) for line in (heads, *rows)) for column in range(len(heads))]
    for line in (heads, *rows):
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _json(value: Any) -> None:
    click.echo(msgspec.json.encode(value).decode())


def _fields(hit: Any) -> list[str]:
    skip = {"v", "id", "kind", "time", "priority", "keyed"}
    return [name for name, value in hit.to_dict().items() if name not in skip and value is not None]


def _hits(count: int) -> str:
    return f"{count:,} hit{'' if count == 1 else 's'}"


def _ago(since: float | None) -> str:
    return "-" if not since else f"{_span(max(0.0, time.time() - since))} ago"


def _ahead(due: float) -> str:
    return "now" if due <= time.time() else f"in {_span(due - time.time())}"


def _span(seconds: float) -> str:
    for size, unit in ((86_400.0, "d"), (3_600.0, "h"), (60.0, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"

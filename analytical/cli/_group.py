"""The lazy group: a command's file is imported when the command runs."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import click

from .. import __version__
from ..errors import AnalyticalError, ConfigurationError, InvalidHit, MissingExtra, UnknownName, did_you_mean

__all__ = ["build"]


class _Lazy(click.Group):
    """Finds commands as modules beside this one, each with a ``command``."""

    def __init__(self, *, summaries: Mapping[str, str], **arguments: Any) -> None:
        super().__init__(**arguments)
        self._summaries = {name: line for name, line in summaries.items() if find_spec(_module(name))}

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._summaries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._summaries:
            return None
        try:
            command: click.Command = import_module(_module(cmd_name)).command
        except MissingExtra as error:
            raise click.UsageError(str(error)) from None
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in self._summaries and not name.startswith("-"):
            ctx.fail(
                f"no command {name!r}.{did_you_mean(name, self._summaries)} Commands: {', '.join(self._summaries)}"
            )
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(self._summaries.items()))

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (ConfigurationError, UnknownName, InvalidHit, MissingExtra) as error:
            raise click.UsageError(_said(error)) from None
        except AnalyticalError as error:
            raise click.ClickException(_said(error)) from None


def _module(name: str) -> str:
    return f"{__package__}.{name.replace('-', '_')}"


def _said(error: AnalyticalError) -> str:
    return f"{error}" if str(error) else type(error).__name__


def build(summaries: Mapping[str, str]) -> click.Group:
    """Return the group."""
    lazy = _Lazy(
        name="analytical",
        summaries=summaries,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
        help="Server-side analytics: one call for every platform.",
        epilog="Exit codes: 0 fine, 1 the world failed, 2 the call was wrong.",
    )
    return click.version_option(__version__, prog_name="analytical")(lazy)

"""``analytical pp-collector``: the command of performanceplatform-collector, with its own options and exit codes."""

from __future__ import annotations

import sys

import click

from ..compat.ppcollector import main

__all__ = ["command"]


@click.command(
    "pp-collector",
    add_help_option=False,
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def command(arguments: tuple[str, ...]) -> None:
    """Hand everything over: the options are performanceplatform-collector's."""
    sys.exit(main(list(arguments)))

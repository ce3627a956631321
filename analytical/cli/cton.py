"""``analytical cton``: the command of Collectington, with its own options and exit codes."""

from __future__ import annotations

import sys

import click

from ..compat.collectington import main

__all__ = ["command"]


@click.command(
    "cton", add_help_option=False, context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False}
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def command(arguments: tuple[str, ...]) -> None:
    """Hand everything over: the options are Collectington's."""
    sys.exit(main(list(arguments)))

"""The command ``analytical``: one command, one file, loaded when it is asked for.

Exit codes: 0 fine, 1 the world failed, 2 the call was wrong, or the extra ``cli`` is missing.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING

from ..errors import MissingExtra

if TYPE_CHECKING:
    import click

__all__ = ["COMMANDS", "group", "main"]

#: Every command and its line in ``analytical --help``, so that help loads none of them.
COMMANDS = {
    "send": "Send a page view or an event.",
    "explain": "Show what would be sent, without sending it.",
    "inspect": "Run a local collector and page that shows each hit.",
    "demo": "Run a small web site, six providers and the inspector.",
    "providers": "List the providers and what each can say.",
    "doctor": "Check configuration, credentials and the surroundings.",
    "worker": "Deliver what waits in a shared spool.",
    "outbox": "Look into a spool: what waits, what was refused.",
    "collect": "Read reports and send them to their sinks.",
    "serve": "Serve reports as a Prometheus endpoint.",
    "check": "Try a reports file without storing anything.",
    "pp-collector": "Run performanceplatform-collector's query files.",
    "cton": "Serve Collectington's classes to Prometheus.",
}


def main() -> None:
    """Run the command line."""
    if find_spec("click") is None or find_spec("rich") is None:
        sys.stderr.write(f"{MissingExtra('the command line', 'cli')}\n")
        sys.exit(2)
    group()()


def group() -> click.Group:
    """Return the command line as a click group."""
    from ._group import build

    return build(COMMANDS)

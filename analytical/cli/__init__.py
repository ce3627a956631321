"""The command ``analytical``: one command, one file, loaded when it is asked for.

Exit codes: 0 fine, 1 the world failed, 2 the call was wrong, or the extra ``cli`` is missing.
"""

from __future__ import annotations

import importlib.metadata
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING

from ..errors import MissingExtra

if TYPE_CHECKING:
    import click

__all__ = ["CLASH", "COMMANDS", "clash", "group", "main"]

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


#: What ends the clash with the distribution whose package is also called ``analytical``.
CLASH = "pip uninstall django-analytical analytical && pip install analytical"


def clash() -> str | None:
    """Return the version of django-analytical that is installed here, which overwrites files of this package."""
    try:
        return importlib.metadata.distribution("django-analytical").version
    except importlib.metadata.PackageNotFoundError:
        return None


def main() -> None:
    """Run the command line."""
    if find_spec("click") is None or find_spec("rich") is None:
        sys.stderr.write(f"{MissingExtra('the command line', 'cli')}\n")
        sys.exit(2)
    try:
        group()()
    except ImportError as error:
        version = clash()
        if version is None:
            raise
        sys.stderr.write(
            f"django-analytical {version} has overwritten files of this package ({error.name or 'analytical'}), "
            f"because its own is called analytical too; type: {CLASH}\n"
        )
        sys.exit(1)


def group() -> click.Group:
    """Return the command line as a click group."""
    from ._group import build

    return build(COMMANDS)

"""What ``worker`` and ``outbox`` share: which spool is meant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..spool import Spool, open_spool

__all__ = ["chosen", "opened", "shown"]


def chosen(spool: str | None, config: str | None) -> str:
    """Return the spool that was asked for, or the one that the configuration names.

    Args:
        spool: a path or URL, or ``None``.
        config: a TOML file of providers to read, or ``None``.

    Raises:
        click.UsageError: none is named, or several are.
    """
    from .. import config as configuration

    if config is not None:
        configuration.configure(config)
    if spool is not None:
        return spool
    found = {
        str(settings["spool"])
        for name in configuration.names()
        if (settings := configuration.settings(name)).get("spool") is not None
    }
    if len(found) == 1:
        return found.pop()
    if not found:
        raise click.UsageError("which spool? Give --spool outbox.db, redis://… or kafka://…, or a --config with one")
    raise click.UsageError(f"the configuration names {len(found)} spools; choose with --spool: {_listed(found)}")


def opened(where: str, *, must_exist: bool = False) -> Spool:
    """Open a spool that other processes fill.

    Raises:
        click.UsageError: it is a process's own memory, or there is none at this path.
    """
    if where.startswith("memory:"):
        raise click.UsageError(
            "memory:// is each process's own; only it can look into it. Give a path, redis://… or kafka://…"
        )
    spool = open_spool(where)
    path = getattr(spool, "path", None)
    if must_exist and isinstance(path, Path) and not path.exists() and not path.with_name(path.name + ".d").exists():
        raise click.UsageError(f"there is no outbox at {path}")
    return spool


def shown(where: str) -> str:
    """Return a spool's place without what may be secret in a URL.

    >>> shown("redis://:hunter2@10.0.0.1:6379/0?stream=hits")
    'redis://10.0.0.1:6379/0'
    """
    scheme, mark, rest = where.partition("://")
    return f"{scheme}://{rest.partition('?')[0].rpartition('@')[2]}" if mark else where


def _listed(places: set[str]) -> Any:
    return ", ".join(sorted(map(shown, places)))

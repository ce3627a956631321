"""Where the collector logs: standard error, or ``log/collector.log``; no line shows a secret."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from logging.handlers import WatchedFileHandler
from pathlib import Path
from typing import Any

from ...http import mask
from .errors import CollectorError

__all__ = ["extra_fields_from_exception", "logging_to", "secrets_of"]

_SENSITIVE = ("token", "password", "secret", "key", "auth")
_SHORTEST = 3


class _Masked(logging.Formatter):
    def __init__(self, form: str, secrets: tuple[str, ...]) -> None:
        super().__init__(form)
        self._secrets = secrets

    def format(self, record: logging.LogRecord) -> str:
        return mask(super().format(record), self._secrets)


@contextmanager
def logging_to(console: bool, app: str, secrets: tuple[str, ...]) -> Iterator[None]:
    """Log to standard error or, else, to ``log/collector.log`` in the working directory, for as long as this lasts.

    Args:
        console: whether to log to standard error, at level INFO; the file's level is that of ``LOGLEVEL``.
        app: the entrypoint.
        secrets: texts that no line may show.

    Raises:
        CollectorError: the level has no such name, or the file cannot be written.
    """
    root = logging.getLogger()
    before = root.level
    if console:
        level = logging.INFO
        handler: logging.Handler = logging.StreamHandler()
        handler.setFormatter(_Masked("%(levelname)s:%(name)s:%(message)s", secrets))
    else:
        level = _level(os.environ.get("LOGLEVEL", "INFO"))
        try:
            Path("log").mkdir(exist_ok=True)
            handler = WatchedFileHandler(Path("log", "collector.log"), encoding="utf-8")
        except OSError as error:
            raise CollectorError(
                f"log/collector.log cannot be written ({error.strerror}); make it writable, or use --console-logging"
            ) from None
        handler.setFormatter(_Masked("%(asctime)s [%(levelname)s] -> %(message)s", secrets))
    root.addHandler(handler)
    root.setLevel(level)
    try:
        if not console:
            root.info("%s logging started", app)
        yield
    finally:
        root.removeHandler(handler)
        root.setLevel(before)
        handler.close()


def secrets_of(*files: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Return what looks secret in files of credentials, by the names of their keys, the longest first."""
    found: set[str] = set()
    for file in files:
        _gather(file or {}, found)
    return tuple(sorted(found, key=len, reverse=True))


def extra_fields_from_exception(exception: BaseException) -> dict[str, str]:
    """Return what collectors give as ``extra=`` when they log an exception."""
    return {"exception_class": type(exception).__name__, "exception_message": str(exception)}


def _gather(values: Mapping[str, Any], found: set[str]) -> None:
    for name, value in values.items():
        if isinstance(value, Mapping):
            _gather(value, found)
        elif isinstance(value, str) and len(value) >= _SHORTEST and _sounds_secret(name.lower()):
            found.add(value)


def _sounds_secret(name: str) -> bool:
    # "keymetrics_url" is an address, not a key.
    return any(word in name for word in _SENSITIVE) and not name.endswith("url")


def _level(name: str) -> int:
    level = logging.getLevelNamesMapping().get(name.upper())
    if level is None:
        raise CollectorError(f"LOGLEVEL={name!r} is no level; expected DEBUG, INFO, WARNING, ERROR or CRITICAL")
    return level

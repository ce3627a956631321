"""Silence for our own exchanges: HTTP libraries log addresses, and GA4's secret stands in one."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from contextvars import ContextVar

__all__ = ["quiet"]

_ours: ContextVar[bool] = ContextVar("analytical_exchange", default=False)

#: Every logger under these names that exists when the first exchange begins.
_PREFIXES = ("urllib3", "requests", "http.client", "chardet", "charset_normalizer")
#: Those known to write addresses, whether or not they exist yet.
_KNOWN = (
    "urllib3.connection",
    "urllib3.connectionpool",
    "urllib3.poolmanager",
    "urllib3.response",
    "urllib3.util.retry",
    "requests",
)


class _NotOurs(logging.Filter):
    """Drops the records made within an exchange of this package; the application's own pass."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not _ours.get()


_filter = _NotOurs()
_hushed: set[str] = set()


def _hush() -> None:
    existing = [name for name in list(logging.root.manager.loggerDict) if name.startswith(_PREFIXES)]
    for name in (*_KNOWN, *existing):
        if name not in _hushed:
            _hushed.add(name)
            logging.getLogger(name).addFilter(_filter)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Within this block, in this context, HTTP libraries log nothing."""
    if not _hushed:
        _hush()
    token = _ours.set(True)
    try:
        yield
    finally:
        _ours.reset(token)

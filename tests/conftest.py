"""What every test has: loopback only, nothing left configured."""

from __future__ import annotations

import logging
import signal
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("suite", deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")

_real_connect = socket.socket.connect
_LOOPBACK = ("127.", "::1", "localhost", "0.0.0.0")


def _guarded(self: socket.socket, address: Any) -> Any:
    if self.family in (socket.AF_INET, socket.AF_INET6) and not str(address[0]).startswith(_LOOPBACK):
        raise AssertionError(f"a test tried to reach {address[0]}: tests talk to loopback only")
    return _real_connect(self, address)


@pytest.fixture(autouse=True, scope="session")
def loopback_only() -> Iterator[None]:
    patch = pytest.MonkeyPatch()
    patch.setattr(socket.socket, "connect", _guarded)
    yield
    patch.undo()


@pytest.fixture(autouse=True)
def nothing_configured(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No test sees another's configuration, nor this machine's."""
    import sys

    monkeypatch.delenv("ANALYTICAL_URL", raising=False)
    logger = logging.getLogger("analytical")
    level = logger.level
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    logger.setLevel(level)  # the worker's command sets it for its process
    for number, handler in handlers.items():
        if signal.getsignal(number) is not handler:  # as commands do; a forked child of a later test would not end
            signal.signal(number, handler)
    config = sys.modules.get("analytical.config")
    if config is not None:
        config.reset()

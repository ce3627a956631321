"""Services and tools that a test needs: found, or the test is skipped with its reason, or (where required) it fails."""

from __future__ import annotations

import os
import socket
from urllib.parse import urlsplit

import pytest

__all__ = ["need_browser", "need_service"]

DEFAULTS = {
    "redis": "redis://127.0.0.1:6379/0",
    "rabbitmq": "amqp://guest:guest@127.0.0.1:5672//",
    "postgresql": "postgresql+psycopg://postgres@127.0.0.1:5432/test",
    "mariadb": "mysql+pymysql://root@127.0.0.1:3306/test",
}


def need_service(name: str) -> str:
    """Return the URL of a service that answers on its port; ``ANALYTICAL_TEST_<NAME>`` overrides the local one."""
    url = os.environ.get(f"ANALYTICAL_TEST_{name.upper()}", DEFAULTS[name])
    parts = urlsplit(url)
    try:
        socket.create_connection((parts.hostname or "127.0.0.1", parts.port or 0), timeout=2).close()
    except OSError as error:
        _missing("SERVICES", f"no {name} at {parts.hostname}:{parts.port} ({error})")
    return url


def need_browser() -> tuple[str, str]:
    """Return the paths of Chromium and its driver."""
    from shutil import which

    chromium, driver = which("chromium"), which("chromedriver")
    if not chromium or not driver:
        _missing("BROWSER", "no chromium and chromedriver on the path")
    return str(chromium), str(driver)


def _missing(kind: str, why: str) -> None:
    if os.environ.get(f"ANALYTICAL_TEST_REQUIRE_{kind}") == "1":
        pytest.fail(f"{why}, and ANALYTICAL_TEST_REQUIRE_{kind}=1")
    pytest.skip(why)

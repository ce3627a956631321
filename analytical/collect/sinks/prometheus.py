"""Prometheus: a file for node_exporter's textfile collector, and an endpoint of this process's own."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

from ...errors import ConfigurationError, SinkError
from ..exporter import Exporter, Snapshot, exposition
from ..period import Period
from ..records import Batch
from ..sink import Sink, Target

__all__ = ["Endpoint", "TextFile"]


class TextFile(Sink):
    """``/var/lib/node_exporter/stats.prom``: the latest period's numbers, in the exposition format.

    https://github.com/prometheus/node_exporter#textfile-collector
    """

    def __init__(self, path: str, *, max_series: int = 1000) -> None:
        self.path = Path(path)
        self._max_series = max_series
        self._latest: Snapshot | None = None

    def write(self, records: Batch, replace: Period | None, target: Target) -> None:
        # Of several periods the last holds: a series has one value.
        self._latest = Snapshot.of(target.name, records, max_series=self._max_series)

    def close(self, target: Target) -> None:
        if self._latest is None:
            return
        path = Path(os.path.realpath(self.path))
        part = path.with_name(f".{path.name}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            part.write_bytes(exposition(self._latest))
            os.replace(part, path)
        except OSError as error:
            raise SinkError(f"{self.path}: cannot be written ({error.strerror or type(error).__name__})") from None
        self._latest = None

    def key(self, target: Target) -> object:
        return os.path.realpath(self.path)

    def describe(self) -> str:
        return str(self.path)


class Endpoint(Sink):
    """``prometheus://127.0.0.1:9108``: the latest period's numbers at ``/metrics`` while this process lives."""

    _running: ClassVar[dict[tuple[str, int], Exporter]] = {}
    _lock: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self, url: str, *, max_series: int = 1000) -> None:
        parts = urlsplit(url)
        if not parts.port:
            raise ConfigurationError(
                f'to="{url}": expected prometheus://HOST:PORT, such as prometheus://127.0.0.1:9108'
            )
        self._address = (parts.hostname or "127.0.0.1", parts.port)
        self._max_series = max_series

    def open(self, target: Target) -> None:
        if self.dry:
            return
        with self._lock:
            if self._address not in self._running:
                host, port = self._address
                exporter = Exporter([], host=host, port=port, max_series=self._max_series)
                exporter.start()
                self._running[self._address] = exporter

    def write(self, records: Batch, replace: Period | None, target: Target) -> None:
        self._running[self._address].publish(
            target.name, Snapshot.of(target.name, records, max_series=self._max_series)
        )

    def describe(self) -> str:
        return f"http://{self._address[0]}:{self._address[1]}/metrics"

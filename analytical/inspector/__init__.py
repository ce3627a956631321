"""A local collector and page that shows what each provider was sent.

It speaks every provider's protocol on its real paths, answers as the platform does, and checks each hit against
the platform's published limits. Point ``endpoint=`` at it.

>>> from analytical.inspector import Inspector
>>> with Inspector() as inspector:
...     print(inspector.url.startswith("http://127.0.0.1:"), inspector.hits())
True []
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from ..http import Request
from ..registry import PROVIDERS, Registry
from .faults import Faults, seconds
from .reading import Protocols, Reading, described
from .server import Server
from .store import Store, lines, plain

__all__ = ["Faults", "Inspector", "seconds"]


class Inspector:
    """A running inspector: it listens from its creation until ``close()``.

    Args:
        port: 0 for any free one.
        host: the address to listen on. Any but the default makes every page and hit readable by whoever can
            reach it.
        faults: what to do wrong on purpose.
        max_hits: how many hits are kept; the oldest go first.
        max_bytes: bytes of kept hits at most.
        max_body: bytes of one request's body at most, before and after unpacking.
        registry: the providers whose protocols it speaks.

    Raises:
        OSError: the port is taken.
    """

    def __init__(
        self,
        port: int = 0,
        *,
        host: str = "127.0.0.1",
        faults: Faults | None = None,
        max_hits: int = 10_000,
        max_bytes: int = 64_000_000,
        max_body: int = 12_000_000,
        registry: Registry = PROVIDERS,
    ) -> None:
        self.faults = faults or Faults()
        self.store = Store(max_hits=max_hits, max_bytes=max_bytes, boot=os.urandom(6).hex())
        self.protocols = Protocols(registry)
        self.protocols.classes()  # imported now: the first sender must not wait for it
        self._server = Server((host, port), self.store, self.protocols, self.faults, self.record, max_body=max_body)
        shown = self._server.server_address[0]
        shown = shown.decode() if isinstance(shown, bytes | bytearray) else str(shown)
        self.port: int = self._server.server_address[1]
        self.host = "127.0.0.1" if shown in ("0.0.0.0", "::") else shown  # noqa: S104 - compared, not bound
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, name="analytical-inspector", daemon=True
        )
        self._thread.start()

    @property
    def url(self) -> str:
        """The page's address, and what to give a provider as ``endpoint=``."""
        return f"http://[{self.host}]:{self.port}" if ":" in self.host else f"http://{self.host}:{self.port}"

    def hits(self, *, refused: bool = False) -> list[dict[str, Any]]:
        """Return the kept hits, oldest first, as ``GET /hits.ndjson`` does.

        Args:
            refused: also those that were refused or left hanging on purpose, which no platform would have recorded.
        """
        return [json.loads(line) for line in lines([e for e in self.store.entries() if e.counts or refused])]

    def wait(self, count: int, timeout: float = 5.0) -> list[dict[str, Any]]:
        """Wait until so many hits have arrived, and return what is kept.

        Raises:
            TimeoutError: fewer arrived in time; says how many.
        """
        arrived = self.store.wait(count, timeout)
        if arrived < count:
            raise TimeoutError(f"{arrived} of {count} hits arrived within {timeout:g} s")
        return self.hits()

    def show(self, request: Request, *, receipts: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """Show a request on the page without sending it, with what the privacy gate did to its data.

        Args:
            request: such as ``provider.explain(...)`` returns.
            receipts: what the privacy gate did to each datum: the explanation's ``receipts``.
        """
        reading = self.protocols.read(request)
        return self.record(request, reading, target=request.url, outcome="shown", receipts=receipts)

    def record(
        self,
        request: Request,
        reading: Reading,
        *,
        target: str,
        outcome: str = "answered",
        status: int | None = None,
        receipts: Sequence[Any] = (),
    ) -> list[dict[str, Any]]:
        """Keep the hits of one request.

        Args:
            request: as it arrived.
            reading: what is in it.
            target: the request line's target.
            outcome: ``answered`` (as the platform does), ``refused`` or ``hung`` (on purpose), ``shown`` (never sent).
            status: what was answered.
            receipts: what the privacy gate did.
        """
        hits, raw = described(request, reading, target=target)
        stamp = datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="milliseconds")
        for hit in hits:
            hit["time"] = stamp
            hit["outcome"] = outcome
            hit["status"] = status
            if receipts:
                hit["receipts"] = plain([_shown(receipt) for receipt in receipts])
        self.store.add(hits, raw, counts=outcome == "answered")
        return hits

    def clear(self) -> None:
        """Forget every hit."""
        self.store.clear()

    def close(self) -> None:
        """Stop listening, and let go of the port and of everybody who waits."""
        if self.store.closed:
            return
        self.store.close()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=5)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Inspector {self.url}>"


def _shown(receipt: Any) -> dict[str, Any]:
    if isinstance(receipt, Mapping):
        return dict(receipt)
    outcome = "removed" if receipt.sent is None else receipt.sent if receipt.changed else "as it was"
    return {"datum": receipt.field, "came in": receipt.given, "rule": receipt.rule, "outcome": outcome}

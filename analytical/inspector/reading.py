"""From a request that arrived to the hits in it: which platform's protocol it is, and what it says."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from ..backend import Backend, Decoded
from ..http import Request, Response
from ..registry import PROVIDERS, Registry
from .masking import Masking
from .store import plain

__all__ = ["Headers", "Protocols", "Reading", "TooLarge", "described", "inflated", "stripped"]

#: Bytes of a request's body that are kept for people to read.
_SHOWN = 131_072
_TAIL = 4_096


class TooLarge(Exception):
    """A body that unpacks to more than is accepted."""


class Headers(dict[str, str]):
    """Headers as they arrived, found by name in any case: a proxy or HTTP/2 may have lowered them."""

    def __init__(self, pairs: Mapping[str, str] | Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(pairs)
        self._by_lower = {name.lower(): value for name, value in self.items()}

    def __getitem__(self, name: str) -> str:
        return self._by_lower[name.lower()]

    def get(self, name: str, default: Any = None) -> Any:
        """Return a header, or the default."""
        return self._by_lower.get(name.lower(), default)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._by_lower


class Reading(NamedTuple):
    """What one request turned out to be.

    Args:
        backend: the class whose protocol it is, or ``None`` where no platform speaks on this path.
        hits: what is in it.
        trouble: a sentence where it could not be read.
    """

    backend: type[Backend] | None
    hits: list[Decoded]
    trouble: str = ""


def inflated(body: bytes, encoding: str, *, limit: int) -> bytes:
    """Return a body unpacked, never more than ``limit`` bytes: a few kilobytes can hide gigabytes.

    Raises:
        TooLarge: it unpacks to more.
        ValueError: it is not packed as it says.
    """
    for step in reversed([part.strip().lower() for part in encoding.split(",")]):
        if step in ("", "identity"):
            continue
        if step not in ("gzip", "x-gzip", "deflate"):
            raise ValueError(f"a body packed with {step!r} cannot be read; gzip and deflate can")
        unpack = zlib.decompressobj(wbits=47)  # 32 + 15: gzip and zlib, told apart by their first bytes
        try:
            body = unpack.decompress(body, limit + 1)
        except zlib.error as error:
            raise ValueError(f"the body is not {step}: {error}") from None
        if len(body) > limit:
            raise TooLarge
        if not unpack.eof:
            raise ValueError(f"the {step} body ends too early")
    return body


def stripped(target: str) -> tuple[str, str | None]:
    """Take the inspector's own ``sleep=`` out of a request target.

    >>> stripped("/matomo.php?idsite=1&sleep=2")
    ('/matomo.php?idsite=1', '2')
    """
    parts = urlsplit(target)
    if "sleep=" not in parts.query:
        return target, None
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    wait = next((value for name, value in pairs if name == "sleep"), None)
    kept = "&".join(piece for piece in parts.query.split("&") if not piece.startswith("sleep="))
    return urlunsplit(parts._replace(query=kept)), wait


class Protocols:
    """Every provider's protocol, asked in turn.

    Args:
        registry: the names; built-in ones and those that other packages installed.
    """

    def __init__(self, registry: Registry = PROVIDERS) -> None:
        self._registry = registry
        self._classes: list[type[Backend]] | None = None
        self.unavailable: dict[str, str] = {}

    def classes(self) -> list[type[Backend]]:
        """Return the backend classes, each once; one that cannot be imported is noted and left out."""
        if self._classes is None:
            found: dict[type[Backend], None] = {}
            for name in self._registry.names():
                try:
                    found[self._registry.get(name)] = None
                except Exception as error:  # noqa: BLE001 - a broken plug-in costs its own protocol only
                    self.unavailable[name] = type(error).__name__
            self._classes = list(found)
        return self._classes

    def read(self, request: Request) -> Reading:
        """Tell whose protocol a request is, and read it.

        Several platforms share a path (``/track``). The body decides: the one that reads it with the fewest
        findings has it; between equals, the parent class, whose protocol the others speak.
        """
        claimed = list(self._claimed(request))
        best: tuple[tuple[int, int, int], Reading] | None = None
        trouble = ""
        for order, backend in enumerate(claimed):
            try:
                hits = list(backend.decode(request))
            except NotImplementedError:
                continue
            except Exception as error:  # noqa: BLE001 - hostile bytes must not end the inspector
                trouble = trouble or f"This body cannot be read as one of {backend.name} ({type(error).__name__})."
                continue
            if hits:
                rank = (sum(len(hit.findings) for hit in hits), len(backend.__mro__), order)
                if best is None or rank < best[0]:
                    best = rank, Reading(backend, hits)
        if best is not None:
            return best[1]
        if claimed:
            return Reading(claimed[0], [], trouble or "Nothing in this request is a hit.")
        return Reading(None, [], "No platform known here takes hits on this path; see whether endpoint= is right.")

    def probed(self, request: Request) -> Response | None:
        """Return what a platform says to its own call that checks credentials; ``None`` for any other request."""
        for backend in self.classes():
            try:
                answer = backend.answer_probe(request)
            except Exception:  # noqa: BLE001 - hostile bytes; a protocol that cannot tell was not asked
                answer = None
            if answer is not None:
                return answer
        return None

    def _claimed(self, request: Request) -> Iterator[type[Backend]]:
        for backend in self.classes():
            try:
                claims = backend.claims(request)
            except Exception:  # noqa: BLE001 - hostile bytes; a protocol that cannot tell has no claim
                claims = False
            if claims:
                yield backend


def described(request: Request, reading: Reading, *, target: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return what people see of a request: each hit, and the request itself, JSON-safe and without secrets.

    Args:
        request: as it arrived.
        reading: what is in it.
        target: the request line's target, with everything the sender wrote.
    """
    masking = Masking()
    headers = masking.headers(request.headers)
    path = masking.text(target)
    body = request.body[:_SHOWN].decode("utf-8", "replace")
    if len(request.body) > _SHOWN:
        # A batch may name its credential last; known from there, it is masked wherever it stands.
        masking.text(request.body[-_TAIL:].decode("utf-8", "replace"))
        body = f"{masking.text(body)}… ({len(request.body)} bytes in all)"
    else:
        body = masking.text(body)
    raw = {"method": request.method, "path": path, "headers": headers, "body": body}
    provider = reading.backend.name if reading.backend is not None else "unknown"
    hits = []
    for hit in reading.hits or [Decoded(kind="unknown", findings=[reading.trouble])]:
        fields = plain(masking.data(dict(hit.fields)))
        hits.append(
            {
                "provider": provider,
                "kind": str(hit.kind),
                **{name: _line(fields.get(name)) for name in ("url", "title", "name")},
                "fields": fields,
                "native": plain(masking.data(dict(hit.native))),
                "findings": [masking.text(str(finding))[:1_000] for finding in list(hit.findings)[:100]],
            }
        )
    return hits, raw


def _line(value: Any) -> str | None:
    return None if value is None else value if isinstance(value, str) else str(value)

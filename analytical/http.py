"""HTTP messages as values: what a provider asks for, and what came back. No I/O here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import quote, quote_plus, urlsplit

__all__ = ["MASK", "NoResponse", "Request", "Response", "mask"]

MASK = "***"


def mask(text: str, secrets: tuple[str, ...]) -> str:
    """Replace every secret in a text, as it stands and percent-encoded, by ``***``.

    >>> mask("https://h/?token=a%2Fb", ("a/b",))
    'https://h/?token=***'
    """
    for secret in secrets:
        if secret:
            for spelling in {secret, quote(secret, safe=""), quote_plus(secret), quote(secret)}:
                text = text.replace(spelling, MASK)
    return text


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Request:
    """One request, whole: a transport needs nothing else.

    Args:
        method: ``GET``, ``POST`` …; for ``file:`` and ``stdout:`` URLs the local transport appends ``body``.
        url: absolute.
        headers: names as the platform documents them.
        body: the bytes to send, uncompressed.
        secrets: texts in ``url``, ``headers`` or ``body`` that no log, error or page may show.
    """

    method: str = "POST"
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    secrets: tuple[str, ...] = field(default=(), compare=False)

    def masked(self) -> Request:
        """Return the same request with its secrets replaced: the only form fit for people to read."""
        if not self.secrets:
            return self
        body = self.body
        for secret in self.secrets:
            if secret:
                for spelling in {secret, quote(secret, safe=""), quote_plus(secret)}:
                    body = body.replace(spelling.encode(), MASK.encode())
        return replace(
            self,
            url=mask(self.url, self.secrets),
            headers={name: mask(value, self.secrets) for name, value in self.headers.items()},
            body=body,
            secrets=(),
        )

    def __repr__(self) -> str:
        # Neither the path's query nor the body: they carry visitors' data, and GA4's query carries the secret.
        parts = urlsplit(self.url)
        host = parts.netloc.rpartition("@")[2]
        return f"<Request {self.method} {parts.scheme}://{host}{parts.path} {len(self.body)} bytes>"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Response:
    """One answer. Header names are lower case."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def ok(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300

    def __repr__(self) -> str:
        return f"<Response {self.status} {len(self.body)} bytes>"


@dataclass(frozen=True, slots=True, kw_only=True)
class NoResponse:
    """No answer: the reason, in a few words without data, and whether the request may have been received.

    Args:
        reason: ``refused``, ``timeout``, ``dns``, ``tls``, ``reset`` …, fit for a log line.
        sent: true where the whole body left before the failure, so that the platform may have counted it.
        permanent: true where trying again cannot help (a local file that may not be written).
    """

    reason: str
    sent: bool = False
    permanent: bool = False

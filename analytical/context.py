"""The request being served: what a middleware knows of it, in a ``ContextVar``; outside a request it is empty."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any
from urllib.parse import quote

from .errors import ConfigurationError

__all__ = ["Proxies", "RequestFacts", "current", "from_asgi", "from_wsgi", "serving"]

_LONGEST = 8192
_FILLS = ("url", "referrer", "client_ip", "user_agent", "language")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class RequestFacts:
    """What is known of the request being served; every fact may be missing.

    Args:
        url: the whole address that was asked for.
        route: the framework's template of it (``/users/:id``).
        referrer: the ``Referer`` header.
        client_ip: the visitor's address, as far as the declared proxies vouch for it.
        user_agent: the ``User-Agent`` header.
        language: the ``Accept-Language`` header.
        dnt: whether ``DNT: 1`` was sent; ``None`` for no header.
        gpc: whether ``Sec-GPC: 1`` was sent; ``None`` for no header.
        opted_out: whether the visitor opted out of this site's analytics, where the application knows.
        hints: the ``Sec-CH-UA…`` headers that were sent, names in lower case.
    """

    url: str | None = None
    route: str | None = None
    referrer: str | None = None
    client_ip: str | None = None
    user_agent: str | None = None
    language: str | None = None
    dnt: bool | None = None
    gpc: bool | None = None
    opted_out: bool | None = None
    hints: Mapping[str, str] | None = None

    def fills(self) -> dict[str, str]:
        """Return what fills the gaps of a call: common names and values."""
        return {name: value for name in _FILLS if (value := getattr(self, name))}

    def __repr__(self) -> str:
        return "<RequestFacts>"


#: The facts of the request that this thread or task serves.
current: ContextVar[RequestFacts | None] = ContextVar("analytical_request", default=None)


@contextmanager
def serving(facts: RequestFacts | None) -> Iterator[RequestFacts | None]:
    """Make the facts those of the current request, for the time of a ``with`` block."""
    token = current.set(facts)
    try:
        yield facts
    finally:
        current.reset(token)


class Proxies:
    """Which of the addresses that arrive with a request may be believed.

    Without any, the socket's peer is the visitor: a header is never believed by itself, because anybody can send one.

    Args:
        hops: how many proxies of yours stand before the application; the address that the outermost of them saw is
            the visitor's.
        trusted: the networks of your proxies (``["10.0.0.0/8"]``); the nearest address outside them is the visitor's.
        header: where your proxies write: ``x-forwarded-for``, ``forwarded`` (RFC 7239), or the one-address header of
            a delivery network such as ``cf-connecting-ip``, ``fastly-client-ip``, ``true-client-ip``, ``x-real-ip``;
            the last kind needs ``hops=1`` or ``trusted``.

    Raises:
        ConfigurationError: neither or both of ``hops`` and ``trusted``, or no network.

    >>> Proxies(hops=1).client("10.0.0.1", {"x-forwarded-for": "6.6.6.6, 203.0.113.9"})
    '203.0.113.9'
    """

    def __init__(
        self, *, hops: int | None = None, trusted: Sequence[str] = (), header: str = "x-forwarded-for"
    ) -> None:
        if (hops is None) == (not trusted):
            raise ConfigurationError('Proxies needs either hops=1 (or more) or trusted=["10.0.0.0/8", …]')
        if hops is not None and hops < 1:
            raise ConfigurationError(
                f"Proxies(hops={hops}): expected 1 or more; leave proxies= out where there is none"
            )
        try:
            self._trusted: tuple[IPv4Network | IPv6Network, ...] = tuple(ip_network(item) for item in trusted)
        except ValueError as error:
            raise ConfigurationError(f"Proxies(trusted=…): {error}; expected networks such as '10.0.0.0/8'") from None
        self._hops = hops
        self._header = header.lower()

    def client(self, peer: str | None, headers: Mapping[str, str]) -> str | None:
        """Return the visitor's address.

        Args:
            peer: the socket's other end.
            headers: the request's headers, names in lower case.
        """
        if self._trusted and not self._is_ours(peer):
            return peer
        given = headers.get(self._header, "")[:_LONGEST]
        chain = _forwarded_for(given) if self._header == "forwarded" else [part.strip() for part in given.split(",")]
        chain = [address for address in map(_bare, chain) if address]
        if not chain:
            return peer
        if self._hops is not None:
            # Each of our proxies appended the address it saw: the last ``hops`` are ours to believe.
            return chain[-self._hops] if len(chain) >= self._hops else chain[0]
        for address in reversed(chain):
            if not self._is_ours(address):
                return address
        return chain[0]

    def _is_ours(self, address: str | None) -> bool:
        try:
            known = ip_address((address or "").partition("%")[0])
        except ValueError:
            # A Unix socket has no address: whoever reached it is on this machine.
            return not address
        return any(known in network for network in self._trusted)


def _bare(address: str) -> str:
    # "[2001:db8::1]:4711" and "192.0.2.1:4711" lose their port, "unknown" and "_hidden" (RFC 7239 §6) are no address.
    text = address.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        ip_address(text.partition("%")[0])
    except ValueError:
        return ""
    return text


def _forwarded_for(value: str) -> list[str]:
    # RFC 7239 §4: elements by comma, pairs by semicolon, for=NODE.
    found = []
    for element in value.split(","):
        for pair in element.split(";"):
            name, _, node = pair.strip().partition("=")
            if name.lower() == "for":
                found.append(node)
    return found


def from_wsgi(environ: Mapping[str, Any], *, proxies: Proxies | None = None) -> RequestFacts:
    """Return the facts of a WSGI request (PEP 3333)."""
    headers = {
        name[5:].replace("_", "-").lower(): str(value) for name, value in environ.items() if name.startswith("HTTP_")
    }
    peer = environ.get("REMOTE_ADDR") or None
    scheme = environ.get("wsgi.url_scheme", "http")
    host = headers.get("host") or _server(environ.get("SERVER_NAME", ""), environ.get("SERVER_PORT", ""), scheme)
    # PEP 3333: the path's bytes arrive as Latin-1 text.
    path = quote(
        f"{environ.get('SCRIPT_NAME', '')}{environ.get('PATH_INFO', '')}".encode("latin-1", "replace"),
        safe="/:@!$&'()*+,;=~-._",
    )
    return _facts(headers, peer, scheme, host, path or "/", environ.get("QUERY_STRING", ""), proxies)


def from_asgi(scope: Mapping[str, Any], *, proxies: Proxies | None = None) -> RequestFacts:
    """Return the facts of an ASGI ``http`` or ``websocket`` scope (https://asgi.readthedocs.io/en/latest/specs/www.html)."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope.get("headers", ()):
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    client = scope.get("client")
    server = scope.get("server") or ("", "")
    scheme = (
        str(scope.get("scheme", "http")).replace("ws", "http", 1)
        if scope.get("type") == "websocket"
        else scope.get("scheme", "http")
    )
    raw_path = scope.get("raw_path")
    path = raw_path.decode("latin-1") if raw_path else quote(scope.get("path", "/"), safe="/:@!$&'()*+,;=~-._")
    host = headers.get("host") or _server(str(server[0]), str(server[1] or ""), str(scheme))
    query = bytes(scope.get("query_string", b"")).decode("latin-1")
    return _facts(headers, client[0] if client else None, str(scheme), host, path, query, proxies)


def _server(name: str, port: str, scheme: str) -> str:
    return name if not port or port == {"http": "80", "https": "443"}.get(scheme) else f"{name}:{port}"


def _facts(
    headers: Mapping[str, str],
    peer: str | None,
    scheme: str,
    host: str,
    path: str,
    query: str,
    proxies: Proxies | None,
) -> RequestFacts:
    address = proxies.client(peer, headers) if proxies else peer
    hints = {name: value[:_LONGEST] for name, value in headers.items() if name.startswith("sec-ch-")}
    return RequestFacts(
        url=f"{scheme}://{host}{path}{'?' + query if query else ''}"[:_LONGEST] if host else None,
        referrer=_short(headers.get("referer")),
        client_ip=address,
        user_agent=_short(headers.get("user-agent")),
        language=_short(headers.get("accept-language")),
        dnt=_flag(headers.get("dnt")),
        gpc=_flag(headers.get("sec-gpc")),
        hints=hints or None,
    )


def _short(value: str | None) -> str | None:
    return value[:_LONGEST] if value else None


def _flag(value: str | None) -> bool | None:
    return None if value is None else value.strip() == "1"

"""Which transport carries which address: HTTP through ``requests``, ``file:`` and ``stdout:`` on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..http import NoResponse, Request, Response
from ._loading import loading
from .local import LocalTransport

if TYPE_CHECKING:
    import requests

    from . import Transport

__all__ = ["DefaultTransport", "default_transport"]


class DefaultTransport:
    """Chooses by the address's scheme; what is never needed is never imported.

    Args:
        timeout: seconds for a whole exchange.
        session: a caller's own ``requests.Session`` for everything that is HTTP.
        fast: carry HTTP over this package's own connections where they can do all that is asked; background
            deliveries choose this. Proxies, patched ``requests`` and a caller's session go through ``requests``.
    """

    def __init__(self, *, timeout: float = 3.0, session: requests.Session | None = None, fast: bool = False) -> None:
        self.timeout = timeout
        self._session = session
        self._fast = fast and session is None
        self._local = LocalTransport(timeout=timeout)
        self._http: Transport | None = None
        self._made: dict[str, Transport] = {}

    def send(self, request: Request, *, timeout: float | None = None) -> Response | NoResponse:
        if request.url.startswith(("https:", "http:")):
            return (self._http or self._make()).send(request, timeout=timeout)
        return self._local.send(request, timeout=timeout)

    def close(self) -> None:
        """Let go of connections; the next request makes new ones."""
        self._http, http = None, self._made.pop("http", None)
        if http is not None:
            http.close()

    def _make(self) -> Transport:
        made: Transport
        if self._fast:
            with loading:
                from .http11 import Http11Transport

            made = Http11Transport(timeout=self.timeout)
        else:
            with loading:
                from .requests import RequestsTransport

            made = RequestsTransport(timeout=self.timeout, session=self._session)
        # Two threads may both come here first: setdefault is one step, and what lost has no connection yet.
        self._http = kept = self._made.setdefault("http", made)
        return kept


def default_transport(
    *, timeout: float = 3.0, session: requests.Session | None = None, background: bool = False
) -> DefaultTransport:
    """Return the transport of a provider that was given none."""
    return DefaultTransport(timeout=timeout, session=session, fast=background)

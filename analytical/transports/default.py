"""Which transport carries which address: HTTP through ``requests``, ``file:`` and ``stdout:`` on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..http import NoResponse, Request, Response
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

    def send(self, request: Request, *, timeout: float | None = None) -> Response | NoResponse:
        if request.url.startswith(("https:", "http:")):
            return (self._http or self._make()).send(request, timeout=timeout)
        return self._local.send(request, timeout=timeout)

    def close(self) -> None:
        """Let go of connections; the next request makes new ones."""
        http, self._http = self._http, None
        if http is not None:
            http.close()

    def _make(self) -> Transport:
        # Two threads may both come here first; the second's is used, the first's is garbage.
        if self._fast:
            from .http11 import Http11Transport

            self._http = Http11Transport(timeout=self.timeout)
        else:
            from .requests import RequestsTransport

            self._http = RequestsTransport(timeout=self.timeout, session=self._session)
        return self._http


def default_transport(
    *, timeout: float = 3.0, session: requests.Session | None = None, background: bool = False
) -> DefaultTransport:
    """Return the transport of a provider that was given none."""
    return DefaultTransport(timeout=timeout, session=session, fast=background)

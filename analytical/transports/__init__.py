"""The only sockets and files of the package: one method, errors as values."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from ..http import NoResponse, Request, Response

__all__ = ["MAX_ANSWER", "Transport"]

#: Bytes of an answer that are read; no platform says more, and an endless answer must end.
MAX_ANSWER = 1 << 20


@runtime_checkable
class Transport(Protocol):
    """Carries one request.

    ``send`` never raises for what the world does: a refused connection, a timeout, a full disk are a
    :class:`~analytical.http.NoResponse`. It may be called from several threads at once.
    """

    def send(self, request: Request, *, timeout: float | None = None) -> Response | NoResponse:
        """Carry one request and return the answer.

        Args:
            request: the message, whole.
            timeout: seconds for the whole exchange (name resolution, connecting, a dripping answer included);
                ``None`` for the transport's own.
        """
        ...

    def close(self) -> None:
        """Let go of connections and files."""
        ...

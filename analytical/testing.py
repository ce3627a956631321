"""For tests: of an application that sends, and of plug-ins.

* :func:`recording` and the pytest fixture ``analytical_recorder``: providers record instead of sending.
* :class:`FakeTransport`: the last metre only is replaced; it answers as the platform would, or from a script.
* ``assert_no_leak``: plants markers in every field and searches everything that leaves.
* ``ProviderContract``, ``SpoolContract``, ``SourceContract``, ``SinkContract``: suites that a plug-in's tests inherit.

Importing this module imports nothing of the sending half: the pytest plug-in costs nothing where it is not used.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest

from .hit import Hit
from .http import NoResponse, Request, Response

if TYPE_CHECKING:
    from ._leaks import assert_no_leak
    from .collect.contracts import SinkContract, SourceContract
    from .contracts import ProviderContract
    from .spool.contracts import SpoolContract

__all__ = [
    "FakeTransport",
    "ProviderContract",
    "Recorder",
    "SinkContract",
    "SourceContract",
    "SpoolContract",
    "analytical_recorder",
    "assert_no_leak",
    "recording",
]

_HOMES = {
    "assert_no_leak": "._leaks",
    "ProviderContract": ".contracts",
    "SpoolContract": ".spool.contracts",
    "SourceContract": ".collect.contracts",
    "SinkContract": ".collect.contracts",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name], __package__), name)
    raise AttributeError(f"module 'analytical.testing' has no attribute {name!r}")


class Recorder:
    """What was recorded instead of being sent: sealed hits, in order, with their destinations."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, Hit]] = []

    @property
    def hits(self) -> list[Hit]:
        """Every hit."""
        return [hit for _, hit in self.entries]

    def of(self, kind: str | None = None, *, to: str | None = None, **fields: Any) -> list[Hit]:
        """Return the hits of a kind, a destination, and with the given values in common fields.

        >>> recorder = Recorder()
        >>> recorder.of("event", name="signup")
        []
        """
        return [
            hit
            for where, hit in self.entries
            if (kind is None or hit.kind == kind)
            and (to is None or where == to)
            and all(getattr(hit, name) == value for name, value in fields.items())
        ]

    @property
    def pageviews(self) -> list[Hit]:
        """The page views."""
        return self.of("pageview")

    @property
    def events(self) -> list[Hit]:
        """The events."""
        return self.of("event")

    def clear(self) -> None:
        """Forget everything."""
        self.entries.clear()

    def __len__(self) -> int:
        return len(self.entries)


@contextmanager
def recording() -> Iterator[Recorder]:
    """Record the hits of every provider of the process, for the time of a ``with`` block; nothing is sent.

    The gate runs as always, so what is recorded is what would leave. ``on_success`` callbacks are called.
    """
    from .providers.base import Shell

    recorder = Recorder()

    def submit(self: Shell, hit: Hit, on_success: Callable[[], object] | None = None, on_failure: Any = None) -> bool:
        recorder.entries.append((self.to, hit))
        if on_success is not None:
            on_success()
        return True

    with mock.patch.object(Shell, "submit", submit):
        yield recorder


@pytest.fixture
def analytical_recorder() -> Iterator[Recorder]:
    """Every provider records instead of sending; the fixture's value is the :class:`Recorder`."""
    with recording() as recorder:
        yield recorder


class FakeTransport:
    """A transport without a network: it keeps every request, and answers.

    Args:
        answers: what to answer, in order, the last one for ever: a :class:`~analytical.http.Response`, a status, a
            :class:`~analytical.http.NoResponse`, or a function of the request. Without any, it answers as the
            platform does.

    >>> import analytical
    >>> transport = FakeTransport()
    >>> analytical.Provider("plausible", "example.com", transport=transport).pageview(url="https://example.com/")
    True
    >>> transport.requests[0].url
    'https://plausible.io/api/event'
    """

    def __init__(
        self, answers: Sequence[Response | NoResponse | int | Callable[[Request], Response | NoResponse]] = ()
    ) -> None:
        self.requests: list[Request] = []
        self.closed = False
        self._answers = list(answers)
        self._lock = threading.Lock()

    def send(self, request: Request, *, timeout: float | None = None) -> Response | NoResponse:
        """Keep the request and answer."""
        with self._lock:
            self.requests.append(request)
            answer: Any = None
            if self._answers:
                answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if answer is None:
            return _as_the_platform(request)
        if callable(answer):
            return answer(request)  # type: ignore[no-any-return]  # a user's function
        return Response(status=answer) if isinstance(answer, int) else answer

    def close(self) -> None:
        """Remember that it was closed."""
        self.closed = True

    def decoded(self) -> list[Any]:
        """Return what the platforms would read from the requests: a list of :class:`~analytical.backend.Decoded`."""
        return [item for request in self.requests for item in _speaker(request).decode(request)]


def _speaker(request: Request) -> Any:
    from .registry import PROVIDERS

    for name in PROVIDERS.names():
        backend = PROVIDERS.get(name)
        if backend.claims(request):
            return backend
    raise AssertionError(f"no provider speaks {request!r}")


def _as_the_platform(request: Request) -> Response:
    backend = _speaker(request)
    try:
        decoded = backend.decode(request)
    except NotImplementedError:  # a plug-in that does not explain itself
        decoded = []
    answer: Response = backend.answer(request, decoded)
    return answer

"""Sources of your own: a generator function, or a small class of metrics over one JSON answer."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar, overload

from ..errors import ConfigurationError, SourceError
from ..secrets import is_reference, resolve
from ..transports import Transport
from .period import Period, seconds
from .protocol import SOURCES, Query, Row
from .report import Report
from .session import Session

__all__ = ["Metrics", "counter", "gauge", "source"]

Function = TypeVar("Function", bound=Callable[..., Any])


def source(name: str) -> Callable[[Function], Function]:
    """Register a generator function as a source, so that ``Provider(name, id).report(...)`` uses it.

    The function is called once a period as ``function(period, query, http, id)`` and yields rows: plain dicts.
    ``period`` has ``start``, ``end`` and ``span``; ``query`` has ``method``, ``where`` and ``native`` (the provider's
    options and the report's own parameters); ``http`` retries, keeps deadlines and hides secrets. A row may say
    ``_timestamp`` where its time is not the period's start.

    >>> @source("dice")
    ... def dice(period, query, http, id):
    ...     yield {"cup": id, "eyes": 7}
    >>> from analytical.collect import report_for
    >>> [(record["cup"], record["eyes"]) for record in report_for("dice", "left", "throw").last(1)]
    [('left', 7)]
    """

    def register(function: Function) -> Function:
        SOURCES.register(name, function)
        return function

    return register


@dataclass(frozen=True, slots=True)
class _Spec:
    kind: str
    labels: tuple[str, ...]
    help: str


@overload
def gauge(function: Function, /) -> Function: ...
@overload
def gauge(*, labels: Sequence[str] = (), help: str = "") -> Callable[[Function], Function]: ...
def gauge(function: Any = None, /, *, labels: Sequence[str] = (), help: str = "") -> Any:
    """Mark a method of :class:`Metrics` as a number that goes up and down.

    Args:
        function: the method ``(self, data)``.
        labels: names of labels. The method then returns a dict: a label's value, or a tuple of them, to a number.
        help: the metric's description; the method's docstring unless given.
    """
    return _marked("gauge", function, labels, help)


@overload
def counter(function: Function, /) -> Function: ...
@overload
def counter(*, labels: Sequence[str] = (), help: str = "") -> Callable[[Function], Function]: ...
def counter(function: Any = None, /, *, labels: Sequence[str] = (), help: str = "") -> Any:
    """Mark a method of :class:`Metrics` as a running total: the API's own, not a difference.

    Prometheus reads a total that falls as a reset, so nothing needs to be remembered here.

    Args:
        function: the method ``(self, data)``.
        labels: as for :func:`gauge`.
        help: as for :func:`gauge`.
    """
    return _marked("counter", function, labels, help)


def _marked(kind: str, function: Any, labels: Sequence[str], help: str) -> Any:
    if isinstance(labels, str):
        raise ConfigurationError(f'labels="{labels}": expected a list, such as ["{labels}"]')

    def mark(method: Any) -> Any:
        text = help or (method.__doc__ or "").strip().partition("\n")[0]
        method.__metric__ = _Spec(kind, tuple(labels), text)
        return method

    return mark if function is None else mark(function)


class Metrics:
    """A few numbers out of one JSON answer: for Prometheus, and for every sink.

    >>> class Incidents(Metrics):
    ...     url = "https://api.example.com/incidents"
    ...     headers = {"X-Key": "env:INCIDENTS_KEY"}
    ...     refresh = "5m"
    ...
    ...     @counter
    ...     def incidents(self, data):
    ...         return data["total"]
    ...
    ...     @gauge(labels=["team"])
    ...     def minutes_to_ack(self, data):
    ...         return {team["name"]: team["mtta"] for team in data["teams"]}

    ``analytical.serve(Incidents())`` makes it an endpoint, ``Incidents().report().to("sqlite:///stats.db")`` adds
    a reading to a table. A method that returns ``None`` says nothing this time: no sample, never a 0.
    """

    url: ClassVar[str] = ""
    headers: ClassVar[Mapping[str, str]] = {}
    params: ClassVar[Mapping[str, Any]] = {}
    #: How often ``serve`` asks.
    refresh: ClassVar[str | float] = "5m"
    #: How tables and ``analytical_up`` call it; the class's name unless given.
    name: ClassVar[str] = ""

    def fetch(self, http: Session) -> Any:
        """Return the data that every method is given; by default the JSON at ``url``.

        Args:
            http: retries, keeps deadlines, hides secrets: ``http.get(url, params=, headers=).json()``.
        """
        if not self.url:
            raise ConfigurationError(f"{type(self).__name__}.url is not set; set it, or write fetch(self, http)")
        given = {name: resolve(value, what=f"header {name}") for name, value in self.headers.items()}
        secrets = tuple(given[name] for name, value in self.headers.items() if is_reference(value))
        return http.get(self.url, params=self.params, headers=given, secrets=secrets).json()

    def report(
        self, *, transport: Transport | None = None, session: Session | None = None, retry_for: str | float = 60.0
    ) -> Report:
        """Return this class as a report of the present.

        Args:
            transport: what carries requests.
            session: an HTTP session to share.
            retry_for: how long one request may be tried again.
        """
        specs = self._specs()
        http = session or Session(transport, retry_for=seconds(retry_for, what="retry_for"))
        name = self.name or type(self).__name__
        query = Query(method=name, metrics={one: one for one in specs}, every=None)
        report = Report(self._rows, query, name=name, session=http)
        report.kinds = {one: spec.kind for one, spec in specs.items()}
        report.helps = {one: spec.help for one, spec in specs.items() if spec.help}
        return report

    @classmethod
    def _specs(cls) -> dict[str, _Spec]:
        found: dict[str, _Spec] = {}
        for one in dir(cls):
            spec = getattr(getattr(cls, one, None), "__metric__", None)
            if isinstance(spec, _Spec):
                found[one] = spec
        if not found:
            raise ConfigurationError(f"{cls.__name__} has no metrics; mark a method with @counter or @gauge")
        return found

    def _rows(self, period: Period, query: Query, http: Session) -> Iterator[Row]:
        data = self.fetch(http)
        rows: dict[tuple[tuple[str, str], ...], dict[str, Any]] = {}
        for name, spec in self._specs().items():
            try:
                value = getattr(self, name)(data)
                samples = list(_samples(value, spec))
            except Exception as error:
                raise SourceError(f"the metric {name} failed: {type(error).__name__}: {str(error)[:200]}") from error
            for labels, number in samples:
                row = rows.setdefault(tuple(labels.items()), {**labels, **dict.fromkeys(self._specs())})
                row[name] = number
        yield from rows.values()


def _samples(value: Any, spec: _Spec) -> Iterable[tuple[dict[str, str], float | None]]:
    if not spec.labels:
        yield {}, _checked(value)
        return
    if not isinstance(value, Mapping):
        raise TypeError(f"with labels={list(spec.labels)} a dict is expected, got {type(value).__name__}")
    for key, number in value.items():
        parts = key if isinstance(key, tuple) else (key,)
        if len(parts) != len(spec.labels):
            raise TypeError(
                f"the key {key!r} has {len(parts)} values for {len(spec.labels)} labels {list(spec.labels)}"
            )
        yield {label: str(part) for label, part in zip(spec.labels, parts, strict=True)}, _checked(number)


def _checked(number: Any) -> float | None:
    if number is None:
        return None
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise TypeError(f"expected a number, got {type(number).__name__}")
    return number if math.isfinite(number) else None

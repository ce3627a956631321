"""The ledger for a monitoring system: Prometheus, by the extra ``prometheus``, and OpenTelemetry, where its API is.

https://prometheus.github.io/client_python/collector/custom/ and
https://opentelemetry.io/docs/specs/otel/metrics/api/#asynchronous-counter-creation

.. code-block:: python

    from analytical import metrics

    metrics.prometheus()       # every provider of this process, in prometheus_client's own registry
    metrics.opentelemetry()    # the same, on the global meter provider

Nothing is counted twice and nothing costs a hit anything: numbers are read when somebody looks.

==================================  =======  ============  ==========================================================
Prometheus                          kind     labels        meaning
==================================  =======  ============  ==========================================================
``analytical_hits_accepted_total``  counter  ``to``        hits that this process accepted
``analytical_hits_settled_total``   counter  ``to state``  hits that reached their end in this process, by how
``analytical_hits_withheld_total``  counter  ``to``        hits that the privacy gate refused
``analytical_hits_noted_total``     counter  ``to what``   what was done on the way: ``retried``, ``cut`` …
``analytical_hits_pending``         gauge    ``to``        hits that wait; of a durable spool, all that are in it
==================================  =======  ============  ==========================================================

OpenTelemetry's instruments are called ``analytical.hits.accepted``, ``.settled``, ``.withheld``, ``.noted`` and
``.pending``, with the same labels as attributes.

Where many processes share a durable spool, each counts what it did itself: the sum over all of them is right for the
counters, and the maximum for ``pending``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from .errors import MissingExtra
from .observe import STATES
from .providers.base import alive

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from prometheus_client.metrics_core import Metric
    from prometheus_client.registry import CollectorRegistry

__all__ = ["Collector", "Counted", "Measured", "opentelemetry", "prometheus"]

#: What is measured: name, kind, labels, meaning.
_MEASURES = (
    ("accepted", "counter", ("to",), "Hits that this process accepted."),
    ("settled", "counter", ("to", "state"), "Hits that reached their end in this process, by how they ended."),
    ("withheld", "counter", ("to",), "Hits that the privacy gate refused."),
    ("noted", "counter", ("to", "what"), "What was done to hits on the way."),
    ("pending", "gauge", ("to",), "Hits that wait, those under way included."),
)

_Series = dict[tuple[str, ...], int]


class Counted(Protocol):
    """What can be measured: a provider, or whatever else keeps a ledger for a destination."""

    @property
    def to(self) -> str:
        """The destination's name."""

    @property
    def ledger(self) -> Any:
        """What this process counted: an :class:`~analytical.Ledger`."""

    def stats(self) -> Mapping[str, int]:
        """One snapshot with ``pending``."""


#: A provider, or a function that returns those there are when it is called.
Measured = Counted | Callable[[], Iterable[Counted]]


def prometheus(*providers: Measured, registry: CollectorRegistry | None = None) -> Collector:
    """Show the ledger to Prometheus.

    Args:
        providers: which, or functions that return them; without any, every provider that lives in this process when
            it is asked.
        registry: where to; without one, ``prometheus_client.REGISTRY``.

    Returns:
        The collector, which ``registry.unregister()`` takes.

    Raises:
        MissingExtra: ``prometheus_client`` is not installed.
        ValueError: from ``prometheus_client``: the registry has such a collector already.
    """
    try:
        from prometheus_client import REGISTRY
    except ImportError:
        raise MissingExtra("analytical.metrics.prometheus()", "prometheus") from None
    collector = Collector(*providers)
    (REGISTRY if registry is None else registry).register(collector)
    return collector


def opentelemetry(*providers: Measured, meter_provider: MeterProvider | None = None) -> None:
    """Show the ledger to OpenTelemetry, as asynchronous instruments.

    Args:
        providers: which, or functions that return them; without any, every provider that lives in this process when
            it is asked.
        meter_provider: whose; without one, the global one.

    Raises:
        ImportError: OpenTelemetry's API is not installed (``pip install opentelemetry-api``).
    """
    try:
        from opentelemetry.metrics import CallbackOptions, Observation, get_meter
    except ImportError:
        raise ImportError(
            "analytical.metrics.opentelemetry() needs OpenTelemetry's API; type: pip install opentelemetry-api"
        ) from None
    meter = get_meter("analytical", meter_provider=meter_provider)

    def looking(name: str, labels: tuple[str, ...]) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def look(options: CallbackOptions) -> Iterable[Observation]:
            for values, number in _read(providers)[name].items():
                yield Observation(number, dict(zip(labels, values, strict=True)))

        return look

    for name, kind, labels, meaning in _MEASURES:
        create = meter.create_observable_counter if kind == "counter" else meter.create_observable_gauge
        create(f"analytical.hits.{name}", callbacks=[looking(name, labels)], unit="{hit}", description=meaning)


class Collector:
    """What Prometheus asks for numbers, by its custom collector protocol.

    Args:
        providers: as :func:`prometheus` takes them.
    """

    def __init__(self, *providers: Measured) -> None:
        self._providers = providers

    def describe(self) -> Iterable[Metric]:
        """Name what there will be, without asking anybody for numbers."""
        return self._families({name: {} for name, *_ in _MEASURES})

    def collect(self) -> Iterable[Metric]:
        """Read the numbers."""
        return self._families(_read(self._providers))

    @staticmethod
    def _families(read: Mapping[str, _Series]) -> Iterator[Metric]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        for name, kind, labels, meaning in _MEASURES:
            family = (CounterMetricFamily if kind == "counter" else GaugeMetricFamily)(
                f"analytical_hits_{name}", meaning, labels=labels
            )
            for values, number in read[name].items():
                family.add_metric(values, number)
            yield family


def _read(providers: Iterable[Measured]) -> dict[str, _Series]:
    """Return the series of every measure; providers of one name are added up, what waits in their one spool is not."""
    found: dict[str, Counter[tuple[str, ...]]] = {name: Counter() for name, *_ in _MEASURES}
    pending: _Series = {}
    chosen: list[Counted] = []
    for one in providers or (alive,):
        chosen += one() if callable(one) else [one]
    for provider in chosen:
        to = provider.to
        counts = provider.ledger.stats()
        found["accepted"][to,] += counts["accepted"]
        found["withheld"][to,] += counts["withheld"]
        for state in STATES:
            found["settled"][to, state] += counts[state]
        for what, number in provider.ledger.notes().items():
            found["noted"][to, what] += number
        pending[to,] = max(provider.stats()["pending"], pending.get((to,), 0))
    return {**found, "pending": pending}

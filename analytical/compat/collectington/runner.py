"""The loop of ``cton``: every few seconds each metric once, whatever the API does."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, Summary

from ...errors import AnalyticalError
from ...http import mask
from .api import CollectingtonApi, name_of
from .config import LOGGER

__all__ = ["Runner"]


class Runner:
    """Reads the metrics of one service.

    Args:
        service: an instance of the user's class.
        name: the service's name.
        metrics: the configuration's names.
        registry: where metrics are shown.
        clock: the time in seconds since 1970.

    A metric is shown from its first value on. A summary, a histogram and a counter take each answer of the API once.
    """

    def __init__(
        self,
        service: Any,
        name: str,
        metrics: list[str],
        *,
        registry: CollectorRegistry = REGISTRY,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.service = service
        self.name = name
        self.metrics = metrics
        self._registry = registry
        self._clock = clock
        self._instances = {name_of(each, metrics): each for each in service.generate_prometheus_metric_instances()}
        self._shown: set[str] = set()
        for instance in self._instances.values():
            _hide(instance)
        self._seen: dict[str, dict[str, int]] = {}
        self._said: dict[str, str] = {}
        labels = ["report"]
        self._up = Gauge("analytical_up", "Whether the last reading succeeded", labels, registry=registry)
        self._success = Gauge(
            "analytical_last_success_timestamp_seconds", "When a reading succeeded last", labels, registry=registry
        )
        self._seconds = Gauge("analytical_fetch_seconds", "How long the last reading took", labels, registry=registry)
        self._errors = Counter("analytical_errors", "How many readings of metrics failed", labels, registry=registry)
        self._errors.labels(name)  # shown as 0 until something fails, so that rates can be taken

    def tick(self) -> bool:
        """Read every metric once, and return whether all succeeded."""
        started = time.perf_counter()
        if isinstance(self.service, CollectingtonApi):
            self.service._answers.failures = {}
        failed = sum(not self._read(metric) for metric in self.metrics)
        self._seconds.labels(self.name).set(time.perf_counter() - started)
        if failed:
            self._errors.labels(self.name).inc(failed)
        else:
            self._success.labels(self.name).set(self._clock())
        self._up.labels(self.name).set(0 if failed else 1)
        return not failed

    def run(self, interval: float, stop: threading.Event) -> None:
        """Read on and on until told to stop.

        Args:
            interval: seconds between readings.
            stop: set to end the loop.
        """
        while not stop.is_set():
            self.tick()
            # An interval of 0 would leave no time for anything else.
            stop.wait(max(interval, 0.05))

    def _read(self, metric: str) -> bool:
        answers = self.service._answers if isinstance(self.service, CollectingtonApi) else None
        if answers is not None:
            answers.used.clear()
        try:
            value = self.service.get_metric(metric)
            used = dict(answers.used) if answers is not None else {}
            if value is not None and (not used or used != self._seen.get(metric) or self._repeats(metric)):
                instance = self._instance(metric)
                self.service.call_prometheus_metrics({metric: value}, [instance])
                self._show(metric, instance)
                self._seen[metric] = used
        except Exception as error:  # noqa: BLE001  a user's method may raise anything, and nothing may end the loop
            self._say(metric, error)
            return False
        if self._said.pop(metric, None):
            LOGGER.info('metric "%s" of %s is read again', metric, self.name)
        return True

    def _instance(self, metric: str) -> Any:
        if metric not in self._instances:
            raise KeyError(f'generate_prometheus_metric_instances() returned nothing for metric "{metric}"')
        return self._instances[metric]

    def _repeats(self, metric: str) -> bool:
        """Tell whether a value may be handed over again without being counted again."""
        instance = self._instances.get(metric)
        method = getattr(type(self.service), self.service._metric_registry.get(metric, ""), None)
        is_delta = getattr(method, "_is_delta", False)
        return isinstance(instance, Gauge) or (is_delta and not isinstance(instance, (Summary, Histogram)))

    def _show(self, metric: str, instance: Any) -> None:
        if metric not in self._shown:
            self._shown.add(metric)
            self._registry.register(instance)

    def _say(self, metric: str, error: Exception) -> None:
        message = str(error) if isinstance(error, AnalyticalError) else f"{type(error).__name__}: {error}"
        if f'"{metric}"' not in message:
            message = f'metric "{metric}" of {self.name}: {message}'
        headers = getattr(self.service, "headers", None)
        if isinstance(headers, Mapping):
            message = mask(message, tuple(str(value) for value in headers.values() if len(str(value)) > 2))
        # A fault that lasts is said once, and once more when it ends.
        if self._said.get(metric) != message:
            self._said[metric] = message
            LOGGER.error("%s; the last value stays", message)
            LOGGER.debug("in full:", exc_info=error)


def _hide(instance: Any) -> None:
    """Take a metric out of where its constructor put it, until it has a value."""
    try:
        REGISTRY.unregister(instance)
    except KeyError:
        # It was made for another registry, or for none.
        LOGGER.debug("%s is in no default registry", instance)

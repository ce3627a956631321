"""Collectington's class and decorators, so that a service written against them runs unchanged.

Where the original counted an answer again and again, showed failures as 0 or ended the process, this one does not;
the differences stand in ``docs/howto/migrate-collectington.rst``.
"""

from __future__ import annotations

import functools
from abc import ABC
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar, TypeVar

from ...collect.session import Session
from ...errors import MissingExtra, QuotaExhausted, SourceError

try:
    from prometheus_client import Counter, Gauge, Histogram, Summary
except ImportError:  # pragma: no cover  the extra is installed where tests run
    raise MissingExtra("cton", "prometheus") from None

__all__ = [
    "AbstractApi",
    "CollectingtonApi",
    "MetricError",
    "UnsupportedPrometheusInstance",
    "enable_delta_metric",
    "name_of",
    "register_metric",
    "register_metric_class",
]

C = TypeVar("C", bound=type)
Function = Callable[..., Any]


class MetricError(SourceError, ValueError):
    """A metric has no value that can be shown; the message names the metric and, where there is one, the label."""


class UnsupportedPrometheusInstance(Exception):
    """The kind of metric is none of counter, gauge, histogram and summary."""


def enable_delta_metric(func: Function) -> Function:
    """Make a method that returns a running total return what was added since the last call.

    The first total counts whole. A total that went down was reset at its origin, so it counts whole too.
    """
    key = f"previous_{func.__name__}"

    @functools.wraps(func)
    def wrapper(self: Any) -> Any:
        total = func(self)
        if total is None:
            return None
        if isinstance(total, (list, dict)):
            raise MetricError(
                f"{func.__name__} returns a {type(total).__name__}, and @enable_delta_metric works on one number; "
                "leave the decorator out, and make the metric a gauge"
            )
        registry = type(self)._delta_metric_registry
        previous = registry.get(key, 0)
        registry[key] = total
        return total - previous if total >= previous else total

    vars(wrapper)["_is_delta"] = True
    return wrapper


def register_metric(*args: str) -> Callable[[Function], Function]:
    """Say which metric of the configuration a method gives the value of."""

    def mark(func: Function) -> Function:
        vars(func)["_property"] = args
        return func

    return mark


def register_metric_class(cls: C) -> C:
    """Collect a class's marked methods."""
    registry: dict[str, str] = {}
    deltas: dict[str, Any] = {}
    for name in dir(cls):
        marked = getattr(getattr(cls, name, None), "_property", None)
        if isinstance(marked, tuple) and marked:
            registry[marked[0]] = name
            deltas[f"previous_{name}"] = 0
    type.__setattr__(cls, "_metric_registry", registry)
    type.__setattr__(cls, "_delta_metric_registry", deltas)
    return cls


class CollectingtonApi(ABC):  # noqa: B024  the original's base; users write no abstract method
    """The base of a service: reads an API, keeps its answer for a while, and hands numbers to Prometheus.

    A subclass sets ``config``, ``service_name``, ``api_url`` and ``name_of_datastore``, and ``headers``, ``params`` and
    ``data_store_expiration_sec`` where it needs to.
    """

    _metric_registry: ClassVar[dict[str, str]] = {}
    _delta_metric_registry: ClassVar[dict[str, Any]] = {}

    def __init__(self) -> None:
        self.data_store: dict[str, Any] = {}
        self.data_store_expiration_sec: float = 60
        self.config: Any = None
        self.headers: dict[str, str] = {}
        self.params: dict[str, Any] = {}
        self.name_of_datastore = ""
        self.api_url = ""
        self.service_name = ""
        self.prometheus_metrics_mapping: dict[str, Any] = {
            "counter": Counter,
            "gauge": Gauge,
            "histogram": Histogram,
            "summary": Summary,
        }

    def read_data(self, url: str, params: Mapping[str, Any], headers: Mapping[str, str]) -> Any:
        """Ask the API once, and return its JSON.

        Raises:
            SourceError: no answer, a status that is no 2xx, or no JSON.
        """
        with Session(attempts=1, retry_for=0.0, timeout=30.0) as session:
            answer = session.get(
                url,
                params=params,
                headers={name: str(value) for name, value in (headers or {}).items()},
                secrets=tuple(str(value) for value in (headers or {}).values()),
            )
            found = answer.json()
        self.data_store["data_read_at"] = datetime.now()
        return found

    def is_data_store_expired(self) -> bool:
        """Tell whether the kept answers are too old."""
        read = self.data_store.get("data_read_at")
        if read is None:
            return True
        age: float = (datetime.now() - read).total_seconds()
        return age >= self.data_store_expiration_sec

    def get_data_from_store(self, name_of_datastore: str) -> Any:
        """Return the API's answer: the kept one, or a new one where that is too old.

        Raises:
            SourceError: there is no new one.
        """
        answers = self._answers
        if name_of_datastore not in self.data_store or self._is_old(name_of_datastore):
            if (wait := answers.not_before) and (now := datetime.now().timestamp()) < wait:
                raise QuotaExhausted(f"{self.service_name}: the API asked to wait {wait - now:.0f} s more", reset=wait)
            if answers.failures is not None and name_of_datastore in answers.failures:
                raise answers.failures[name_of_datastore]
            try:
                found = self.read_data(self.api_url, self.params, self.headers)
            except Exception as error:
                if isinstance(error, QuotaExhausted):
                    answers.not_before = error.reset or 0.0
                if answers.failures is not None:
                    answers.failures[name_of_datastore] = error
                raise
            self.data_store[name_of_datastore] = found
            self.data_store["data_read_at"] = answers.read_at[name_of_datastore] = datetime.now()
            answers.numbers[name_of_datastore] = answers.numbers.get(name_of_datastore, 0) + 1
        answers.used[name_of_datastore] = answers.numbers.get(name_of_datastore, 0)
        return self.data_store[name_of_datastore]

    def _is_old(self, name_of_datastore: str) -> bool:
        if type(self).is_data_store_expired is not CollectingtonApi.is_data_store_expired:
            return self.is_data_store_expired()
        # Each store has its own clock: with one for all, reading one store would keep the others' answers for ever.
        read = self._answers.read_at.get(name_of_datastore)
        return read is None or (datetime.now() - read).total_seconds() >= self.data_store_expiration_sec

    def generate_prometheus_metric_instances(self) -> list[Any]:
        """Return a metric of Prometheus' client for each in the configuration."""
        mapping = self._service["prometheus_metrics_mapping"]
        return [
            self._init_p_method(self.prometheus_metrics_mapping[kind], metric)
            for kind, metrics in mapping.items()
            for metric in metrics
        ]

    def get_metric(self, metric: str) -> Any:
        """Return the value of a metric, by its name in the configuration.

        Raises:
            MetricError: no method gives it, or the method does not find in the answer what it looks for.
        """
        name = type(self)._metric_registry.get(metric)
        if name is None:
            raise MetricError(
                f'metric "{metric}" of {self.service_name} has no method; mark one with @register_metric("{metric}"), '
                f"and {type(self).__name__} with @register_metric_class"
            )
        try:
            return getattr(type(self), name)(self)
        except (KeyError, IndexError) as error:
            raise MetricError(
                f'metric "{metric}" of {self.service_name}: the answer has no {_lacking(error)}'
            ) from error

    def call_prometheus_metrics(
        self, service_metric_dict: Mapping[str, Any], list_of_metric_instances: Sequence[Any]
    ) -> None:
        """Hand values to Prometheus' client.

        Raises:
            MetricError: a value is no number, or a row lacks a label; nothing of that metric has been handed over.
        """
        labels = self._service.get("prometheus_metric_labels") or {}
        for instance in list_of_metric_instances:
            metric = name_of(instance, service_metric_dict)
            value = service_metric_dict[metric]
            if metric not in labels:
                self._update_metric(instance, _number(value, metric))
                continue
            rows = [self._split(row, labels[metric], metric) for row in _rows(value, metric)]
            for names, number in rows:
                try:
                    self._update_metric(instance.labels(*names), number)
                except ValueError as error:
                    where = _labelled(labels[metric], names)
                    raise MetricError(f'metric "{metric}" with {where} cannot take {number!r}: {error}') from error
            if isinstance(instance, Gauge):
                current = {tuple(map(str, names)) for names, _ in rows}
                for gone in [names for names in list(getattr(instance, "_metrics", ())) if names not in current]:
                    instance.remove(*gone)

    @staticmethod
    def _update_metric(p_instance: Any, val: Any) -> None:
        if isinstance(p_instance, Counter):
            p_instance.inc(val)
        elif isinstance(p_instance, (Summary, Histogram)):
            p_instance.observe(val)
        elif isinstance(p_instance, Gauge):
            p_instance.set(val)
        else:
            raise UnsupportedPrometheusInstance(type(p_instance).__name__)

    @staticmethod
    def _split_labeled_metric_dict(labeled_metric_dict: Mapping[str, Any], label_list: Sequence[str]) -> Any:
        rest = dict(labeled_metric_dict)
        return [rest.pop(name) for name in label_list], next(iter(rest.values()))

    def _split(self, row: Any, names: Sequence[str], metric: str) -> tuple[list[Any], Any]:
        if not isinstance(row, Mapping):
            raise MetricError(
                f'metric "{metric}": expected objects with the labels {", ".join(names)}, got {row!r:.80}'
            )
        for name in names:
            if name not in row:
                raise MetricError(f'metric "{metric}": a row has no label "{name}"; it has {", ".join(map(str, row))}')
        if len(row) == len(set(names)):
            raise MetricError(f'metric "{metric}": a row has its labels ({", ".join(names)}) and no value')
        found, value = self._split_labeled_metric_dict(row, names)
        return found, _number(value, metric, f" with {_labelled(names, found)}")

    def _init_p_method(self, p_method: Any, api_metric: str) -> Any:
        labels = (self._service.get("prometheus_metric_labels") or {}).get(api_metric)
        return p_method(api_metric, api_metric, *([] if labels is None else [labels]))

    @property
    def _service(self) -> dict[str, Any]:
        service: dict[str, Any] = self.config["services"][self.service_name]
        return service

    @property
    def _answers(self) -> _Answers:
        # Made on first use: a subclass may not have called super().__init__().
        found = self.__dict__.get("_answers_kept")
        if found is None:
            found = self.__dict__["_answers_kept"] = _Answers()
        return found


#: The name that the class had in the original's documentation.
AbstractApi = CollectingtonApi


class _Answers:
    """Which answer each store holds, which were used since somebody looked, and when the API may be asked again."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}
        self.used: dict[str, int] = {}
        self.read_at: dict[str, datetime] = {}
        self.not_before = 0.0
        #: What failed in this reading of all metrics, so that one outage is met once; None where nobody reads them all.
        self.failures: dict[str, Exception] | None = None


def name_of(instance: Any, known: Mapping[str, Any] | Sequence[str]) -> str:
    """Return the configuration's name of a metric; Prometheus' client takes ``_total`` off a counter's."""
    name: str = instance._name
    return f"{name}_total" if name not in known and f"{name}_total" in known else name


def _rows(value: Any, metric: str) -> list[Any]:
    if isinstance(value, (list, tuple)):
        return list(value)
    raise MetricError(f'metric "{metric}" has labels, so its method must return a list of objects, got {value!r:.80}')


def _labelled(names: Sequence[str], values: Sequence[Any]) -> str:
    return ", ".join(f'{name}="{value}"' for name, value in zip(names, values, strict=True))


def _number(value: Any, metric: str, where: str = "") -> Any:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        try:
            return float(value)
        except (TypeError, ValueError):
            raise MetricError(f'metric "{metric}"{where}: expected a number, got {value!r:.80}') from None
    return value


def _lacking(error: Exception) -> str:
    return f"{error}" if isinstance(error, KeyError) else f"such place ({error})"

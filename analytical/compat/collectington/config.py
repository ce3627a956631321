"""Collectington's configuration file, in both of its dialects and with its keys in any order.

Source: https://github.com/HomeXLabs/collectington (0.1.1 has ``port`` at the top, 0.1.4 in every service).
"""

from __future__ import annotations

import importlib
import json
import logging
from collections.abc import Mapping
from typing import Any

from ...errors import ConfigurationError, did_you_mean

__all__ = [
    "LOGGER",
    "LOG_LEVELS",
    "get_config",
    "get_list_of_available_metrics",
    "get_service",
    "parse",
    "port_of",
    "service_of",
    "setup_logging",
    "validate",
]

LOG_LEVELS = ("CRITICAL", "ERROR", "WARNING", "INFO", "DEBUG", "NOTSET")
LOGGER = logging.getLogger("DATA-COLLECTION")

_KINDS = ("counter", "summary", "histogram", "gauge")
_REQUIRED = ("service_class", "service_module", "api_url", "prometheus_metrics_mapping")


def get_config(path: str) -> dict[str, Any]:
    """Read a configuration file.

    Raises:
        ConfigurationError: a ``ValueError`` that says what is wrong, and where.
        OSError: the file cannot be read.
    """
    with open(path, encoding="utf-8") as file:
        try:
            config = parse(file.read())
        except ValueError as error:
            raise ConfigurationError(f"Failed to parse config file {path}: {error}") from None
    validate(config)
    found: dict[str, Any] = config
    return found


def parse(config: str) -> Any:
    """Return the value of a JSON text."""
    return json.loads(config)


def validate(config: Any) -> None:
    """Refuse a configuration that cannot be used.

    Raises:
        ConfigurationError: a ``ValueError`` that says what is wrong, and where.
    """
    if not isinstance(config, dict):
        raise ConfigurationError(f"Invalid config: expected an object, got {type(config).__name__}")
    for name in ("api_call_intervals", "log_level", "services"):
        if name not in config:
            raise ConfigurationError(f'Invalid config: "{name}" is missing{did_you_mean(name, config)}')
    interval = config["api_call_intervals"]
    if not isinstance(interval, int) or isinstance(interval, bool) or interval < 0:
        raise ConfigurationError(f'Invalid config: "api_call_intervals" is {interval!r}; expected whole seconds')
    if config["log_level"] not in LOG_LEVELS:
        raise ConfigurationError(
            f'Invalid config: "log_level" is {config["log_level"]!r}; expected one of {", ".join(LOG_LEVELS)}'
        )
    services = config["services"]
    if not isinstance(services, dict) or not services:
        raise ConfigurationError('Invalid config: "services" must be an object with one service at least')
    if "port" in config:
        _check_port(config["port"], "port")
    for name, service in services.items():
        _check_service(name, service, "port" in config)


def service_of(config: Mapping[str, Any], service_name: str) -> dict[str, Any]:
    """Return the part of a configuration that is one service's.

    Raises:
        ConfigurationError: there is no such service; names those that there are.
    """
    services: dict[str, dict[str, Any]] = config["services"]
    try:
        return services[service_name]
    except KeyError:
        raise ConfigurationError(
            f'unknown service "{service_name}".{did_you_mean(service_name, services)} '
            f"The configuration has: {', '.join(services)}"
        ) from None


def port_of(config: Mapping[str, Any], service_name: str) -> int:
    """Return the port of a service: its own, or the one at the top."""
    return int(service_of(config, service_name).get("port", config.get("port", 0)))


def get_list_of_available_metrics(config: Mapping[str, Any], service_name: str) -> list[str]:
    """Return the metrics of a service, in the order of the file."""
    mapping: dict[str, list[str]] = service_of(config, service_name)["prometheus_metrics_mapping"]
    return [metric for metrics in mapping.values() for metric in metrics]


def get_service(config: Mapping[str, Any], service_name: str) -> Any:
    """Import a service's class and make an instance.

    Raises:
        ConfigurationError: the module or the class is not there.
    """
    service = service_of(config, service_name)
    module, name = service["service_module"], service["service_class"]
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        where = "in the working directory or on the import path" if error.name == module else f"({error})"
        raise ConfigurationError(
            f'service "{service_name}": the module "{module}" cannot be imported {where}'
        ) from error
    kind = getattr(found, name, None)
    if not isinstance(kind, type):
        classes = [each for each, value in vars(found).items() if getattr(value, "__module__", None) == module]
        has = ", ".join(classes) or "none"
        raise ConfigurationError(f'service "{service_name}": the module "{module}" has no class "{name}"; it has {has}')
    return kind()


def setup_logging() -> logging.Logger:
    """Return the logger, which writes to standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s|%(name)-12s|%(levelname)-8s|%(message)s", "%Y/%m/%d|%H:%M:%S"))
    LOGGER.handlers[:] = [handler]
    LOGGER.propagate = False
    if LOGGER.level == logging.NOTSET:
        LOGGER.setLevel(logging.INFO)
    return LOGGER


def _check_service(name: str, service: Any, port_at_top: bool) -> None:
    where = f'Invalid config: service "{name}"'
    if not isinstance(service, dict):
        raise ConfigurationError(f"{where} must be an object")
    for key in _REQUIRED:
        if key not in service:
            raise ConfigurationError(f'{where} has no "{key}"{did_you_mean(key, service)}')
    for key in _REQUIRED[:3]:
        if not isinstance(service[key], str):
            raise ConfigurationError(f'{where}: "{key}" is {service[key]!r}; expected a text')
    if "port" in service:
        _check_port(service["port"], f'service "{name}": port')
    elif not port_at_top:
        raise ConfigurationError(f'{where} has no "port", and there is none at the top either')
    mapping = service["prometheus_metrics_mapping"]
    if not isinstance(mapping, dict):
        raise ConfigurationError(f'{where}: "prometheus_metrics_mapping" must be an object')
    seen: dict[str, str] = {}
    for kind, metrics in mapping.items():
        if kind not in _KINDS:
            raise ConfigurationError(f"{where}: {kind!r} is no kind of metric; expected one of {', '.join(_KINDS)}")
        if not isinstance(metrics, list):
            raise ConfigurationError(f"{where}: the metrics of {kind!r} must be a list of names")
        for metric in metrics:
            if not isinstance(metric, str):
                raise ConfigurationError(f"{where}: metric {metric!r} is not a string")
            if metric in seen:
                raise ConfigurationError(f'{where}: metric "{metric}" is a {seen[metric]} and a {kind}; name it once')
            seen[metric] = kind
    labels = service.get("prometheus_metric_labels")
    if labels is None:
        return
    if not isinstance(labels, dict):
        raise ConfigurationError(f'{where}: "prometheus_metric_labels" must be an object')
    for metric, names in labels.items():
        if not isinstance(names, list) or not all(isinstance(each, str) for each in names):
            raise ConfigurationError(f'{where}: the labels of metric "{metric}" must be a list of names, got {names!r}')


def _check_port(port: Any, what: str) -> None:
    if not isinstance(port, int) or isinstance(port, bool) or not 0 <= port <= 65_535:
        raise ConfigurationError(f"Invalid config: {what} is {port!r}; expected a number from 0 to 65535")

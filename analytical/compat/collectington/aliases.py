"""Collectington's modules by their own names, so that a service's file loads as it is."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from json.decoder import JSONDecodeError, JSONDecoder
from types import ModuleType

__all__ = ["install_aliases"]


def install_aliases() -> None:
    """Let ``collectington`` and its modules be imported; does nothing the second time.

    Raises:
        MissingExtra: Prometheus' client is not installed.
    """
    if getattr(sys.modules.get("collectington"), "_stands_for", None):
        return
    from . import api, config

    package = _module("collectington", {"_stands_for": __package__, "__version__": "0.1.4", "__path__": []})
    # Services write "from collectington.config import *", and use what the module itself had imported.
    config_names = {name: getattr(config, name) for name in config.__all__}
    config_names |= {"sys": sys, "importlib": importlib, "setup_logging": config.setup_logging}
    config_names |= {"JSONDecodeError": JSONDecodeError, "JSONDecoder": JSONDecoder, "DECODER": JSONDecoder()}
    api_names = {name: getattr(api, name) for name in api.__all__}
    api_names |= {name: getattr(api, name) for name in ("ABC", "Counter", "Gauge", "Histogram", "Summary", "datetime")}
    errors = {
        name: type(name, (Exception,), {"__doc__": "One of Collectington's exceptions; nothing raises it."})
        for name in ("InvalidServiceTypeException", "InvalidMetricTypeException", "UndefinedMetricException")
    }
    errors["UnsupportedPrometheusInstance"] = api.UnsupportedPrometheusInstance
    exceptions = _module("collectington.exceptions", {"__path__": []})
    for name, names in {
        "config": config_names,
        "collectington_api": api_names,
        "logger": {"setup_logging": config.setup_logging, "DATA_COLLECTION_LOGGER": config.LOGGER.name},
    }.items():
        setattr(package, name, _module(f"collectington.{name}", names))
    setattr(package, "exceptions", exceptions)  # noqa: B010  no type has it
    setattr(exceptions, "collection_exceptions", _module("collectington.exceptions.collection_exceptions", errors))  # noqa: B010


def _module(name: str, names: Mapping[str, object]) -> ModuleType:
    module = ModuleType(name, f"Stands for the module {name} of Collectington.")
    vars(module).update(names)
    sys.modules[name] = module
    return module

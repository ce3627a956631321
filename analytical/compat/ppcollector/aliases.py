"""The original's modules by their old names, so that collectors written against them load as they are."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

__all__ = ["install_aliases"]

_HERE = __package__ or ""

#: Old module → names in it → where they are now ("module:attribute" below this package).
_MODULES: dict[str, dict[str, str]] = {
    "performanceplatform": {},
    "performanceplatform.client": {"DataSet": "push:DataSet", "CollectorAPI": "push:CollectorAPI"},
    "performanceplatform.client.base": {"BaseClient": "push:DataSet"},
    "performanceplatform.client.collector": {"CollectorAPI": "push:CollectorAPI"},
    "performanceplatform.client.data_set": {"DataSet": "push:DataSet"},
    "performanceplatform.collector": {},
    "performanceplatform.collector.arguments": {"parse_args": "arguments:parse_args"},
    "performanceplatform.collector.crontab": {
        "generate_crontab": "crontab:generate_crontab",
        "main": "crontab:main",
    },
    "performanceplatform.collector.ga": {
        "Pusher": "push:Pusher",
        "create_client": "ga:create_client",
        "main": "ga:main",
        "query_documents_for": "ga:query_documents_for",
    },
    "performanceplatform.collector.ga.contrib": {},
    "performanceplatform.collector.ga.contrib.content": {},
    "performanceplatform.collector.ga.contrib.content.table": {
        "get_department": "ga:department_in",
        "main": "ga:table_main",
    },
    "performanceplatform.collector.ga.core": {
        "query_documents_for": "ga:query_documents_for",
        "query_for_range": "ga:query_for_range",
        "query_ga": "ga:query_ga",
        "try_number": "ga:try_number",
    },
    "performanceplatform.collector.ga.lib": {},
    "performanceplatform.collector.ga.lib.helper": {"create_client": "ga:create_client"},
    "performanceplatform.collector.ga.plugins": {
        name: f"plugins:{name}"
        for name in (
            "AggregateKey",
            "Comment",
            "ComputeDepartmentKey",
            "ComputeIdFrom",
            "ComputeRank",
            "RemoveKey",
            "SetDepartment",
            "aggregate_count",
            "aggregate_rate",
            "load_plugins",
        )
    },
    "performanceplatform.collector.ga.plugins.department": {"try_get_department": "plugins:department_of"},
    "performanceplatform.collector.ga.plugins.load_plugin": {
        "load_plugin": "plugins:load_plugin",
        "load_plugins": "plugins:load_plugins",
    },
    "performanceplatform.collector.ga.realtime": {"main": "ga:realtime_main"},
    "performanceplatform.collector.ga.trending": {"main": "ga:trending_main"},
    "performanceplatform.collector.gcloud": {"main": "gcloud:main"},
    "performanceplatform.collector.logging_setup": {
        "extra_fields_from_exception": "logs:extra_fields_from_exception",
    },
    "performanceplatform.collector.main": {"main": ":main"},
    "performanceplatform.collector.pingdom": {
        "main": "pingdom:main",
        "parse_time_range": "pingdom:parse_time_range",
    },
    "performanceplatform.collector.pingdom.core": {"Pingdom": "pingdom:Pingdom"},
    "performanceplatform.collector.piwik": {},
    "performanceplatform.collector.piwik.core": {"main": "piwik:main"},
    "performanceplatform.collector.piwik.realtime": {"main": "piwik:realtime_main"},
    "performanceplatform.collector.webtrends": {},
    "performanceplatform.collector.webtrends.keymetrics": {"main": "webtrends:keymetrics_main"},
    "performanceplatform.collector.webtrends.reports": {"main": "webtrends:reports_main"},
    "performanceplatform.utils": {"statsd": "statsd:statsd"},
    "performanceplatform.utils.collector": {"get_config": "push:get_config"},
    "performanceplatform.utils.data_parser": {
        "DataParser": "records:DataParser",
        "build_document": "records:build_document",
        "build_document_set": "records:build_document_set",
        "value_id": "records:value_id",
    },
    "performanceplatform.utils.data_pusher": {"Pusher": "push:Pusher"},
    "performanceplatform.utils.datetimeutil": {
        name: f"dates:{name}"
        for name in (
            "a_day_ago",
            "a_month_ago",
            "a_week_ago",
            "an_hour_ago",
            "period_range",
            "start_of_month",
            "start_of_week",
            "to_date",
            "to_datetime",
            "to_utc",
        )
    },
    "performanceplatform.utils.requests_with_backoff": {
        "exceptions": "web:exceptions",
        "get": "web:get",
        "post": "web:post",
    },
}


class _Alias(ModuleType):
    """A module whose names are looked up in this package when they are asked for."""

    def __init__(self, name: str, targets: dict[str, str]) -> None:
        super().__init__(name, f"Stands for the module {name} of performanceplatform-collector.")
        self.__all__ = sorted(targets)
        self._targets = targets

    def __getattr__(self, name: str) -> Any:
        try:
            module, _, attribute = self._targets[name].partition(":")
        except KeyError:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}") from None
        found = getattr(import_module(f".{module}", _HERE) if module else sys.modules[_HERE], attribute)
        setattr(self, name, found)
        return found


def install_aliases() -> None:
    """Let the original's modules be imported by their old names; does nothing the second time.

    A package ``performanceplatform`` elsewhere on the import path adds its own collectors
    (``performanceplatform.collector.yours``), and replaces none of these.
    """
    if isinstance(sys.modules.get("performanceplatform"), _Alias):
        return
    for name, targets in _MODULES.items():
        alias = _Alias(name, targets)
        parts = name.split(".")
        if any(other.startswith(f"{name}.") for other in _MODULES):
            alias.__path__ = [str(place) for place in (Path(each, *parts) for each in sys.path) if place.is_dir()]
        sys.modules[name] = alias
        if len(parts) > 1:
            setattr(sys.modules[name.rpartition(".")[0]], parts[-1], alias)
    setattr(sys.modules["performanceplatform.collector"], "__version__", "0.3.2")  # noqa: B010  no type has it

"""Server-side analytics: one call for every platform, nothing personal leaves, nothing accepted is lost.

>>> import analytical
>>> site = analytical.Provider("stdout", "demo")
>>> site.explain("pageview", url="https://example.com/pricing?email=a%40b.example")[0].method
'POST'

Everything here is loaded when it is first asked for (PEP 562), so that ``import analytical`` costs next to nothing
and importing one provider brings in neither the transports nor the others.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "1.0.0"

#: Where each public name lives.
_HOMES = {
    "Provider": "models",
    "Providers": "models",
    "Policy": "privacy.policy",
    "VisitorId": "privacy.visitor",
    "Bots": "bots",
    "Hit": "hit",
    "HitFields": "hit",
    "Ledger": "observe",
    "Observer": "observe",
    "Proxies": "context",
    "RequestFacts": "context",
    "configure": "config",
    "from_url": "config",
    "get": "config",
    "flushing": "delivery.serverless",
    "Metrics": "collect",
    "Report": "collect",
    "counter": "collect",
    "gauge": "collect",
    "serve": "collect",
    "source": "collect",
    **dict.fromkeys(
        (
            "AnalyticalError",
            "ConfigurationError",
            "DeliveryError",
            "InvalidHit",
            "Lost",
            "MissingExtra",
            "Rejected",
            "ReportError",
            "UnknownField",
            "UnknownName",
            "Unreachable",
            "Unsupported",
        ),
        "errors",
    ),
}

if TYPE_CHECKING:
    from .bots import Bots
    from .collect import Metrics, Report, counter, gauge, serve, source
    from .config import configure, from_url, get
    from .context import Proxies, RequestFacts
    from .delivery.serverless import flushing
    from .errors import (
        AnalyticalError,
        ConfigurationError,
        DeliveryError,
        InvalidHit,
        Lost,
        MissingExtra,
        Rejected,
        ReportError,
        UnknownField,
        UnknownName,
        Unreachable,
        Unsupported,
    )
    from .hit import Hit, HitFields
    from .models import Provider, Providers
    from .observe import Ledger, Observer
    from .privacy.policy import Policy
    from .privacy.visitor import VisitorId

__all__ = [
    "AnalyticalError",
    "Bots",
    "ConfigurationError",
    "DeliveryError",
    "Hit",
    "HitFields",
    "InvalidHit",
    "Ledger",
    "Lost",
    "Metrics",
    "MissingExtra",
    "Observer",
    "Policy",
    "Provider",
    "Providers",
    "Proxies",
    "Rejected",
    "Report",
    "ReportError",
    "RequestFacts",
    "UnknownField",
    "UnknownName",
    "Unreachable",
    "Unsupported",
    "VisitorId",
    "__version__",
    "configure",
    "counter",
    "flushing",
    "from_url",
    "gauge",
    "get",
    "serve",
    "source",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if name in ("utils", "context"):  # documented as attributes of the package
        return import_module(f".{name}", __name__)
    if home is None:
        raise AttributeError(f"module 'analytical' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f".{home}", __name__), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

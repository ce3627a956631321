"""The public pure helpers of privacy, in one place.

>>> from analytical import utils
>>> utils.anonymize_ip_address("12.34.56.78")
'12.34.0.0'
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .privacy.address import anonymize_ip_address
    from .privacy.browser import anonymize_user_agent, reduce_user_agent
    from .privacy.text import scrub_text
    from .privacy.url import scrub_url
    from .privacy.visitor import generate_client_id

__all__ = [
    "anonymize_ip_address",
    "anonymize_user_agent",
    "generate_client_id",
    "reduce_user_agent",
    "scrub_text",
    "scrub_url",
]

# Each of these costs an import of its own, so it happens when somebody asks.
_HOMES = {
    "anonymize_ip_address": "address",
    "anonymize_user_agent": "browser",
    "generate_client_id": "visitor",
    "reduce_user_agent": "browser",
    "scrub_text": "text",
    "scrub_url": "url",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"analytical.privacy.{home}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

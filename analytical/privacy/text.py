"""Free text: what reads as personal is replaced."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["denied_key", "find", "scrub_properties", "scrub_text", "shorten"]

_LONGEST = 4096
_EMAIL = re.compile(r"[\w.+-]{1,64}@[\w.-]{1,64}\.[a-z]{2,}", re.I)
_DENIED = frozenset({"email", "phone", "password", "token", "ip", "name"})


def shorten(text: str) -> str:
    """Cut a text to 4 KiB at a separator, without the broken last token."""
    if len(text) * 4 <= _LONGEST:
        return text
    encoded = text[:_LONGEST].encode("utf-8", "surrogatepass")
    if len(encoded) <= _LONGEST and len(text) <= _LONGEST:
        return text
    cut = encoded[:_LONGEST].decode("utf-8", "ignore")
    for index in range(len(cut) - 1, -1, -1):
        if not cut[index].isalnum() and cut[index] not in "@%+-_.":
            return cut[:index]
    return ""


def find(text: str) -> bool:
    """Tell whether a text holds a direct identifier or a credential."""
    return _EMAIL.search(text) is not None


def scrub_text(text: str, *, strict: bool = False) -> str:
    """Replace what is personal in a text."""
    return _EMAIL.sub("[email]", text)


def denied_key(key: str) -> bool:
    """Tell whether the name of a property names something personal."""
    return key.lower() in _DENIED


def scrub_properties(value: Any, *, strict: bool = False, denied: Callable[[str], bool] = denied_key) -> Any:
    """Walk a container; drop denied keys; scrub every text."""
    if isinstance(value, Mapping):
        return {
            key: scrub_properties(inner, strict=strict, denied=denied)
            for key, inner in value.items()
            if not denied(key)
        }
    if isinstance(value, list):
        return [scrub_properties(inner, strict=strict, denied=denied) for inner in value]
    return scrub_text(value, strict=strict) if isinstance(value, str) else value

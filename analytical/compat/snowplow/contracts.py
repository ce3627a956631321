"""Values are checked as the documentation says, and can be left unchecked for speed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ...providers.snowplow import PLATFORMS
from ...providers.vocabulary import INPUT_TYPES, NODE_NAMES

__all__ = ["contracts_enabled", "disable_contracts", "enable_contracts"]


class _Switch:
    on = True


def disable_contracts() -> None:
    """Stop checking values; what the collector would refuse is still not sent."""
    _Switch.on = False


def enable_contracts() -> None:
    """Check values again."""
    _Switch.on = True


def contracts_enabled() -> bool:
    """Tell whether values are checked."""
    return _Switch.on


def text(name: str, value: Any, *, optional: bool = False, empty: bool = True) -> None:
    """Require text."""
    if type(value) is str and (value or empty):
        return
    if value is None and optional:
        return
    if not _Switch.on:
        return
    if not isinstance(value, str):
        raise TypeError(f"{name}: expected {'text or None' if optional else 'text'}, got {_shown(value)}")
    if not value and not empty:
        raise ValueError(f"{name}: expected text that is not empty, got ''")


def whole(name: str, value: Any, *, least: int | None = None, optional: bool = False) -> None:
    """Require a whole number."""
    if type(value) is int and (least is None or value >= least):
        return
    if not _Switch.on or (optional and value is None):
        return
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name}: expected a whole number, got {_shown(value)}")
    if least is not None and value < least:
        raise ValueError(f"{name}: expected a whole number of at least {least}, got {value}")


def number(name: str, value: Any, *, optional: bool = False) -> None:
    """Require a number."""
    if type(value) is int:
        return
    if not _Switch.on or (optional and value is None):
        return
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name}: expected a number, got {_shown(value)}")
    if not math.isfinite(value):
        raise ValueError(f"{name}: expected a finite number, got {value}")


def one_of(name: str, value: Any, allowed: tuple[str, ...]) -> None:
    """Require one of a few words."""
    if _Switch.on and value not in allowed:
        raise ValueError(f"{name}: expected one of {', '.join(allowed)}, got {_shown(value)}")


def texts(name: str, value: Any, *, optional: bool = False, least: int = 0) -> None:
    """Require a list or tuple of texts."""
    if not _Switch.on or (optional and value is None):
        return
    if isinstance(value, str) or not isinstance(value, (list, tuple)):
        raise TypeError(f"{name}: expected a list of texts, got {_shown(value)}")
    for one in value:
        if not isinstance(one, str):
            raise TypeError(f"{name}: expected a list of texts, got one with something else in it")
    if len(value) < least:
        raise ValueError(f"{name}: expected at least {least}, got an empty list")


def platform(name: str, value: Any) -> None:
    """Require a platform that the pipeline knows."""
    one_of(name, value, PLATFORMS)


def node_name(name: str, value: Any) -> None:
    """Require the kind of a form's field."""
    one_of(name, value, NODE_NAMES)


def input_type(name: str, value: Any) -> None:
    """Require the type of an input."""
    if _Switch.on and value is not None and (not isinstance(value, str) or value.lower() not in INPUT_TYPES):
        raise ValueError(f"{name}: expected one of {', '.join(sorted(INPUT_TYPES))}, got {_shown(value)}")


def form_elements(name: str, values: list[Any]) -> None:
    """Require descriptions of a form's fields."""
    if not _Switch.on:
        return
    for position, value in enumerate(values):
        if not isinstance(value, (dict, Mapping)):  # dict first: a look at the type, not at the registry of mappings
            expected = "a mapping of name, value, nodeName and type"
            raise TypeError(f"{name}[{position}]: expected {expected}, got {_shown(value)}")
        for key in ("name", "value", "nodeName"):
            if key not in value:
                found = sorted(map(str, value))
                raise ValueError(f"{name}[{position}]: expected a mapping with {key!r}, got one with {found}")
        node_name(f"{name}[{position}]['nodeName']", value["nodeName"])
        input_type(f"{name}[{position}]['type']", value.get("type"))


def filters(name: str, value: Any) -> None:
    """Require names with text, or with yes and no."""
    if not _Switch.on:
        return
    if not isinstance(value, (dict, Mapping)):
        raise TypeError(f"{name}: expected a mapping, got {type(value).__name__}")
    for key, one in value.items():
        if not isinstance(one, (str, bool)):
            raise TypeError(f"{name}[{key!r}]: expected text or a yes or no, got {type(one).__name__}")


def _shown(value: Any) -> str:
    # A developer's slip is shown as it was typed; anything long may be a visitor's.
    shown = repr(value)
    return f"{type(value).__name__} {shown}" if len(shown) <= 40 else type(value).__name__

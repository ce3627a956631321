"""What a ``tstamp`` means: the device's clock, or the true time."""

from __future__ import annotations

import math
from typing import Any

__all__ = ["DeviceTimestamp", "Timestamp", "TrueTimestamp"]


class Timestamp:
    """Milliseconds since 1970, and the parameter that they set.

    Args:
        ts_type: ``dtm`` or ``ttm``.
        value: milliseconds since 1970; a fraction is cut off.
    """

    __slots__ = ("ts_type", "value")

    def __init__(self, ts_type: str, value: float) -> None:
        self.ts_type = ts_type
        self.value = milliseconds("value", value)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.value})"


class TrueTimestamp(Timestamp):
    """When it truly happened (``ttm``), in milliseconds since 1970."""

    __slots__ = ()

    def __init__(self, value: float) -> None:
        super().__init__("ttm", value)


class DeviceTimestamp(Timestamp):
    """What the device's clock said (``dtm``), in milliseconds since 1970."""

    __slots__ = ()

    def __init__(self, value: float) -> None:
        super().__init__("dtm", value)


def milliseconds(name: str, value: Any) -> int:
    """Return a moment in whole milliseconds.

    Raises:
        TypeError: it is no number.
        ValueError: it is no positive, finite number.
    """
    if type(value) is int and value >= 0:
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name}: expected milliseconds since 1970, got {type(value).__name__} {value!r:.40}")
    if not math.isfinite(value) or value < 0:
        raise ValueError(f"{name}: expected milliseconds since 1970, got {value}")
    return int(value)

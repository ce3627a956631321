"""The names that annotations of code for the older tracker use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, Protocol

__all__ = [
    "ElementClasses",
    "EmitterProtocol",
    "FailureCallback",
    "FormClasses",
    "FormNodeName",
    "HttpProtocol",
    "JsonEncoderFunction",
    "Method",
    "PayloadDict",
    "PayloadDictList",
    "SuccessCallback",
    "SupportedPlatform",
]

PayloadDict = dict[str, Any]
PayloadDictList = list[PayloadDict]
JsonEncoderFunction = Callable[[Any], Any]
#: Called with the payloads that were sent.
SuccessCallback = Callable[[PayloadDictList], Any]
#: Called with the number that were sent, and the payloads that were not.
FailureCallback = Callable[[int, PayloadDictList], Any]
ElementClasses = list[str] | tuple[str, ...]
FormClasses = ElementClasses
FormNodeName = Literal["INPUT", "TEXTAREA", "SELECT"]
HttpProtocol = Literal["http", "https"]
Method = Literal["get", "post"]
SupportedPlatform = Literal["web", "mob", "pc", "srv", "app", "tv", "cnsl", "iot", "headset"]


class EmitterProtocol(Protocol):
    """What a tracker needs of an emitter of one's own; the flushes may be left out."""

    def input(self, payload: PayloadDict) -> None:
        """Take an event."""
        ...

"""The options of a tracker, gathered."""

from __future__ import annotations

from .typing import JsonEncoderFunction

__all__ = ["TrackerConfiguration"]


class TrackerConfiguration:
    """How a tracker encodes.

    Args:
        encode_base64: whether containers travel as base64.
        json_encoder: turns what JSON does not know into what it knows.
    """

    def __init__(self, encode_base64: bool = True, json_encoder: JsonEncoderFunction | None = None) -> None:
        self.encode_base64 = encode_base64
        self.json_encoder = json_encoder

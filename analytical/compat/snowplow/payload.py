"""One event in the protocol's keys, on its way to an emitter."""

from __future__ import annotations

import json
from binascii import b2a_base64
from collections.abc import Mapping
from typing import Any

from .typing import JsonEncoderFunction, PayloadDict

__all__ = ["EMPTY", "Payload", "encoded", "filled", "written"]

#: What is left out of a payload.
EMPTY = (None, "")

_encoder = json.JSONEncoder(ensure_ascii=False, allow_nan=False)


def _in_c() -> Any:
    """Return the encoder that ``JSONEncoder.encode`` makes anew for every call, which takes as long as its work.

    This one has no memory of where it has been, which cannot be shared. ``None`` where this Python has no such thing.
    """
    names: Any = json.encoder  # as of 3.14 this name is not documented
    try:
        return names.c_make_encoder(
            None, _encoder.default, names.encode_basestring, None, ": ", ", ", False, False, False
        )
    except (AttributeError, TypeError):
        return None


_made = _in_c()


def _plain(value: Any) -> str:
    if _made is None:
        return _encoder.encode(value)
    try:
        return "".join(_made(value, 0))
    except RecursionError:
        return _encoder.encode(value)  # tells a circle from what is merely deep


def written(value: Any, json_encoder: JsonEncoderFunction | None = None) -> str:
    """Return JSON text, spaced as 1.x spaces it.

    Args:
        value: anything that JSON knows.
        json_encoder: turns what JSON does not know into what it knows.

    Raises:
        TypeError: there is something in it that JSON does not know.
        ValueError: there is a number in it that is not finite, or itself.
    """
    try:
        if json_encoder is None:
            return _plain(value)
        return json.dumps(value, ensure_ascii=False, allow_nan=False, default=json_encoder)
    except ValueError as error:
        raise ValueError(f"data: expected what JSON can hold ({error})") from None


def encoded(text: str) -> str:
    """Return text in base64 of the alphabet that addresses can hold."""
    plain = b2a_base64(text.encode("utf-8", "replace"), newline=False).decode("ascii")
    return plain.replace("+", "-").replace("/", "_")


def filled(pairs: PayloadDict) -> PayloadDict:
    """Return names and values without those that are empty: the same mapping where none is."""
    values = pairs.values()
    if None not in values and "" not in values:
        return pairs
    return {name: value for name, value in pairs.items() if value not in EMPTY}


class Payload:
    """Names and values; what is empty is left out.

    Args:
        dict_: values to begin with, taken as they are.
    """

    __slots__ = ("nv_pairs",)

    def __init__(self, dict_: Mapping[str, Any] | None = None) -> None:
        self.nv_pairs: PayloadDict = dict(dict_) if dict_ else {}

    def add(self, name: str, value: Any) -> None:
        """Add a value, unless it is ``None`` or the empty text."""
        if value is not None and value != "":
            self.nv_pairs[name] = value

    def add_dict(self, dict_: Mapping[str, Any], base64: bool = False) -> None:
        """Add several; ``base64`` has no meaning here and never had."""
        for name, value in dict_.items():
            self.add(name, value)

    def add_json(
        self,
        dict_: Mapping[str, Any] | None,
        encode_base64: bool,
        type_when_encoded: str,
        type_when_not_encoded: str,
        json_encoder: JsonEncoderFunction | None = None,
    ) -> None:
        """Add a container as JSON text, or as that in base64, under the name that goes with it.

        Args:
            dict_: the container; nothing is added where it is empty.
            encode_base64: whether to encode it.
            type_when_encoded: ``ue_px`` or ``cx``.
            type_when_not_encoded: ``ue_pr`` or ``co``.
            json_encoder: turns what JSON does not know into what it knows.
        """
        if not dict_:
            return
        text = written(dict_, json_encoder)
        if encode_base64:
            self.nv_pairs[type_when_encoded] = encoded(text)
        else:
            self.nv_pairs[type_when_not_encoded] = text

    def get(self) -> PayloadDict:
        """Return the names and values."""
        return self.nv_pairs

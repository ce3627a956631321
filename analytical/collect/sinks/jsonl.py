"""JSON Lines: a record a line, in a file or on standard output (https://jsonlines.org)."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any, TextIO

import msgspec

from ...errors import SinkError
from ..period import Period
from ..records import Batch, Record
from ..sink import Sink, Target
from .files import FileSink

__all__ = ["JsonLines", "Stdout"]

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, Any]).decode


class JsonLines(FileSink):
    """``stats.jsonl``: a period is replaced whole; other lines stay."""

    def parse(self) -> Iterator[Record]:
        with self.path.open("rb", buffering=1 << 18) as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    try:
                        yield _decode(line)
                    except (msgspec.DecodeError, UnicodeDecodeError):
                        raise SinkError(
                            f"{self.path}, line {number}: no JSON object; the file was not written by this sink, "
                            "or was damaged. Move it away, or give another path"
                        ) from None

    def render(self, records: Iterator[Record], out: Any, target: Target) -> None:
        for record in records:
            out.write(_encode(record) + b"\n")


class Stdout(Sink):
    """``-``: JSON Lines on standard output."""

    def __init__(self, to: str = "-", *, stream: TextIO | None = None) -> None:
        self._stream = stream

    def write(self, records: Batch, replace: Period | None, target: Target) -> None:
        out = self._stream or sys.stdout
        for record in records:
            out.write(_encode(record).decode() + "\n")
        out.flush()

    def describe(self) -> str:
        return "standard output"

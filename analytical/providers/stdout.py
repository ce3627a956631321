"""The standard output as a provider: one JSON object a line.

https://github.com/ndjson/ndjson-spec
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..backend import Lines

__all__ = ["Stdout"]


@dataclass(frozen=True, kw_only=True)
class Stdout(Lines):
    """The standard output. The id is yours to choose, or absent."""

    id: str = ""

    name: ClassVar[str] = "stdout"
    title: ClassVar[str] = "Standard output"
    host: ClassVar[str | None] = "stdout:"
    remark: ClassVar[str] = "Needs no account; one line of JSON a hit."

    def destination(self) -> str:
        return "stdout:"

"""A file as a provider: one JSON object a line, appended whole, rotated by size.

https://github.com/ndjson/ndjson-spec
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote, urlencode

from ..backend import ConfigurationError, Lines, option

__all__ = ["File", "size_of"]

_UNITS = {"K": 10**3, "M": 10**6, "G": 10**9}


@dataclass(frozen=True, kw_only=True)
class File(Lines):
    """A file of lines. The id is its path.

    Args:
        rotate: bytes after which the file is put aside as ``.1``, such as ``"64M"``; 0 for never.
        keep: how many files put aside are kept; the oldest goes.
    """

    rotate: int | str = option(0, doc="bytes before the file is put aside, such as 64M; 0 for never")
    keep: int = option(5, doc="how many files put aside are kept")

    name: ClassVar[str] = "file"
    title: ClassVar[str] = "File (NDJSON)"
    host: ClassVar[str | None] = "file://"
    remark: ClassVar[str] = "Needs no account; several processes may append to one file."

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.id or self.id.endswith("/"):
            raise ConfigurationError("file needs a path as its id, such as 'hits.ndjson'")
        size_of(self.rotate)

    def destination(self) -> str:
        query = {"rotate": size_of(self.rotate), "keep": self.keep} if size_of(self.rotate) else {}
        path = quote(str(Path(self.id).expanduser().absolute()))
        return f"file://{path}?{urlencode(query)}" if query else f"file://{path}"


def size_of(value: int | str) -> int:
    """Return bytes from a number or from text such as ``64M``.

    Raises:
        ConfigurationError: it is neither.

    >>> size_of("64M"), size_of("10kB"), size_of(5)
    (64000000, 10000, 5)
    """
    text = str(value).strip().upper().removesuffix("B").removesuffix("I")
    factor = _UNITS.get(text[-1:], 1)
    digits = text[:-1] if factor > 1 else text
    if not digits.strip().isdecimal():
        raise ConfigurationError(f"rotate={value!r}: expected bytes, as a number or such as '64M'")
    return int(digits) * factor

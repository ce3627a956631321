"""Regular expressions that are compiled when they are first asked, not when a module is imported."""

from __future__ import annotations

import re
from typing import Any, cast

__all__ = ["lazy"]

_METHODS = ("search", "match", "fullmatch", "finditer", "findall", "split", "sub")


def lazy(source: str, flags: int = 0) -> re.Pattern[str]:
    """Return a pattern that costs nothing until it is used.

    The detector has a hundred of them, some milliseconds each; most texts need few, and most pages none of the large.

    >>> lazy("[0-9]+").findall("1 and 22")
    ['1', '22']
    """
    return cast("re.Pattern[str]", _Lazy(source, flags))


class _Lazy:
    def __init__(self, source: str, flags: int) -> None:
        self._source = source
        self._flags = flags

    def __getattr__(self, name: str) -> Any:
        # Asked once: from then on the compiled pattern's own methods stand in the instance.
        compiled = re.compile(self._source, self._flags)
        for method in _METHODS:
            setattr(self, method, getattr(compiled, method))
        return getattr(compiled, name)

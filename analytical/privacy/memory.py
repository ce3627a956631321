"""What has been answered before: bounded by bytes, and forgetting the older half first."""

from __future__ import annotations

from sys import getsizeof
from typing import Any

__all__ = ["MISSING", "Memory"]

MISSING: Any = object()
#: Bytes of a generation; two are kept. Two thousand pages' addresses fill half of one.
_ROOM = 512 * 1024
#: What an entry costs beside its key: its place in the dictionary.
_ENTRY = 100


class Memory:
    """Keys and answers. What is asked for often is kept: an answer of the older generation moves to the recent one.

    Args:
        room: bytes of a generation.
    """

    __slots__ = ("_before", "_left", "_room", "recent")

    def __init__(self, room: int = _ROOM) -> None:
        #: The recent generation; the same dictionary for ever, for those who look here first.
        self.recent: dict[Any, Any] = {}
        self._before: dict[Any, Any] = {}
        self._room = self._left = room

    def get(self, key: Any) -> Any:
        """Return the answer, or ``MISSING``."""
        answer = self.recent.get(key, MISSING)
        if answer is MISSING and key in self._before:
            answer = self._before.get(key, MISSING)
            self.put(key, answer)
        return answer

    def put(self, key: Any, answer: Any) -> None:
        """Remember an answer."""
        self._left -= getsizeof(key) + _ENTRY
        if self._left < 0:
            self._before = self.recent.copy()
            self.recent.clear()
            self._left = self._room
        self.recent[key] = answer

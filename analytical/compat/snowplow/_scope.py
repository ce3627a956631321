"""A value that one thread or task can change without another seeing it.

Code written for a tracker of one user sets things on shared objects while it serves many. Here a change made where
the object was made holds for all; one made anywhere else holds there only.
"""

from __future__ import annotations

import sys
import threading
import weakref
from collections.abc import MutableMapping
from contextvars import ContextVar
from typing import Any, Generic, TypeVar

__all__ = ["Scoped"]

T = TypeVar("T")

_changes: ContextVar[MutableMapping[Scoped[Any], Any] | None] = ContextVar("analytical_snowplow_changes", default=None)


class _Here(threading.local):
    def __init__(self) -> None:
        # An object, not the thread's number: numbers are used again.
        self.token = object()


_here = _Here()


def _task() -> Any:
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return None
    try:
        return asyncio.current_task()
    except RuntimeError:  # no event loop runs in this thread
        return None


class Scoped(Generic[T]):
    """A value for everybody, and other values for single threads and tasks.

    Args:
        value: what everybody sees at first.
    """

    __slots__ = ("__weakref__", "_home", "_task", "_value")

    def __init__(self, value: T) -> None:
        self._value = value
        self._home = _here.token
        task = _task()
        self._task = None if task is None else weakref.ref(task)

    def __reduce__(self) -> tuple[type[Scoped[T]], tuple[T]]:
        # A copy is at home where it is made.
        return type(self), (self.get(),)

    def get(self) -> T:
        """Return what holds here."""
        changes = _changes.get()
        if changes is None:
            return self._value
        found: T = changes.get(self, self._value)
        return found

    def set(self, value: T) -> None:
        """Change it: for all where it was made, else for this thread or task alone."""
        if self._home is _here.token and _task() is (None if self._task is None else self._task()):
            self._value = value
            return
        # A copy, because a task that was started from here shares the mapping.
        changes: MutableMapping[Scoped[Any], Any] = weakref.WeakKeyDictionary(_changes.get() or {})
        changes[self] = value
        _changes.set(changes)

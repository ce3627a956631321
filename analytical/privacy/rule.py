"""A rule: a function of one kind of datum, its name, and what it remembers."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from os import urandom
from typing import Any

from .memory import MISSING, Memory
from .text import shorten

__all__ = ["Rule"]

#: The longest text that is worth remembering.
_MEMO_CHARS = 512


class Rule:
    """A function of a datum, with a name and a sentence for people.

    It remembers its answers: a value that it left unchanged as it is, any other under a keyed hash of it, so that no
    memory holds what the rule takes out. Both memories are bounded.

    Args:
        name: what notes and logs call it.
        apply: value to value, or to ``None``, which removes the datum.
        says: one sentence for a data-protection officer.
        remember: whether the answer depends on the value alone.
    """

    __slots__ = ("_changed", "_keyed", "_same", "apply", "name", "remember", "same", "says")

    def __init__(self, name: str, apply: Callable[[Any], Any], says: str, *, remember: bool = False) -> None:
        self.name = name
        self.apply = apply
        self.says = says
        self.remember = remember
        self._same = Memory()
        self._changed = Memory()
        self._keyed: blake2b | None = None
        #: The values that were lately left unchanged.
        self.same = self._same.recent

    def __call__(self, value: Any) -> Any:
        if type(value) is not str:
            return self.apply(value)
        if len(value) > _MEMO_CHARS:
            return self.apply(shorten(value))
        if not self.remember:
            return self.apply(value)
        if self._same.get(value) is not MISSING:
            return value
        keyed = self._keyed
        if keyed is None:
            keyed = self._keyed = blake2b(digest_size=16, key=urandom(32))
        hashed = keyed.copy()
        hashed.update(value.encode("utf-8", "surrogatepass"))
        digest = hashed.digest()
        out = self._changed.get(digest)
        if out is MISSING:
            out = self.apply(value)
            if out == value:
                self._same.put(value, None)
            else:
                self._changed.put(digest, out)
        return out

    def __repr__(self) -> str:
        return f"<Rule {self.name}>"

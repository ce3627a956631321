"""A rule: a function of one kind of datum, its name, and what it remembers."""

from __future__ import annotations

from collections.abc import Callable
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
        bounded: whether ``apply`` itself bounds how much of a text it looks at.
    """

    __slots__ = ("_answers", "_changed", "_same", "apply", "name", "quick", "remember", "same", "says")

    def __init__(
        self, name: str, apply: Callable[[Any], Any], says: str, *, remember: bool = False, bounded: bool = False
    ) -> None:
        self.name = name
        self.apply = apply
        self.says = says
        self.remember = remember
        self._same = Memory()
        self._changed = Memory()
        self._answers = self._changed.recent
        #: The values that were lately left unchanged.
        self.same = self._same.recent
        #: What answers as this rule does: the function alone, where the rule would add nothing.
        self.quick: Callable[[Any], Any] = apply if bounded and not remember else self

    def __call__(self, value: Any) -> Any:
        if type(value) is not str:
            return self.apply(value)
        if len(value) > _MEMO_CHARS:
            return self.apply(shorten(value))
        if not self.remember:
            return self.apply(value)
        # Python's own hash of a text is keyed, by a secret that is drawn anew for each process (SipHash, PEP 456).
        hashed = hash(value)
        out = self._answers.get(hashed, MISSING)
        return out if out is not MISSING else self._asked(value, hashed)

    def _asked(self, value: str, hashed: int) -> Any:
        if self._same.get(value) is not MISSING:
            return value
        out = self._changed.get(hashed)
        if out is MISSING:
            out = self.apply(value)
            if out == value:
                self._same.put(value, None)
            else:
                self._changed.put(hashed, out)
        return out

    def __repr__(self) -> str:
        return f"<Rule {self.name}>"

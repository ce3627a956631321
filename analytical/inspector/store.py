"""The hits an inspector keeps: bounded by number and by bytes, and readable from any position."""

from __future__ import annotations

import json
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

__all__ = ["COLUMNS", "Entry", "Mark", "Store", "lines", "plain"]

#: What one exported hit consists of, in this order.
COLUMNS = ("provider", "kind", "url", "title", "name", "fields", "findings", "raw")

#: What an export says of a hit that no platform would have recorded.
_WHY_NOT = {
    "refused": "refused on purpose: no platform would have recorded it",
    "hung": "left without an answer on purpose: no platform would have recorded it",
    "shown": "not sent, only shown",
}

_DEPTH = 8
_ITEMS = 300
_TEXT = 4_096
_BUDGET = 65_536


class Entry(NamedTuple):
    """One kept hit: what the page lists (``head``), the request it came in (``raw``), both as JSON.

    The hits of one request share one ``raw``; ``cost`` counts it once, with the last of them, so that the
    sum never says less than what is held.
    """

    id: int
    head: bytes
    raw: bytes
    cost: int
    counts: bool  #: answered as the platform answers; false for one refused or left hanging on purpose


class Mark(NamedTuple):
    """A position in the stream of hits, which survives a reconnect: process, clearing, and the last hit seen."""

    boot: str
    generation: int
    last: int

    def __str__(self) -> str:
        return f"{self.boot}.{self.generation}.{self.last}"

    @classmethod
    def parse(cls, text: str) -> Mark | None:
        """Read what a browser gives back as ``Last-Event-ID``; ``None`` for anything else."""
        boot, _, rest = text.partition(".")
        generation, _, last = rest.partition(".")
        if generation.isdecimal() and last.isdecimal() and len(text) < 80:
            return cls(boot, int(generation), int(last))
        return None


def plain(value: Any, *, budget: int = _BUDGET) -> Any:
    """Return JSON-safe data of bounded depth, width and size, whatever arrived.

    >>> plain({"a": float("nan"), "b": b"x", "c": {1, 2} & {1}})
    {'a': 'NaN', 'b': 'x', 'c': [1]}
    """
    left = [budget]
    return _plain(value, left, 0)


def _plain(value: Any, left: list[int], depth: int) -> Any:
    left[0] -= 8
    if left[0] <= 0 or depth > _DEPTH:
        return "…"
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        # Beyond 2**53 a browser would round; as text it stays what it was. A huge one has no decimal text at all.
        return value if abs(value) <= 2**53 else (str(value) if value.bit_length() < 4_000 else "a huge number")
    if isinstance(value, float):
        return value if math.isfinite(value) else {math.inf: "Infinity", -math.inf: "-Infinity"}.get(value, "NaN")
    if isinstance(value, bytes):
        value = value[:_TEXT].decode("utf-8", "replace")
    if isinstance(value, Mapping):
        pairs = list(islice(value.items(), _ITEMS))
        out = {_text(str(key), left): _plain(item, left, depth + 1) for key, item in pairs}
        if len(value) > len(pairs):
            out["…"] = f"{len(value) - len(pairs)} more"
        return out
    if isinstance(value, Sequence | set | frozenset) and not isinstance(value, str):
        items = [_plain(item, left, depth + 1) for item in islice(value, _ITEMS)]
        return [*items, f"… {len(value) - len(items)} more"] if len(value) > len(items) else items
    return _text(value if isinstance(value, str) else str(value), left)


def _text(text: str, left: list[int]) -> str:
    room = min(_TEXT, max(left[0], 16))
    if len(text) > room:
        text = f"{text[:room]}… ({len(text)} characters)"
    left[0] -= len(text)
    return text


def _json(value: Any) -> bytes:
    # A lone surrogate has no UTF-8; "?" says so as well as anything.
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode("utf-8", "replace")


class Store:
    """Keeps the newest hits.

    Args:
        max_hits: how many at most.
        max_bytes: bytes of JSON at most.
        boot: tells this store from one that ran before on the same port.
    """

    def __init__(self, *, max_hits: int, max_bytes: int, boot: str) -> None:
        self.max_hits = max_hits
        self.max_bytes = max_bytes
        self.boot = boot
        self._changed = threading.Condition()
        self._entries: deque[Entry] = deque()
        self._bytes = 0
        self._next = 1
        self._generation = 0
        self._closed = False
        self._counted = 0

    def add(self, hits: Sequence[dict[str, Any]], raw: Mapping[str, Any], *, counts: bool) -> list[int]:
        """Keep the hits of one request; the oldest make room.

        Args:
            hits: what the page lists of each, JSON-safe and without secrets.
            raw: the request they came in, the same.
            counts: false for a request that was refused or left hanging on purpose.
        """
        raw_json = _json(raw)
        heads = [_json(hit) for hit in hits]
        ids = []
        with self._changed:
            for position, head in enumerate(heads, start=1):
                entry = Entry(
                    self._next,
                    head,
                    raw_json,
                    len(head) + (len(raw_json) if position == len(heads) else 0),
                    counts,
                )
                ids.append(self._next)
                self._next += 1
                self._entries.append(entry)
                self._bytes += entry.cost
                self._counted += counts
            while self._entries and (len(self._entries) > self.max_hits or self._bytes > self.max_bytes):
                gone = self._entries.popleft()
                self._bytes -= gone.cost
            self._changed.notify_all()
        return ids

    def clear(self) -> None:
        """Forget every hit."""
        with self._changed:
            self._entries.clear()
            self._bytes = 0
            self._generation += 1
            self._counted = 0
            self._changed.notify_all()

    def close(self) -> None:
        """Wake everybody who waits, for the last time."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def closed(self) -> bool:
        """Whether the store is closed."""
        return self._closed

    @property
    def size(self) -> tuple[int, int]:
        """The number of hits kept, and their bytes."""
        with self._changed:
            return len(self._entries), self._bytes

    def get(self, id: int) -> Entry | None:
        """Return a kept hit."""
        with self._changed:
            return self._from(id - 1, 1)[0] if self._entries and self._entries[0].id <= id < self._next else None

    def entries(self) -> list[Entry]:
        """Return what is kept, oldest first."""
        with self._changed:
            return list(self._entries)

    def read(self, mark: Mark | None, *, limit: int, timeout: float) -> tuple[Mark, bool, list[Entry]]:
        """Return what came after a position, waiting for it.

        Args:
            mark: the position; ``None``, or one of another process or before a clearing, starts anew.
            limit: how many at most.
            timeout: seconds to wait where there is nothing new.

        Returns:
            The next position, whether the reader must forget what it has, and the hits.
        """
        with self._changed:
            if mark is not None and mark.boot == self.boot and mark.generation == self._generation:
                self._changed.wait_for(lambda: self._news(mark), timeout)
            fresh = mark is None or mark.boot != self.boot or mark.generation != self._generation
            last = 0 if fresh or mark is None else mark.last
            found = self._from(last, limit)
            reached = found[-1].id if found else max(last, self._next - 1 if fresh else 0)
            return Mark(self.boot, self._generation, reached), fresh, found

    def wait(self, count: int, timeout: float, *, clock: Callable[[], float] = time.monotonic) -> int:
        """Wait until so many hits have been answered as the platform answers; return how many there are."""
        deadline = clock() + timeout
        with self._changed:
            while self._counted < count and not self._closed:
                left = deadline - clock()
                if left <= 0:
                    break
                self._changed.wait(left)
            return self._counted

    def _news(self, mark: Mark) -> bool:
        return self._closed or self._generation != mark.generation or self._next - 1 > mark.last

    def _from(self, last: int, limit: int) -> list[Entry]:
        # Ids have no gaps, so a position is an offset; the lock is held.
        if not self._entries:
            return []
        start = max(0, last + 1 - self._entries[0].id)
        return list(islice(self._entries, start, start + limit))


def lines(entries: Sequence[Entry], *, keep: Callable[[dict[str, Any]], bool] | None = None) -> Iterator[bytes]:
    """Return hits as NDJSON: one object a line, with the keys of :data:`COLUMNS`."""
    for entry in entries:
        head = json.loads(entry.head)
        if keep is not None and not keep(head):
            continue
        if not entry.counts:
            head["findings"] = [_WHY_NOT.get(head.get("outcome"), _WHY_NOT["shown"]), *head["findings"]]
        columns = _json({name: head.get(name) for name in COLUMNS[:-1]})
        yield columns[:-1] + b',"raw":' + entry.raw + b"}\n"

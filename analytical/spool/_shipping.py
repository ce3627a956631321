"""From this machine's journals to a broker: what makes a broker's ``put`` local."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from ..hit import Hit
from .journal import Journal, JournalReader, journals

__all__ = ["Queued", "Shipping", "read_queued"]

_SECOND = 1.0


class Queued(msgspec.Struct):
    """A queued entry: ``{"v": 1, "to": "web", "hit": {…}}``."""

    to: str
    hit: Hit
    v: int = 1


_read = msgspec.json.Decoder(Queued)


def read_queued(body: bytes) -> Queued | None:
    """Read an entry; ``None`` where it is of no version that this one knows."""
    try:
        queued = _read.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return queued if queued.v == 1 and queued.hit.v == 1 else None


class Shipping:
    """The journal of this process and the way from it to a broker.

    Args:
        directory: where the journals of this machine's processes are.
        carry: takes records of one destination to the broker and raises where it does not take them. It is given the
            destination, the records, the journal's name and the place up to which they reach.
        ends: the places of a journal, by name, up to which the broker may have records without the file saying so.
        complain: logs a sentence, now and then.
        monotonic: the clock of looking around.

    Every process ships its own journal, and those whose process is gone.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        carry: Callable[[str, list[bytes], str, int], None],
        *,
        ends: Callable[[str], Iterable[int]] = lambda name: (),
        complain: Callable[[str], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.directory = Path(os.path.abspath(os.fspath(directory)))
        self.journal = Journal(self.directory)
        self._carry = carry
        self._ends = ends
        self._complain = complain
        self._monotonic = monotonic
        self._readers: dict[str, JournalReader] = {}
        self._looked = -1e9

    def ship(self, *, now: bool = False) -> None:
        """Bring on what was added since; raises what ``carry`` raises."""
        mono = self._monotonic()
        own = self.journal.name
        reader = self._readers.get(own) if own is not None else None
        still = own is None or (reader is not None and reader.size() == reader.seen)
        if not now and still and mono - self._looked < _SECOND:
            return
        self._looked = mono
        names = list(journals(self.directory))
        for gone in self._readers.keys() - set(names):  # another process has removed it
            self._readers.pop(gone).close()
        for name in names:
            try:
                self._move(name, own=name == own)
            except FileNotFoundError:
                self._readers.pop(name, None)

    def _move(self, name: str, *, own: bool) -> None:
        reader = self._readers.get(name)
        if reader is None:
            self._readers[name] = reader = JournalReader(self.directory / name)
        orphaned = not own and reader.orphaned()
        if not own and not orphaned:
            return  # its process lives and sees to it
        # The broker may have records without the file saying so, after a kill or an answer that never came: the same
        # pieces again.
        ends = sorted(end for end in self._ends(name) if end > reader.hint()) if reader.seen < 0 else []
        while True:
            size = reader.size()
            place = reader.hint()
            if ends and ends[0] > place:
                payloads, end = reader.read(place, limit=ends.pop(0) - place)
            else:
                payloads, end = reader.read(place, final=orphaned)
            groups: dict[str, list[bytes]] = {}
            for payload in payloads:
                queued = read_queued(payload)
                if queued is None:
                    self._complain("a record of a journal is no hit of a known version, and is skipped")
                    continue
                groups.setdefault(queued.to, []).append(payload)
            for to, bodies in groups.items():
                try:
                    self._carry(to, bodies, name, end)
                except BaseException:
                    reader.seen = -1  # the broker may have it all the same: the next time asks
                    raise
            if end != place:
                reader.note(end)
            if end >= size or end == place:
                break
        reader.seen = size
        if orphaned:
            reader.remove()
            reader.close()
            self._readers.pop(name, None)

    def waiting(self, to: str) -> int:
        """Count a destination's hits in all journals that have not been shipped."""
        count = 0
        for name in list(journals(self.directory)):
            try:
                reader = JournalReader(self.directory / name)
            except FileNotFoundError:
                continue
            try:
                at = reader.hint()
                while True:
                    payloads, end = reader.read(at)
                    count += sum(1 for payload in payloads if (found := read_queued(payload)) and found.to == to)
                    if end == at:
                        break
                    at = end
            finally:
                reader.close()
        return count

    def inherited(self) -> object:
        """In a forked child: begin a journal of its own; return what must not be closed."""
        self.journal.abandon()
        readers, self._readers = self._readers, {}
        self._looked = -1e9
        return readers

    def close(self) -> None:
        """Let go of files."""
        self.journal.close()
        for reader in self._readers.values():
            reader.close()
        self._readers = {}

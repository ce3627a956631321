"""A file that a process appends hits to, so that they outlive it: one write, no lock, no wait.

Every record is framed by a mark, its length and a checksum. A process writes to a journal of its own and holds a
file lock on it while it lives; whoever empties the outbox reads all journals as they grow, and removes one whose
lock is free, because nothing will be added to it. A record that was cut short by a full disk or a kill was never
acknowledged; the reader skips it and finds the next mark.
"""

from __future__ import annotations

import fcntl
import os
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4
from zlib import crc32

__all__ = ["HEADER", "Journal", "JournalReader", "frame", "frames", "journals"]

# The record separator and the NUL never stand in JSON text, so that no record's content looks like a mark.
_MARK = b"\x1eAJ\x00"
_FRAME = struct.Struct("<4sII")
_HEAD = struct.Struct("<8sQ")
_MAGIC = b"\x1eANJRN1\x00"

#: Bytes before the first record: what the file is, and up to where it has been read.
HEADER = _HEAD.size
_SUFFIX = ".journal"
_LONGEST = 64 << 20


def frame(payload: bytes) -> bytes:
    """Return a record with its mark, length and checksum."""
    return _FRAME.pack(_MARK, len(payload), crc32(payload)) + payload


def frames(data: bytes, *, final: bool = False) -> tuple[list[bytes], int, int]:
    """Read records from the beginning of some bytes.

    Args:
        data: from a journal, beginning at a record.
        final: nothing will follow; else a record that is not whole yet is left for the next time.

    Returns:
        The records, how many bytes they and what was skipped take, and how many damaged places were skipped.
    """
    found: list[bytes] = []
    position = damaged = 0
    size = len(data)
    while size - position >= _FRAME.size:
        mark, length, checksum = _FRAME.unpack_from(data, position)
        start = position + _FRAME.size
        if mark == _MARK and length <= _LONGEST:
            end = start + length
            if end > size and not final:
                break
            payload = data[start:end]
            if end <= size and crc32(payload) == checksum:
                found.append(payload)
                position = end
                continue
        damaged += 1
        following = data.find(_MARK, position + 1)
        if following < 0:
            # The last bytes may be the beginning of a mark.
            position = max(position, size - len(_MARK) + 1)
            break
        position = following
    if final:
        position = size
    return found, position, damaged


class _File:
    """A descriptor that is closed when the last thread that writes to it lets go."""

    __slots__ = ("fd", "name", "written")

    def __init__(self, fd: int, name: str) -> None:
        self.fd = fd
        self.name = name
        self.written = HEADER

    def __del__(self) -> None:
        os.close(self.fd)


class Journal:
    """The journal of this process: appends, and begins a new file when one is large.

    Args:
        directory: where all journals of an outbox are; made when needed, for its owner alone.
        fsync: wait for the disk at every record.
        rotate: bytes after which a new file begins, so that the old one can be removed.
    """

    def __init__(self, directory: Path, *, fsync: bool = False, rotate: int = 8 << 20) -> None:
        self.directory = directory
        self._fsync = fsync
        self._rotate = rotate
        self._file: _File | None = None
        self._opening = threading.RLock()

    @property
    def name(self) -> str | None:
        """The name of the file that is written to now, if there is one."""
        file = self._file
        return file.name if file is not None else None

    def append(self, payload: bytes) -> bool:
        """Add a record; ``True`` when the operating system has it whole."""
        record = _FRAME.pack(_MARK, len(payload), crc32(payload)) + payload
        try:
            file = self._file or self._open(None)
            if file.written > self._rotate:
                file = self._open(file)
            # One write in append mode: the kernel keeps the records of several threads apart.
            if os.write(file.fd, record) != len(record):
                return False
            file.written += len(record)
            if self._fsync:
                os.fsync(file.fd)
        except OSError:
            return False
        return True

    def _open(self, old: _File | None) -> _File:
        with self._opening:
            if self._file is not None and self._file is not old:
                return self._file  # another thread was first
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            name = f"{uuid4().hex}{_SUFFIX}"
            hidden = self.directory / f".{name}"
            fd = os.open(hidden, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            file = _File(fd, name)
            try:
                # Locked and headed before it has its name: a reader that finds it never takes it for a dead process's.
                fcntl.flock(fd, fcntl.LOCK_EX)
                if os.write(fd, _HEAD.pack(_MAGIC, HEADER)) != HEADER:
                    raise OSError("disk full")
                os.rename(hidden, self.directory / name)
            except OSError:
                hidden.unlink(missing_ok=True)  # or a full disk would gather one for every hit that it refuses
                raise
            if self._fsync:
                _sync_directory(self.directory)
            self._file = file
            return file

    def abandon(self) -> None:
        """In a forked child: close the copy of the parent's file, which keeps its lock, and begin one of its own."""
        self._opening = threading.RLock()
        self._file = None

    def close(self) -> None:
        """Let the file go; a later record begins a new one."""
        self._file = None


def _sync_directory(directory: Path) -> None:
    fd = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def journals(directory: Path) -> Iterator[str]:
    """Yield the names of an outbox's journals, those begun first first."""
    try:
        with os.scandir(directory) as entries:
            found = [
                (entry.stat().st_mtime_ns, entry.name)
                for entry in entries
                if entry.name.endswith(_SUFFIX) and not entry.name.startswith(".")
            ]
    except FileNotFoundError:
        return
    for _, name in sorted(found):
        yield name


class JournalReader:
    """Reads one journal, any process's.

    Args:
        path: the file.

    Raises:
        FileNotFoundError: another reader has removed it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.damaged = 0
        #: The file's size when everything in it had last been read.
        self.seen = -1
        self._fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)

    def hint(self) -> int:
        """Return up to where the file says that it has been read; the outbox knows better where it knows at all."""
        head = os.pread(self._fd, HEADER, 0)
        if len(head) < HEADER:
            return HEADER
        magic, offset = _HEAD.unpack(head)
        return max(int(offset), HEADER) if magic == _MAGIC else HEADER

    def note(self, offset: int) -> None:
        """Write into the file up to where it has been read, for the day on which the outbox is lost."""
        os.pwrite(self._fd, _HEAD.pack(_MAGIC, offset), 0)

    def size(self) -> int:
        """Return the file's size in bytes."""
        return os.fstat(self._fd).st_size

    def read(self, offset: int, *, limit: int = 1 << 20, final: bool = False) -> tuple[list[bytes], int]:
        """Return whole records from an offset on, about ``limit`` bytes of them, and the offset after them."""
        while True:
            data = os.pread(self._fd, limit, offset)
            last = final and offset + len(data) >= self.size()
            found, used, damaged = frames(data, final=last)
            if used or len(data) < limit:
                self.damaged += damaged
                return found, offset + used
            limit *= 4  # one record is longer than what was read

    def orphaned(self) -> bool:
        """Tell whether its process is gone: its lock is free, and is held by this reader from now on."""
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def remove(self) -> None:
        """Remove the file."""
        self.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Close this reader's descriptor."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

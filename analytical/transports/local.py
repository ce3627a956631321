"""Files and the standard output as destinations: ``file:`` appends and rotates, ``stdout:`` prints."""

from __future__ import annotations

import errno
import fcntl
import os
import sys
import threading
import time
from urllib.parse import parse_qs, unquote, urlsplit

from ..http import NoResponse, Request, Response

__all__ = ["LocalTransport"]

_PERMANENT = frozenset({errno.EACCES, errno.EPERM, errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EROFS, errno.ELOOP})
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class LocalTransport:
    """Appends a request's body to a file, or writes it to the standard output.

    ``file:///var/log/hits.ndjson?rotate=10000000&keep=5`` appends with one ``write`` under a lock that all
    processes of the machine share, so that lines never mix and never tear. When the file would grow beyond
    ``rotate`` bytes it becomes ``hits.ndjson.1``, and what was ``.1`` becomes ``.2``, up to ``keep``. A file that is
    made here can be read by its owner alone.

    Args:
        timeout: seconds to wait for the lock.
    """

    def __init__(self, *, timeout: float = 3.0) -> None:
        self.timeout = timeout
        self._lock = threading.Lock()
        self._pid = os.getpid()

    def send(self, request: Request, *, timeout: float | None = None) -> Response | NoResponse:
        parts = urlsplit(request.url)
        limit = self.timeout if timeout is None else timeout
        if self._pid != os.getpid():  # the parent may have held the lock when it forked
            self._lock = threading.Lock()
            self._pid = os.getpid()
        if not self._lock.acquire(timeout=max(limit, 0.0)):
            return NoResponse(reason="timeout")
        try:
            if parts.scheme == "stdout":
                return _print(request.body)
            if parts.scheme != "file":
                return NoResponse(reason=f"no transport for {parts.scheme}:", permanent=True)
            query = parse_qs(parts.query)
            rotate, keep = _number(query.get("rotate")), _number(query.get("keep"))
            path = unquote((parts.netloc if parts.netloc != "localhost" else "") + parts.path)
            return _append(path, request.body, rotate, 5 if keep is None else keep, time.monotonic() + limit)
        finally:
            self._lock.release()

    def close(self) -> None:
        """Nothing is kept open."""


def _number(values: list[str] | None) -> int | None:
    return int(values[0]) if values and values[0].isdigit() else None


def _print(body: bytes) -> Response | NoResponse:
    out = sys.stdout
    if out is None:
        return NoResponse(reason="no standard output", permanent=True)
    try:
        out.write(body.decode("utf-8", "replace"))
        out.flush()
    except (OSError, ValueError) as error:
        return NoResponse(reason=f"standard output: {type(error).__name__}", permanent=True)
    return Response(status=200)


def _append(path: str, body: bytes, rotate: int | None, keep: int, deadline: float) -> Response | NoResponse:
    try:
        while True:
            # Non-blocking, so that a named pipe without a reader is an error and not a wait.
            fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o600)
            try:
                if not _locked(fd, deadline):
                    return NoResponse(reason="timeout")
                if not _same(fd, path):  # another process rotated between our opening and our lock
                    continue
                size = os.fstat(fd).st_size
                if rotate and size and size + len(body) > rotate:
                    _rotate(path, keep)
                    continue
                return _write(fd, body, size)
            finally:
                os.close(fd)
    except OSError as error:
        if error.errno in _FULL:
            return NoResponse(reason="disk full")
        name = errno.errorcode.get(error.errno or 0, type(error).__name__)
        return NoResponse(reason=f"file: {name}", permanent=error.errno in _PERMANENT)


def _write(fd: int, body: bytes, size: int) -> Response | NoResponse:
    written = os.write(fd, body)
    if written < len(body):
        os.ftruncate(fd, size)  # half a line would spoil the next; the lock is ours
        return NoResponse(reason="disk full")
    return Response(status=200)


def _locked(fd: int, deadline: float) -> bool:
    pause = threading.Event()
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            pause.wait(0.002)
        else:
            return True


def _same(fd: int, path: str) -> bool:
    try:
        there = os.stat(path)
    except FileNotFoundError:
        return False
    here = os.fstat(fd)
    return (here.st_ino, here.st_dev) == (there.st_ino, there.st_dev)


def _rotate(path: str, keep: int) -> None:
    if keep < 1:
        os.unlink(path)
        return
    for number in range(keep - 1, 0, -1):
        if os.path.exists(f"{path}.{number}"):
            os.replace(f"{path}.{number}", f"{path}.{number + 1}")
    os.replace(path, f"{path}.1")

"""What the tests of ``pp-collector`` share: a server that plays every side, and the command as a process."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

#: The recordings were made with the clock stopped here.
NOW = "2015-10-21T12:34:56"

_FROZEN = """
import freezegun
freezegun.config.configure(extend_ignore_list=["threading", "queue", "concurrent", "socket", "select", "selectors"])
freezegun.freeze_time({now!r}, tz_offset=0).start()
"""


@dataclass
class Seen:
    """One request as it came over the wire."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    wire: bytes

    @property
    def gzip(self) -> bool:
        return self.headers.get("content-encoding") == "gzip"

    @property
    def text(self) -> str:
        return (gzip.decompress(self.wire) if self.gzip else self.wire).decode()

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.text))


#: What answers: a status and a JSON value, text or bytes; headers may follow.
Answer = tuple[Any, ...]


@dataclass
class Side:
    """A server on loopback; ``plan[prefix]`` answers every path that begins so."""

    plan: dict[str, Callable[[Seen], Answer]] = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)
    url: str = ""

    def of(self, prefix: str) -> list[Seen]:
        return [each for each in self.seen if each.path.startswith(prefix)]


@contextmanager
def serving() -> Iterator[Side]:
    side = Side()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            parts = urlsplit(self.path)
            seen = Seen(
                self.command,
                parts.path,
                dict(parse_qsl(parts.query, keep_blank_values=True)),
                {name.lower(): value for name, value in self.headers.items()},
                self.rfile.read(length),
            )
            side.seen.append(seen)
            found = [answer for prefix, answer in side.plan.items() if parts.path.startswith(prefix)]
            status, value, *more = found[0](seen) if found else (404, {"message": "no such thing"})
            body = (
                value
                if isinstance(value, bytes)
                else value.encode()
                if isinstance(value, str)
                else json.dumps(value).encode()
            )
            self.send_response(status)
            for name, text in (more[0] if more else {"Content-Type": "application/json"}).items():
                self.send_header(name, text)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = handle_one

        def log_message(self, *args: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    side.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield side
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass
class Run:
    code: int
    out: str
    err: str

    @property
    def records(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


def collect(
    directory: Path,
    query: Mapping[str, Any] | None,
    credentials: Mapping[str, Any],
    backdrop: str,
    *more: str,
    env: Mapping[str, str] | None = None,
    now: str | None = None,
    command: tuple[str, ...] = ("-c", "import sys; from analytical.compat.ppcollector import main; sys.exit(main())"),
    platform: Mapping[str, Any] | None = None,
    console: bool = True,
) -> Run:
    """Run the command in a directory of its own, as a process of its own."""
    files = {"query": query, "creds": credentials, "token": {"token": "tok123"}}
    files["pp"] = {"backdrop_url": f"{backdrop}/data", **(platform or {})}
    for name, value in files.items():
        if value is not None:
            directory.joinpath(f"{name}.json").write_text(json.dumps(value))
    arguments = ["-c", "creds.json", "-t", "token.json", "-b", "pp.json"]
    arguments += ["-q", "query.json"] if query is not None else []
    return run(
        directory, [*arguments, *(["--console-logging"] if console else []), *more], env=env, now=now, command=command
    )


def bare_environment() -> dict[str, str]:
    """Return what a command is started with: nothing of this machine's settings, but the measuring of coverage."""
    kept = ("PATH", "HOME", "LD_LIBRARY_PATH")
    return {name: value for name, value in os.environ.items() if name in kept or name.startswith("COVERAGE")}


def run(
    directory: Path,
    arguments: list[str],
    *,
    env: Mapping[str, str] | None = None,
    now: str | None = None,
    command: tuple[str, ...] = ("-c", "import sys; from analytical.compat.ppcollector import main; sys.exit(main())"),
) -> Run:
    paths = []
    if now is not None:
        frozen = directory / "frozen"
        frozen.mkdir(exist_ok=True)
        frozen.joinpath("sitecustomize.py").write_text(_FROZEN.format(now=now))
        paths.append(str(frozen))
    environment = {**bare_environment(), "TZ": "UTC", "PYTHONPATH": os.pathsep.join(paths), **(env or {})}
    done = subprocess.run(
        [sys.executable, *command, *arguments],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        timeout=110,
    )
    return Run(done.returncode, done.stdout, done.stderr)


def as_set(records: Any) -> list[str]:
    """Return records in an order of their own, for comparing them as a set."""
    return sorted(
        json.dumps(record, sort_keys=True) for record in (records if isinstance(records, list) else [records])
    )

"""What the Snowplow tests share: a collector on loopback, and Snowplow's own schemas as the judge.

The schemas in ``providers/samples/snowplow/iglu`` are those of Iglu Central
(https://github.com/snowplow/iglu-central, copyright Snowplow Analytics Ltd., Apache License 2.0), unchanged.
"""

from __future__ import annotations

import json
import threading
import time
from base64 import urlsafe_b64decode
from collections.abc import Callable, Iterable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from jsonschema import Draft4Validator, FormatChecker

SCHEMAS = Path(__file__).parent / "providers" / "samples" / "snowplow" / "iglu"


def schema(uri: str) -> Draft4Validator:
    """Return the validator of a schema by its Iglu address."""
    body = json.loads((SCHEMAS / uri.removeprefix("iglu:")).read_text(encoding="utf-8"))
    body.pop("$schema")
    body.pop("self")
    return Draft4Validator(body, format_checker=FormatChecker())


_BASE = "iglu:com.snowplowanalytics.snowplow"


def opened(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return a payload with its containers read."""
    found = dict(payload)
    for key, plain in (("ue_px", "ue_pr"), ("cx", "co")):
        if key in found:
            found[plain] = json.loads(urlsafe_b64decode(found.pop(key)))
        elif plain in found:
            found[plain] = json.loads(found[plain])
    return found


def judge(payloads: Iterable[Mapping[str, Any]]) -> None:
    """Assert that events satisfy the collector's schema, and each part with a known schema that one."""
    events = [dict(payload) for payload in payloads]
    schema(f"{_BASE}/payload_data/jsonschema/1-0-4").validate(events)
    for event in events:
        inner = opened(event)
        parts = []
        if "ue_pr" in inner:
            assert inner["ue_pr"]["schema"] == f"{_BASE}/unstruct_event/jsonschema/1-0-0"
            schema(inner["ue_pr"]["schema"]).validate(inner["ue_pr"]["data"])
            parts.append(inner["ue_pr"]["data"])
        if "co" in inner:
            assert inner["co"]["schema"] == f"{_BASE}/contexts/jsonschema/1-0-1"
            schema(inner["co"]["schema"]).validate(inner["co"]["data"])
            parts += inner["co"]["data"]
        for part in parts:
            if (SCHEMAS / part["schema"].removeprefix("iglu:")).is_file():
                schema(part["schema"]).validate(part["data"])


class Collector:
    """A collector on loopback: answers ``ok``, or from a script, and keeps what came.

    Args:
        script: statuses for the first answers.
        delay: seconds before each answer.
    """

    def __init__(self, script: Iterable[int] = (), *, delay: float = 0.0, port: int = 0) -> None:
        self.events: list[dict[str, Any]] = []
        self.refused: list[dict[str, Any]] = []
        self.requests: list[tuple[str, str]] = []
        self.headers: list[dict[str, str]] = []
        self.script = list(script)
        self._changed = threading.Condition()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, *args: Any) -> None:
                return

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                assert self.headers["Content-Type"] == "application/json; charset=utf-8"
                self.take(json.loads(body)["data"])

            def do_GET(self) -> None:
                self.take([dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))])

            def take(self, events: list[dict[str, Any]]) -> None:
                if delay:
                    threading.Event().wait(delay)
                with outer._changed:
                    status = outer.script.pop(0) if outer.script else 200
                    outer.requests.append((self.command, urlsplit(self.path).path))
                    outer.headers.append(dict(self.headers))
                    (outer.events if status == 200 else outer.refused).extend(events)
                    outer._changed.notify_all()
                self.send_response(status)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

        class Server(ThreadingHTTPServer):
            def handle_error(self, request: Any, client_address: Any) -> None:
                """A client that is killed in the middle is what some tests are about."""

        self._server = Server(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def wait(self, count: int, timeout: float = 10.0) -> list[dict[str, Any]]:
        """Return the events once there are so many."""
        self.until(lambda: len(self.events) >= count, timeout)
        return self.events

    def until(self, true: Callable[[], bool], timeout: float = 10.0) -> None:
        """Wait until something is true of what came."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while not true():
                left = deadline - time.monotonic()
                assert left > 0, f"{len(self.events)} events taken, {len(self.refused)} refused, and no more"
                self._changed.wait(left)

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Collector:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

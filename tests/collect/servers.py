"""Servers on loopback that answer as the platforms do, and remember what they were asked."""

from __future__ import annotations

import gzip
import http.server
import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

__all__ = ["Asked", "Backdrop", "Matomo", "Server"]

Answer = tuple[int, dict[str, str], bytes]


@dataclass
class Asked:
    """A request as it arrived."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Server:
    """A server whose answers a function gives; or, while there are any, those of a script, in order."""

    answer: Callable[[Asked], Any] = lambda asked: {}
    script: list[Any] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)

    def __enter__(self) -> Server:
        owner = self
        lock = threading.Lock()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _serve(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                parts = urlsplit(self.path)
                asked = Asked(
                    self.command,
                    parts.path,
                    dict(parse_qsl(parts.query, keep_blank_values=True)),
                    {name.lower(): value for name, value in self.headers.items()},
                    self.rfile.read(length),
                )
                with lock:
                    owner.asked.append(asked)
                    given = owner.script.pop(0) if owner.script else owner.answer
                found = given(asked) if callable(given) else given
                if found == "reset":
                    self.close_connection = True
                    self.connection.close()
                    return
                status, headers, body = found if isinstance(found, tuple) else (200, {}, found)
                if not isinstance(body, bytes):
                    body = json.dumps(body).encode()
                length_said = headers.pop("Content-Length", str(len(body)))
                self.send_response(status)
                headers.setdefault("Content-Type", "application/json; charset=utf-8")
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", length_said)
                if length_said != str(len(body)):
                    self.close_connection = True
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            do_GET = do_POST = do_PUT = do_DELETE = _serve

            def log_message(self, *_: Any) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Matomo(Server):
    """Matomo's reporting API over rows by date: checks the token, cuts at ``filter_limit`` as the real one does."""

    def __init__(self, rows: Any = None, token: str = "s3cret-t0ken") -> None:
        super().__init__(self._report)
        self.token = token
        self.rows = rows if rows is not None else {}

    def _report(self, asked: Asked) -> Any:
        params = {**asked.query, **asked.form}
        if "token_auth" in asked.query or asked.form.get("token_auth") != self.token:
            return (401, {}, {"result": "error", "message": "Unable to authenticate with the provided token."})
        if params.get("method") == "API.getBulkRequest":
            urls = [
                value[0] for name, value in sorted(parse_qs(asked.body.decode()).items()) if name.startswith("urls")
            ]
            return [self._rows(dict(parse_qsl(url))) for url in urls]
        return self._rows(params)

    def _rows(self, params: dict[str, str]) -> Any:
        found = self.rows(params) if callable(self.rows) else self.rows.get(params.get("date"), [])
        if not isinstance(found, list):
            return found
        limit, offset = int(params.get("filter_limit", 100)), int(params.get("filter_offset", 0))
        return found[offset:] if limit < 0 else found[offset : offset + limit]


class Backdrop(Server):
    """Backdrop's write API, by its rules: all or nothing per request, overwrites by ``_id``."""

    KEY = re.compile(r"^[a-z_][a-z0-9_]+$")
    INTERNAL = ("_timestamp", "_start_at", "_end_at", "_id")

    def __init__(self, token: str = "bearer-s3cret") -> None:
        super().__init__(self._write)
        self.token = token
        self.stored: dict[str, dict[str, Any]] = {}

    def _write(self, asked: Asked) -> Answer:
        def said(status: int, *messages: str) -> Answer:
            body = {"status": "ok"} if status == 200 else {"messages": list(messages)}
            return status, {}, json.dumps(body).encode()

        if asked.headers.get("authorization") != f"Bearer {self.token}":
            given = asked.headers.get("authorization", "").removeprefix("Bearer ")
            body = {"status": "error", "message": f"Unauthorized: Invalid bearer token '{given}'"}
            return 401, {"WWW-Authenticate": "bearer"}, json.dumps(body).encode()
        if "application/json" not in asked.headers.get("content-type", ""):
            return said(400, "Expected header: Content-type: application/json")
        body = asked.body
        if asked.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body) if body else b""
        if not body:
            return said(400, "Expected JSON data but received zero bytes")
        data = json.loads(body)
        if asked.method == "PUT":
            if data:
                return said(400, "Not implemented: you can only pass an empty JSON list")
            self.stored.clear()
            return said(200)
        records = data if isinstance(data, list) else [data]
        for record in records:
            for key, value in record.items():
                if not self.KEY.match(key.lower()):
                    return said(400, f"{key} is not a valid key")
                if key.startswith("_") and key not in self.INTERNAL:
                    return said(400, f"{key} is not a recognised internal field")
                if isinstance(value, dict | list):
                    return said(400, f"{key} has an invalid value")
            if re.search(r"\s", record.get("_id", "")):
                return said(400, "_id is not a valid internal value")
        for number, record in enumerate(records):
            self.stored[record.get("_id", f"auto{len(self.stored)}{number}")] = record
        return said(200)

"""Where records go: a data set that takes JSON, in the protocol of Backdrop.

Source: https://github.com/alphagov/performanceplatform-client.py (as of 2018). What differs: a compressed body is
bytes, so that a second attempt sends it whole, and no output shows the token.
"""

from __future__ import annotations

import gzip
import json
import logging
import sys
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from ...collect.protocol import Refusal, json_of, refusal_by_status
from ...collect.sinks.backdrop import GZIP_ABOVE, fault_of
from ...errors import SinkError, SourceError
from ...http import MASK, Request, Response, mask
from ...secrets import resolve
from .errors import BadFile
from .records import Record, json_ready
from .web import USER_AGENT, differs, open_session, whole_number

__all__ = ["CollectorAPI", "DataSet", "Pusher", "get_config"]

log = logging.getLogger("analytical.compat.ppcollector")


class DataSet:
    """A data set.

    Args:
        base_url: its address: ``https://host/data/GROUP/TYPE``.
        token: its bearer token; ``None`` for none.
        dry_run: print what would be sent, and send nothing.
    """

    def __init__(self, base_url: str, token: str | None, dry_run: bool = False) -> None:
        if not isinstance(base_url, str):
            raise ValueError(f"base_url={base_url!r} must be a text")
        if token is not None and not isinstance(token, str):
            raise ValueError(f"token is a {type(token).__name__}; it must be a text or None")
        self.base_url = base_url
        self.dry_run = dry_run
        self._token = None if token is None else resolve(token, what="token")

    @staticmethod
    def from_config(config: Mapping[str, Any]) -> DataSet:
        """Make one from what a collector is given as ``data_set_config``."""
        return DataSet(config["url"], config["token"], config["dry_run"])

    @staticmethod
    def from_name(api_url: str, name: str, dry_run: bool = False) -> DataSet:
        """Make one without a token, for reading."""
        return DataSet("/".join([api_url, name]).rstrip("/"), None, dry_run)

    @staticmethod
    def from_group_and_type(
        api_url: str, data_group: str, data_type: str, dry_run: bool = False, token: str | None = None
    ) -> DataSet:
        """Make one by its group and type."""
        return DataSet("/".join([api_url, data_group, data_type]).rstrip("/"), token, dry_run)

    @property
    def token(self) -> str | None:
        """The bearer token."""
        return self._token

    def set_token(self, token: str) -> None:
        """Replace the bearer token."""
        if not isinstance(token, str):
            raise TypeError(f"token is a {type(token).__name__}; it must be a text")
        self._token = resolve(token, what="token")

    def get(self, query_parameters: Mapping[str, Any] | None = None) -> Any:
        """Read the data set."""
        return self._send("GET", None, "reading", params=query_parameters)

    def post(self, records: Mapping[str, Any] | Iterable[Record], chunk_size: int = 0) -> Any:
        """Send records.

        Args:
            records: many, or one.
            chunk_size: how many go into one request; 0: all.

        Raises:
            SinkError: the data set refused; says how many records had been taken before.
        """
        if isinstance(records, Mapping):
            return self._send("POST", records, "the record was refused")
        if chunk_size <= 0:
            every = list(records)
            return self._send("POST", every, f"{len(every)} records were refused")
        chunk: list[Record] = []
        sent, number = 0, 1
        for record in records:
            chunk.append(record)
            if len(chunk) == chunk_size:
                self._chunk(number, chunk, sent)
                sent, number, chunk = sent + len(chunk), number + 1, []
        if chunk:
            self._chunk(number, chunk, sent)
        return None

    def empty_data_set(self) -> Any:
        """Remove every record."""
        return self._send("PUT", [], "emptying was refused")

    def _chunk(self, number: int, chunk: list[Record], sent: int) -> None:
        log.info("Sending chunk %d", number)
        self._send(
            "POST", chunk, f"chunk {number} ({len(chunk)} records) was refused; {sent} records before it were taken"
        )

    def _send(
        self, method: str, data: Any, failure: str, params: Mapping[str, Any] | None = None, path: str = ""
    ) -> Any:
        url = self.base_url + path
        _warn_of_faults(data)
        headers = {"Accept": "application/json", "User-Agent": USER_AGENT, "Govuk-Request-Id": "Not-Set"}
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        body = b""
        if data is not None:
            headers["Content-Type"] = "application/json"
            data = json_ready(data)
            body = json.dumps(data).encode("ascii")
        if self.dry_run:
            self._show(method, url, headers, data)
            return None
        if len(body) > GZIP_ABOVE:
            headers["Content-Encoding"] = "gzip"
            body = gzip.compress(body, mtime=0)
        hidden = (self._token,) if self._token else ()
        with open_session(*hidden) as session:
            try:
                if data is None:
                    return session.get(url, params=params, headers=headers, judge=_refusal).json()
                request = Request(method=method, url=url, headers=headers, body=body, secrets=hidden)
                answer = session.send(request, judge=_refusal)
            except SourceError as error:
                raise SinkError(f"{failure}: {mask(str(error), hidden)}") from None
        return None if answer.status == 204 else json_of(answer)

    def _show(self, method: str, url: str, headers: Mapping[str, str], data: Any) -> None:
        differs("dry run", "a dry run prints records as JSON Lines on standard output, and no token")
        shown = {name: f"Bearer {MASK}" if name == "Authorization" else value for name, value in headers.items()}
        sys.stderr.write(f'HTTP {method} to "{url}"\nheaders: {shown}\n')
        sys.stderr.flush()
        for record in data if isinstance(data, list) else [] if data is None else [data]:
            sys.stdout.write(json.dumps(record) + "\n")
        sys.stdout.flush()

    def __repr__(self) -> str:
        return f"<DataSet {self.base_url}>"


class CollectorAPI(DataSet):
    """Where collectors' configurations are kept, for ``-l``."""

    def get_collector(self, collector: str) -> Any:
        """Return one configuration."""
        return self._send("GET", None, "reading", path=f"/collector/{collector}")

    def list_collectors(self) -> Any:
        """Return all configurations."""
        return self._send("GET", None, "reading", path="/collector")

    def get_collector_type(self, collector_type: str) -> Any:
        """Return one kind of collector."""
        return self._send("GET", None, "reading", path=f"/collector-type/{collector_type}")

    def list_collector_types(self) -> Any:
        """Return all kinds of collectors."""
        return self._send("GET", None, "reading", path="/collector-type")


class Pusher:
    """Sends what a collector made, by the ``chunk-size`` and ``empty-data-set`` of its options."""

    def __init__(self, target_data_set_config: Mapping[str, Any], options: Mapping[str, Any]) -> None:
        self.data_set_client = DataSet.from_config(target_data_set_config)
        self.chunk_size = whole_number(options, "chunk-size", 100)
        self.empty_data_set = options.get("empty-data-set", False)

    def push(self, data: Iterable[Record]) -> None:
        """Send records; without any, nothing is sent and nothing emptied."""
        records = list(data)
        if not records:
            log.info("Doing nothing - no data to push")
            return
        if self.empty_data_set:
            self.data_set_client.empty_data_set()
        self.data_set_client.post(records, chunk_size=self.chunk_size)


def get_config(collector_slug: str, performanceplatform: Mapping[str, Any]) -> dict[str, Any]:
    """Ask for a collector's configuration, and return it as a query file holds it.

    Raises:
        BadFile: the ``-b`` file lacks an address or token, or the answer is no configuration.
        SinkError: no answer.
    """
    for name in ("stagecraft_url", "omniscient_api_token"):
        if not isinstance(performanceplatform.get(name), str):
            where = performanceplatform.get("path_to_json_file", "the file of -b")
            raise BadFile(f'{where} has no "{name}", which -l needs')
    api = CollectorAPI(performanceplatform["stagecraft_url"], performanceplatform["omniscient_api_token"])
    try:
        found = api.get_collector(collector_slug)
    except (SinkError, SourceError) as error:
        raise BadFile(f'the configuration of collector "{collector_slug}": {error}') from None
    data_set = found.get("data_set") if isinstance(found, dict) else None
    if not isinstance(data_set, dict) or not found.get("entry_point"):
        raise BadFile(f'the configuration of collector "{collector_slug}" has no "data_set" or no "entry_point"')
    provider = found.get("provider")
    return {
        "query": found.get("query") or {},
        "options": found.get("options") or {},
        "data-set": {
            "data-group": data_set.get("data_group"),
            "data-type": data_set.get("data_type"),
            "bearer_token": data_set.get("bearer_token"),
        },
        "entrypoint": found["entry_point"],
        "token": provider.get("slug") if isinstance(provider, dict) else None,
    }


def _warn_of_faults(data: Any) -> None:
    for record in data if isinstance(data, list) else [data] if isinstance(data, Mapping) else []:
        fault = fault_of({key: value for key, value in record.items() if not isinstance(value, datetime)})
        if fault:
            log.warning('a Backdrop server will refuse a record: %s, by "mappings" of the query file', fault)
            return


def _refusal(response: Response, now: float) -> Refusal | None:
    text = response.body.decode("utf-8", "replace").strip()
    found = refusal_by_status(response, text)
    if found is None and response.status != 204:
        try:
            json_of(response)
        except SourceError as error:
            return Refusal(reason=str(error))
    return found

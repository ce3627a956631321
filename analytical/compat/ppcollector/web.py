"""How collectors talk: the reading half's session, with what the original retried, and every secret masked."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from ...collect.protocol import Refusal, refusal_by_status
from ...collect.session import Answer, Session
from ...errors import SourceError
from ...http import Response
from ...secrets import resolve
from .errors import BadFile

__all__ = [
    "USER_AGENT",
    "Reply",
    "ask",
    "credential",
    "differs",
    "exceptions",
    "get",
    "open_session",
    "patient",
    "post",
    "secret",
    "whole_number",
]

#: What the original's client called itself; data sets see no change.
USER_AGENT = "Performance Platform Client 0.11.5"

T = TypeVar("T")

log = logging.getLogger("analytical.compat.ppcollector")
_said: set[str] = set()


def open_session(*secrets: str) -> Session:
    """Return a session for one piece of work; use it in a ``with``.

    Args:
        secrets: texts that no error and no log may show.
    """
    return Session(secrets=tuple(secret for secret in secrets if secret), retry_for=180.0)


def patient(response: Response, now: float) -> Refusal | None:
    """Judge a source's answer; 403 may pass, as rate limits of the older platforms are told by it."""
    if response.status in (429, 500, 504):
        differs("retries", "429, 500 and 504 are tried again, too")
    if response.status == 403:
        return Refusal(reason="answered 403: the credentials may not do this, or the rate limit is reached", retry=True)
    return refusal_by_status(response)


def differs(topic: str, message: str) -> None:
    """Log a deliberate difference from the original, once a process."""
    if topic not in _said:
        _said.add(topic)
        log.info("differs from performanceplatform-collector: %s", message)


def credential(credentials: Mapping[str, Any], name: str) -> str:
    """Return what a credentials file must hold.

    Raises:
        BadFile: it does not hold it.
    """
    value = credentials.get(name)
    if not isinstance(value, (str, int)) or value == "":
        where = credentials.get("path_to_json_file", "the credentials file")
        raise BadFile(f'{where} has no "{name}", which this collector needs')
    return str(value)


def secret(credentials: Mapping[str, Any], name: str) -> str:
    """Return a secret of a credentials file; it may be a reference such as ``env:NAME``."""
    return resolve(credential(credentials, name), what=name)


def whole_number(values: Mapping[str, Any], name: str, default: int) -> int:
    """Return a number of a query file; digits in quotes will do.

    Raises:
        BadFile: it is none.
    """
    value = values.get(name)
    try:
        return default if value is None else int(str(value))
    except ValueError:
        raise BadFile(f'"{name}" is {value!r:.60}; expected a whole number') from None


class exceptions:  # noqa: N801  collectors write requests_with_backoff.exceptions.HTTPError
    """The exceptions that collectors catch."""

    HTTPError = SourceError
    RequestException = SourceError
    ConnectionError = SourceError


class Reply:
    """A good answer, with the attributes that code written for ``requests`` reads."""

    def __init__(self, answer: Answer) -> None:
        self.status_code = answer.status
        self.headers = answer.headers
        self.content = answer.body
        self.text = answer.text
        self.ok = True
        self._answer = answer

    def json(self) -> Any:
        """Return the body as JSON."""
        return self._answer.json()

    def raise_for_status(self) -> None:
        """Do nothing: an answer that is none has been raised already."""


def get(url: str, **options: Any) -> Reply:
    """Ask for a page, patiently; takes ``params``, ``headers`` and ``auth``."""
    return _request("GET", url, options)


def post(url: str, data: Any = None, json: Any = None, **options: Any) -> Reply:
    """Post a form, bytes or JSON, patiently; takes ``params``, ``headers`` and ``auth``."""
    if isinstance(data, str):
        data = data.encode()
    return _request("POST", url, {**options, "data": data, "json": json})


def _request(method: str, url: str, options: Mapping[str, Any]) -> Reply:
    known: dict[str, Any] = {name: options.get(name) for name in ("params", "headers", "auth", "data", "json")}
    with open_session() as session:
        return Reply(session.request(method, url, **known, judge=patient))


def ask(call: Callable[[], T], what: str) -> T:
    """Make a request, and say what it was for where it fails.

    Raises:
        SourceError: the same failure, with the report's name and period in front.
    """
    try:
        return call()
    except SourceError as error:
        error.args = (f"{what}: {error}",)
        raise

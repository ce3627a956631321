"""What a person must not read in a hit: the secrets a sender shows to the platform."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..http import MASK, mask

__all__ = ["Masking", "secret_name"]

#: Names under which platforms take credentials, in queries, forms, JSON and headers; in any case.
_NAMES = (
    "token_?auth|api[_-]?secret|api[_-]?key|write[_-]?key|access[_-]?token|auth[_-]?token|client[_-]?secret|"
    "project[_-]?token|secret|password|passwd|token|authorization|proxy-authorization"
)
_NAME = re.compile(rf"(?:{_NAMES})\Z", re.IGNORECASE)
_HEADER = re.compile(r"auth|cookie|secret|token|api-?key|write-?key|x-umami-cache", re.IGNORECASE)
_IN_JSON = re.compile(rf'("(?:{_NAMES})"\s*:\s*")((?:[^"\\]|\\.)*)', re.IGNORECASE)
_IN_FORM = re.compile(rf"((?:^|[?&;\s\"'])(?:{_NAMES})=)([^&\s\"'#;]+)", re.IGNORECASE)
#: A secret shorter than this is masked where its name stands, not wherever its text happens to occur.
_SHORTEST = 6
#: A site's domain stands where some platforms want a key; it is in every URL, and no secret.
_DOMAIN = re.compile(r"[a-z]+(?:[.-][a-z]+)*\.[a-z]{2,}\Z")
#: No sender has more credentials than this; a body made of thousands is masked by name only, in linear time.
_MOST = 16


def secret_name(name: str) -> bool:
    """Tell whether a parameter of this name is a credential.

    >>> secret_name("token_auth"), secret_name("api_secret"), secret_name("idsite")
    (True, True, False)
    """
    return _NAME.match(name) is not None


class Masking:
    """Finds the credentials of one request by their names, and takes them out of everything made from it.

    >>> Masking().text("idsite=1&token_auth=0123456789abcdef")
    'idsite=1&token_auth=***'
    """

    __slots__ = ("_found",)

    def __init__(self) -> None:
        self._found: set[str] = set()

    def headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Return headers without credentials."""
        out = {}
        for name, value in headers.items():
            if _HEADER.search(name):
                self._note(value)
                self._note(value.rpartition(" ")[2])
                out[name] = MASK
            else:
                out[name] = value
        return out

    def text(self, text: str) -> str:
        """Return a text without credentials: by name here, and by value those already found elsewhere."""
        text = _IN_JSON.sub(self._replaced, text)
        text = _IN_FORM.sub(self._replaced, text)
        return mask(text, tuple(self._found)) if self._found else text

    def data(self, value: Any, name: str = "") -> Any:
        """Return decoded data without credentials."""
        if name and secret_name(name) and isinstance(value, str | int | float):
            return MASK
        if isinstance(value, str):
            return self.text(value) if self._found or "=" in value or '"' in value else value
        if isinstance(value, Mapping):
            return {key: self.data(item, str(key)) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.data(item) for item in value]
        return value

    def _note(self, value: str) -> None:
        if len(value) >= _SHORTEST and value != MASK and len(self._found) < _MOST and not _DOMAIN.match(value):
            self._found.add(value)

    def _replaced(self, match: re.Match[str]) -> str:
        self._note(match[2])
        return match[1] + MASK

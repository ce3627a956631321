"""Secrets by reference, so that no file holds one: ``env:NAME``, ``file:PATH``, ``keyring:SERVICE/NAME``."""

from __future__ import annotations

import os
from pathlib import Path

from .errors import ConfigurationError, MissingExtra

__all__ = ["is_reference", "resolve"]

_SCHEMES = ("env:", "file:", "keyring:")


def is_reference(value: object) -> bool:
    """Tell whether a value is a reference rather than a secret itself."""
    return isinstance(value, str) and value.startswith(_SCHEMES)


def resolve(value: str, *, what: str = "secret") -> str:
    """Return the secret that a reference names; any other text is the secret itself.

    Args:
        value: ``env:NAME``, ``file:PATH`` (white space at the ends is dropped), ``keyring:SERVICE/NAME`` or the text.
        what: the option's name, for the error.

    Raises:
        ConfigurationError: the variable, file or entry does not exist or is empty. The message names the
            reference, never a value.
        MissingExtra: ``keyring:`` without the extra ``keyring``.

    >>> resolve("plain")
    'plain'
    """
    if not is_reference(value):
        return value
    scheme, _, name = value.partition(":")
    if scheme == "env":
        found = os.environ.get(name, "")
        where = f"the environment variable {name}"
    elif scheme == "file":
        try:
            found = Path(name).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(
                f"{what}={value!r}: the file cannot be read ({type(error).__name__}); "
                "expected a readable UTF-8 file that holds the secret alone"
            ) from None
        where = f"the file {name}"
    else:
        found = _from_keyring(name, what)
        where = f"the keyring entry {name}"
    if not found:
        raise ConfigurationError(f"{what}={value!r}: {where} is not set or is empty; set it, or give another reference")
    return found


def _from_keyring(name: str, what: str) -> str:
    try:
        import keyring
    except ImportError:
        raise MissingExtra(f"{what}='keyring:…'", "keyring") from None
    service, _, entry = name.partition("/")
    if not entry:
        raise ConfigurationError(f"{what}='keyring:{name}': expected keyring:SERVICE/NAME")
    return keyring.get_password(service, entry) or ""

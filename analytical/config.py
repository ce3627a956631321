"""Named providers: from a mapping, a TOML file, or one URL in the environment."""

from __future__ import annotations

import dataclasses
import os
import sys
import threading
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from .delivery.inline import InlineDelivery
from .errors import ConfigurationError, UnknownName, did_you_mean
from .models import Provider
from .registry import PROVIDERS
from .route import Route

__all__ = ["VARIABLE", "apart", "configure", "from_url", "get", "names", "prefer", "reset", "route", "settings"]

#: The environment variable that configures the provider named ``default``.
VARIABLE = "ANALYTICAL_URL"

_lock = threading.Lock()
_settings: dict[str, dict[str, Any]] = {}
_made: dict[str, Provider] = {}
_preferred: dict[str, dict[str, Any]] = {}


def configure(source: Mapping[str, Any] | str | os.PathLike[str]) -> None:
    """Name providers for this process; a name given before is replaced.

    Args:
        source: a mapping of names to the arguments of :class:`~analytical.Provider` (``provider``, ``id`` and its
            keywords; ``name`` for ``provider`` will do) or to URLs as in ``ANALYTICAL_URL``; or the path of a TOML
            file with a table ``[providers.NAME]`` for each. Nothing is connected or resolved before :func:`get` asks
            for the name.

    Raises:
        ConfigurationError: the file cannot be read, or an entry is no table with a ``provider``.
    """
    if isinstance(source, Mapping):
        tables, where = dict(source), "configure()"
    else:
        where = os.fspath(source)
        try:
            tables = tomllib.loads(Path(source).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(
                f"{where} cannot be read ({type(error).__name__}); give the path of a TOML file"
            ) from None
        except tomllib.TOMLDecodeError as error:
            raise ConfigurationError(f"{where} is no TOML: {error}") from None
    if isinstance(tables.get("provider"), str):
        raise ConfigurationError(
            f'{where}: a provider without a name; expected names, each with its own: {{"default": {{"provider": …}}}}'
        )
    nested = tables.get("providers")
    if isinstance(nested, Mapping) and "provider" not in nested:
        tables = dict(nested)
    for name, table in tables.items():
        if isinstance(table, Mapping) and "provider" not in table and isinstance(table.get("name"), str):
            # Provider's own name for its first argument.
            tables[name] = table = {**table, "provider": table["name"]}  # noqa: PLW2901 - the same, spelled out
            del table["name"]
        if not isinstance(table, (Mapping, str)) or (
            isinstance(table, Mapping) and not isinstance(table.get("provider"), str)
        ):
            raise ConfigurationError(
                f'{where}: {name!r} needs a provider, as in {{"{name}": {{"provider": "matomo", "id": 1, …}}}}'
            )
    with _lock:
        for name, table in tables.items():
            _settings[name] = _url_settings(table) if isinstance(table, str) else dict(table)
            _made.pop(name, None)
    if "celery" in sys.modules and any(_by_celery(table) for table in tables.values()):
        # A worker that has read the configuration knows the task, without asking for a provider first.
        from .delivery import celery  # noqa: F401


def _by_celery(table: Any) -> bool:
    return isinstance(table, Mapping) and (table.get("delivery") == "celery" or bool(table.get("asynchronously")))


def get(name: str = "default", **unless: Any) -> Provider:
    """Return the provider of a name, made on first use and kept.

    Args:
        name: as it was configured.
        unless: keywords of :class:`~analytical.Provider` for what the configuration leaves open; they count on first
            use.

    Raises:
        UnknownName: a ``ValueError``: the name was never configured; names the nearest, and what to type.
    """
    with _lock:
        if name in _made:
            return _made[name]
        given = _named(name)
        unless = {**_preferred.get(name, {}), **unless}
        if given.get("asynchronously"):
            unless.pop("delivery", None)
        _made[name] = provider = _make(given, to=name, **unless)
        return provider


def prefer(name: str, **unless: Any) -> None:
    """Say what :func:`get` chooses for a name where the configuration leaves it open, whoever asks first.

    A web integration chooses ``delivery="background", privacy="strict"`` this way, so that an event sent from a view
    before the first page view is not sent otherwise.

    Args:
        name: as it is, or will be, configured.
        unless: keywords of :class:`~analytical.Provider`.
    """
    with _lock:
        _preferred[name] = unless


def settings(name: str = "default") -> dict[str, Any]:
    """Return a copy of what a name was configured with; secrets as they were given.

    Raises:
        UnknownName: as :func:`get`.
    """
    with _lock:
        return _named(name)


def route(name: str) -> Route:
    """Return the route to a configured provider, for a worker that delivers what others have queued for it.

    Raises:
        UnknownName: as :func:`get`.
    """
    return apart(name).route


def apart(name: str) -> Provider:
    """Return a configured provider made anew, without the delivery and the spool that were configured.

    Its ``route`` is what a worker attaches to a driver of its own.

    Raises:
        UnknownName: as :func:`get`.
    """
    given = {**settings(name), "delivery": InlineDelivery()}
    for option in ("spool", "asynchronously"):
        given.pop(option, None)
    return _make(given, to=name)


def _named(name: str) -> dict[str, Any]:
    found = _settings.get(name)
    if found is None and name == "default" and os.environ.get(VARIABLE):
        found = _url_settings(os.environ[VARIABLE])
    if found is None:
        known = sorted(_settings)
        listed = f"Configured: {', '.join(known)}." if known else "Nothing is configured."
        raise UnknownName(
            f'no provider is named "{name}".{did_you_mean(name, known)} {listed} '
            f'Call analytical.configure({{"{name}": {{"provider": "matomo", "id": 1, …}}}})'
            + (f" or set {VARIABLE}=matomo://TOKEN@stats.example.com/1" if name == "default" else "")
        )
    return dict(found)


def names() -> list[str]:
    """Return the configured names."""
    with _lock:
        known = set(_settings)
    if os.environ.get(VARIABLE):
        known.add("default")
    return sorted(known)


def reset() -> None:
    """Forget every name; for tests. What was made is not closed."""
    with _lock:
        _settings.clear()
        _made.clear()
        _preferred.clear()


def from_url(url: str, **changes: Any) -> Provider:
    """Return the provider that a URL describes: ``matomo://TOKEN@stats.example.com/1?delivery=background``.

    Args:
        url: ``NAME[+http]://[SECRET@][HOST[/PATH]]/ID[?option=value…]``. The scheme means https, ``NAME+http`` http;
            without a host the platform's own address is used; ``file:///var/log/hits.ndjson`` is a path.
        changes: keywords of :class:`~analytical.Provider` that win over the URL.
    """
    return _make({**_url_settings(url), **changes})


def _make(settings: Mapping[str, Any], **more: Any) -> Provider:
    arguments = {**more, **settings}
    return Provider(arguments.pop("provider"), arguments.pop("id", ""), **arguments)


def _url_settings(url: str) -> dict[str, Any]:
    try:
        parts = urlsplit(url.strip())
    except ValueError:  # its text shows the host
        raise ConfigurationError(f"{VARIABLE}: what stands between // and / is no host") from None
    name, _, plain = parts.scheme.partition("+")
    if not name or (plain and plain not in ("http", "https")):
        # The URL may hold a secret, so it is not shown.
        raise ConfigurationError(
            f"{VARIABLE} is no provider's URL; expected something like matomo://TOKEN@stats.example.com/1 "
            "(matomo+http://… without TLS)"
        )
    target = PROVIDERS.get(name)
    settings: dict[str, Any] = {"provider": name}
    kinds = {**_TYPES, **{item.name: type(item.default) for item in dataclasses.fields(target)}}
    for key, value in parse_qsl(parts.query, keep_blank_values=True):
        settings[key] = _typed(key, value, kinds.get(key))
    path = unquote(parts.path)
    if parts.hostname and name not in ("file", "stdout"):
        prefix, _, identity = path.rstrip("/").rpartition("/")
        try:
            port = f":{parts.port}" if parts.port else ""
        except ValueError:
            raise ConfigurationError(f"{VARIABLE}: the port is no number") from None
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        settings.setdefault("endpoint", f"{plain or 'https'}://{host}{port}{prefix}")
        settings.setdefault("id", identity)
    else:
        local = unquote(parts.netloc) if name in ("file", "stdout") else ""
        settings.setdefault("id", local + path if name == "file" else (local + path).strip("/"))
    if parts.username and name not in ("file", "stdout"):
        # env:NAME is a user name and a password to the grammar of URLs.
        written = parts.username if parts.password is None else f"{parts.username}:{parts.password}"
        option = _secret_option(target, name)
        if not settings.get(option):
            settings[option] = unquote(written)
    return settings


def _secret_option(target: Any, name: str) -> str:
    for item in dataclasses.fields(target):
        if item.metadata.get("secret"):
            return item.name
    raise ConfigurationError(f"{VARIABLE}: {name} needs no secret; leave out what stands before the @")


#: What a provider's own keywords take, where a URL can only say text.
_TYPES: dict[str, type] = {"timeout": float, "connections": int, "fail_silently": bool, "asynchronously": bool}
_YES, _NO = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


def _typed(key: str, value: str, kind: type | None) -> Any:
    lowered = value.strip().lower()
    if kind is bool:
        if lowered in _YES or lowered in _NO:
            return lowered in _YES
        raise ConfigurationError(f"{VARIABLE}: {key}={value!r}; expected true or false")
    if kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            # Some numbers may also be written in words, such as rotate=64M: the provider knows.
            if kind is int:
                return value
            raise ConfigurationError(f"{VARIABLE}: {key}={value!r}; expected a number") from None
    return True if lowered == "true" else False if lowered == "false" else value

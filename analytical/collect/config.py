"""``reports.toml``: providers and reports in a file that holds no secret."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ..errors import AnalyticalError, ConfigurationError, did_you_mean
from ..registry import PROVIDERS
from ..secrets import is_reference
from ..transports import Transport
from .protocol import SOURCES, Source, options_of
from .report import Report, report_for
from .session import Session
from .sink import Sink, sink_for

__all__ = ["Config", "Spec", "load", "parse"]

_SECRET = re.compile(r"(?i)(^|_)(token|secret|password|passwd|pwd|auth|key|apikey)(_|$)")

_KEYS = {
    "provider", "report", "every", "tz", "by", "metrics", "where", "to", "settle", "since", "add", "retry_for",
    "timeout", "refresh", "parameters",
}  # fmt: skip

#: What a provider takes besides its platform's options: for sending, and passed over here.
_SENDING = (
    "timeout", "fail_silently", "delivery", "asynchronously", "spool", "privacy", "bots", "tombstones", "ambiguous",
    "connections", "to",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Spec:
    """One ``[reports.NAME]``.

    Args:
        name: how errors, tables and metrics call it.
        provider: the provider's table.
        table: the report's own table.
    """

    name: str
    provider: Mapping[str, Any] = field(repr=False)
    table: Mapping[str, Any] = field(repr=False)

    def report(self, *, transport: Transport | None = None, session: Session | None = None) -> Report:
        """Make the report; nothing is sent.

        Raises:
            ConfigurationError: names the report.
        """
        options = {key: value for key, value in self.provider.items() if key not in ("provider", "id", "endpoint")}
        asked = {
            key: self.table[key]
            for key in ("every", "tz", "by", "metrics", "where", "settle", "since", "add", "retry_for", "timeout")
            if key in self.table
        }
        if asked.get("every") in ("now", "none", ""):
            asked["every"] = None
        try:
            report = report_for(
                str(self.provider["provider"]),
                self.provider.get("id", ""),
                self.table.get("report", ""),
                endpoint=self.provider.get("endpoint"),
                options=options,
                transport=transport,
                session=session,
                title=self.name,
                **asked,
                **self.table.get("parameters", {}),
            )
        except (AnalyticalError, TypeError) as error:
            raise ConfigurationError(f"reports.{self.name}: {error}") from None
        report.refresh = self.table.get("refresh")
        return report

    def sink(self, to: str | None = None) -> Sink:
        """Return the sink that ``to`` means, or the report's own ``to``.

        Args:
            to: a URL or path; ``{report}`` in it stands for the report's name.
        """
        found: Any = to if to is not None else self.table.get("to", "-")
        options: dict[str, Any] = {}
        if isinstance(found, Mapping):
            options = {key: value for key, value in found.items() if key != "url"}
            found = found.get("url")
            if not isinstance(found, str):
                raise ConfigurationError(f'reports.{self.name}: to={{…}} needs url="…"')
        try:
            return sink_for(str(found).replace("{report}", self.name), options=options)
        except AnalyticalError as error:
            raise (
                type(error)(f"reports.{self.name}: {error}") if isinstance(error, ConfigurationError) else error
            ) from None


@dataclass(frozen=True, kw_only=True)
class Config:
    """A file, read.

    Args:
        path: where it came from.
        reports: the reports, in order.
    """

    path: str
    reports: Mapping[str, Spec]

    def chosen(self, names: Iterable[str] = ()) -> list[Spec]:
        """Return the reports with these names, or all.

        Raises:
            ConfigurationError: no such report; lists those there are.
        """
        wanted = list(dict.fromkeys(names))
        for name in wanted:
            if name not in self.reports:
                raise ConfigurationError(
                    f'{self.path} has no report "{name}".{did_you_mean(name, self.reports)} '
                    f"It has: {', '.join(self.reports) or 'none'}"
                )
        return [self.reports[name] for name in wanted] if wanted else list(self.reports.values())


def load(path: str | Path) -> Config:
    """Read a file of providers and reports.

    Raises:
        ConfigurationError: it cannot be read, or says something that makes no sense; nothing was sent.
    """
    try:
        data = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read ({error.strerror or type(error).__name__})") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: no TOML: {error}") from None
    return parse(data, path=str(path))


def parse(data: Mapping[str, Any], *, path: str = "reports.toml") -> Config:
    """Read the same out of a dict. See :func:`load`."""
    for key in data:
        if key not in ("providers", "reports"):
            raise ConfigurationError(
                f"{path}: unknown table [{key}].{did_you_mean(key, ('providers', 'reports'))} "
                "Expected [providers.NAME] and [reports.NAME]"
            )
    providers = _tables(data, "providers", path)
    for name, table in providers.items():
        if not isinstance(table.get("provider"), str):
            raise ConfigurationError(f'{path}: [providers.{name}] needs provider="…", such as provider="matomo"')
        _refuse_secrets(table, f"{path}: [providers.{name}]", _secret_options(str(table["provider"])))
        _refuse_strangers(table, f"{path}: [providers.{name}]")
    reports: dict[str, Spec] = {}
    for name, table in _tables(data, "reports", path).items():
        where = f"{path}: [reports.{name}]"
        for key in table:
            if key not in _KEYS:
                raise ConfigurationError(
                    f"{where}: unknown key {key!r}.{did_you_mean(key, _KEYS)} "
                    f"Expected some of {', '.join(sorted(_KEYS))}; the platform's own go into parameters={{…}}"
                )
        provider = table.get("provider")
        if provider not in providers:
            raise ConfigurationError(
                f"{where}: provider={provider!r} is no provider of this file."
                f"{did_you_mean(str(provider), providers)} It has: {', '.join(providers) or 'none'}"
            )
        to = table.get("to", "-")
        _refuse_secrets(to if isinstance(to, Mapping) else {"url": to}, f"{where} to")
        _refuse_secrets(table.get("parameters", {}), f"{where} parameters")
        reports[name] = Spec(name=name, provider=providers[provider], table=table)
    if not reports:
        raise ConfigurationError(f"{path} has no [reports.NAME]")
    return Config(path=path, reports=reports)


def _tables(data: Mapping[str, Any], kind: str, path: str) -> dict[str, Mapping[str, Any]]:
    found = data.get(kind, {})
    if not isinstance(found, Mapping) or not all(isinstance(table, Mapping) for table in found.values()):
        raise ConfigurationError(f"{path}: {kind} is no table of tables; expected [{kind}.NAME]")
    return dict(found)


def _refuse_strangers(table: Mapping[str, Any], where: str) -> None:
    """A misspelt option would be left out in silence, and a report read without its token."""
    platform = str(table["provider"])
    takes = options_of(platform)
    strange = [key for key in table if key not in ("provider", "id", "endpoint") and key not in takes]
    if not takes or not strange:
        return  # a function of the user's takes anything
    # The same table may serve the sending half.
    sending = {*_SENDING, *(PROVIDERS.get(platform).__dataclass_fields__ if platform in PROVIDERS else ())}
    for key in strange:
        if key not in sending:
            raise ConfigurationError(
                f"{where}: {platform} has no option {key!r}.{did_you_mean(key, takes)} "
                f"Expected some of id, endpoint, {', '.join(sorted(takes))}"
            )


def _secret_options(provider: str) -> tuple[str, ...]:
    try:
        made = SOURCES.get(provider)
    except AnalyticalError:
        return ()  # said later, with the report's name
    return made.secret_options if isinstance(made, type) and issubclass(made, Source) else ()


def _refuse_secrets(table: Mapping[str, Any], where: str, options: Iterable[str] = ()) -> None:
    """A file that is copied, mailed and committed holds references, never secrets."""
    for key, value in table.items():
        if not isinstance(value, str) or not value or is_reference(value):
            continue
        if key in options or _SECRET.search(key):
            raise ConfigurationError(
                f'{where}: {key} holds a secret in clear; write {key}="env:NAME", "file:PATH" or '
                '"keyring:SERVICE/NAME" instead'
            )
        if "://" in value:
            password = urlsplit(value).password
            if password and not is_reference(password):
                raise ConfigurationError(
                    f'{where}: {key} holds a password in clear; write {{url="…", password="env:NAME"}}, '
                    f'or {key}="env:NAME" with the whole address in the variable'
                )

"""What ``send`` and ``explain`` share: the options that make a destination and a hit."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import click

__all__ = ["Call", "hit_options"]

#: Common field, its option, and a line of help.
_FIELDS = (
    ("url", "the page's address"),
    ("title", "the page's title"),
    ("referrer", "the address of the page before"),
    ("client_ip", "the visitor's address"),
    ("user_agent", "the visitor's User-Agent header"),
    ("language", "the visitor's Accept-Language header, or one tag"),
    ("client_id", "an opaque id of the browser"),
    ("user_id", "an opaque id of the person"),
    ("session_id", "an opaque id of the visit"),
    ("screen", "WIDTHxHEIGHT"),
    ("category", "an event's category"),
    ("label", "an event's label"),
    ("value", "an event's value, a number"),
    ("currency", "ISO 4217, where the value is money"),
    ("time", "when it happened: ISO 8601 with an offset, or seconds since 1970"),
    ("key", "a business id: the same key counts once"),
)


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call as it was typed.

    Args:
        kind: ``pageview`` or ``event``.
        native: the provider's own keys.
        fields: the common names.
        destination: the arguments that name a provider.
    """

    kind: str
    native: Mapping[str, Any] = field(default_factory=dict)
    fields: Mapping[str, Any] = field(default_factory=dict)
    destination: Mapping[str, Any] = field(default_factory=dict)

    def provider(self, **changes: Any) -> Any:
        """Return the provider that the options name.

        Raises:
            click.UsageError: none is named, or two are.
        """
        from .. import config, models

        given = dict(self.destination)
        name, chosen, url, file = (given.pop(key, None) for key in ("provider", "to", "destination", "config"))
        options = {key: value for key, value in given.items() if value is not None}
        if sum(item is not None for item in (name, chosen, url)) > 1:
            raise click.UsageError("give one of --provider, --to and --destination")
        if file is not None:
            config.configure(file)
        if name is chosen is url is None and "default" not in config.names():
            raise click.UsageError(
                "no provider is named: give --provider NAME (see: analytical providers), --destination URL, "
                f"--config FILE with --to NAME, or set {config.VARIABLE}=matomo://TOKEN@stats.example.com/1"
            )
        if name is not None:
            return models.Provider(name, options.pop("id", ""), **{**options, **changes})
        if url is not None:
            return config.from_url(url, **{**options, **changes})
        settings = config.settings(chosen or "default")
        return models.Provider(
            settings.pop("provider"), settings.pop("id", ""), **{"to": chosen, **settings, **options, **changes}
        )


class _Group(click.Group):
    """A group whose first command is meant where options follow at once: ``analytical explain --url …``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        first = args[0] if args else ""
        if first.startswith("-") and first not in ctx.help_option_names:
            args = ["pageview", *args]
        return super().parse_args(ctx, args)


def hit_options(run: Callable[[Call], None]) -> click.Group:
    """Return a group with ``pageview`` and ``event``, both of which make a :class:`Call` and hand it over."""
    group = _Group(help=run.__doc__, epilog="Options alone mean a page view.")
    for kind in ("pageview", "event"):
        group.add_command(_command(kind, run))
    return group


def _command(kind: str, run: Callable[[Call], None]) -> click.Command:
    params: list[click.Parameter] = []
    if kind == "event":
        params.append(click.Argument(["called"], metavar="NAME", required=False))
    params += [
        click.Option(["--provider"], help="A provider's name; see: analytical providers"),
        click.Option(["--id"], default="", help="The platform's own id: a property, a site, a domain."),
        click.Option(["--endpoint"], help="Where to send: a base address, or a whole URL."),
        click.Option(["--to"], help="The name of a configured provider."),
        click.Option(["--config"], type=click.Path(dir_okay=False), help="A TOML file of providers."),
        click.Option(["--destination"], metavar="URL", help="A provider as a URL: matomo://TOKEN@host/1"),
        click.Option(
            ["--option", "-o"], multiple=True, metavar="NAME=VALUE", help="A provider's option; env:NAME works."
        ),
        click.Option(
            ["--privacy"], type=click.Choice(["careful", "strict", "off"]), help="The gate; careful if left out."
        ),
        click.Option(["--timeout"], type=float, help="Seconds for the whole exchange."),
        click.Option(
            ["--property", "-p"], multiple=True, metavar="NAME=VALUE", help="An event's own data; JSON or text."
        ),
        click.Option(["--param"], multiple=True, metavar="KEY=VALUE", help="A key of the platform's own."),
        click.Option(["--json", "as_json"], is_flag=True, help="Print JSON."),
    ]
    if kind == "event":
        params.append(click.Option(["--name"], help="The event's name, instead of NAME."))
    params += [click.Option([f"--{name.replace('_', '-')}", name], help=help_text) for name, help_text in _FIELDS]

    def callback(**given: Any) -> None:
        run(_call(kind, given))

    said = "A page view." if kind == "pageview" else "An event, by its NAME."
    return click.Command(kind, params=params, callback=callback, help=said)


def _call(kind: str, given: dict[str, Any]) -> Call:
    fields = {name: given.pop(name) for name, _ in _FIELDS}
    if kind == "event":
        called, fields["name"] = given.pop("called"), given.pop("name")
        if called is not None and fields["name"] is not None:
            raise click.UsageError("give the event's name once: as NAME or as --name")
        fields["name"] = called if called is not None else fields["name"]
    fields["properties"] = _pairs("--property", given.pop("property"), typed=True) or None
    if fields["value"] is not None:
        fields["value"] = _number(fields["value"])
    if fields["time"] is not None:
        fields["time"] = _time(fields["time"])
    native = _pairs("--param", given.pop("param"), typed=False)
    click.get_current_context().obj = {"json": given.pop("as_json")}
    options = _pairs("--option", given.pop("option"), typed=False)
    if not given["id"]:
        given.pop("id")
    given = {name: value for name, value in given.items() if value is not None}
    return Call(
        kind=kind,
        native=native,
        fields={name: value for name, value in fields.items() if value is not None},
        destination={**given, **{name: _switch(value) for name, value in options.items()}},
    )


def _pairs(option: str, given: tuple[str, ...], *, typed: bool) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise click.UsageError(f"{option} {text!r}: expected NAME=VALUE")
        out[name] = _typed(value) if typed else value
    return out


def _typed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _switch(text: str) -> Any:
    return {"true": True, "false": False}.get(text.lower(), text)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise click.UsageError(f"--value {text!r}: expected a number") from None


def _time(text: str) -> Any:
    from datetime import datetime

    try:
        return float(text)
    except ValueError:
        pass
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise click.UsageError(f"--time {text!r}: expected ISO 8601 or seconds since 1970") from None
    if when.tzinfo is None:
        raise click.UsageError(f"--time {text!r}: a time needs its offset, such as 2026-01-31T12:00:00+00:00")
    return when

"""``analytical doctor``: configuration, credentials, name clashes and the server around the process."""

from __future__ import annotations

import importlib.metadata
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import click

from ..errors import AnalyticalError, ConfigurationError
from ..http import NoResponse

__all__ = ["command"]


class _Finding(NamedTuple):
    mark: str  #: ok, note or bad
    what: str
    advice: str = ""


@click.command("doctor")
@click.option("--config", type=click.Path(dir_okay=False), help="A TOML file of providers.")
@click.option("--to", "names", multiple=True, help="Only this configured provider; may be repeated.")
@click.option("--offline", is_flag=True, help="Ask no platform.")
@click.option("--timeout", type=float, default=5.0, show_default=True, help="Seconds for each platform's answer.")
def command(config: str | None, names: tuple[str, ...], offline: bool, timeout: float) -> None:
    """Check configuration, credentials, the name clash with django-analytical, and the server's process model.

    Where a platform has a call that checks credentials without recording anything, it is asked.
    Ends with 1 where something is wrong.
    """
    from .. import config as configuration

    if config is not None:
        configuration.configure(config)
    bad = 0
    for finding in _examined(tuple(names) or tuple(configuration.names()), offline=offline, timeout=timeout):
        bad += finding.mark == "bad"
        click.echo(f"{finding.mark:<5}{finding.what}" + (f"\n     {finding.advice}" if finding.advice else ""))
    click.echo(f"\n{bad} thing{'' if bad == 1 else 's'} to mend" if bad else "\nnothing to mend")
    click.get_current_context().exit(1 if bad else 0)


def _examined(names: tuple[str, ...], *, offline: bool, timeout: float) -> Iterator[_Finding]:
    yield _python()
    yield from _clash()
    yield from _server(os.environ, sys.modules)
    yield from _plugins()
    if not names:
        yield _Finding(
            "note",
            "no provider is configured here",
            "set ANALYTICAL_URL, or give --config analytical.toml, to have it examined",
        )
    for name in names:
        yield from _provider(name, offline=offline, timeout=timeout)


def _python() -> _Finding:
    from .. import __version__

    version = ".".join(map(str, sys.version_info[:3]))
    return _Finding("ok", f"analytical {__version__} on Python {version}, from {Path(__file__).parent.parent}")


def _clash() -> Iterator[_Finding]:
    # The distribution django-analytical installs a package that is also called "analytical".
    try:
        theirs = importlib.metadata.distribution("django-analytical")
    except importlib.metadata.PackageNotFoundError:
        yield _Finding("ok", "django-analytical, which has a package of the same name, is not installed")
        return
    yield _Finding(
        "bad",
        f"django-analytical {theirs.version} is installed: its package is called analytical too, and one of the two "
        "overwrites files of the other",
        "type: pip uninstall django-analytical analytical && pip install analytical (or keep them in two environments)",
    )


def _server(environ: Any, modules: Any) -> Iterator[_Finding]:
    if "uwsgi" in modules:
        uwsgi = modules["uwsgi"]
        if not uwsgi.opt.get("enable-threads") and not uwsgi.opt.get("threads"):
            yield _Finding(
                "bad", "uWSGI runs without threads: a background delivery would never run", "set enable-threads = true"
            )
    arguments = environ.get("GUNICORN_CMD_ARGS", "")
    if "--preload" in arguments:
        yield _Finding(
            "ok", "gunicorn preloads: after the fork each worker starts a delivery of its own, nothing is sent twice"
        )
    if environ.get("AWS_LAMBDA_FUNCTION_NAME") or environ.get("K_SERVICE") or environ.get("FUNCTION_TARGET"):
        yield _Finding(
            "note",
            "this is a serverless function: it is frozen after its answer, and the background delivery with it",
            "wrap the handler in analytical.flushing(…)",
        )


def _plugins() -> Iterator[_Finding]:
    from ..registry import PROVIDERS

    for name in PROVIDERS.names():
        try:
            PROVIDERS.get(name)
        except Exception as error:  # noqa: BLE001 - whatever a plug-in's import raises is the finding
            yield _Finding(
                "bad", f"the provider {name} cannot be loaded ({type(error).__name__})", "update its package"
            )


def _provider(name: str, *, offline: bool, timeout: float) -> Iterator[_Finding]:
    from .. import config as configuration
    from .. import models

    try:
        settings = configuration.settings(name)
        delivery = settings.get("delivery")
        chosen = dict(settings, delivery="inline", spool=None, asynchronously=None)
        provider = models.Provider(chosen.pop("provider"), chosen.pop("id", ""), **chosen)
    except (AnalyticalError, TypeError) as error:
        yield _Finding("bad", f"{name}: {error}")
        return
    with provider:
        backend = provider.backend
        where = backend.address() if backend.host or backend.endpoint else backend.id
        yield _Finding("ok", f"{name}: {backend.title or backend.name}, {_place(where)}")
        if where.startswith("http://") and "127.0.0.1" not in where and "localhost" not in where:
            yield _Finding(
                "note", f"{name}: hits travel without TLS", "give an https:// endpoint unless the network is yours"
            )
        if delivery in (None, "inline") and not settings.get("spool") and not settings.get("asynchronously"):
            yield _Finding(
                "note", f"{name}: delivers inline: the caller waits for the platform", 'give delivery="background"'
            )
        if isinstance(settings.get("spool"), str | Path):
            yield _spool(name, str(settings["spool"]))
        yield _credentials(name, provider, offline=offline, timeout=timeout)


def _place(address: str) -> str:
    # The query of an endpoint may hold a secret.
    return address.partition("?")[0]


def _spool(name: str, spool: str) -> _Finding:
    if "://" in spool:
        return _Finding("ok", f"{name}: hits wait in a {spool.partition(':')[0]} spool")
    folder = Path(spool).resolve().parent
    if not os.access(folder, os.W_OK):
        return _Finding("bad", f"{name}: the spool's folder {folder} cannot be written", "give a path that can")
    return _Finding("ok", f"{name}: hits wait in {spool}")


def _credentials(name: str, provider: Any, *, offline: bool, timeout: float) -> _Finding:
    try:
        request = provider.backend.probe()
    except ConfigurationError as error:
        return _Finding("bad", f"{name}: {error}")
    if request is None:
        return _Finding("note", f"{name}: {provider.backend.title} has no call that checks credentials")
    if offline:
        return _Finding("note", f"{name}: credentials not checked (--offline)")
    answer = provider._transport.send(request, timeout=timeout)
    if isinstance(answer, NoResponse):
        return _Finding(
            "bad", f"{name}: no answer ({answer.reason})", "see whether the endpoint and the network are right"
        )
    trouble = provider.backend.probed(answer)
    if trouble:
        return _Finding(
            "bad", f"{name}: the platform says: {trouble}", "see whether id, endpoint and credentials are right"
        )
    return _Finding("ok", f"{name}: the platform answers and takes the credentials")

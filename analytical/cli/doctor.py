"""``analytical doctor``: configuration, credentials, name clashes and the server around the process."""

from __future__ import annotations

import dataclasses
import os
import re
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, NoReturn
from urllib.parse import urlsplit, urlunsplit

import click

from ..backend import Backend
from ..errors import AnalyticalError, ConfigurationError
from ..hit import Hit, new_id
from ..http import NoResponse, Request
from . import CLASH, clash

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
    try:
        from .. import config as configuration
    except ImportError:
        if clash() is None:
            raise
        _say(list(_clash()))  # our files are not there to examine anything else with
    if config is not None:
        configuration.configure(config)
    _say(_examined(tuple(names) or tuple(configuration.names()), offline=offline, timeout=timeout))


def _say(findings: Iterable[_Finding]) -> NoReturn:
    bad = 0
    for finding in findings:
        bad += finding.mark == "bad"
        click.echo(f"{finding.mark:<5}{finding.what}" + (f"\n     {finding.advice}" if finding.advice else ""))
    click.echo(f"\n{bad} thing{'' if bad == 1 else 's'} to mend" if bad else "\nnothing to mend")
    click.get_current_context().exit(1 if bad else 0)


def _examined(names: tuple[str, ...], *, offline: bool, timeout: float) -> Iterator[_Finding]:
    yield _python()
    yield from _clash()
    yield from _server(os.environ, sys.modules, Path.cwd())
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
    version = clash()
    if version is None:
        yield _Finding("ok", "django-analytical, which has a package of the same name, is not installed")
        return
    yield _Finding(
        "bad",
        f"django-analytical {version} is installed: its package is called analytical too, and one of the two "
        "overwrites files of the other",
        f"type: {CLASH} (or keep them in two environments)",
    )


def _server(environ: Any, modules: Any, folder: Path) -> Iterator[_Finding]:
    found = list(_servers(environ, modules, folder))
    yield from found
    if not found:
        yield _Finding(
            "ok",
            "no application server around this process: threads run, so a background delivery delivers",
            "to have your server's process model examined, run this in its environment and folder",
        )


def _servers(environ: Any, modules: Any, folder: Path) -> Iterator[_Finding]:
    if "uwsgi" in modules:
        uwsgi = modules["uwsgi"]
        if uwsgi.opt.get("enable-threads") or uwsgi.opt.get("threads"):
            yield _Finding("ok", "uWSGI runs with threads: a background delivery delivers")
        else:
            yield _Finding(
                "bad", "uWSGI runs without threads: a background delivery would never run", "set enable-threads = true"
            )
    for file in sorted(folder.glob("uwsgi*.ini")):
        if not re.search(r"(?m)^\s*(enable-threads|threads)\s*=\s*(?!false|0)\S", _read(file)):
            yield _Finding(
                "bad", f"{file.name}: uWSGI without threads: a background delivery would never run",
                "write enable-threads = true",
            )  # fmt: skip
    preloads = "--preload" in f"{environ.get('GUNICORN_CMD_ARGS', '')} {environ.get('GUNICORN_OPTS', '')}"
    if preloads or re.search(r"(?m)^\s*preload_app\s*=\s*True", _read(folder / "gunicorn.conf.py")):
        yield _Finding(
            "ok", "gunicorn preloads: after the fork each worker starts a delivery of its own, nothing is sent twice"
        )
    elif "GUNICORN_CMD_ARGS" in environ or (folder / "gunicorn.conf.py").exists():
        yield _Finding("ok", "gunicorn: each worker has a delivery of its own")
    if environ.get("AWS_LAMBDA_FUNCTION_NAME") or environ.get("K_SERVICE") or environ.get("FUNCTION_TARGET"):
        yield _Finding(
            "note",
            "this is a serverless function: it is frozen after its answer, and the background delivery with it",
            "wrap the handler in analytical.flushing(…)",
        )


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


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
        if not backend.kinds:
            lack = getattr(backend, "lack", "")
            yield _Finding("ok", f"{name}: reads reports and takes no hits" + (f" ({lack})" if lack else ""))
            return
        if backend.name == "file":
            yield _Finding("ok", f"{name}: {backend.title}, {backend.id}")
            yield _writable(name, "the file's folder", str(backend.id))
            return
        where = backend.address() if backend.host or backend.endpoint else backend.id
        yield _Finding("ok", f"{name}: {backend.title or backend.name}, {_place(where)}")
        if where.startswith("http://") and urlsplit(where).hostname not in ("127.0.0.1", "localhost", "::1"):
            yield _Finding(
                "note", f"{name}: hits travel without TLS", "give an https:// endpoint unless the network is yours"
            )
        if delivery in (None, "inline") and not settings.get("spool") and not settings.get("asynchronously"):
            yield _Finding(
                "note", f"{name}: delivers inline: the caller waits for the platform", 'give delivery="background"'
            )
        if isinstance(settings.get("spool"), str | Path):
            yield _spool(name, str(settings["spool"]))
        if where.startswith(("http://", "https://")):
            yield from _platform(name, provider, where, offline=offline, timeout=timeout)


def _place(address: str) -> str:
    # The query of an endpoint may hold a secret.
    return address.partition("?")[0]


def _spool(name: str, spool: str) -> _Finding:
    if "://" in spool:
        return _Finding("ok", f"{name}: hits wait in a {spool.partition(':')[0]} spool")
    return _writable(name, "the spool's folder", spool)


def _writable(name: str, what: str, path: str) -> _Finding:
    folder = Path(path).resolve().parent
    if not os.access(folder, os.W_OK):
        return _Finding("bad", f"{name}: {what} {folder} cannot be written", "give a path that can")
    return _Finding("ok", f"{name}: {what} {folder} can be written")


def _platform(name: str, provider: Any, where: str, *, offline: bool, timeout: float) -> Iterator[_Finding]:
    backend = provider.backend
    probe = backend.probe()
    try:
        sample = _sample(backend)
    except ConfigurationError:
        sample = None  # an address of one's own, with a path of its own, has no validation server beside it
    if offline:
        yield _Finding("note", f"{name}: credentials not checked, the platform not asked (--offline)")
        return
    # Without a call that checks anything it is only asked to be there: a front page records nothing.
    front = Request(method="GET", url=urlunsplit((*urlsplit(where)[:2], "/", "", "")))
    answer = provider._transport.send(probe or sample or front, timeout=timeout)
    if isinstance(answer, NoResponse):
        yield _Finding(
            "bad", f"{name}: no answer ({answer.reason})", "see whether the endpoint and the network are right"
        )
    elif probe is not None:
        trouble = backend.probed(answer)
        if trouble:
            yield _Finding(
                "bad", f"{name}: the platform says: {trouble}", "see whether id, endpoint and credentials are right"
            )
        else:
            yield _Finding("ok", f"{name}: the platform answers and takes the credentials")
    elif sample is not None:
        found = backend.findings(answer) if answer.ok else [f"http {answer.status}"]
        if found:
            yield _Finding(
                "bad",
                f"{name}: the validation server says: {'; '.join(found)}",
                "see whether id and endpoint are right",
            )
        else:
            yield _Finding("ok", f"{name}: the validation server takes a sample; it does not check credentials")
    else:
        yield _Finding("ok", f"{name}: something answers there; {backend.title} has no call that checks credentials")


def _sample(backend: Backend) -> Request | None:
    if type(backend).validate_requests is Backend.validate_requests:
        return None
    now = time.time()
    hit = Hit.from_dict(
        {"v": 1, "id": new_id(), "kind": "pageview", "time": now, "url": "https://example.com/", "title": "doctor"}
    )
    told: Any = backend  # the option "validate" belongs to the backends that have something to ask
    requests = dataclasses.replace(told, validate=True).validate_requests([hit], now=now)
    return requests[0] if requests else None

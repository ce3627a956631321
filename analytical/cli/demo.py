"""``analytical demo``: a small web site, six providers and the inspector, all on this machine."""

from __future__ import annotations

import contextlib
import os
import threading
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from http.cookiejar import CookieJar
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import click

from ..context import Proxies
from ..inspector import Inspector
from ..integrations.wsgi import Middleware
from ..models import Provider, Providers
from .inspect import until_interrupted

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

__all__ = ["command"]

#: The six, each with an id of the shape its platform gives out.
_SIX: tuple[tuple[str, Any, dict[str, Any]], ...] = (
    ("matomo", 1, {"token_auth": "0123456789abcdef0123456789abcdef"}),
    ("ga4", "G-DEMO12345", {"api_secret": "demo-secret-000000"}),
    ("plausible", "demo.example", {}),
    ("umami", "5f6d2a8e-0d6b-4c43-9f6e-1c1d0c2b7a11", {}),
    ("snowplow", "demo", {}),
    ("posthog", "phc_demo0000000000000000", {}),
)
_PAGES = {
    "/": ("Home", "A small shop of very good teapots."),
    "/pricing": ("Pricing", "One teapot: 19. Two teapots: 35."),
    "/blog/how-to-pour": ("How to pour", "Slowly, and from a low height."),
}
#: Visitors' addresses stand in networks that RFC 5737 keeps for examples.
_VISITORS = (
    ("203.0.113.57", "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
                     "Chrome/141.0.0.0 Safari/537.36"),
    ("198.51.100.23", "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:143.0) Gecko/20100101 Firefox/143.0"),
)  # fmt: skip


class _Expected(NamedTuple):
    """One thing that happened on the site, and must have reached every provider."""

    kind: str
    what: str
    path: str


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Write no access log: the table says what was visited."""


class _Shop:
    """The web site: three pages, and a sign-up that is an event."""

    def __init__(self, providers: Providers) -> None:
        self.providers = providers

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "/")
        if path == "/signup" and environ["REQUEST_METHOD"] == "POST":
            # The address, browser and referrer come from the request being served.
            self.providers.event("signup", properties={"plan": "pro"})
            start_response("303 See Other", [("Location", "/pricing"), ("Content-Length", "0")])
            return [b""]
        if path not in _PAGES:
            start_response("404 Not Found", [("Content-Type", "text/plain; charset=utf-8")])
            return [b"There is no such page.\n"]
        title, text = _PAGES[path]
        environ["analytical.pageview"] = {"title": title}
        start_response("200 OK", [("Content-Type", "text/html; charset=utf-8")])
        links = " ".join(f'<a href="{other}">{name}</a>' for other, (name, _) in _PAGES.items())
        form = '<form method="post" action="/signup"><button>Sign up</button></form>'
        page = (
            f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
            f"<body><nav>{links}</nav><h1>{title}</h1><p>{text}</p>{form}</body></html>"
        )
        return [page.encode()]


@click.command("demo")
@click.option("--once", is_flag=True, help="End by itself; the exit code is 0 only if every hit arrived.")
@click.option("--port", type=click.IntRange(0, 65_535), default=8765, show_default=True, help="The inspector's.")
@click.option("--site-port", type=click.IntRange(0, 65_535), default=8766, show_default=True, help="The web site's.")
def command(once: bool, port: int, site_port: int) -> None:
    """Run a small web site whose page views go through six providers, all pointed at the inspector.

    It visits a few pages itself and prints what arrived; then it stays, for you to look around.
    """
    # A proxy in the environment must not be asked for this machine.
    if any(name.lower() in ("http_proxy", "all_proxy") for name in os.environ):
        os.environ["NO_PROXY"] = ",".join(filter(None, [os.environ.get("NO_PROXY"), "127.0.0.1"]))
    stop = threading.Event() if once else until_interrupted()
    inspector = _listening(Inspector, port)
    with inspector, _providers(inspector.url) as providers, _site(providers, site_port) as address:
        expected = _visit(address)
        providers.flush(15.0)
        # A hit is kept before its answer leaves, so after a flush nothing is on its way.
        complete = _report(inspector.hits(), expected)
        counts = Counter(dict.fromkeys(("accepted", "delivered", "unconfirmed"), 0))
        for stats in providers.stats().values():
            counts.update({key: stats[key] for key in counts})
        click.echo(
            f"\n{counts['accepted']} hits accepted: {counts['delivered']} delivered (the platform confirms), "
            f"{counts['unconfirmed']} unconfirmed (it cannot)."
        )
        click.echo(f"The inspector  {inspector.url}\nThe web site   {address}")
        if once:
            click.echo("Every hit arrived." if complete else "Some hits did not arrive.", err=not complete)
            click.get_current_context().exit(0 if complete else 1)
        click.echo("Visit the site and watch the inspector. Ctrl-C ends both.")
        while not stop.wait(0.5):
            pass


@contextlib.contextmanager
def _providers(endpoint: str) -> Iterator[Providers]:
    made = Providers(
        [
            Provider(name, id, endpoint=endpoint, delivery="background", privacy="strict", **options)
            for name, id, options in _SIX
        ]
    )
    with made:
        yield made


@contextlib.contextmanager
def _site(providers: Providers, port: int) -> Iterator[str]:
    # The visits below say where they come from as a proxy would; so one proxy's word is believed.
    app = Middleware(_Shop(providers), providers, proxies=Proxies(hops=1))

    def listen(wanted: int) -> Any:
        return make_server("127.0.0.1", wanted, app, server_class=_Server, handler_class=_Quiet)

    server = _listening(listen, port)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)


def _listening(listen: Callable[[int], Any], port: int) -> Any:
    try:
        return listen(port)
    except OSError:
        return listen(0)  # the usual port is taken; any free one will do, and is printed


def _visit(address: str) -> list[_Expected]:
    expected = []
    for client, browser in _VISITORS:
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(CookieJar())
        )
        headers = {
            "User-Agent": browser, "X-Forwarded-For": client, "Accept-Language": "en-GB,en;q=0.8",
            "Accept": "text/html",
        }  # fmt: skip
        referrer = "https://search.example/find?q=teapot"
        for path, (title, _) in _PAGES.items():
            # What a campaign adds stays; what names a person does not.
            query = "?utm_source=newsletter&email=someone%40example.com" if path == "/" else ""
            _open(opener, f"{address}{path}{query}", {**headers, "Referer": referrer})
            referrer = f"{address}{path}"
            expected.append(_Expected("pageview", title, path))
        _open(opener, f"{address}/signup", {**headers, "Referer": referrer}, body=b"")
        # The sign-up answers with the pricing page, which is looked at once more.
        expected += [_Expected("event", "signup", "/signup"), _Expected("pageview", "Pricing", "/pricing")]
    return expected


def _open(opener: urllib.request.OpenerDirector, url: str, headers: dict[str, str], body: bytes | None = None) -> None:
    request = urllib.request.Request(url, data=body, headers=headers)  # noqa: S310 - our own http address
    try:
        with opener.open(request, timeout=10) as answer:
            answer.read()
    except (urllib.error.URLError, OSError) as error:
        raise click.ClickException(f"the demo's web site does not answer ({type(error).__name__})") from None


def _report(hits: list[dict[str, Any]], expected: list[_Expected]) -> bool:
    from rich.console import Console
    from rich.table import Table

    wanted = Counter(expected)
    arrived: Counter[tuple[str, _Expected]] = Counter()
    strangers = 0
    findings: Counter[str] = Counter()
    for hit in hits:
        findings[hit["provider"]] += len(hit["findings"])
        seen = _recognised(hit, wanted)
        if seen is None:
            strangers += 1
        else:
            arrived[hit["provider"], seen] += 1
    table = Table(box=None, pad_edge=False)
    for title in ("what arrived", *(name for name, _, _ in _SIX)):
        table.add_column(title, no_wrap=True, justify="left" if title == "what arrived" else "right")
    complete = strangers == 0
    for item, count in wanted.items():
        cells = [arrived[name, item] for name, _, _ in _SIX]
        complete &= all(cell == count for cell in cells)
        what = f"event {item.what}" if item.kind == "event" else f"view {item.path}"
        table.add_row(what, *(str(c) if c == count else f"{c} of {count}" for c in cells))
    table.add_row("findings", *(str(findings[name]) for name, _, _ in _SIX))
    Console().print(table)
    if strangers:
        click.echo(f"{strangers} {'hit' if strangers == 1 else 'hits'} arrived that nobody sent", err=True)
    return complete


def _recognised(hit: dict[str, Any], wanted: Iterable[_Expected]) -> _Expected | None:
    path = urlsplit(str(hit["url"] or "")).path or "/"
    for item in wanted:
        if hit["kind"] != item.kind:
            continue
        if (item.kind == "event" and hit["name"] == item.what) or (item.kind == "pageview" and path == item.path):
            return item
    return None

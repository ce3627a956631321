"""The WSGI middleware behind real servers."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest
from web_support import BROWSER, get, serve_wsgi

import analytical
from analytical.context import Proxies, current
from analytical.errors import ConfigurationError
from analytical.inspector import Inspector
from analytical.integrations._web import Response, Site, template
from analytical.integrations.wsgi import Middleware


@pytest.fixture
def inspector() -> Iterator[Inspector]:
    with Inspector() as running:
        yield running


@pytest.fixture
def site(inspector: Inspector) -> Iterator[Any]:
    with analytical.Provider("matomo", 1, endpoint=inspector.url, delivery="background", privacy="off") as provider:
        yield provider


def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    path = environ["PATH_INFO"]
    if path == "/boom":
        raise RuntimeError("the application's own")
    status = {"/missing": "404 Not Found", "/moved": "302 Found"}.get(path, "200 OK")
    kind = "application/json" if path == "/api" else "text/html; charset=utf-8"
    if path == "/titled":
        environ["analytical.pageview"] = {"title": "A title"}
    if path == "/secret":
        environ["analytical.pageview"] = False
    if path == "/users/7":
        environ["analytical.route"] = "/users/:id"
    start_response(status, [("Content-Type", kind)])
    facts = current.get()
    return [(facts.client_ip or "").encode() if facts else b"none"]


def test_a_page_view_carries_the_request(inspector: Inspector, site: Any) -> None:
    with serve_wsgi(Middleware(app, site)) as url:
        status, body = get(f"{url}/caf%C3%A9?utm_source=x")
        assert (status, body) == (200, b"127.0.0.1")
        (hit,) = inspector.wait(1)
    assert hit["url"] == f"{url}/caf%C3%A9?utm_source=x"
    assert hit["fields"]["user_agent"] == BROWSER["User-Agent"]
    assert hit["fields"]["referrer"] == BROWSER["Referer"]
    assert hit["fields"]["language"].startswith("en")
    assert current.get() is None


@pytest.mark.parametrize(
    ("path", "method", "headers"),
    [
        ("/missing", "GET", {}),
        ("/moved", "GET", {}),
        ("/api", "GET", {}),
        ("/", "POST", {}),
        ("/", "HEAD", {}),
        ("/secret", "GET", {}),
        ("/", "GET", {"Sec_Purpose": "prefetch;prerender"}),
        ("/", "GET", {"X_Requested_With": "XMLHttpRequest"}),
        ("/", "GET", {"Sec_Fetch_Dest": "image"}),
    ],
)
def test_what_nobody_looks_at_is_no_page_view(
    path: str, method: str, headers: dict[str, str], inspector: Inspector, site: Any
) -> None:
    with serve_wsgi(Middleware(app, site)) as url:
        get(f"{url}{path}", method, **headers)
        get(f"{url}/titled")
        assert [hit["title"] for hit in inspector.wait(1)] == ["A title"]
        assert site.flush(5)
        assert len(inspector.hits()) == 1


def test_the_middleware_alone_only_fills_the_context(inspector: Inspector) -> None:
    with serve_wsgi(Middleware(app, proxies=Proxies(hops=1))) as url:
        assert get(f"{url}/", X_Forwarded_For="203.0.113.9")[1] == b"203.0.113.9"
    assert inspector.hits() == []


def test_an_undeclared_proxys_word_counts_for_nothing(site: Any) -> None:
    with serve_wsgi(Middleware(app, site, pageviews=False)) as url:
        assert get(f"{url}/", X_Forwarded_For="203.0.113.9")[1] == b"127.0.0.1"


def test_a_function_chooses_the_page_views(inspector: Inspector, site: Any) -> None:
    with serve_wsgi(Middleware(app, site, pageviews=lambda response: response.status == 404)) as url:
        get(f"{url}/")
        get(f"{url}/missing")
        (hit,) = inspector.wait(1)
    assert hit["url"].endswith("/missing")


def test_by_arguments_it_is_strict_and_in_the_background_and_templates_stand_in_for_paths(inspector: Inspector) -> None:
    wrapped = Middleware(app, {"provider": "matomo", "id": 1, "endpoint": inspector.url}, proxies=Proxies(hops=1))
    with serve_wsgi(wrapped) as url:
        get(f"{url}/users/7?token=abc", X_Forwarded_For="203.0.113.9")
        (hit,) = inspector.wait(1)
    assert hit["url"] == f"{url}/users/:id"
    assert hit["fields"].get("client_ip") in (None, "203.0.0.0")
    provider: Any = wrapped.site.provider()
    assert provider.policy.name == "strict"
    assert provider._background
    provider.close()


def test_by_name_what_the_configuration_says_wins(inspector: Inspector) -> None:
    analytical.configure({"web": {"provider": "matomo", "id": 1, "endpoint": inspector.url, "privacy": "careful"}})
    provider: Any = Site("web", None).provider()
    assert provider.policy.name == "careful"
    assert provider._background
    provider.close()


def test_an_event_before_the_first_page_view_is_sent_as_the_middleware_chooses(inspector: Inspector) -> None:
    analytical.configure({"web": {"provider": "matomo", "id": 1, "endpoint": inspector.url}})

    def signup(environ: Any, start_response: Any) -> list[bytes]:
        analytical.get("web").event("signup")
        start_response("303 See Other", [("Location", "/welcome")])
        return [b""]

    with serve_wsgi(Middleware(signup, "web")) as url:
        get(f"{url}/signup?email=a%40b.example", "POST")
        inspector.wait(1)
    provider: Any = analytical.get("web")
    assert provider.policy.name == "strict"
    assert provider._background
    provider.close()


def test_visitors_who_asked_not_to_be_counted_are_not(inspector: Inspector) -> None:
    with (
        analytical.Provider("matomo", 1, endpoint=inspector.url, privacy="strict") as provider,
        serve_wsgi(Middleware(app, provider)) as url,
    ):
        get(f"{url}/", DNT="1")
        get(f"{url}/", Sec_GPC="1")
        get(f"{url}/missing")  # served one after the other: the two before have ended now
        assert provider.stats()["withheld"] == 2
    assert inspector.hits() == []


def test_a_failing_provider_costs_the_visitor_nothing(caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        def pageview(self, **fields: Any) -> bool:
            raise RuntimeError("visitor@example.com")

    with serve_wsgi(Middleware(app, Broken())) as url:  # type: ignore[arg-type]
        assert get(f"{url}/")[0] == 200
        assert get(f"{url}/")[0] == 200
    assert "RuntimeError" in caplog.text
    assert "visitor@example.com" not in caplog.text


def test_an_application_that_raises_leaves_no_context() -> None:
    wrapped = Middleware(app)
    with pytest.raises(RuntimeError, match="own"):
        wrapped({"PATH_INFO": "/boom", "REQUEST_METHOD": "GET"}, lambda *_: lambda _: None)
    assert current.get() is None


def test_the_body_is_closed_once_and_streams() -> None:
    closed = []

    class Stream:
        def __iter__(self) -> Iterator[bytes]:
            yield b"a"
            yield b"b"

        def close(self) -> None:
            closed.append(True)

    def streaming(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Type", "text/html")])
        return Stream()

    body: Any = Middleware(streaming)({"PATH_INFO": "/", "REQUEST_METHOD": "GET"}, lambda *_: lambda _: None)
    with pytest.raises(TypeError):
        len(body)
    assert b"".join(body) == b"ab"
    body.close()
    assert closed == [True]


def test_a_page_that_breaks_off_is_no_page_view(inspector: Inspector, site: Any) -> None:
    def torn(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Type", "text/html")])
        yield b"<h1>Half"
        raise RuntimeError("the application's own")

    body: Any = Middleware(torn, site)({"HTTP_HOST": "example.com", "REQUEST_METHOD": "GET"}, lambda *rest: print)
    with pytest.raises(RuntimeError, match="own"):
        list(body)
    body.close()
    assert current.get() is None
    assert site.flush(5)
    assert site.stats()["accepted"] == 0


def test_page_views_without_a_provider_are_a_mistake_said_at_once() -> None:
    with pytest.raises(ConfigurationError, match="needs a provider"):
        Middleware(app, pageviews=True)


@pytest.mark.parametrize(
    ("pattern", "route"),
    [("users/<int:pk>/", "/users/:pk/"), ("/users/<id>", "/users/:id"), ("/a/{id:path}", "/a/:id"), ("/", "/")],
)
def test_every_frameworks_template_in_one_spelling(pattern: str, route: str) -> None:
    assert template(pattern) == route


def test_a_page_not_modified_was_looked_at() -> None:
    seen = Response(method="GET", path="/", status=304, content_type="", headers={})
    assert Site(None, None).is_page(seen)


def test_gunicorn_with_preloaded_workers_counts_each_page_once(inspector: Inspector, tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(
        "from analytical.integrations.wsgi import Middleware\n"
        "def app(environ, start_response):\n"
        "    start_response('200 OK', [('Content-Type', 'text/html')])\n"
        "    return [b'page']\n"
        f"app = Middleware(app, {{'provider': 'matomo', 'id': 1, 'endpoint': {inspector.url!r}}})\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", "--preload", "-w", "2", "-b", "127.0.0.1:0", "--graceful-timeout", "5",
         "shop:app"],
        cwd=tmp_path, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    try:
        url = None
        while url is None:
            line = process.stderr.readline()
            assert line, "gunicorn ended"
            found = re.search(r"Listening at: (http://127\.0\.0\.1:\d+)", line)
            url = found and found[1]
        for number in range(8):
            assert get(f"{url}/{number}")[0] == 200
        assert len(inspector.wait(8, timeout=20)) == 8
    finally:
        process.terminate()
        process.stderr.read()
        process.wait(timeout=30)
        process.stderr.close()
    assert sorted(hit["url"][-1] for hit in inspector.hits()) == list("01234567")


def test_a_body_that_is_closed_twice_is_one_page_view() -> None:
    sent: list[str] = []

    class Counting:
        def pageview(self, **fields: Any) -> bool:
            sent.append(str(current.get()))
            return True

    middleware = Middleware(app, Counting())  # type: ignore[arg-type]  # all that is used of a provider
    environ: dict[str, Any] = {}
    setup_testing_defaults(environ)
    body = middleware(environ, lambda status, headers, *rest: lambda data: None)
    assert list(body) == [b""]
    body.close()  # type: ignore[attr-defined]  # the middleware's own has it
    body.close()  # type: ignore[attr-defined]
    assert len(sent) == 1
    assert current.get() is None

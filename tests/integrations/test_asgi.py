"""The ASGI middlewares behind uvicorn: plain, Starlette, FastAPI."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from web_support import BROWSER, get, serve_asgi

import analytical
from analytical.context import Proxies, current
from analytical.inspector import Inspector
from analytical.integrations import asgi, fastapi, starlette


@pytest.fixture
def inspector() -> Iterator[Inspector]:
    with Inspector() as running:
        yield running


@pytest.fixture
def site(inspector: Inspector) -> Iterator[Any]:
    with analytical.Provider("matomo", 1, endpoint=inspector.url, delivery="background", privacy="off") as provider:
        yield provider


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    if scope["path"] == "/titled":
        scope["analytical.pageview"] = {"title": "A title"}
    if scope["path"] == "/users/7":
        scope["analytical.route"] = "/users/:id"
    facts = current.get()
    status = 404 if scope["path"] == "/missing" else 200
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"text/html")]})
    await send({"type": "http.response.body", "body": (facts.client_ip or "").encode() if facts else b"none"})


def test_a_page_view_carries_the_request(inspector: Inspector, site: Any) -> None:
    with serve_asgi(asgi.Middleware(app, site, proxies=Proxies(hops=1))) as url:
        assert get(f"{url}/caf%C3%A9?utm_source=x", X_Forwarded_For="203.0.113.9") == (200, b"203.0.113.9")
        (hit,) = inspector.wait(1)
    assert hit["url"] == f"{url}/caf%C3%A9?utm_source=x"
    assert hit["fields"]["user_agent"] == BROWSER["User-Agent"]
    assert hit["fields"]["referrer"] == BROWSER["Referer"]


def test_the_view_adds_a_title_and_what_is_no_page_is_left_out(inspector: Inspector, site: Any) -> None:
    with serve_asgi(asgi.Middleware(app, site)) as url:
        get(f"{url}/missing")
        get(f"{url}/", "POST")
        get(f"{url}/titled")
        assert [hit["title"] for hit in inspector.wait(1)] == ["A title"]


def test_templates_stand_in_for_paths_under_strict(inspector: Inspector) -> None:
    wrapped = asgi.Middleware(app, {"provider": "matomo", "id": 1, "endpoint": inspector.url})
    with serve_asgi(wrapped) as url:
        get(f"{url}/users/7")
        (hit,) = inspector.wait(1)
    assert hit["url"] == f"{url}/users/:id"
    provider: Any = wrapped.site.provider()
    provider.close()


def test_two_requests_at_once_do_not_see_each_others_facts() -> None:
    seen: dict[str, Any] = {}

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(0)
        facts = current.get()
        assert facts is not None
        seen[scope["path"]] = facts.url

    async def both() -> None:
        wrapped = asgi.Middleware(slow)

        def scope(path: str) -> dict[str, Any]:
            return {"type": "http", "path": path, "headers": [(b"host", b"e.com")], "method": "GET"}

        await asyncio.gather(*(wrapped(scope(path), None, None) for path in ("/a", "/b")))  # type: ignore[arg-type]
        assert current.get() is None

    asyncio.run(both())
    assert seen == {"/a": "http://e.com/a", "/b": "http://e.com/b"}


def test_an_application_that_raises_leaves_no_context_and_no_page_view(inspector: Inspector, site: Any) -> None:
    async def boom(scope: Any, receive: Any, send: Any) -> None:
        raise RuntimeError("the application's own")

    async def call() -> None:
        with pytest.raises(RuntimeError, match="own"):
            await asgi.Middleware(boom, site)({"type": "http", "headers": [], "path": "/"}, None, None)  # type: ignore[arg-type]
        assert current.get() is None

    asyncio.run(call())
    assert inspector.hits() == []


def test_a_page_view_waits_for_no_background_task_and_survives_one_that_fails(inspector: Inspector, site: Any) -> None:
    from starlette.applications import Starlette
    from starlette.background import BackgroundTask
    from starlette.responses import HTMLResponse, StreamingResponse
    from starlette.routing import Route

    async def slow() -> None:
        # Ends only when the page view has arrived, which therefore cannot have waited for it.
        await asyncio.to_thread(inspector.wait, 1, 20)
        raise RuntimeError("the task's own")

    async def page(request: Any) -> Any:
        return HTMLResponse("<h1>Hello</h1>", background=BackgroundTask(slow))

    async def stream(request: Any) -> Any:
        async def pieces() -> Any:
            for piece in ("a", "b"):
                yield piece
                assert not any(hit["url"].endswith("/stream") for hit in inspector.hits())

        return StreamingResponse(pieces(), media_type="text/html")

    application = Starlette(routes=[Route("/", page), Route("/stream", stream)])
    application.add_middleware(starlette.Middleware, provider=site)
    with serve_asgi(application) as url:
        assert get(f"{url}/")[0] == 200
        assert [hit["url"] for hit in inspector.wait(1)] == [f"{url}/"]
        assert get(f"{url}/stream") == (200, b"ab")
        assert [hit["url"] for hit in inspector.wait(2)] == [f"{url}/", f"{url}/stream"]
    assert site.stats()["accepted"] == 2


def test_what_a_servers_extension_sends_is_a_page_view_when_the_application_returns(
    inspector: Inspector, site: Any
) -> None:
    async def file(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"Content-Type", b"text/html")]})
        await send({"type": "http.response.pathsend", "path": "/srv/page.html"})

    sent: list[str] = []

    async def send(message: Any) -> None:
        sent.append(message["type"])

    scope = {"type": "http", "method": "GET", "path": "/", "headers": [(b"host", b"example.com")]}
    asyncio.run(asgi.Middleware(file, site)(scope, None, send))  # type: ignore[arg-type]
    assert sent == ["http.response.start", "http.response.pathsend"]
    assert inspector.wait(1)[0]["url"] == "http://example.com/"


def test_a_websocket_fills_the_context_and_is_no_page_view(inspector: Inspector, site: Any) -> None:
    known: list[Any] = []

    async def chat(scope: Any, receive: Any, send: Any) -> None:
        known.append(current.get())
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close"})

    async def send(message: Any) -> None:
        pass

    scope = {
        "type": "websocket", "scheme": "wss", "path": "/chat", "query_string": b"", "client": ("192.0.2.1", 5),
        "headers": [(b"host", b"example.com"), (b"user-agent", b"browser")],
    }  # fmt: skip
    asyncio.run(asgi.Middleware(chat, site)(scope, None, send))  # type: ignore[arg-type]
    assert (known[0].url, known[0].client_ip) == ("https://example.com/chat", "192.0.2.1")
    assert current.get() is None
    assert site.flush(5)
    assert site.stats()["accepted"] == 0


def test_many_requests_at_once_keep_their_own_facts(inspector: Inspector, site: Any) -> None:
    from concurrent.futures import ThreadPoolExecutor

    async def echo(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await app(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]})
        for _ in range(5):
            facts = current.get()
            await send({"type": "http.response.body", "body": f"{facts.url if facts else None}\n".encode(),
                        "more_body": True})  # fmt: skip
            await asyncio.sleep(0)
        await send({"type": "http.response.body", "body": b""})

    with serve_asgi(asgi.Middleware(echo, site)) as url, ThreadPoolExecutor(12) as pool:
        wanted = [f"{url}/pages/{n}" for n in range(60)]
        for address, (status, body) in zip(wanted, pool.map(get, wanted), strict=True):
            assert (status, set(body.decode().split())) == (200, {address})
        assert sorted(hit["url"] for hit in inspector.wait(60, 20)) == sorted(wanted)


@pytest.mark.parametrize("framework", ["starlette", "fastapi"])
def test_frameworks_know_their_templates(framework: str, inspector: Inspector) -> None:
    from starlette.responses import HTMLResponse
    from starlette.routing import Mount, Route

    def route_inside() -> str:
        facts = current.get()
        return str(facts.route) if facts else "none"

    arguments = {"provider": "matomo", "id": 1, "endpoint": inspector.url}
    application: Any
    if framework == "starlette":
        from starlette.applications import Starlette

        async def page(request: Any) -> Any:
            request.scope["analytical.pageview"] = {"title": "User"}
            return HTMLResponse(route_inside())

        application = Starlette(
            routes=[Route("/users/{id:int}", page), Mount("/shop", routes=[Route("/{item}/buy", page)])]
        )
        application.add_middleware(starlette.Middleware, provider=arguments)
    else:
        from fastapi import APIRouter, FastAPI

        application = FastAPI()
        router = APIRouter(prefix="/shop")

        @application.get("/users/{id}", response_class=HTMLResponse)
        def user(id: int) -> str:  # a thread of its own: the context goes with it
            return route_inside()

        @router.get("/{item}/buy", response_class=HTMLResponse)
        async def buy(item: str) -> str:
            return route_inside()

        application.include_router(router)
        application.add_middleware(fastapi.Middleware, provider=arguments)
    with serve_asgi(application) as url:
        assert get(f"{url}/users/7") == (200, b"/users/:id")
        assert get(f"{url}/shop/teapot/buy") == (200, b"/shop/:item/buy")
        assert get(f"{url}/nowhere")[0] == 404
        hits = inspector.wait(2)
    # Each is recorded after its answer, in a thread of its own: whichever comes first.
    assert sorted(hit["url"] for hit in hits) == [f"{url}/shop/:item/buy", f"{url}/users/:id"]


def test_a_route_is_the_scope_s_own_or_what_the_router_says_whatever_else_it_holds() -> None:
    from starlette.routing import Host, Mount, Route, Router

    async def page(request: Any) -> None:
        """Never called."""

    def route(path: str, *routes: Any, **scope: Any) -> str | None:
        application = SimpleNamespace(routes=list(routes))
        said = {"type": "http", "method": "GET", "path": path, "headers": [], "app": application, **scope}
        return starlette.Middleware(page, None).route(said)

    user = Route("/users/{id}", page)
    assert route("/users/7", user) == "/users/:id"
    assert route("/users/7", user, **{"analytical.route": "/people/:id"}) == "/people/:id"
    assert route("/users/7", object(), user) == "/users/:id"
    assert route("/users/7") is None
    assert route("/shop/sofa", Mount("/shop", routes=[Route("/teapot", page)]), user) is None
    # Another kind of application below a prefix knows its own addresses.
    assert route("/files/a.txt", Mount("/files", app=page)) is None
    assert route("/users/7", Host("{any}", app=Router([user])), headers=[(b"host", b"x")]) == "/users/:id"

    class Lazily:
        """A router that names its routes when it is asked, as FastAPI's do; of another kind without ``held``."""

        def __init__(self, *held: Any) -> None:
            self.held = held

        def matches(self, scope: Any) -> Any:
            return user.matches({**scope, "path": "/users/7"})

        def effective_candidates(self) -> Any:
            if not self.held:
                raise LookupError("another kind")
            return self.held

    assert route("/users/7", Lazily(Route("/other", page)), user) == "/users/:id"
    assert route("/users/7", Lazily(user)) == "/users/:id"
    assert route("/users/7", Lazily(), user) is None

"""The ASGI middlewares behind uvicorn: plain, Starlette, FastAPI."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
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
    assert [hit["url"] for hit in hits] == [f"{url}/users/:id", f"{url}/shop/:item/buy"]

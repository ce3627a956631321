"""ASGI: a middleware that fills the request context, and sends the page view after the response has gone.

https://asgi.readthedocs.io/en/latest/specs/www.html
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from ..context import Proxies, RequestFacts, current, from_asgi
from ._web import KEY, Pageviews, Response, Sends, Site

__all__ = ["Middleware"]

_Scope = MutableMapping[str, Any]
_Message = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]
_App = Callable[[_Scope, _Receive, _Send], Awaitable[None]]


class Middleware:
    """Wraps an ASGI application.

    A view may leave ``scope["analytical.pageview"] = {"title": "Home"}`` to add to its page view, or ``False`` to
    have none; ``scope["analytical.route"] = "/users/:id"`` names the template of the address. The scope of a
    websocket fills the context only.

    Args:
        app: the application.
        provider: what page views are sent with: a provider, the name of a configured one, or its arguments; ``None``
            fills the request context only. By name or by arguments it delivers in the background and is strict,
            unless told otherwise.
        pageviews: ``False`` for none; a function of a response for which ones. Successful HTML pages if left out.
        proxies: which proxies' word on the visitor's address counts.
    """

    def __init__(
        self,
        app: _App,
        provider: Sends | str | Mapping[str, Any] | None = None,
        *,
        pageviews: Pageviews | None = None,
        proxies: Proxies | None = None,
    ) -> None:
        self.app = app
        self.site = Site(provider, pageviews)
        self._proxies = proxies
        #: The event loop keeps no task alive by itself.
        self._finishing: set[asyncio.Future[None]] = set()

    def route(self, scope: Mapping[str, Any]) -> str | None:
        """Return the template of the address, where a framework knows it."""
        given = scope.get("analytical.route")
        return given if isinstance(given, str) else None

    async def __call__(self, scope: _Scope, receive: _Receive, send: _Send) -> None:
        """Serve one connection."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        facts = from_asgi(scope, proxies=self._proxies)
        route = self.route(scope)
        if route is not None:
            facts = dataclasses.replace(facts, route=route)
        seen: dict[str, Any] = {"status": 0, "headers": (), "gone": False}

        async def watching(message: _Message) -> None:
            if message["type"] == "http.response.start":
                seen.update(status=message["status"], headers=message.get("headers", ()))
            await send(message)
            if message["type"] == "http.response.body" and not message.get("more_body", False) and not seen["gone"]:
                # Now, not when the application returns: it may go on with background tasks, or fail in one.
                seen["gone"] = True
                await self._finish(scope, facts, seen)

        token = current.set(facts)
        try:
            await self.app(scope, receive, watching)
        finally:
            current.reset(token)
        if scope["type"] == "http" and seen["status"] and not seen["gone"]:
            # Sent by an extension of the server's, such as http.response.pathsend.
            await self._finish(scope, facts, seen)

    async def _finish(self, scope: _Scope, facts: RequestFacts, seen: Mapping[str, Any]) -> None:
        route = self.route(scope)
        if route is not None:
            facts = dataclasses.replace(facts, route=route)
        kind = next((value for name, value in seen["headers"] if name.lower() == b"content-type"), b"")
        response = Response(
            method=scope.get("method", "GET"),
            path=scope.get("path", ""),
            status=seen["status"],
            content_type=kind.decode("latin-1"),
            headers={name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]},
        )
        said = scope.get(KEY)
        # A provider may deliver inline, and making one reads its configuration: neither may hold up the event loop.
        finishing = asyncio.ensure_future(asyncio.to_thread(self.site.finish, facts, response, said))
        self._finishing.add(finishing)
        finishing.add_done_callback(self._finishing.discard)
        # A visitor who leaves with the last byte has the server cancel what is still awaited here; the page was seen.
        await asyncio.shield(finishing)

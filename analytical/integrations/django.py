"""Django: a middleware that fills the request context, and sends the page view after the response has gone.

Settings, all optional: ``ANALYTICAL`` (what ``analytical.configure`` takes), ``ANALYTICAL_PROVIDER`` (a name, or a
provider's arguments; ``None`` fills the context only), ``ANALYTICAL_PAGEVIEWS`` and ``ANALYTICAL_PROXIES``.

https://docs.djangoproject.com/en/stable/topics/http/middleware/
"""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable
from typing import Any

from ..context import RequestFacts, current, from_asgi, from_wsgi
from ..errors import MissingExtra
from ._web import KEY, Response, Site, template

try:
    from asgiref.sync import iscoroutinefunction, markcoroutinefunction
    from django.conf import settings
except ImportError:
    raise MissingExtra("analytical.integrations.django", "django") from None

__all__ = ["Middleware"]


class Middleware:
    """Stands in ``MIDDLEWARE`` as ``"analytical.integrations.django.Middleware"``, as near the top as may be.

    A view may set ``request.META["analytical.pageview"] = {"title": "Home"}``, or ``False``. Works in synchronous and
    in asynchronous projects.

    Args:
        get_response: the next one, from Django.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[Any], Any]) -> None:
        configured = getattr(settings, "ANALYTICAL", None)
        if configured is not None:
            from ..config import configure

            configure(configured)
        default = "default" if configured is not None and "default" in configured else None
        self.site = Site(
            getattr(settings, "ANALYTICAL_PROVIDER", default), getattr(settings, "ANALYTICAL_PAGEVIEWS", None)
        )
        self._proxies = getattr(settings, "ANALYTICAL_PROXIES", None)
        self._next = get_response
        self._async = iscoroutinefunction(get_response)
        if self._async:
            markcoroutinefunction(self)

    def __call__(self, request: Any) -> Any:
        """Serve one request."""
        if self._async:
            return self._serve_async(request)
        token = current.set(self._facts(request))
        try:
            return self._watched(request, self._next(request))
        finally:
            current.reset(token)

    async def _serve_async(self, request: Any) -> Any:
        token = current.set(self._facts(request))
        try:
            answer: Awaitable[Any] = self._next(request)
            return self._watched(request, await answer)
        finally:
            current.reset(token)

    def process_view(self, request: Any, view: Any, arguments: Any, keywords: Any) -> None:
        """Note the route's template, which Django knows only now."""
        match = request.resolver_match
        facts = current.get()
        if facts is not None and match is not None and match.route:
            facts = dataclasses.replace(facts, route=_plain(match.route))
            request._analytical_facts = facts
            current.set(facts)

    def _facts(self, request: Any) -> RequestFacts:
        scope = getattr(request, "scope", None)
        facts = from_wsgi(request.META, proxies=self._proxies) if scope is None else from_asgi(
            scope, proxies=self._proxies
        )  # fmt: skip
        request._analytical_facts = facts
        return facts

    def _watched(self, request: Any, response: Any) -> Any:
        seen = Response(
            method=request.method or "GET",
            path=request.path,
            status=response.status_code,
            content_type=response.get("Content-Type", ""),
            headers={name.lower(): value for name, value in request.headers.items()},
        )
        facts = request._analytical_facts
        close = response.close
        gone = False

        def finish() -> None:
            # Django's servers close a response when its last byte has gone; others may close it once more.
            nonlocal gone
            first, gone = not gone, True
            close()
            if first:
                self.site.finish(facts, seen, request.META.get(KEY))

        response.close = finish
        return response


def _plain(route: str) -> str:
    # re_path() gives a regular expression: anchors go, named groups become their names.
    import re

    if "(?P<" in route or route.startswith("^") or route.endswith(("$", "\\Z")):
        named = re.sub(r"\(\?P<(\w+)>(?:[^()]|\([^()]*\))*\)", r"<\1>", route)
        route = named.replace("^", "").replace("$", "").replace("\\Z", "").replace("\\", "")
    return template(route)

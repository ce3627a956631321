"""Starlette: the ASGI middleware, which knows the route's template. FastAPI is Starlette.

https://www.starlette.io/middleware/
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from . import asgi
from ._web import template

__all__ = ["Middleware"]


class Middleware(asgi.Middleware):
    """The ASGI middleware for ``app.add_middleware(Middleware, provider="web")``.

    Arguments are those of :class:`analytical.integrations.asgi.Middleware`. A view may leave
    ``request.scope["analytical.pageview"] = {"title": "Home"}``, or ``False``.
    """

    def route(self, scope: Mapping[str, Any]) -> str | None:
        """Return the template that the application's router finds for the address."""
        given = super().route(scope)
        if given is not None:
            return given
        routes = getattr(scope.get("app"), "routes", None)
        try:
            found = _match(routes, dict(scope)) if routes else None
        except Exception:  # noqa: BLE001 - a router of another kind; the page is served without a template's name
            found = None
        return template(found) if found is not None else None


def _match(routes: Iterable[Any], scope: dict[str, Any]) -> str | None:
    # The router answers the same question a moment later; events sent from inside a view need it now.
    from starlette.routing import Match

    for route in routes:
        matches = getattr(route, "matches", None)
        if matches is None:
            continue
        match, child = matches(scope)
        if match is Match.NONE:
            continue
        # Recent FastAPI (0.165) resolves what an included router holds only when it is asked.
        included = getattr(route, "effective_candidates", None)
        if included is not None:
            whole = _match(included(), scope)
            if whole is not None:
                return whole
            continue
        path = str(getattr(route, "path", None) or getattr(getattr(route, "starlette_route", None), "path", ""))
        inner = getattr(route, "routes", None)
        if inner:
            deeper = _match(inner, {**scope, **child})
            if deeper is None:
                return None
            return path.removesuffix("/{path:path}") + deeper
        # A mounted application of another kind knows its own addresses; here they are only a prefix.
        return path if hasattr(route, "methods") or hasattr(route, "endpoint") else None
    return None

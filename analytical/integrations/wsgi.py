"""WSGI: a middleware that fills the request context, and sends the page view after the response has gone (PEP 3333)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ..context import Proxies, RequestFacts, current, from_wsgi
from ._web import KEY, Pageviews, Response, Sends, Site

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["Middleware"]


class Middleware:
    """Wraps a WSGI application.

    A view may leave ``environ["analytical.pageview"] = {"title": "Home"}`` to add to its page view, or ``False`` to
    have none; ``environ["analytical.route"] = "/users/:id"`` names the template of the address.

    Args:
        app: the application.
        provider: what page views are sent with: a provider, the name of a configured one, or its arguments; ``None``
            fills the request context only. By name or by arguments it delivers in the background and is strict,
            unless told otherwise.
        pageviews: ``False`` for none; a function of a response for which ones. Successful HTML pages if left out.
        proxies: which proxies' word on the visitor's address counts.

    >>> def app(environ, start_response):
    ...     start_response("200 OK", [("Content-Type", "text/html")])
    ...     return [b"<h1>Hello</h1>"]
    >>> app = Middleware(app, {"provider": "stdout", "id": "demo"})
    """

    def __init__(
        self,
        app: WSGIApplication,
        provider: Sends | str | Mapping[str, Any] | None = None,
        *,
        pageviews: Pageviews | None = None,
        proxies: Proxies | None = None,
    ) -> None:
        self.app = app
        self.site = Site(provider, pageviews)
        self._proxies = proxies

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        facts = from_wsgi(environ, proxies=self._proxies)
        seen: list[Any] = ["200", []]

        def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Callable[[bytes], object]:
            seen[:] = [status, headers]
            return start_response(status, headers, *rest)

        before = current.get()
        current.set(facts)
        try:
            body = self.app(environ, start)
        except BaseException:
            current.set(before)
            raise
        return _Body(body, lambda: self._finish(environ, facts, seen), before)

    def _finish(self, environ: WSGIEnvironment, facts: RequestFacts, seen: list[Any]) -> None:
        now = current.get() or facts
        route = environ.get("analytical.route")
        if isinstance(route, str):
            import dataclasses

            now = dataclasses.replace(now, route=route)
        status, headers = seen
        kind = next((value for name, value in headers if name.lower() == "content-type"), "")
        response = Response(
            method=environ.get("REQUEST_METHOD", "GET"),
            path=environ.get("PATH_INFO", ""),
            status=int(status[:3]) if status[:3].isdecimal() else 0,
            content_type=kind,
            headers={
                name[5:].replace("_", "-").lower(): str(value)
                for name, value in environ.items()
                if name.startswith("HTTP_")
            },
        )
        self.site.finish(now, response, environ.get(KEY))


class _Body:
    """The response's body; the server closes it when the last byte has gone."""

    def __init__(self, body: Iterable[bytes], done: Callable[[], None], before: RequestFacts | None) -> None:
        self._body = body
        self._done: Callable[[], None] | None = done
        self._before = before
        self._failed = False

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._body
        except Exception:
            self._failed = True  # half a page is no page view
            raise

    def __len__(self) -> int:
        # Servers ask for it, to send a Content-Length for a body of one piece; TypeError is the answer for "unknown".
        return len(self._body)  # type: ignore[arg-type]  # the same TypeError as the application's own body gives

    def close(self) -> None:
        """End the request."""
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                close()
        finally:
            done, self._done = self._done, None
            if done is not None:
                if not self._failed:
                    done()
                current.set(self._before)

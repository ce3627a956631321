"""Flask: an extension that fills the request context, and sends the page view after the response has gone.

https://flask.palletsprojects.com/en/stable/extensiondev/
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from ..context import Proxies, RequestFacts, current, from_wsgi
from ..errors import MissingExtra
from ._web import KEY, Pageviews, Response, Sends, Site, template

try:
    import flask
except ImportError:
    raise MissingExtra("analytical.integrations.flask", "flask") from None

__all__ = ["Analytical"]


class Analytical:
    """The extension: ``Analytical(app, "web")``, or ``init_app`` in a factory.

    A view may set ``flask.request.environ["analytical.pageview"] = {"title": "Home"}``, or ``False``.

    Args:
        app: the application, or ``None`` to call ``init_app`` later.
        provider: what page views are sent with: a provider, the name of a configured one, or its arguments; ``None``
            fills the request context only. By name or by arguments it delivers in the background and is strict,
            unless told otherwise.
        pageviews: ``False`` for none; a function of a response for which ones. Successful HTML pages if left out.
        proxies: which proxies' word on the visitor's address counts.
    """

    def __init__(
        self,
        app: flask.Flask | None = None,
        provider: Sends | str | Mapping[str, Any] | None = None,
        *,
        pageviews: Pageviews | None = None,
        proxies: Proxies | None = None,
    ) -> None:
        self.site = Site(provider, pageviews)
        self._proxies = proxies
        if app is not None:
            self.init_app(app)

    def init_app(self, app: flask.Flask) -> None:
        """Register with an application."""
        app.extensions["analytical"] = self
        app.before_request(self._begin)
        app.after_request(self._watch)
        app.teardown_request(self._end)

    def _begin(self) -> None:
        current.set(self._facts())

    def _facts(self) -> RequestFacts:
        facts = from_wsgi(flask.request.environ, proxies=self._proxies)
        rule = flask.request.url_rule
        return facts if rule is None else dataclasses.replace(facts, route=template(rule.rule))

    def _watch(self, response: flask.Response) -> flask.Response:
        # Another extension's before_request may have answered, so that ours never ran.
        facts, environ = current.get() or self._facts(), flask.request.environ
        seen = Response(
            method=flask.request.method,
            path=flask.request.path,
            status=response.status_code,
            content_type=response.content_type or "",
            headers={name.lower(): value for name, value in flask.request.headers.items()},
        )
        waiting = [facts]

        def finish() -> None:
            # Whoever closes a response twice has not shown the page twice.
            while waiting:
                self.site.finish(waiting.pop(), seen, environ.get(KEY))

        response.call_on_close(finish)
        return response

    def _end(self, error: BaseException | None) -> None:
        # Worker threads serve one request after the other in one context; the next must not inherit this one's facts.
        current.set(None)

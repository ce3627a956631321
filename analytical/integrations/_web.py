"""What the web integrations share: which provider, which responses are page views, and sending one without harm."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from ..context import RequestFacts, serving
from ..errors import ConfigurationError

if TYPE_CHECKING:
    from ..models import Providers
    from ..providers.base import Shell

__all__ = ["KEY", "Pageviews", "Response", "Sends", "Site", "template"]

log = logging.getLogger("analytical")

#: Where a view leaves what it knows of its page view: a mapping of common names, or ``False`` for none.
KEY = "analytical.pageview"

#: What the web integrations choose where the configuration leaves it open.
_WEB = {"delivery": "background", "privacy": "strict"}

_DJANGO = re.compile(r"<(?:[^<>:]+:)?([^<>]+)>")
_BRACES = re.compile(r"\{([^{}:]+)(?::[^{}]+)?\}")


#: What a page view is sent with: one provider, or several.
Sends: TypeAlias = "Shell | Providers"


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """What is known of a response once it has gone.

    Args:
        method: of the request.
        path: of the request, without the query.
        status: of the response.
        content_type: of the response, with its parameters.
        headers: of the request, names in lower case.
    """

    method: str
    path: str
    status: int
    content_type: str
    headers: Mapping[str, str]


#: Whether a response is a page view: a function, ``True`` for what :meth:`Site.is_page` says, or ``False``.
Pageviews = bool | Callable[[Response], bool]


def template(pattern: str) -> str:
    """Return a framework's route in the one spelling the gate knows.

    >>> template("users/<int:pk>/"), template("/users/{id:int}")
    ('/users/:pk/', '/users/:id')
    """
    found = _BRACES.sub(r":\1", _DJANGO.sub(r":\1", pattern))
    return found if found.startswith("/") else f"/{found}"


class Site:
    """A web application as its integration sees it.

    Args:
        provider: a provider, the name of a configured one, the arguments of one as a mapping, or ``None`` to fill
            the request context only.
        pageviews: whether to send page views, or a function that says so of a response.
    """

    def __init__(self, provider: Sends | str | Mapping[str, Any] | None, pageviews: Pageviews | None) -> None:
        if provider is None and pageviews:
            raise ConfigurationError("pageviews needs a provider: an object, a configured name, or its arguments")
        if isinstance(provider, str):
            from ..config import prefer

            prefer(provider, **_WEB)
        self._given = provider
        self._made: Sends | None = None
        self.pageviews: Pageviews = (provider is not None) if pageviews is None else pageviews

    def provider(self) -> Sends | None:
        """Return what page views are sent with; made on first use, so that a process that forks makes its own."""
        if self._made is None and self._given is not None:
            if isinstance(self._given, str):
                from ..config import get

                self._made = get(self._given)
            elif isinstance(self._given, Mapping):
                from ..models import Provider

                arguments = {**_WEB, **self._given}
                self._made = Provider(arguments.pop("provider"), arguments.pop("id", ""), **arguments)
            else:
                self._made = self._given
        return self._made

    def is_page(self, response: Response) -> bool:
        """Tell whether a response is a page that somebody looks at: HTML, got with success, not fetched in advance."""
        purpose = response.headers.get("sec-purpose", "") or response.headers.get("purpose", "")
        return (
            response.method == "GET"
            and (200 <= response.status < 300 or response.status == 304)
            and (response.status == 304 or response.content_type.lower().startswith(("text/html", "application/xhtml")))
            and "prefetch" not in purpose
            and response.headers.get("x-requested-with") != "XMLHttpRequest"
            and response.headers.get("sec-fetch-dest", "document") in ("document", "iframe", "empty")
        )

    def wanted(self, response: Response, said: Any) -> bool:
        """Tell whether a page view is to be sent; what the view said wins."""
        if said is False:
            return False
        if not self.pageviews:
            return False
        if isinstance(said, Mapping):
            return True
        return self.is_page(response) if self.pageviews is True else bool(self.pageviews(response))

    def finish(self, facts: RequestFacts | None, response: Response, said: Any) -> None:
        """Send the page view of a response that has gone; nothing that happens here reaches the application."""
        try:
            provider = self.provider() if self.wanted(response, said) else None
            if provider is None:
                return
            with serving(facts):
                provider.pageview(**(said if isinstance(said, Mapping) else {}))
        except Exception as error:  # noqa: BLE001 - the visitor has the page; analytics must not break the server
            # Its text may hold what the application put into the hit.
            log.warning("a page view could not be made: %s", type(error).__name__)

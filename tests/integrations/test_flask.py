"""The Flask extension behind a real server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import flask
import pytest
from web_support import BROWSER, get, serve_wsgi

from analytical.context import current
from analytical.inspector import Inspector
from analytical.integrations.flask import Analytical


@pytest.fixture
def inspector() -> Iterator[Inspector]:
    with Inspector() as running:
        yield running


def make(inspector: Inspector, **options: Any) -> tuple[flask.Flask, Analytical]:
    app = flask.Flask("shop")
    site = Analytical(app, {"provider": "matomo", "id": 1, "endpoint": inspector.url, **options})

    @app.get("/users/<int:id>")
    def user(id: int) -> str:
        flask.request.environ["analytical.pageview"] = {"title": "User"}
        facts = current.get()
        return str(facts.route if facts else None)

    @app.get("/stream")
    def stream() -> flask.Response:
        return flask.Response((piece for piece in ("a", "b")), content_type="text/html")

    @app.get("/boom")
    def boom() -> str:
        raise RuntimeError("the application's own")

    return app, site


def test_a_page_view_carries_the_template_and_the_title(inspector: Inspector) -> None:
    app, site = make(inspector)
    with serve_wsgi(app) as url:
        assert get(f"{url}/users/7?email=a%40b.example") == (200, b"/users/:id")
        (hit,) = inspector.wait(1)
    assert (hit["url"], hit["title"]) == (f"{url}/users/:id", "User")
    assert hit["fields"]["referrer"] == "https://search.example/"
    provider: Any = site.site.provider()
    provider.close()


def test_a_stream_is_a_page_view_once_it_has_gone(inspector: Inspector) -> None:
    app, site = make(inspector, privacy="off")
    with serve_wsgi(app) as url:
        assert get(f"{url}/stream") == (200, b"ab")
        (hit,) = inspector.wait(1)
    assert hit["fields"]["user_agent"] == BROWSER["User-Agent"]
    provider: Any = site.site.provider()
    provider.close()


def test_an_error_is_no_page_view_and_leaves_no_context(inspector: Inspector) -> None:
    app, _ = make(inspector)
    app.logger.disabled = True
    with app.test_client() as client:
        assert client.get("/boom").status_code == 500
        assert client.get("/nowhere").status_code == 404
    assert current.get() is None
    assert inspector.hits() == []


def test_a_factory_registers_later() -> None:
    site = Analytical()
    app = flask.Flask("later")
    site.init_app(app)
    assert app.extensions["analytical"] is site


def test_an_answer_given_before_the_view_knows_its_request(inspector: Inspector) -> None:
    app = flask.Flask("shop")
    app.before_request(lambda: "<h1>Closed for today</h1>")
    site = Analytical(app, {"provider": "matomo", "id": 1, "endpoint": inspector.url})
    with serve_wsgi(app) as url:
        assert get(f"{url}/anything")[0] == 200
        (hit,) = inspector.wait(1)
    assert hit["fields"]["referrer"] == "https://search.example/"
    site.site.provider().close()  # type: ignore[union-attr]


def test_a_response_that_is_closed_twice_is_one_page_view(inspector: Inspector) -> None:
    app, site = make(inspector)
    answer = app.test_client().get("/users/7", headers=BROWSER)
    answer.close()
    answer.close()
    provider: Any = site.site.provider()
    assert provider.flush(10)
    assert provider.stats()["accepted"] == 1
    provider.close()

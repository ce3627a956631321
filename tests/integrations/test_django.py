"""The Django middleware in a minimal project, behind a real WSGI and a real ASGI server, each in its own process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from analytical.inspector import Inspector
from analytical.integrations.django import _plain

PROJECT = """
import sys
sys.path.insert(0, {support!r})
import django
from django.conf import settings
from django.http import HttpResponse, StreamingHttpResponse
from django.urls import include, path, re_path

settings.configure(
    SECRET_KEY="x", ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, DEBUG=False, LOGGING_CONFIG=None,
    MIDDLEWARE=["analytical.integrations.django.Middleware", "django.middleware.common.CommonMiddleware"],
    ANALYTICAL={{"default": {{"provider": "matomo", "id": 1, "endpoint": {endpoint!r}}}}},
)
django.setup()

from analytical.context import current

def user(request, pk):
    request.META["analytical.pageview"] = {{"title": "User"}}
    return HttpResponse(str(current.get().route))

async def item(request, slug):
    return HttpResponse(str(current.get().route))

def stream(request):
    return StreamingHttpResponse(iter([b"a", b"b"]), content_type="text/html")

def quiet(request):
    request.META["analytical.pageview"] = False
    return HttpResponse("quiet")

def boom(request):
    raise RuntimeError("own")

urlpatterns = [
    path("users/<int:pk>/", user), re_path(r"^items/(?P<slug>[a-z-]+)/$", item), path("stream", stream),
    path("quiet", quiet), path("shop/", include([path("<slug:slug>/", item)])), path("boom", boom),
]

import analytical
from web_support import get, serve_asgi, serve_wsgi

if sys.argv[1] == "wsgi":
    from django.core.wsgi import get_wsgi_application
    served = serve_wsgi(get_wsgi_application())
else:
    from django.core.asgi import get_asgi_application
    served = serve_asgi(get_asgi_application())
with served as url:
    assert get(url + "/users/7/?email=a%40b.example") == (200, b"/users/:pk/"), get(url + "/users/7/")
    assert get(url + "/items/tea-pot/") == (200, b"/items/:slug/"), get(url + "/items/tea-pot/")
    assert get(url + "/shop/tea/") == (200, b"/shop/:slug/")
    assert get(url + "/stream") == (200, b"ab")
    assert get(url + "/quiet")[0] == 200
    assert get(url + "/boom")[0] == 500
    assert get(url + "/nowhere")[0] == 404
    assert analytical.get().flush(10)
assert current.get() is None
provider = analytical.get()
assert provider.policy.name == "strict" and provider._background
provider.close()
print(url)
"""


@pytest.fixture
def inspector() -> Iterator[Inspector]:
    with Inspector() as running:
        yield running


@pytest.mark.parametrize("server", ["wsgi", "asgi"])
def test_a_page_view_carries_the_template_and_the_title(server: str, inspector: Inspector, tmp_path: Path) -> None:
    project = tmp_path / "project.py"
    project.write_text(PROJECT.format(support=str(Path(__file__).parent), endpoint=inspector.url))
    done = subprocess.run(
        [sys.executable, str(project), server], capture_output=True, text=True, check=False, timeout=100
    )
    assert done.returncode == 0, done.stdout + done.stderr
    url = done.stdout.strip()
    # Django closes asynchronous responses in threads, so their order is not given.
    hits = sorted(inspector.wait(4), key=lambda hit: str(hit["url"]))
    assert [(hit["url"].removeprefix(url), hit["title"]) for hit in hits] == [
        ("/items/:slug/", None),
        ("/shop/:slug/", None),
        ("/stream", None),
        ("/users/:pk/", "User"),
    ]
    assert "Firefox" in hits[3]["fields"]["user_agent"]


@pytest.mark.parametrize(
    ("route", "plain"),
    [
        (r"^articles/(?P<year>[0-9]{4})/$", "/articles/:year/"),
        (r"^a/(?P<slug>(?:x|y)-\d+)\Z", "/a/:slug"),
        ("shop/<slug:slug>/", "/shop/:slug/"),
        ("", "/"),
    ],
)
def test_djangos_routes_in_the_one_spelling(route: str, plain: str) -> None:
    assert _plain(route) == plain

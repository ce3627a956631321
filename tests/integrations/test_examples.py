"""The web examples, each as a process of its own, with the library's address in the environment."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from analytical.inspector import Inspector

EXAMPLES = Path(__file__).parents[2] / "examples" / "web"
VISIT = """
import sys
sys.path[:0] = [{support!r}, {examples!r}]
import analytical
from web_support import get, serve_asgi, serve_wsgi
from {module} import app

with (serve_asgi if {asgi} else serve_wsgi)(app) as url:
    assert get(url + "/signup", "POST")[0] in (302, 303)
    assert get(url + "/")[0] == 200
    assert get(url + "/users/4711")[0] == 200
    assert analytical.get().flush(20)
    provider = analytical.get()
    assert provider.policy.name == "strict" and provider._background
    provider.close()
"""


@pytest.mark.parametrize("module", ["flask_app", "fastapi_app", "django_app"])
def test_an_example_counts_its_pages_and_sign_ups(module: str) -> None:
    assert sorted(file.stem for file in EXAMPLES.glob("*.py")) == ["django_app", "fastapi_app", "flask_app"]
    code = VISIT.format(
        support=str(Path(__file__).parent), examples=str(EXAMPLES), module=module, asgi=module == "fastapi_app"
    )
    with Inspector() as inspector:
        url = f"matomo+http://any-token-will-do@127.0.0.1:{inspector.port}/1"
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
            env={**os.environ, "ANALYTICAL_URL": url},
        )
        assert done.returncode == 0, done.stdout + done.stderr
        hits = inspector.hits()
    assert sorted((hit["kind"], hit["name"] or hit["url"].partition("//")[2].partition("/")[2]) for hit in hits) == [
        ("event", "signup"),
        ("pageview", ""),
        ("pageview", "users/:id"),
    ]
    assert [hit["title"] for hit in hits if hit["title"]] == ["Home"]
    assert not any(hit["findings"] for hit in hits)

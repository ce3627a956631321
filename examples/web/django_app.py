"""A Django site in one file that counts its pages and sign-ups.

$ analytical inspect                            # in another terminal, to see what is sent
$ export ANALYTICAL_URL=matomo+http://any-token-will-do@127.0.0.1:8765/1
$ python examples/web/django_app.py runserver
"""

from __future__ import annotations

import os
import sys

import django
from django.conf import settings
from django.core.management import execute_from_command_line
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import path

import analytical

settings.configure(
    SECRET_KEY=os.environ.get("SECRET_KEY", "for this example only"),
    DEBUG=True,
    ALLOWED_HOSTS=["localhost", "127.0.0.1"],
    ROOT_URLCONF=__name__,
    MIDDLEWARE=["analytical.integrations.django.Middleware"],
    ANALYTICAL_PROVIDER="default",  # what ANALYTICAL_URL configures; in the background, and strict
)
django.setup()


def home(request: HttpRequest) -> HttpResponse:
    request.META["analytical.pageview"] = {"title": "Home"}
    return HttpResponse('<h1>Home</h1><form method="post" action="/signup"><button>Sign up</button></form>')


def user(request: HttpRequest, id: int) -> HttpResponse:
    # Counted as /users/:id, whoever it is.
    return HttpResponse(f"<h1>User {id}</h1>")


def signup(request: HttpRequest) -> HttpResponse:
    # Address, browser and referrer come from the request being served.
    analytical.get().event("signup", properties={"plan": "pro"})
    return HttpResponseRedirect("/")


urlpatterns = [path("", home), path("users/<int:id>", user), path("signup", signup)]
app = get_wsgi_application()

if __name__ == "__main__":
    execute_from_command_line(sys.argv)

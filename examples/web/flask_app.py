"""A Flask site that counts its pages and sign-ups.

$ analytical inspect                            # in another terminal, to see what is sent
$ export ANALYTICAL_URL=matomo+http://any-token-will-do@127.0.0.1:8765/1
$ flask --app examples/web/flask_app.py run
"""

from __future__ import annotations

import flask

import analytical
from analytical.integrations.flask import Analytical

app = flask.Flask(__name__)
Analytical(app, "default")  # what ANALYTICAL_URL configures; in the background, and strict


@app.get("/")
def home() -> str:
    flask.request.environ["analytical.pageview"] = {"title": "Home"}
    return '<h1>Home</h1><form method="post" action="/signup"><button>Sign up</button></form>'


@app.get("/users/<int:id>")
def user(id: int) -> str:
    # Counted as /users/:id, whoever it is.
    return f"<h1>User {id}</h1>"


@app.post("/signup")
def signup() -> flask.typing.ResponseReturnValue:
    # Address, browser and referrer come from the request being served.
    analytical.get().event("signup", properties={"plan": "pro"})
    return flask.redirect("/")

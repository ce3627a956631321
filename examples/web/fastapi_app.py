"""A FastAPI site that counts its pages and sign-ups.

$ analytical inspect                            # in another terminal, to see what is sent
$ export ANALYTICAL_URL=matomo+http://any-token-will-do@127.0.0.1:8765/1
$ uvicorn --app-dir examples/web fastapi_app:app
"""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, RedirectResponse

import analytical
from analytical.integrations.fastapi import Middleware

app = FastAPI()
app.add_middleware(Middleware, provider="default")  # what ANALYTICAL_URL configures; in the background, and strict


@app.get("/", response_class=HTMLResponse)
async def home(request: Request) -> str:
    request.scope["analytical.pageview"] = {"title": "Home"}
    return '<h1>Home</h1><form method="post" action="/signup"><button>Sign up</button></form>'


@app.get("/users/{id}", response_class=HTMLResponse)
async def user(id: int) -> str:
    # Counted as /users/:id, whoever it is.
    return f"<h1>User {id}</h1>"


@app.post("/signup")
async def signup() -> RedirectResponse:
    # In the background this only puts the event into memory: a coroutine may call it.
    analytical.get().event("signup", properties={"plan": "pro"})
    return RedirectResponse("/", status_code=303)

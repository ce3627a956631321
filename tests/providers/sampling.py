"""Samples: what a hit becomes on the wire, and what a platform's answer means for it.

A case is a JSON file in ``samples/<service>/``: ``provider`` (id and options), ``now``, ``hits``, the ``requests`` they
become, and ``answers`` with the verdict of each hit. Bodies that are JSON are kept as JSON, others as text.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest

from analytical.backend import Backend
from analytical.hit import Hit
from analytical.http import Response
from analytical.registry import PROVIDERS

SAMPLES = Path(__file__).parent / "samples"


def cases(service: str) -> list[Any]:
    """Return a service's cases as pytest parameters."""
    found = [
        pytest.param(json.loads(path.read_text(encoding="utf-8")), id=path.stem)
        for path in sorted((SAMPLES / service).glob("*.json"))
        if not path.stem.startswith("_")
    ]
    assert found, f"no samples for {service}"
    return found


def backend_of(case: dict[str, Any]) -> Backend:
    given = case["provider"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that a UA- property records nothing has a test of its own
        backend: Backend = PROVIDERS.get(given["name"]).create(given["id"], **given.get("options", {}))
    return backend


def hits_of(case: dict[str, Any]) -> list[Hit]:
    return [Hit.from_dict(hit) for hit in case["hits"]]


def written(body: bytes) -> Any:
    """Return a body as samples hold it."""
    text = body.decode("utf-8")
    try:
        return json.loads(text) if text[:1] in ("{", "[") else text
    except ValueError:
        return text


def requests_of(backend: Backend, hits: list[Hit], now: float) -> list[dict[str, Any]]:
    return [
        {
            "hits": list(parcel.hits),
            "method": parcel.request.method,
            "url": parcel.request.url,
            "headers": dict(parcel.request.headers),
            "body": written(parcel.request.body),
            "shown": parcel.request.masked().url,
        }
        for parcel in backend.encode(hits, now=now)
    ]


def check_encode(case: dict[str, Any]) -> None:
    assert requests_of(backend_of(case), hits_of(case), case["now"]) == case["requests"]


def check_interpret(case: dict[str, Any]) -> None:
    hits = hits_of(case)
    for answer in case.get("answers", ()):
        body = answer.get("body", "")
        raw = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        response = Response(status=answer["status"], headers=answer.get("headers", {}), body=raw)
        found = backend_of(case).interpret(response, hits[: answer.get("of", len(hits))], now=case["now"])
        assert [[verdict.state, verdict.reason] for verdict in found] == answer["verdicts"], answer
        assert [verdict.stop for verdict in found] == [answer.get("stop", False)] * len(found), answer

"""What a megabyte of anything costs, in any field."""

from __future__ import annotations

import time

from analytical.fields import Fields
from analytical.privacy import Policy

__all__ = ["rows"]

_FIELDS = Fields(url="dl", title="dt")
_UNITS = [
    "a",
    "1",
    "@",
    "a@",
    "a@b.",
    "%",
    "%25",
    "-",
    "/",
    "/a1",
    "+1",
    "(",
    "1.",
    "12.34.56.78,",
    "::",
    "1:",
    "=",
    "a=b&",
    "token=",
    "&#64;",
    "é",
    "\u200b",
    "eyJ",
    "sk-",
    "x7K9qZ-",
    "AB12-",
    "DE89",
    "4111-",
    "a-b-c-",
    "ip-",
    "///a.b",
    "<",
    ";",
    "\\",
    "http://",
    "https://a.b/c?d",
    "[",
    "for=",
    "((",
    "٠",
    "０",
    "mr.",
    "😀",
    " ",
    "1 ",
    "0 1",
    "Hello ",
    "Dear A ",
    "Alice's account ",
    "12 a ",
    "calle a ",
    "born 1 ",
    "a at b dot ",
    "search for ",
    "4111 1111 ",
]
_NAMES = [
    "url",
    "title",
    "referrer",
    "client_ip",
    "user_agent",
    "language",
    "client_id",
    "user_id",
    "session_id",
    "screen",
    "name",
    "category",
    "label",
    "currency",
]


def rows() -> list[tuple[str, str, str, str]]:
    """Return what, today's best, target, measured."""
    policy = Policy.strict()
    size = 1_000_000
    worst, where, whole = 0.0, "", 0.0
    for unit in _UNITS:
        text = (unit * (size // len(unit) + 1))[:size]
        fields = dict.fromkeys(_NAMES, text)
        fields["properties"] = {"a": text, "b": [text[:64] + str(index) for index in range(300)], "c": {"d": text}}
        _cost(policy, {"title": "warm 1234567 @ up"})
        for name, value in fields.items():
            cost = min(_cost(policy, {name: value}) for _ in range(3))
            if cost > worst:
                worst, where = cost, f"{name}, {unit!r}"
        whole = max(whole, min(_cost(policy, fields) for _ in range(2)))
    long = min(_cost(policy, {"title": "1 @ a-" * 400_000}) for _ in range(3))
    short = min(_cost(policy, {"title": "1 @ a-" * 40_000}) for _ in range(3))
    return [
        (f"worst field on 1 MB of hostile input ({len(_UNITS)} patterns; {where})", "—", "< 5 ms", f"{worst:.1f} ms"),
        ("page view with every field hostile", "—", "≤ 50 ms", f"{whole:.1f} ms"),
        ("ten times the input costs", "—", "linear", f"{long / short:.1f} times"),
    ]


def _cost(policy: Policy, fields: dict[str, object]) -> float:
    begin = time.perf_counter()
    policy.seal({"id": "i", "kind": "pageview", "time": 1.0, **fields}, _FIELDS, notes=[])
    return (time.perf_counter() - begin) * 1000

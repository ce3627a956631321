"""What the whole gate costs a hit."""

from __future__ import annotations

import statistics
import time
from itertools import count

from analytical.fields import Fields
from analytical.privacy import Policy

__all__ = ["rows"]

_FIELDS = Fields(url="dl", title="dt", client_ip="uip", user_agent="ua", referrer="dr")
_BROWSER = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}.0.0.0 Safari/537.36"
)


def _hit() -> dict[str, object]:
    return {
        "id": "0b8f6d0e-5a0e-4a4e-9a0e-1d2c3b4a5f60",
        "kind": "pageview",
        "time": 1.0,
        "url": "https://example.com/pricing?utm_source=news",
        "title": "Pricing – Example",
        "client_ip": "12.34.56.78",
        "user_agent": _BROWSER.format(142),
        "referrer": "https://news.example/story",
    }


def _median(function, rounds: int) -> float:
    times = []
    for _ in range(rounds):
        begin = time.perf_counter_ns()
        function()
        times.append(time.perf_counter_ns() - begin)
    return statistics.median(times) / 1000


def rows() -> list[tuple[str, str, str, str]]:
    """Return what, today's best, target, measured."""
    out = []
    draft = _hit()
    for policy, target in ((Policy.careful(), "≤ 10 µs"), (Policy.strict(), "≤ 10 µs"), (Policy.off(), "—")):
        policy.seal(draft, _FIELDS, notes=[])
        cost = _median(lambda policy=policy: policy.seal(draft, _FIELDS, notes=[]), 20_000)
        out.append((f"whole gate per hit, warm ({policy.name}, median)", "—", target, f"{cost:.1f} µs"))
    for policy in (Policy.careful(), Policy.strict()):
        numbers = count(1)
        policy.seal(_hit(), _FIELDS, notes=[])

        def first(policy=policy, numbers=numbers) -> None:
            fresh = dict(draft, user_agent=_BROWSER.format(100 + next(numbers) % 50) + f" x{next(numbers)}"[:0])
            policy.seal(fresh, _FIELDS, notes=[])

        def unseen(policy=policy, numbers=numbers) -> None:
            index = next(numbers)
            agent = _BROWSER.format(f"{100 + index % 60}.0.{index}").replace(".0.0.0", "")
            policy.seal(dict(draft, user_agent=agent), _FIELDS, notes=[])

        first()
        cost = _median(unseen, 2_000)
        out.append(
            (
                f"whole gate per hit, first sight of a browser ({policy.name})",
                "1,315 µs (the browser alone)",
                "≤ 60 µs",
                f"{cost:.1f} µs",
            )
        )
    return out

"""Browsers: how many visits a reduced user agent still singles out, and what reading one costs.

The visits are the profiles of the npm package ``user-agents`` 1.1.143 (BSD-2-Clause), which is not shipped here::

    npm pack user-agents@1.1.143 && tar xzf user-agents-1.1.143.tgz

and ``ANALYTICAL_CORPORA`` names the folder in which that was done (the file is ``package/src/user-agents.json.gz``).
"""

from __future__ import annotations

import gzip
import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

from analytical.privacy import browser
from analytical.privacy.browser import RARE, anonymize_user_agent, read_browser, reduce_user_agent

__all__ = ["Row", "rows", "visits"]

Row = tuple[str, str, str, str]


def visits() -> list[str]:
    """Return the user agent of each visit, or nothing where the data is not there."""
    folder = Path(os.environ.get("ANALYTICAL_CORPORA", ""))
    for name in ("package/src/user-agents.json.gz", "user-agents.json.gz", "user-agents/src/user-agents.json.gz"):
        path = folder / name
        if os.environ.get("ANALYTICAL_CORPORA") and path.is_file():
            with gzip.open(path, "rt", encoding="utf-8") as file:
                return [profile["userAgent"] for profile in json.load(file)]
    return []


def small_groups(values: Iterable[str]) -> tuple[float, float]:
    """Return the shares of visits that are alone with their value, and that are in a group of less than five."""
    groups = Counter(values)
    total = sum(groups.values())
    alone = sum(size for size in groups.values() if size == 1)
    few = sum(size for size in groups.values() if size < 5)
    return alone / total, few / total


def microseconds(call: Callable[[str], object], values: list[str], rounds: int = 5) -> float:
    """Return the mean cost of one call over the values, in the best of some rounds."""
    best = float("inf")
    for _ in range(rounds):
        began = time.perf_counter()
        for value in values:
            call(value)
        best = min(best, time.perf_counter() - began)
    return best / len(values) * 1e6


def _first_sight(user_agent: str) -> None:
    browser._REDUCED.clear()
    reduce_user_agent(user_agent)


def rows() -> list[Row]:
    """Return what was asked, today's best, the target and what was measured."""
    sample = [
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/122.0.0.0"
        " Safari/537.36",
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_3 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"
        " Version/17.3 Mobile/15E148 Safari/604.1",
        "Mozilla/5.0 (Linux; Android 14; SM-S901B) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/122.0.0.0"
        " Mobile Safari/537.36",
        "Mozilla/5.0 (X11; Linux x86_64; rv:125.0) Gecko/20100101 Firefox/125.0",
    ]
    reduce_user_agent(sample[0])
    hostile = ["; " * 500_000, sample[0] + "a/1 " * 250_000, "Mozilla/5.0 (" + "(" * 700]
    worst = max(microseconds(_first_sight, [text], 3) for text in hostile) / 1000
    table: list[Row] = [
        ("reduce a browser seen before", "", "≤ 2 µs", f"{microseconds(reduce_user_agent, sample * 500):.1f} µs"),
        (
            "reduce a browser at first sight",
            "1,315 µs",
            "≤ 60 µs",
            f"{microseconds(_first_sight, sample * 100):.1f} µs",
        ),
        ("hostile megabyte as user agent", "", "< 5 ms", f"{worst:.2f} ms"),
    ]
    seen = visits()
    if not seen:
        return [
            *table,
            ("visits unique / in groups under 5", "1.4 % / 3.0 %", "≤ 0.4 % / ≤ 1.6 %", "no data: see the module"),
        ]
    given_alone, given_few = small_groups(seen)
    alone, few = small_groups(reduce_user_agent(user_agent) for user_agent in seen)
    kept = sum(anonymize_user_agent(user_agent) != RARE for user_agent in seen) / len(seen)
    read = sum(read_browser(user_agent) is not None for user_agent in seen) / len(seen)
    return [
        *table,
        (
            f"visits unique / in groups under 5, of {len(seen):,} (given: {given_alone:.1%} / {given_few:.1%})",
            "1.4 % / 3.0 %",
            "≤ 0.4 % / ≤ 1.6 %",
            f"{alone:.2%} / {few:.2%}",
        ),
        ("visits read by the grammar alone", "", "", f"{read:.2%}"),
        ("visits whose user agent careful() keeps", "100 % (all)", "", f"{kept:.2%}"),
    ]

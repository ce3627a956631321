"""Robots: how many are found, how many among those that no name list holds, and how many people are misjudged.

``ANALYTICAL_CORPORA`` names a folder with checkouts (none is shipped here, each has its own licence)::

    crawler-user-agents/   github.com/monperrus/crawler-user-agents  (MIT)
    isbot/                 github.com/omrilotan/isbot                 (Unlicense)
    uap-core/              github.com/ua-parser/uap-core              (Apache-2.0)
    package/               npm pack user-agents@1.1.143               (BSD-2-Clause)

*Held out* is the half of each corpus whose SHA-256 is odd: the rules were written looking at the other half only.
``matomo-org.json`` in isbot's fixtures was never looked at; its rate without names is the rate among the unseen.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from analytical import bots

from .browsers import Row, microseconds, visits

__all__ = ["rows"]


def _lines(path: Path, pattern: str) -> list[str]:
    if not path.is_file():
        return []
    return [_unquoted(found) for found in re.findall(pattern, path.read_text(encoding="utf-8"), re.MULTILINE)]


def _named_browsers(path: Path) -> list[str]:
    """Return the browsers under a browser's name; the groups ``ZZZ`` hold robots that isbot lets pass on purpose."""
    if not path.is_file():
        return []
    groups = re.split(r"^(?=\S)", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return [
        _unquoted(found)
        for group in groups
        if not group.startswith("ZZZ")
        for found in re.findall(r"^\s+- (.+)$", group, re.MULTILINE)
    ]


def _unquoted(text: str) -> str:
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] == "'":
        return text[1:-1].replace("''", "'")
    if len(text) > 1 and text[0] == text[-1] == '"':
        return text[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    return text


def robots(folder: Path) -> dict[str, list[str]]:
    """Return the robots of each corpus that is there."""
    found: dict[str, list[str]] = {}
    path = folder / "crawler-user-agents" / "crawler-user-agents.json"
    if path.is_file():
        entries = json.loads(path.read_text(encoding="utf-8"))
        found["crawler-user-agents"] = [one for entry in entries for one in entry["instances"]]
    fixtures = folder / "isbot" / "fixtures"
    found["isbot"] = _lines(fixtures / "crawlers.yml", r"^\s+- (.+)$")
    for name in ("matomo-org", "kikobeats", "ua-parser-js"):
        path = fixtures / "downloaded" / f"{name}.json"
        if path.is_file():
            found[name] = [one for one in json.loads(path.read_text(encoding="utf-8")) if isinstance(one, str)]
    return {name: sorted(set(texts)) for name, texts in found.items() if texts}


def people(folder: Path) -> dict[str, list[str]]:
    """Return the people's user agents of each corpus that is there."""
    found = {"isbot's browsers": _named_browsers(folder / "isbot" / "fixtures" / "browsers.yml")}
    path = folder / "uap-core" / "tests" / "test_device.yaml"
    if path.is_file():
        cases = re.findall(
            r"^  - user_agent_string: (.+)\n    family: (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE
        )
        found["uap-core's devices"] = [_unquoted(text) for text, family in cases if "Spider" not in family]
    return {name: sorted(set(texts)) for name, texts in found.items() if texts}


def held_out(user_agent: str) -> bool:
    """Tell whether a user agent was kept aside when the rules were written."""
    return hashlib.sha256(user_agent.encode("utf-8", "surrogatepass")).digest()[0] % 2 == 1


def found(texts: list[str]) -> float:
    """Return the share that is found to be a robot; ``unknown`` is not found."""
    return sum(bots.classify(text).kind not in ("human", "unknown") for text in texts) / len(texts)


@contextmanager
def without_names() -> Iterator[None]:
    """Judge as if no list of names existed."""
    names = bots._names
    bots._names = dict  # type: ignore[assignment]
    bots._SEEN.clear()
    try:
        yield
    finally:
        bots._names = names
        bots._SEEN.clear()


def _first_sight(user_agent: str) -> None:
    bots._SEEN.clear()
    bots.classify(user_agent)


def rows() -> list[Row]:
    """Return what was asked, today's best, the target and what was measured."""
    chrome = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/122.0.0.0 Safari/537.36"
    bots.classify("warm")
    hostile = max(microseconds(_first_sight, [junk * 1_000_000], 3) for junk in "_a(;@") / 1000
    table: list[Row] = [
        ("tell a person's browser seen before", "", "≤ 2 µs", f"{microseconds(bots.classify, [chrome] * 2000):.1f} µs"),
        (
            "tell a person's browser at first sight",
            "412 µs",
            "≤ 60 µs",
            f"{microseconds(_first_sight, [chrome] * 500):.1f} µs",
        ),
        ("hostile megabyte", "", "< 5 ms", f"{hostile:.2f} ms"),
    ]
    folder = Path(os.environ.get("ANALYTICAL_CORPORA", "") or "/nonexistent")
    best, best_unseen, best_people = "89.2 % py, 97.2 % js", "72.6 % py, 93.2 % js", "1.5 % py, 0.44 % js"
    declared, human = robots(folder), people(folder)
    for name, texts in declared.items():
        aside = [text for text in texts if held_out(text)]
        table.append((f"robots found, {name} ({len(texts):,})", best, "≥ 97 %", f"{found(texts):.1%}"))
        table.append((f"  of it held out ({len(aside):,})", best, "≥ 97 %", f"{found(aside):.1%}"))
    with without_names():
        table += [
            (f"  found by rules alone, {name}", best_unseen, "≥ 93 %", f"{found(texts):.1%}")
            for name, texts in declared.items()
        ]
    for name, texts in human.items():
        aside = [text for text in texts if held_out(text)]
        table.append((f"people misjudged, {name} ({len(texts):,})", best_people, "≤ 0.4 %", f"{_misjudged(texts):.2%}"))
        table.append((f"  of it held out ({len(aside):,})", best_people, "≤ 0.4 %", f"{_misjudged(aside):.2%}"))
    seen = visits()
    if seen:
        table.append((f"people misjudged, visits ({len(seen):,})", best_people, "≤ 0.4 %", f"{_misjudged(seen):.2%}"))
    if not declared:
        table.append(
            ("robots found / unseen / people misjudged", best, "≥ 97 / ≥ 93 / ≤ 0.4 %", "no data: see the module")
        )
    return table


def _misjudged(texts: list[str]) -> float:
    return sum(not bots.classify(text).is_human for text in texts) / len(texts)

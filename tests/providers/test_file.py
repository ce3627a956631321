"""file: what is sent, and what the answers mean."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sampling import cases, check_encode, check_interpret

from analytical.errors import ConfigurationError
from analytical.hit import Hit
from analytical.providers.file import File
from analytical.transports.local import LocalTransport


@pytest.mark.parametrize("case", cases("file"))
def test_hits_become_these_requests(case: dict[str, Any]) -> None:
    check_encode(case)


@pytest.mark.parametrize("case", cases("file"))
def test_answers_become_these_verdicts(case: dict[str, Any]) -> None:
    check_interpret(case)


NOW = 1_767_225_600.0


def hit(number: int = 0, kind: str = "event", **fields: Any) -> Hit:
    fields.setdefault("name", "signup" if kind == "event" else None)
    return Hit(id=f"00000000-0000-4000-8000-{number:012d}", kind=kind, time=NOW, **fields)


def test_every_hit_is_a_line_that_can_be_read_back(tmp_path: Path) -> None:
    path = tmp_path / "with space & ünïcode.ndjson"
    backend = File.create(path)
    hits = [hit(i, properties={"text": "line\nbreak\u2028"}) for i in range(3)]
    (parcel,) = backend.encode(hits, now=NOW)
    answer = LocalTransport().send(parcel.request)
    assert getattr(answer, "status", None) == 200
    lines = path.read_bytes().split(b"\n")
    assert len(lines) == 4
    decoded = File.decode(parcel.request)
    assert [d.native["id"] for d in decoded] == [h.id for h in hits]
    assert [Hit.from_dict(d.native) for d in decoded] == hits


def test_it_rotates_by_size(tmp_path: Path) -> None:
    backend = File.create(tmp_path / "hits", rotate=300, keep=2)
    for i in range(9):
        for parcel in backend.encode([hit(i)], now=NOW):
            LocalTransport().send(parcel.request)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["hits", "hits.1", "hits.2"]


@pytest.mark.parametrize("size", ["64 lots", "M", -1])
def test_a_size_is_a_number_of_bytes(size: Any) -> None:
    with pytest.raises(ConfigurationError, match="rotate"):
        File.create("hits", rotate=size)


def test_a_path_is_needed() -> None:
    with pytest.raises(ConfigurationError, match="path"):
        File.create("")

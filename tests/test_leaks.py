"""The leak test finds a marker in every spelling, and finds none in what the providers send."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

import analytical
from analytical._leaks import MARKERS
from analytical.http import Request
from analytical.spool.contracts import make_hit
from analytical.testing import FakeTransport, assert_no_leak

MARK = "zelda@marker.example"


@pytest.mark.parametrize(
    "item",
    [
        MARK,
        MARK.encode(),
        quote(MARK, safe=""),
        quote(quote(MARK, safe=""), safe=""),
        base64.b64encode(MARK.encode()),
        base64.b64encode(b"xx" + MARK.encode()),
        MARK.encode().hex(),
        [{"a": {"b": MARK}}],
        ValueError(MARK),
        Request(url="https://h/?" + quote(MARK)),
        Request(url="https://h/", body=MARK.encode()),
        Request(url="https://h/", headers={"X": MARK}),
        {MARK: 1},
    ],
)
def test_a_leak_is_found_in_any_spelling(item: Any) -> None:
    with pytest.raises(AssertionError, match="marker 1"):
        assert_no_leak([MARK], searched=[item])
    assert_no_leak(["nobody@nowhere.example"], searched=[item])


def test_files_are_searched_with_what_stands_beside_them(tmp_path: Path) -> None:
    (tmp_path / "outbox.db").write_bytes(b"nothing")
    assert_no_leak([MARK], paths=[tmp_path])
    (tmp_path / "outbox.db-wal").write_bytes(b"x" + MARK.encode())
    for path in (tmp_path, tmp_path / "outbox.db"):
        with pytest.raises(AssertionError, match="outbox"):
            assert_no_leak([MARK], paths=[path])
    assert_no_leak([MARK], paths=[tmp_path / "absent"])


@pytest.mark.parametrize("privacy", ["careful", "strict"])
@pytest.mark.parametrize(
    ("name", "of", "options"),
    [
        ("plausible", "example.com", {}),
        ("matomo", 1, {"endpoint": "https://stats.example"}),
        ("ga4", "G-XXXXXXX", {"api_secret": "s3cret"}),
        ("snowplow", "app", {"endpoint": "https://collector.example"}),
        ("umami", "3fa85f64-5717-4562-b3fc-2c963f66afa6", {}),
    ],
)
def test_no_provider_leaks_a_direct_identifier(name: str, of: Any, options: dict[str, Any], privacy: str) -> None:
    with analytical.Provider(name, of, transport=FakeTransport(), privacy=privacy, **options) as provider:
        assert_no_leak(provider=provider)


def test_the_test_can_fail() -> None:
    with (
        analytical.Provider("plausible", "example.com", transport=FakeTransport(), privacy="off") as provider,
        pytest.raises(AssertionError, match="a request"),
    ):
        assert_no_leak(MARKERS[:2], provider)


def test_a_leak_is_found_within_json_hits_and_however_often_it_is_quoted() -> None:
    spelled = '{"title": "' + "".join(f"\\u00{ord(sign):02x}" for sign in MARK) + '"}'
    quoted = MARK
    for _ in range(4):
        quoted = quote(quoted, safe="")
    for item in (spelled.encode(), make_hit(title=MARK), quote(quote(quote(MARK, safe=""), safe=""), safe="")):
        with pytest.raises(AssertionError, match="marker 1"):
            assert_no_leak([MARK], searched=[item])
    assert_no_leak([MARK], searched=[quoted])  # nobody reads a text that was quoted four times over

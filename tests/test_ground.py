"""The ground floor: messages, verdicts, backoff, secrets, names."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytical.errors import ConfigurationError, MissingExtra, UnknownName
from analytical.http import Request, Response, mask
from analytical.registry import PROVIDERS, Registry
from analytical.retry import backoff, retry_after
from analytical.secrets import is_reference, resolve
from analytical.verdict import DELIVERED, rejected, retry


def test_a_masked_request_shows_no_secret_in_any_spelling() -> None:
    request = Request(
        url="https://h.example/collect?api_secret=a%2Fb%20c&x=a/b c",
        headers={"Authorization": "Bearer a/b c"},
        body=b"token=a%2Fb+c&other=a/b c&third=a%2Fb%20c",
        secrets=("a/b c",),
    )
    shown = request.masked()
    for text in (shown.url, shown.headers["Authorization"], shown.body.decode(), repr(request)):
        assert "a/b" not in text
        assert "a%2F" not in text
    assert shown.masked() is shown
    assert mask("nothing", ("",)) == "nothing"


def test_reprs_show_no_query_and_no_body() -> None:
    assert repr(Request(url="https://u:p@h.example/collect?uid=planted", body=b"planted")) == (
        "<Request POST https://h.example/collect 7 bytes>"
    )
    assert repr(Response(status=200, body=b"planted")) == "<Response 200 7 bytes>"
    assert Response(status=204).ok
    assert not Response(status=304).ok


def test_only_a_retry_is_not_final() -> None:
    assert DELIVERED.final
    assert rejected("no").final
    assert not retry(3.0, reason="http 429").final


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_backoff_grows_to_its_cap_and_no_further(attempt: int, share: float) -> None:
    wait = backoff(attempt, base=1, cap=30, uniform=lambda low, high: low + (high - low) * share)
    assert 0 <= wait <= min(30, 2 ** min(attempt - 1, 62))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("120", 120.0),
        (" 3.5 ", 3.5),
        ("-5", 0.0),
        ("nan", None),
        ("inf", 604_800.0),
        ("Sun, 09 Sep 2001 01:47:40 GMT", 60.0),
        ("Sun, 09 Sep 2001 01:47:40 -0000", 60.0),
        ("Sun, 09 Sep 2001 00:00:00 GMT", 0.0),
        ("soon", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_in_seconds_or_as_a_date(value: str | None, expected: float | None) -> None:
    assert retry_after(value, 1e9) == expected


@given(st.text())
def test_no_retry_after_breaks_the_reader(value: str) -> None:
    seconds = retry_after(value, 1e9)
    assert seconds is None or 0 <= seconds <= 604_800


def test_secrets_by_reference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_TOKEN", "t0ken")
    (tmp_path / "secret").write_text(" from-a-file\n")
    assert resolve("env:A_TOKEN") == "t0ken"
    assert resolve(f"file:{tmp_path / 'secret'}") == "from-a-file"
    assert resolve("plain") == "plain"
    assert is_reference("env:X")
    assert not is_reference("x")
    assert not is_reference(3)


@pytest.mark.parametrize("reference", ["env:NOT_SET_ANYWHERE", "file:/nonexistent/secret", "env:EMPTY"])
def test_a_missing_secret_names_the_reference(reference: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMPTY", "")
    with pytest.raises(ConfigurationError, match=reference.partition(":")[2]):
        resolve(reference, what="token_auth")


def test_keyring_references(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys
    import types

    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(MissingExtra, match=r"analytical\[keyring\]"):
        resolve("keyring:analytical/token")
    fake: Any = types.ModuleType("keyring")
    fake.get_password = lambda service, name: "found" if (service, name) == ("analytical", "token") else None
    monkeypatch.setitem(sys.modules, "keyring", fake)
    assert resolve("keyring:analytical/token") == "found"
    with pytest.raises(ConfigurationError, match="not set"):
        resolve("keyring:analytical/other")
    with pytest.raises(ConfigurationError, match="SERVICE/NAME"):
        resolve("keyring:analytical")


def test_an_unknown_name_lists_the_names_and_suggests_one() -> None:
    with pytest.raises(UnknownName, match='Did you mean "matomo"') as caught:
        PROVIDERS.get("mattomo")
    assert isinstance(caught.value, ValueError)
    assert "plausible" in str(caught.value)
    with pytest.raises(UnknownName, match="asked for by name"):
        PROVIDERS.get(3)  # type: ignore[arg-type]


def test_names_are_loaded_when_asked_for_and_can_be_added() -> None:
    registry = Registry("thing", "analytical.nothing", {"join": "os.path:join", "Odd": object})
    assert registry.get(" JOIN ") is os.path.join
    assert registry.loaded("join")
    registry.register("Mine", 5)
    assert registry.get("mine") == 5
    assert "mine" in registry
    assert "yours" not in registry
    assert registry.names() == sorted(registry.names())
    assert not Registry("thing", "analytical.nothing", {"x": "analytical.no_such_module:y"}).loaded("x")

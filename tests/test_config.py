"""Named providers."""

from __future__ import annotations

from pathlib import Path

import pytest

import analytical
from analytical import config
from analytical.errors import ConfigurationError, UnknownName
from analytical.testing import FakeTransport


def test_names_from_a_mapping() -> None:
    analytical.configure({"web": {"provider": "matomo", "id": 3, "endpoint": "https://stats.example.com"}})
    site = analytical.get("web")
    assert site is analytical.get("web")
    assert (site.to, site.backend.name, site.backend.id) == ("web", "matomo", "3")
    analytical.configure({"web": {"provider": "plausible", "id": "example.com", "transport": FakeTransport()}})
    assert analytical.get("web").backend.name == "plausible"
    assert config.names() == ["web"]
    analytical.configure({"web": {"name": "stdout", "id": "x"}, "b": "stdout://y"})
    assert (analytical.get("web").backend.name, analytical.get("b").backend.id) == ("stdout", "y")


def test_names_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "analytical.toml"
    path.write_text(
        '[providers.web]\nprovider = "plausible"\nid = "example.com"\ntimeout = 1.5\n'
        '[providers.api]\nprovider = "stdout"\nid = "api"\n[reports.r]\nprovider = "web"\n'
    )
    analytical.configure(str(path))
    analytical.configure(path)
    assert config.names() == ["api", "web"]
    assert analytical.get("web").backend.id == "example.com"


@pytest.mark.parametrize("content", ["[providers.web]\nid = 1\n", "web = 3\n", "not toml at all ["])
def test_files_that_cannot_be_used(tmp_path: Path, content: str) -> None:
    path = tmp_path / "analytical.toml"
    path.write_text(content)
    with pytest.raises(ConfigurationError, match=r"analytical\.toml"):
        analytical.configure(path)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        analytical.configure(tmp_path / "missing.toml")


def test_a_provider_without_a_name() -> None:
    with pytest.raises(ConfigurationError, match="without a name"):
        analytical.configure({"provider": "plausible", "id": "example.com"})


def test_an_unknown_name_says_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnknownName, match="ANALYTICAL_URL=matomo://"):
        analytical.get()
    analytical.configure({"web": {"provider": "stdout", "id": "x"}})
    with pytest.raises(UnknownName, match='Did you mean "web"'):
        analytical.get("wep")


def test_one_url_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "ANALYTICAL_URL", "matomo://t%2Fken@stats.example.com/1?delivery=background&privacy=strict&timeout=2.5"
    )
    site = analytical.get()
    assert site.to == "default"
    assert site.backend.endpoint == "https://stats.example.com"
    assert site.backend.id == "1"
    assert getattr(site.backend, "token_auth") == "t/ken"  # noqa: B009 - an option of this backend alone
    assert site.policy.name == "strict"
    assert config.names() == ["default"]
    site.close(0)


@pytest.mark.parametrize(
    ("url", "endpoint", "identity"),
    [
        ("matomo+http://127.0.0.1:8080/piwik.php/7", "http://127.0.0.1:8080/piwik.php", "7"),
        ("plausible://plausible.io/example.com", "https://plausible.io", "example.com"),
        ("plausible:///example.com", None, "example.com"),
        ("plausible+http://[::1]:8765/example.com?fail_silently=false", "http://[::1]:8765", "example.com"),
    ],
)
def test_urls(url: str, endpoint: str | None, identity: str) -> None:
    site = analytical.from_url(url)
    assert (site.backend.endpoint, site.backend.id) == (endpoint, identity)


def test_a_secret_in_a_url_may_be_a_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATS_TOKEN", "t0ken")
    for url in ("matomo://env:STATS_TOKEN@h.example/1", "matomo://h.example/1?token_auth=env:STATS_TOKEN"):
        assert getattr(analytical.from_url(url).backend, "token_auth") == "t0ken"  # noqa: B009 - this backend's alone
    by_key = analytical.from_url("segment://env:STATS_TOKEN@api.segment.io")
    assert by_key.backend.id == "t0ken"
    assert "t0ken" not in repr(by_key) + repr(by_key.backend)


def test_options_in_a_url_have_the_type_of_the_option() -> None:
    found = analytical.from_url("matomo://h.example/1?post_only=0&timeout=1.5&fail_silently=no&ambiguous=drop")
    assert getattr(found.backend, "post_only") is False  # noqa: B009 - this backend's alone
    assert found.fail_silently is False
    found = analytical.from_url("ga4://s3cret@/G-1?engagement_time_msec=100&validate=on&region=eu")
    assert (found.backend.engagement_time_msec, found.backend.validate) == (100, True)  # type: ignore[attr-defined]
    assert analytical.from_url("file://hits.ndjson?rotate=64M&keep=2").backend.id == "hits.ndjson"
    for wrong in ("post_only=perhaps", "timeout=long", "connections=0", "connections=many"):
        with pytest.raises(ConfigurationError, match=wrong.partition("=")[0]):
            analytical.from_url(f"matomo://h.example/1?{wrong}&delivery=background")


def test_a_file_by_url(tmp_path: Path) -> None:
    site = analytical.from_url(f"file://{tmp_path}/hits.ndjson")
    assert site.pageview(url="https://example.com/")
    assert (tmp_path / "hits.ndjson").read_text().count("\n") == 1


@pytest.mark.parametrize(
    "url",
    [
        "t0ken",
        "matomo+ftp://t0ken@x/1",
        "matomo://t0ken@x:port/1",
        "matomo://h/1?timeout=t0ken",
        "matomo://t0ken@[::1/1",
    ],
)
def test_a_url_that_cannot_be_used_is_not_shown(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        analytical.from_url(url)
    if "timeout" not in url:
        assert "t0ken" not in str(caught.value)


def test_a_secret_for_who_needs_none() -> None:
    with pytest.raises(ConfigurationError, match="needs no secret"):
        analytical.from_url("plausible://t0ken@plausible.io/example.com")


def test_an_option_beside_a_secret_in_a_url_wins() -> None:
    found = analytical.from_url("matomo://first@h.example/1?token_auth=second")
    assert getattr(found.backend, "token_auth") == "second"  # noqa: B009 - this backend's alone

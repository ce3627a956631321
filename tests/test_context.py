"""What a request says of its visitor, and which addresses may be believed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytical.context import Proxies, RequestFacts, current, from_asgi, from_wsgi, serving
from analytical.errors import ConfigurationError


def environ(**more: str) -> dict[str, object]:
    return {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/caf\u00c3\u00a9",  # the bytes of "é", as Latin-1 text (PEP 3333)
        "QUERY_STRING": "a=1",
        "SERVER_NAME": "app",
        "SERVER_PORT": "8000",
        "REMOTE_ADDR": "10.0.0.9",
        "wsgi.url_scheme": "https",
        **more,
    }


def test_the_facts_of_a_wsgi_request() -> None:
    facts = from_wsgi(
        environ(
            HTTP_HOST="shop.example",
            HTTP_REFERER="https://ref.example/",
            HTTP_USER_AGENT="UA",
            HTTP_ACCEPT_LANGUAGE="de-AT,de;q=0.8",
            HTTP_DNT="1",
            HTTP_SEC_GPC="0",
            HTTP_SEC_CH_UA='"Chromium";v="140"',
        )
    )
    assert facts.url == "https://shop.example/caf%C3%A9?a=1"
    assert facts.referrer == "https://ref.example/"
    assert (facts.client_ip, facts.user_agent, facts.language) == ("10.0.0.9", "UA", "de-AT,de;q=0.8")
    assert (facts.dnt, facts.gpc) == (True, False)
    assert facts.hints == {"sec-ch-ua": '"Chromium";v="140"'}
    assert "10.0.0.9" not in repr(facts)


def test_without_a_host_header_the_servers_own_name_is_used() -> None:
    assert from_wsgi(environ()).url == "https://app:8000/caf%C3%A9?a=1"
    assert from_wsgi(environ(SERVER_PORT="443")).url == "https://app/caf%C3%A9?a=1"
    assert from_wsgi(environ(SERVER_NAME="", SERVER_PORT="")).url is None
    assert from_wsgi(environ()).dnt is None


def test_the_facts_of_an_asgi_request() -> None:
    scope = {
        "type": "http",
        "scheme": "https",
        "path": "/caf\u00e9",
        "query_string": b"a=1",
        "headers": [(b"host", b"shop.example"), (b"user-agent", b"UA"), (b"dnt", b"1")],
        "client": ("203.0.113.9", 5000),
        "server": ("app", 8000),
    }
    facts = from_asgi(scope)
    assert facts.url == "https://shop.example/caf%C3%A9?a=1"
    assert facts.client_ip == "203.0.113.9"
    assert facts.dnt is True
    bare = from_asgi({"type": "websocket", "scheme": "wss", "raw_path": b"/x", "headers": [], "server": ("app", None)})
    assert bare.url == "https://app/x"
    assert bare.client_ip is None


def test_a_raw_header_is_never_believed() -> None:
    assert from_wsgi(environ(HTTP_X_FORWARDED_FOR="6.6.6.6", HTTP_FORWARDED="for=6.6.6.6")).client_ip == "10.0.0.9"


@pytest.mark.parametrize(
    ("proxies", "header", "value", "expected"),
    [
        (Proxies(hops=1), "x-forwarded-for", "6.6.6.6, 203.0.113.9", "203.0.113.9"),
        (Proxies(hops=2), "x-forwarded-for", "6.6.6.6, 203.0.113.9, 10.0.0.1", "203.0.113.9"),
        (Proxies(hops=3), "x-forwarded-for", "203.0.113.9", "203.0.113.9"),
        (Proxies(trusted=["10.0.0.0/8"]), "x-forwarded-for", "6.6.6.6, 203.0.113.9, 10.1.1.1", "203.0.113.9"),
        (Proxies(trusted=["10.0.0.0/8"]), "x-forwarded-for", "10.2.2.2, 10.1.1.1", "10.2.2.2"),
        (Proxies(hops=1), "x-forwarded-for", "unknown", "10.0.0.9"),
        (Proxies(hops=1), "x-forwarded-for", "", "10.0.0.9"),
        (Proxies(hops=1), "x-forwarded-for", "[2001:db8::1]:4711", "2001:db8::1"),
        (Proxies(hops=1), "x-forwarded-for", "192.0.2.1:4711", "192.0.2.1"),
        (
            Proxies(hops=1, header="Forwarded"),
            "forwarded",
            'for=6.6.6.6, proto=https;For="[2001:db8::7]:99"',
            "2001:db8::7",
        ),
        (Proxies(trusted=["10.0.0.0/8"], header="cf-connecting-ip"), "cf-connecting-ip", "203.0.113.9", "203.0.113.9"),
    ],
)
def test_declared_proxies(proxies: Proxies, header: str, value: str, expected: str) -> None:
    assert proxies.client("10.0.0.9", {header: value}) == expected


def test_a_peer_that_is_no_proxy_of_ours_is_the_visitor() -> None:
    assert Proxies(trusted=["10.0.0.0/8"]).client("203.0.113.1", {"x-forwarded-for": "6.6.6.6"}) == "203.0.113.1"
    # behind a Unix socket there is no peer: the header is from a local proxy
    assert Proxies(trusted=["10.0.0.0/8"]).client(None, {"x-forwarded-for": "203.0.113.9"}) == "203.0.113.9"


def test_proxies_are_declared_one_way() -> None:
    with pytest.raises(ConfigurationError, match="either hops"):
        Proxies()
    with pytest.raises(ConfigurationError, match="either hops"):
        Proxies(hops=1, trusted=["10.0.0.0/8"])
    with pytest.raises(ConfigurationError, match="hops=0"):
        Proxies(hops=0)
    with pytest.raises(ConfigurationError, match="networks such as"):
        Proxies(trusted=["ten"])


@given(st.text(max_size=300), st.integers(1, 4))
def test_no_header_breaks_the_reader_or_invents_an_address(value: str, hops: int) -> None:
    from ipaddress import ip_address

    for header in ("x-forwarded-for", "forwarded"):
        found = Proxies(hops=hops, header=header).client("10.0.0.9", {header: value})
        assert found is not None
        ip_address(found.partition("%")[0])


def test_the_context_is_of_one_request() -> None:
    assert current.get() is None
    with serving(RequestFacts(url="https://a.example/")) as facts:
        assert current.get() is facts
    assert current.get() is None


def test_absurd_requests_are_bounded() -> None:
    facts = from_wsgi(environ(HTTP_HOST="h", QUERY_STRING="x" * 1_000_000, HTTP_USER_AGENT="y" * 1_000_000))
    assert len(facts.url or "") == 8192
    assert len(facts.user_agent or "") == 8192

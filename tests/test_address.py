"""Addresses: at most 16 bits of an IPv4 and 32 of an IPv6 survive, in every spelling."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytical import utils
from analytical.privacy.address import anonymize_ip_address, keep_bits, parse_ip_address

V4 = st.integers(0, 2**32 - 1).map(IPv4Address)
V6 = st.integers(0, 2**128 - 1).map(IPv6Address)


def embed(layout: str, v4: int, rest: int) -> IPv6Address:
    rest128 = rest & (2**128 - 1)
    layouts = {
        "mapped": 0xFFFF << 32 | v4,
        "compatible": v4,
        "translated": 0xFFFF0000 << 32 | v4,
        "6to4": 0x2002 << 112 | v4 << 80 | rest128 & (2**80 - 1),
        "nat64": 0x0064FF9B << 96 | v4,
        "nat64-local": 0x0064FF9B0001 << 80 | v4,
        "teredo-server": 0x20010000 << 96 | v4 << 64 | rest128 & (2**64 - 1),
        "teredo-client": 0x20010000 << 96 | (rest128 & (2**64 - 1)) << 32 | v4 ^ 0xFFFFFFFF,
        "isatap": 0xFE80 << 112 | 0x00005EFE << 32 | v4,
        "isatap-global": 0x20010DB8 << 96 | 0x02005EFE << 32 | v4,
    }
    # RFC 6052 §2.2: a network's own prefix of 32, 40, 48, 56 or 64 bits, the address behind it, bits 64 to 71 zero.
    for length in (32, 40, 48, 56, 64):
        prefix = 0x20010DB8_11223344 << 64 & ((1 << 128) - (1 << (128 - length)))
        tail = 128 - length
        before = max(0, 64 - length)
        high = v4 >> (32 - before) if before else 0
        low = v4 & ((1 << (32 - before)) - 1)
        number = prefix | (high << 64 if before else 0) | low << (56 - (32 - before))
        layouts[f"rfc6052-{length}"] = number & ((1 << tail) - 1) | prefix
    return IPv6Address(layouts[layout])


LAYOUTS = [
    "mapped",
    "compatible",
    "translated",
    "6to4",
    "nat64",
    "nat64-local",
    "teredo-server",
    "teredo-client",
    "isatap",
    "isatap-global",
    "rfc6052-32",
    "rfc6052-40",
    "rfc6052-48",
    "rfc6052-56",
    "rfc6052-64",
]


def test_the_documented_examples() -> None:
    assert utils.anonymize_ip_address("12.34.56.78") == "12.34.0.0"
    assert anonymize_ip_address("2001:db8:85a3::8a2e:370:7334") == "2001:db8::"
    assert anonymize_ip_address("::ffff:12.34.56.78") == "12.34.0.0"
    assert anonymize_ip_address("::ffff:c22:384e") == "12.34.0.0"


@pytest.mark.parametrize(
    ("spelled", "masked"),
    [
        ("12.34.56.78:443", "12.34.0.0"),
        (" 12.34.56.78 ", "12.34.0.0"),
        ('"12.34.56.78"', "12.34.0.0"),
        ("[2001:db8:1:2::3]:443", "2001:db8::"),
        ("[2001:db8:1:2::3]", "2001:db8::"),
        ("fe80::1:2:3%eth0", "fe80::"),
        ("fe80::1:2:3%25eth0", "fe80::"),
        ("[::ffff:12.34.56.78]:80", "12.34.0.0"),
        ("unknown, 12.34.56.78, 10.0.0.1", "12.34.0.0"),
        ("for=192.0.2.60;proto=http;by=203.0.113.43", "192.0.0.0"),
        ('for=unknown, For="[2001:db8:cafe::17]:4711"', "2001:db8::"),
        ("for=_hidden, for=192.0.2.43", "192.0.0.0"),
        ("::1", "::"),
    ],
)
def test_ports_brackets_zones_and_lists_are_read(spelled: str, masked: str) -> None:
    assert anonymize_ip_address(spelled) == masked


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "localhost",
        "12.34.56",
        "12.34.56.789",
        "01.2.3.4",
        "1.2.3.4.5",
        "0x7f.1",
        "2130706433",
        "::1::",
        "[::1",
        "alice@example.com",
        "for=unknown",
        "for=",
        "１２.34.56.78",
        "1.2.3.4:http",
        "[::1]x",
        "," * 5000,
        "a" * 1_000_000,
    ],
)
def test_what_is_no_address_is_nothing(text: str | None) -> None:
    assert anonymize_ip_address(text) is None


def test_zero_bytes_chooses() -> None:
    assert anonymize_ip_address("12.34.56.78", zero_bytes=1) == "12.34.56.0"
    assert anonymize_ip_address("12.34.56.78", zero_bytes=16) == "0.0.0.0"
    assert anonymize_ip_address("2001:db8:1:2:3:4:5:6", zero_bytes=2) == "2001:db8:1:2:3:4:5:0"
    for wrong in (-1, 17, True, "2", 1.5):
        with pytest.raises(ValueError, match="0 to 16"):
            anonymize_ip_address("12.34.56.78", zero_bytes=wrong)  # type: ignore[arg-type]


@settings(max_examples=150, deadline=None)
@given(V4, st.sampled_from(LAYOUTS), st.integers(0, 2**128 - 1))
def test_no_more_than_16_bits_of_an_ipv4_survive_in_any_layout(v4: IPv4Address, layout: str, rest: int) -> None:
    low = int(v4) & 0xFFFF
    other = IPv4Address(int(v4) & 0xFFFF0000 | (low ^ 0xFFFF))
    if layout == "compatible" and (int(v4) < 2 or int(other) < 2):
        return
    one, two = embed(layout, int(v4), rest), embed(layout, int(other), rest)
    for spelled, otherwise in ((str(one), str(two)), (one.exploded, two.exploded), (f"[{one}]:80", f"[{two}]:80")):
        assert anonymize_ip_address(spelled) == anonymize_ip_address(otherwise)


@settings(max_examples=100, deadline=None)
@given(V4, st.sampled_from(["6to4", "nat64", "nat64-local", "teredo-server", "teredo-client", "isatap", "mapped"]))
def test_an_embedded_ipv4_never_survives_a_looser_mask(v4: IPv4Address, layout: str) -> None:
    if int(v4) & 0xFFFF in (0, 0xFFFF):
        return
    other = IPv4Address(int(v4) ^ 0x0102)
    one, two = (anonymize_ip_address(str(embed(layout, int(a), 0)), zero_bytes=2) for a in (v4, other))
    assert one == two


@settings(max_examples=100, deadline=None)
@given(V6, st.integers(0, 2**96 - 1))
def test_no_more_than_32_bits_of_an_ipv6_survive(v6: IPv6Address, tail: int) -> None:
    if int(v6) >> 96 == 0:
        return
    other = IPv6Address(int(v6) >> 96 << 96 | tail)
    assert anonymize_ip_address(str(v6)) == anonymize_ip_address(str(other))


@settings(max_examples=100, deadline=None)
@given(st.one_of(V4.map(str), V6.map(str)))
def test_masking_twice_is_masking_once(text: str) -> None:
    once = anonymize_ip_address(text)
    assert once is not None
    assert anonymize_ip_address(once) == once
    ip_address(once)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=80))
def test_any_text_gives_an_address_or_nothing(text: str) -> None:
    out = anonymize_ip_address(text)
    if out is not None:
        ip_address(out)


def test_bits_can_be_chosen() -> None:
    assert keep_bits("12.34.56.78", 24, 48) == "12.34.56.0"
    assert keep_bits("2001:db8:1:2::3", 24, 48) == "2001:db8:1::"
    assert keep_bits("12.34.56.78", 0, 0) == "0.0.0.0"
    assert parse_ip_address("12.34.56.78") == IPv4Address("12.34.56.78")


def test_more_addresses_than_any_proxy_names_are_not_read() -> None:
    assert parse_ip_address("for=unknown;" * 20 + "for=192.0.2.1") == IPv4Address("192.0.2.1")
    assert parse_ip_address("for=_;" * 100 + "for=192.0.2.1") is None

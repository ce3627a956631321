"""Free text: what is personal goes, what a report needs stays, whatever the spelling."""

from __future__ import annotations

import base64
import time
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytical.privacy.detect import _merged, decoded, spans
from analytical.privacy.numbers import is_card, is_iban, national_id, weak_national_id
from analytical.privacy.text import identifies, scrub_properties, scrub_text, shorten
from analytical.privacy.tokens import is_random, prefixed, token_label, unwritten
from analytical.privacy.words import denied_key, first_names

PERSONAL = {
    "alice@example.com": "write to {}",
    "user@xn--bcher-kva.example": "{}",
    "jürgen.müller@büro.de": "Mail an {} senden",
    "alice (at) example (dot) com": "{}",
    "alice@localhost": "as {}",
    "+49 30 1234567": "Call {}",
    "(415) 555-2671": "Call {} today",
    "030/1234567": "Tel {}",
    "06 12 34 56 78": "Numéro {}",
    "612 345 678": "Llama {}",
    "07700 900123": "on {}",
    "(11) 91234-5678": "Ligue {}",
    "138 0013 8000": "{} ",
    "DE89 3704 0044 0532 0130 00": "IBAN {} ok",
    "4111 1111 1111 1111": "Card {}",
    "378282246310005": "paid by {}",
    "AKIAIOSFODNN7EXAMPLE": "key {}",
    "sk_live_4eC39HqLyjWDarjtT1zdp7dc": "{}",
    "078-05-1120": "SSN {}",
    "AB 12 34 56 C": "NINO {}",
    "943 476 5919": "NHS {}",
    "1 84 12 76 451 089 46": "NIR {}",
    "529.982.247-25": "CPF {}",
    "11.222.333/0001-81": "CNPJ {}",
    "12345678Z": "DNI {}",
    "RSSMRA85T10A562S": "CF {}",
    "111222333": "BSN {}",
    "44051401359": "for {} only",
    "12 March 1984": "Born {} in Rome",
    "12.03.1984": "geb. {}",
    "221B Baker Street": "at {}",
    "Musterstraße 12, 10115 Berlin": "in {}",
    "12 rue de la Paix": "au {}",
    "Calle Mayor 12": "en {}",
    "SW1A 1AA": "near {}",
    "52.5200, 13.4050": "at {}",
    "52°31'12\"N": "at {}",
    "00:1A:2B:3C:4D:5E": "MAC {}",
    "12.34.56.78": "from {} today",
    "2001:db8::8a2e:370:7334": "from {}",
    "Alice": "Hello {}",
    "Quilliam": "Dear Mr {},",
    "Max Mustermann": "Konto von {}",
    "hunter2": "Password: {}",
    "550e8400e29b41d4a716446655440000": "token {}",
    "52.5200": "lat {}, lng 13.4050 is here",
    "9F4MGC22+22": "at {} now",
    "///filled.count.soap": "meet at {} later",
    "PO Box 12345": "write to {} in town",
    "811228-9874": "it is {} with a hyphen",
    "ABCPE1234F": "PAN {} since 2019",
    "-----BEGIN RSA PRIVATE KEY-----MIIEabc123-----END RSA PRIVATE KEY-----": "see {} there",
    "ip-10-1-2-34": "host {} is up",
    "none": "use session_token={} here",
    "612345678": "ring {} now",
    "Alice Smith": "x({}'s account",
    "Mary Ann Lee Brown": "Dear Mrs {}, hello",
}
HARMLESS = [
    "Pricing – Example",
    "Hello World",
    "Welcome to Acme",
    "Version 1.2.3.4 released",
    "iPhone 15 Pro Max 256GB",
    "ISBN 978-3-16-148410-0",
    "Sale: 12,345.67 EUR from 2024-01-15",
    "2024-12-31 23:59:59",
    "Dr. Martens boots",
    "User Guide",
    "Account Settings",
    "Customer Service Team",
    "10 Best Road Bikes of 2024",
    "Order 12345678 confirmed",
    "Donaudampfschifffahrtsgesellschaftskapitän",
    "SM-G998B-DS-256GB-BLK",
    "React 18.2.0 vs Vue 3.4.1",
    "lodash@4.17.21",
    "logo@2x.png",
    "Top 10 things to do in New York",
    "Women's wishlist",
    "std::vector in C++",
    "EAN 4006381333931",
    "Windows 11 Build 22631.3007",
    "Population 8,982,000 (2023)",
    "50% off – 3 for 2",
    "COVID-19 update",
    "Hi there",
    "Dear Customer",
    "How to reset your password: a guide",
    "Blog | Acme",
    "My Account | Acme Store",
    "Contact Form",
    "A4 paper 80 g/m2, 500 sheets",
    "Thank You Page",
    "Guest Post Guidelines",
    "internationalization and localization",
    "ratio 12.345, 13.456 and more",
    "12 best deals on High Street",
    "Your password is required",
    "A basic introduction to all of it",
    "Part 991399-1234 in stock",
    "Part 12345678A in stock",
    "Tel. 2024-01-31",
    "Order no. 030/1234567",
    "follow @media and @import",
    "the mr wolf pattern",
]


@pytest.mark.parametrize("datum", PERSONAL)
def test_personal_data_does_not_survive(datum: str) -> None:
    out = scrub_text(PERSONAL[datum].format(datum))
    assert datum not in out
    assert "[" in out


@pytest.mark.parametrize("datum", ["alice@example.com", "+49 30 1234567", "4111 1111 1111 1111", "12.34.56.78"])
@pytest.mark.parametrize("times", [1, 2, 3])
def test_percent_encoding_hides_nothing(datum: str, times: int) -> None:
    spelled = f"see {datum} now"
    for _ in range(times):
        spelled = quote(spelled, safe="")
    assert datum not in decoded(scrub_text(spelled))


def test_other_spellings_hide_nothing() -> None:
    for text in (
        "alice\u200b@example.com",
        "alice＠example.com",
        "alice&#64;example.com",
        "٤١١١ ١١١١ ١١١١ ١١١١",
        base64.b64encode(b"alice@example.com").decode(),
        b"alice@example.com".hex(),
    ):
        assert scrub_text(f"a {text} b").startswith("a [")


@pytest.mark.parametrize("title", HARMLESS)
def test_what_names_nobody_stays(title: str) -> None:
    assert scrub_text(title) == title


@pytest.mark.parametrize(
    "title",
    [
        "Student Loan Calculator",
        "Client Side Rendering",
        "Message Broker Comparison",
        "Rechnung Schreiben Vorlage",
        "Good Morning Images",
        "Welcome Summer Vibes",
        "Invoice for Web Hosting",
        "Order: Pizza Funghi",
    ],
)
def test_capitals_alone_make_no_name_behind_an_account_word(title: str) -> None:
    assert scrub_text(title) == title


@pytest.mark.parametrize(
    "title",
    [
        "Student record: Katarzyna Okonkwo",
        "Edit user Amelie Okonkwo",
        "Boa tarde, Beatriz Okonkwo",
        "Geachte heer Okonkwo",
        "Frau van den Okonkwo",
        "Customer: Ifeyinwa Okonkwo",
        "Profiel van Katarzyna Okonkwo",
    ],
)
def test_names_are_found_behind_announcing_words_in_a_row(title: str) -> None:
    assert "Okonkwo" not in scrub_text(title)


@pytest.mark.parametrize(
    "datum",
    ["078-05-1120", "5B-E0-67-8F-99-03", "203.0.113.77", "52.07529,-47.00358", "869.718.7898", "4111111111111111"],
)
@pytest.mark.parametrize("joint", ["report-{}", "user_{}", "note:{}", "export={}", "scan-{}-final"])
def test_a_word_before_a_number_hides_nothing(datum: str, joint: str) -> None:
    assert datum not in scrub_text(joint.format(datum))


def test_strict_takes_out_what_is_pseudonymous() -> None:
    for text in (
        "by @alice_w yesterday",
        "order 550e8400-e29b-41d4-a716-446655440000",
        "Search results for hiv test | Shop",
    ):
        assert scrub_text(text) == text
        assert scrub_text(text, strict=True) != text


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(sorted(PERSONAL)),
    st.sampled_from(["", "x ", "Page 3: ", "(", "«"]),
    st.sampled_from(["", " y", ".", ")", "!"]),
)
def test_scrubbing_twice_is_scrubbing_once(datum: str, before: str, after: str) -> None:
    once = scrub_text(before + PERSONAL[datum].format(datum) + after)
    assert scrub_text(once) == once


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=300), st.booleans())
def test_any_text_is_read_and_settles(text: str, strict: bool) -> None:
    once = scrub_text(text, strict=strict)
    assert spans(decoded(once), strict=strict) == [] or once == "[removed]"


@settings(max_examples=100, deadline=None)
@given(
    st.from_regex(r"[a-z][a-z0-9._]{0,12}[a-z0-9]@[a-z]{2,10}\.(com|de|org|co\.uk)", fullmatch=True),
    st.text(max_size=20),
)
def test_no_mail_address_survives_beside_anything(mail: str, around: str) -> None:
    assert mail not in scrub_text(f"{around} {mail} {around}")


@settings(max_examples=100, deadline=None)
@given(st.integers(10**14, 10**15 - 1))
def test_a_card_is_told_by_its_check_digit(body: int) -> None:
    total = sum(
        (d * 2 - 9 if d > 4 else d * 2) if index % 2 == 0 else d
        for index, d in enumerate(map(int, reversed(f"4{body}"[:15])))
    )
    number = f"4{body}"[:15] + str(-total % 10)
    wrong = number[:-1] + str((int(number[-1]) + 1) % 10)
    assert is_card(number)
    assert not is_card(wrong)
    assert number not in scrub_text(f"card {number}")


def test_ids_are_told_by_their_check_digits() -> None:
    for number in [
        "52998224725",
        "44051401359",
        "86095742719",
        "01010750160",
        "10000000146",
        "38001085718",
        "8001015009087",
        "1800101221144",
        "7569217076985",
        "255081416802538",
        "11010519491231002X",
        "8112189876",
        "198112189876",
        "11222333000181",
        "93051822361",
    ]:
        assert national_id(number), number
        last = number[-1]
        assert not national_id(number[:-1] + ("1" if last != "1" else "2")) or len(number) in (10, 11)
    assert weak_national_id("9434765919")
    assert weak_national_id("234123412346")
    assert not national_id("1" * 11)
    assert is_iban("GB82WEST12345698765432") == 22
    assert is_iban("GB82WEST12345698765433") == is_iban("XX00") == is_iban("DE89!704004405320130") == 0


def test_national_ids_with_letters() -> None:
    for number in (
        "X1234567L",
        "S1234567D",
        "131052-308T",
        "A123456789",
        "1234567FA",
        "12.345.678-5",
        "ABCPE1234F",
        "GOMC850101HDFRRN09",
        "2 69 05 2A 588 157 80".replace("80", "77"),
    ):
        scrub_text(f"id number {number} here")
    assert "[id-number]" in scrub_text("NIE X1234567L")
    assert "131052-308T" not in scrub_text("hetu 131052-308T")
    assert "S1234567D" not in scrub_text("NRIC S1234567D")


def test_ids_with_one_check_digit_are_told_where_they_are_announced() -> None:
    # The Netherlands, Portugal, Australia, Croatia, India: numbers that their authorities give as examples.
    for number in ("111222333", "123456789", "876543210", "69435151530", "234123412346"):
        assert weak_national_id(number)
    for number in ("111111111", "69435151531"):
        assert not weak_national_id(number)


def test_what_is_no_letter_and_no_digit_is_no_iban() -> None:
    assert is_iban("DE89370400440532013000") == 22
    assert is_iban("DE8937040044053201300_") == 0


def test_more_numbers_than_anybody_writes_go_without_being_looked_at() -> None:
    numbers = [str(100_000_007 + n * 13) for n in range(40)]
    assert scrub_text(", ".join(numbers[:4])) == ", ".join(numbers[:4])
    assert "[numbers]" in scrub_text(", ".join(numbers))


def test_short_or_plain_runs_are_not_drawn() -> None:
    assert not is_random("1234567890123456")
    assert not is_random("summer")
    assert is_random("a1b2c3d4e5")
    assert not is_random("iPhone15ProMax")
    assert token_label("1234567890123456a", strict=True) is None
    assert token_label("file-0123456789abcdef", strict=True) == "id"
    assert token_label("file-0123456789abcdef", strict=False) is None


def test_letters_that_grow_when_they_are_small_keep_their_place() -> None:
    assert scrub_text("İİİ alice@example.com İ") == "İİİ [email] İ"


def test_what_only_looks_like_a_search_or_a_handle_stays_under_strict_too() -> None:
    for text in ("Search results for x", "search: a", "write @media and @import", "search:"):
        assert scrub_text(text, strict=True) == text


def test_finds_that_overlap_are_one() -> None:
    assert _merged([(5, 9, "b"), (0, 6, "a"), (2, 4, "c"), (20, 21, "d")]) == [(0, 9, "a"), (20, 21, "d")]


def test_tokens_are_told_from_words() -> None:
    for token in ("x7Kq9ZpL2mVtR4wBx7Kq9ZpL", "JCwZWiZsfJzkapngnp9pTv", "k3jd9f8s7d6f5g4h3j2k", "qzxkvwjpfgtbhdmqwzrk"):
        assert is_random(token)
        assert token_label(token, strict=False) == "token"
    for word in (
        "internationalization",
        "kraftfahrzeughaftpflichtversicherung",
        "iPhone15ProMaxCase",
        "XMLHttpRequestHandler",
    ):
        assert not is_random(word)
    assert token_label("my-summer-holiday-2024-in-france", strict=True) is None
    assert token_label("550e8400-e29b-41d4-a716-446655440000", strict=False) is None
    assert token_label("A1B2C-D3E4F-G5H6J-K7L8M", strict=False) == "token"
    assert prefixed("glpat-abcdefghijklmnopqrst")
    assert unwritten("1") == 0.0


@pytest.mark.parametrize(
    ("key", "denied"),
    [
        ("email", True),
        ("userEmail", True),
        ("billing_address_line1", True),
        ("access_token", True),
        ("customerName", True),
        ("shipping_address.street", True),
        ("max_tokens", False),
        ("_".join("abcdefghijklmnopq"), True),
        ("plan", False),
        ("product_name", False),
        ("is_mobile", False),
        ("email_opened", False),
        ("platform", False),
        ("", False),
        ("!!", False),
        ("has_phone", False),
    ],
)
def test_keys_that_name_something_personal(key: str, denied: bool) -> None:
    assert denied_key(key) is denied


def test_a_denied_key_loses_the_pair() -> None:
    given_ = {
        "plan": "pro",
        "email": "x",
        "deep": [{"phone": 1, "n": 2}],
        "alice@example.com": 1,
        "price": 9.5,
        "none": None,
    }
    assert scrub_properties(given_) == {"plan": "pro", "deep": [{"n": 2}], "price": 9.5, "none": None}
    assert denied_key("gender", strict=True)
    assert not denied_key("gender")


def test_numbers_are_kept_unless_their_digits_name_somebody() -> None:
    assert scrub_properties({"n": 12345678901234, "card": 1, "c": 4111111111111111}) == {"n": 12345678901234, "card": 1}
    assert scrub_properties({"big": 10**30, "neg": -(10**12), "f": 1e30}) == {"neg": -(10**12), "f": 1e30}


def test_containers_are_walked_with_bounded_work() -> None:
    deep: object = "end"
    for _ in range(2000):
        deep = [deep]
    assert scrub_properties({"a": deep}) is not None
    wide = scrub_properties([f"item {index}" for index in range(100_000)])
    assert 100 < len(wide) <= 256
    many = scrub_properties({f"key{index}": f"alice{index}@example.com" for index in range(500)})
    assert "@" not in repr(many)
    assert scrub_properties({1: "x", "k" * 200: 1, "o": object()}) == {}


def test_texts_together_are_read_as_one_by_one() -> None:
    texts = [f"line {index}" for index in range(20)] + ["alice@example.com", "Hello Alice", "4111 1111 1111 1111"]
    assert scrub_properties(texts) == [scrub_text(text) for text in texts]


def test_texts_are_cut_at_a_separator_without_the_broken_token() -> None:
    text = "word " * 1000 + "alice@example.com"
    cut = shorten(text)
    assert len(cut.encode()) <= 4096
    assert cut.endswith("word")
    assert shorten("x" * 5000) == ""
    assert len(shorten("é " * 3000).encode()) <= 4096
    assert shorten("short") == "short"


def test_opaque_ids_are_told_from_identifiers() -> None:
    for good in ("1234567890.1700000000", "550e8400-e29b-41d4-a716-446655440000", "42", "user-42", "a" * 40, "cus_x"):
        assert not identifies(good), good
    for bad in (
        "alice@example.com",
        "+4915112345678",
        "Alice Smith",
        "alice.smith",
        "01711234567",
        "12.34.56.78",
        "x" * 600,
        "alice%40example.com",
        "sk_live_4eC39HqLyjWDarjtT1zdp7dc",
    ):
        assert identifies(bad), bad


HOSTILE = [
    "a",
    "1",
    "@",
    "a@",
    "%25",
    "1-",
    "0 1",
    "12.34.56.78 ",
    "::",
    "a=b&",
    "x7K9qZ-",
    "DE89 ",
    "12 a ",
    "born ",
    "a at ",
    "http://a ",
    "4111-",
    "Alice's account ",
    "Dear A ",
    "///",
    "\u0660",
    "é",
    "<",
    "search for ",
]


@pytest.mark.parametrize("unit", HOSTILE)
def test_a_megabyte_of_anything_is_cheap(unit: str) -> None:
    text = (unit * (1_000_000 // len(unit) + 1))[:1_000_000]
    scrub_text("warm @ 1234567 up")
    best = min(_timed(text) for _ in range(3))
    # The promise is 5 ms; a loaded machine gets ten times that before this fails, which still catches a square.
    assert best < 0.05


def _timed(text: str) -> float:
    begin = time.perf_counter()
    scrub_text(text, strict=True)
    return time.perf_counter() - begin


def test_the_names_are_read_once_and_folded() -> None:
    assert "alice" in first_names()
    assert all(name.isascii() and name.islower() for name in first_names())


def test_more_text_than_a_property_ever_has_does_not_pass() -> None:
    many = {f"key{n}": "teapot " * 200 for n in range(10)}
    passed = scrub_properties(many)
    assert passed["key0"] == many["key0"]
    assert passed.get("key9") is None

"""What a call may be given, and what is made of it."""

from __future__ import annotations

import math
from collections import UserString
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import IntEnum, StrEnum
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytical.errors import InvalidHit
from analytical.values import coerce, seconds, unknown_field


class Plan(StrEnum):
    PRO = "pro"


class Level(IntEnum):
    HIGH = 3


class LazyString:
    def __str__(self) -> str:
        return "Übersicht"


def notes() -> tuple[list[str], Any]:
    told: list[str] = []
    return told, told.append


@pytest.mark.parametrize(
    ("given_value", "expected"),
    [
        ("text", "text"),
        (Plan.PRO, "pro"),
        (LazyString(), "Übersicht"),
        (UserString("u"), "u"),
        (5, "5"),
        (Decimal("1.10"), "1.10"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (date(2026, 1, 2), "2026-01-02"),
        ("\ud800x", "?x"),
    ],
)
def test_text_fields_become_text(given_value: Any, expected: str) -> None:
    out = coerce("title", given_value, notes()[1])
    assert out == expected
    assert type(out) is str


def test_django_lazy_text_becomes_text() -> None:
    from django.conf import settings
    from django.utils.functional import lazy

    if not settings.configured:
        settings.configure(USE_I18N=False)
    assert coerce("title", lazy(lambda: "Startseite", str)(), notes()[1]) == "Startseite"


@pytest.mark.parametrize(
    "behind", ["text", 42, True, 2.5, Decimal("1.10"), UUID(int=1), date(2026, 1, 2), datetime(2026, 1, 2, tzinfo=UTC)]
)
def test_what_stands_behind_a_proxy_is_taken(behind: Any) -> None:
    from django.utils.functional import SimpleLazyObject
    from werkzeug.local import LocalProxy

    plain = coerce("properties", {"a": behind}, notes()[1])
    for proxy in (SimpleLazyObject(lambda: behind), LocalProxy(lambda: behind)):
        found = coerce("properties", {"a": proxy}, notes()[1])
        assert found == plain
        assert type(found["a"]) is type(plain["a"])
    assert coerce("user_id", SimpleLazyObject(lambda: 42), notes()[1]) == "42"
    assert coerce("user_id", LocalProxy(lambda: None), notes()[1]) is None


@pytest.mark.parametrize(
    ("given_value", "expected"),
    [
        ({"a": Decimal("9.90"), "b": {3, 1, 2}, "c": (1, 2), "d": None}, {"a": "9.90", "b": [1, 2, 3], "c": [1, 2]}),
        ({1: "x", Level.HIGH: Plan.PRO}, {"1": "x", "3": "pro"}),
        ({"t": datetime(2026, 1, 2, tzinfo=UTC)}, {"t": "2026-01-02T00:00:00+00:00"}),
        ({"big": 2**70, "small": -(2**63)}, {"big": str(2**70), "small": -(2**63)}),
        ({"wait": timedelta(seconds=90)}, {"wait": 90.0}),
        ({"deep": {"er": [{"x": True}]}}, {"deep": {"er": [{"x": True}]}}),
    ],
)
def test_properties_become_json(given_value: Any, expected: Any) -> None:
    assert coerce("properties", given_value, notes()[1]) == expected


def test_nan_is_removed_and_counted() -> None:
    told, note = notes()
    assert coerce("value", math.nan, note) is None
    assert coerce("properties", {"a": math.inf, "b": Decimal("NaN"), "c": 1}, note) == {"c": 1}
    assert told == ["nan"] * 3


def test_absurdly_long_text_is_cut_and_counted() -> None:
    told, note = notes()
    assert len(coerce("title", "x" * 10_000_000, note)) == 65_536
    assert told == ["cut"]


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("title", b"bytes", r"title=<bytes>.*decode"),
        ("title", object(), r"title=<object>"),
        ("title", ["a"], r"title=<list>"),
        ("properties", "text", r"properties=<str>.*mapping"),
        ("properties", {"a": {"b": b"x"}}, r"properties\['a'\]\['b'\]=<bytes>"),
        ("value", "many", r"value= takes a number; got a text of 4 characters"),
        ("value", [], r"value=<list>"),
        ("screen", "big", r"screen= takes WIDTHxHEIGHT"),
        ("consent", "yes", r"consent=<str>"),
    ],
)
def test_what_no_platform_can_take_is_refused_by_field_name(field: str, value: Any, words: str) -> None:
    with pytest.raises(InvalidHit, match=words):
        coerce(field, value, notes()[1])


def test_a_refusal_never_shows_an_objects_value() -> None:
    class Person:
        def __repr__(self) -> str:
            return "planted@example.com"

    with pytest.raises(InvalidHit) as caught:
        coerce("title", Person(), notes()[1])
    assert "planted" not in str(caught.value)


def test_cycles_and_floods_are_refused() -> None:
    loop: dict[str, Any] = {}
    loop["again"] = loop
    with pytest.raises(InvalidHit, match="nested deeper"):
        coerce("properties", loop, notes()[1])
    with pytest.raises(InvalidHit, match="more than"):
        coerce("properties", {str(i): i for i in range(20_000)}, notes()[1])


def test_numbers_keep_their_kind() -> None:
    told = notes()[1]
    assert coerce("value", 5, told) == 5
    assert coerce("value", 5.5, told) == 5.5
    assert coerce("value", Decimal("5.50"), told) == "5.50"
    assert coerce("value", "7", told) == "7"
    assert coerce("value", True, told) == 1
    assert coerce("session_id", 12, told) == 12
    assert coerce("screen", "1920x1080", told) == "1920x1080"
    assert coerce("consent", False, told) == {"analytics": False, "ad_user_data": False, "ad_personalization": False}
    assert coerce("consent", {"analytics": True}, told) == {"analytics": True}


def test_moments() -> None:
    assert seconds(datetime(1970, 1, 1, 1, tzinfo=timezone(timedelta(hours=1)))) == 0
    assert seconds(12) == 12.0
    assert seconds(Decimal("1.5")) == 1.5
    with pytest.raises(InvalidHit, match="time zone"):
        seconds(datetime(2026, 1, 1))
    with pytest.raises(InvalidHit, match="divide milliseconds by 1000"):
        seconds(1_767_225_600_000)
    for wrong in ("2026", None, True, -5, math.nan):
        with pytest.raises(InvalidHit):
            seconds(wrong)


def test_a_misspelled_keyword_names_the_nearest() -> None:
    error = unknown_field("refferer")
    assert 'Did you mean "referrer"?' in str(error)
    assert isinstance(error, TypeError)
    assert isinstance(error, ValueError)


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.decimals() | st.datetimes() | st.uuids(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4) | st.tuples(inner, inner),
    max_leaves=12,
)


@given(st.dictionaries(st.text(), json_like, max_size=5))
def test_whatever_is_accepted_is_json(properties: dict[str, Any]) -> None:
    out = coerce("properties", properties, notes()[1])
    assert msgspec.json.decode(msgspec.json.encode(out)) == out


def test_a_number_of_more_digits_than_anything_has_is_refused() -> None:
    assert coerce("order_id", 2**80, lambda what: None) is not None
    with pytest.raises(InvalidHit, match="takes a number of at most"):
        coerce("properties", {"n": 1 << 100_000}, lambda what: None)


def test_a_set_of_several_kinds_has_an_order_too() -> None:
    found = coerce("properties", {"tags": {1, "a", 2.5}}, lambda what: None)
    assert found == coerce("properties", {"tags": {"a", 2.5, 1}}, lambda what: None)
    assert sorted(map(str, found["tags"])) == ["1", "2.5", "a"]

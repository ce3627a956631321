"""The gate: every datum passes the rule of its kind, once, and it fails closed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import analytical
from analytical import utils
from analytical.errors import ConfigurationError, InvalidHit
from analytical.fields import Fields
from analytical.hit import Hit
from analytical.privacy import Note, Policy, Rule
from analytical.privacy import policy as module
from analytical.testing import FakeTransport, recording

FIELDS = Fields(url="dl", title="dt", kinds={"z": "plain", "el": "text", "ep": "properties", "uip2": "ip"})
CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
)


@dataclass
class Facts:
    dnt: bool | None = None
    gpc: bool | None = None
    opted_out: bool | None = None


def seal(
    policy: Policy, fields: Fields = FIELDS, facts: Facts | None = None, **draft: Any
) -> tuple[Hit | None, list[Note]]:
    notes: list[Note] = []
    hit = policy.seal({"id": "i", "kind": "pageview", "time": 1.0, **draft}, fields, facts=facts, notes=notes)
    return hit, notes


def sealed(policy: Policy, **draft: Any) -> Hit:
    hit, _ = seal(policy, **draft)
    assert hit is not None
    return hit


def test_careful_takes_out_identifiers_and_leaves_reports_usable() -> None:
    hit = sealed(
        Policy.careful(),
        url="https://u:p@example.com/products/42?q=x&utm_source=news#f",
        title="Hello alice@example.com",
        client_ip="12.34.56.78",
        user_agent=CHROME,
        referrer="https://other.example/a/b?c=d",
        language="de-DE,de;q=0.9,en;q=0.8",
        client_id="1234567890.1700000000",
        user_id="42",
        session_id=7,
        screen="1921x1081",
        value="9.90",
        currency="EUR",
    )
    assert hit.to_dict() == {
        "v": 1,
        "id": "i",
        "kind": "pageview",
        "time": 1.0,
        "url": "https://example.com/products/42?utm_source=news",
        "title": "Hello [email]",
        "client_ip": "12.34.0.0",
        "user_agent": CHROME,
        "referrer": "https://other.example/a/b",
        "language": "de-DE,de;q=0.9,en;q=0.8",
        "client_id": "1234567890.1700000000",
        "user_id": "42",
        "session_id": 7,
        "screen": "1921x1081",
        "value": "9.90",
        "currency": "EUR",
    }


def test_strict_takes_out_also_what_is_contextual() -> None:
    hit = sealed(
        Policy.strict(),
        url="https://example.com/users/alice",
        referrer="https://other.example/a/b",
        user_id="alice",
        language="zh-Hant-TW,zh;q=0.9",
        screen="1921x1081",
        user_agent=CHROME,
        title="by @alice_w",
    )
    assert (hit.url, hit.referrer, hit.user_id) == ("https://example.com/users/:id", "https://other.example/", None)
    assert (hit.language, hit.screen, hit.title) == ("zh-TW", None, "by [handle]")
    assert hit.user_agent == utils.reduce_user_agent(CHROME)
    assert sealed(Policy.strict(), user_id="550e8400-e29b-41d4-a716-446655440000").user_id is not None


def test_strict_prefers_the_route() -> None:
    draft = {"url": "https://example.com/clients/zelda?utm_source=x", "route": "/clients/:name"}
    assert sealed(Policy.strict(), **draft).url == "https://example.com/clients/:name?utm_source=x"
    assert sealed(Policy.careful(), **draft).url == draft["url"]


def test_off_sends_what_it_is_given() -> None:
    draft = {"url": "https://u:p@example.com/?q=1#f", "client_ip": "12.34.56.78", "title": "alice@example.com"}
    hit, notes = seal(Policy.off(), facts=Facts(dnt=True), **draft, native={"email": "alice@example.com"})
    assert hit is not None
    assert {name: getattr(hit, name) for name in draft} == draft
    assert hit.native == {"email": "alice@example.com"}
    assert notes == []


def test_native_keys_pass_the_rule_of_their_kind() -> None:
    hit, notes = seal(
        Policy.careful(),
        native={
            "z": 1,
            "el": "to alice@example.com",
            "uip2": "12.34.56.78",
            "unknown": "alice@example.com",
            "email": "x",
            "alice@example.com": "y",
            "ep": {"phone": "1", "n": 2},
            "nested": {"note": "Hello Alice"},
            "none": None,
            "num": 5,
        },
    )
    assert hit is not None
    assert hit.native == {
        "z": 1,
        "el": "to [email]",
        "uip2": "12.34.0.0",
        "unknown": "[email]",
        "ep": {"n": 2},
        "nested": {"note": "Hello [name]"},
        "num": 5,
    }
    assert "alice" not in repr(notes).lower()
    assert Note("removed", "native", "deny-key") in notes


def test_a_rule_that_raises_removes_the_datum_and_nothing_raw_is_noted() -> None:
    def broken(value: str) -> str:
        raise RuntimeError(value)

    hit, notes = seal(
        Policy.careful(text=broken, ip=broken), title="secret", client_ip="12.34.56.78", native={"el": "secret"}
    )
    assert hit is not None
    assert (hit.title, hit.client_ip, hit.native) == (None, None, None)
    assert [note.what for note in notes] == ["rule_error"] * 3
    assert "secret" not in repr(notes)


def test_a_predicate_that_raises_withholds() -> None:
    def broken(draft: Any, facts: Any) -> str | None:
        raise RuntimeError

    hit, notes = seal(Policy.careful(withhold=broken), title="x")
    assert hit is None
    assert notes[0].what == "withheld:rule_error"


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        (Facts(opted_out=True), "withheld:optout"),
        (Facts(dnt=True), "withheld:dnt"),
        (Facts(gpc=True), "withheld:gpc"),
        (Facts(opted_out=False, dnt=False), None),
        (None, None),
    ],
)
def test_the_visitors_will_is_asked_first(facts: Facts | None, reason: str | None) -> None:
    hit, notes = seal(Policy.careful(), facts=facts, title="x")
    assert (hit is None) == (reason is not None)
    assert [note.what for note in notes] == ([reason] if reason else [])


def test_the_applications_answer_and_further_reasons_count() -> None:
    assert seal(Policy.careful(consent=lambda facts: False), title="x")[0] is None
    assert (
        seal(Policy.careful(withhold=lambda draft, facts: "intern" if draft.get("title") == "x" else None), title="x")[
            0
        ]
        is None
    )
    assert seal(Policy.careful(dnt=False), facts=Facts(dnt=True), title="x")[0] is not None
    assert seal(Policy.careful(), consent={"analytics": False})[0] is None


def test_texts_are_cut_to_the_platforms_limit_between_characters() -> None:
    fields = Fields(title="dt", limits={"title": 5}, byte_limits={"label": 5, "k": 3})
    hit, notes = seal(Policy.careful(), fields, title="abcdefgh", label="ääää", native={"k": "日本"})
    assert hit is not None
    assert (hit.title, hit.label, hit.native) == ("abcde", "ää", {"k": "日"})
    assert [note.what for note in notes] == ["cut", "cut", "cut"]
    off, notes = seal(Policy.off(), fields, title="abcdefgh")
    assert off is not None
    assert off.title == "abcde"
    assert notes == [Note("cut", "title", "limit")]


def test_users_change_single_rules() -> None:
    draft = {"client_ip": "12.34.56.78", "user_agent": "x", "url": "/a?page=2", "native": {"plan_code": "x", "ok": "y"}}
    assert sealed(Policy.careful(ip=None), **draft).client_ip is None
    assert sealed(Policy.careful(ip="keep"), **draft).client_ip == "12.34.56.78"
    assert sealed(Policy.careful(ip=24), **draft).client_ip == "12.34.56.0"
    assert sealed(Policy.careful(ip=(8, 32)), **draft).client_ip == "12.0.0.0"
    assert sealed(Policy.careful(ip=lambda value: "0.0.0.0"), **draft).client_ip == "0.0.0.0"
    assert sealed(Policy.careful(user_agent="drop"), **draft).user_agent is None
    assert sealed(Policy.careful(query_allow={"page"}), **draft).url == "/a?page=2"
    assert sealed(Policy.careful(deny_keys=["plan_code"]), **draft).native == {"ok": "y"}


@pytest.mark.parametrize(
    "changes",
    [
        {"ips": None},
        {"ip": 99},
        {"ip": "some"},
        {"text": 5},
        {"query_allow": "page"},
        {"consent": True},
        {"ip": True},
        {"deny_keys": [1]},
    ],
)
def test_wrong_changes_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        Policy.careful(**changes)


def test_policies_by_name() -> None:
    policy = Policy.careful()
    assert Policy.of(policy) is policy
    assert [Policy.of(name).name for name in (None, "careful", "STRICT", "off")] == [
        "careful",
        "careful",
        "strict",
        "off",
    ]
    with pytest.raises(ConfigurationError, match=r"[Dd]id you mean"):
        Policy.of("strickt")
    with pytest.raises(ConfigurationError, match="int"):
        Policy.of(5)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="unknown kind"):
        Policy("mine", {"ips": str})  # type: ignore[dict-item]
    with pytest.raises(ConfigurationError, match="no function"):
        Policy("mine", {"ip": "keep"})  # type: ignore[dict-item]


def test_ids_that_identify_are_dropped_and_never_hashed() -> None:
    for value in ("alice@example.com", "+49 30 1234567", "Alice Smith", "12.34.56.78"):
        hit = sealed(Policy.careful(), user_id=value, client_id=value, session_id=value, subject=value)
        assert (hit.user_id, hit.client_id, hit.session_id, hit.subject) == (None, None, None, None)
    assert sealed(Policy.careful(), subject="k" * 32, priority=2, keyed=True).priority == 2


def test_values_of_the_wrong_type_do_not_pass() -> None:
    hit = sealed(
        Policy.careful(), client_ip=203569230, url=5, user_agent=1, language=1, screen=1, value="alice", client_id=1.5
    )
    assert hit.to_dict() == {"v": 1, "id": "i", "kind": "pageview", "time": 1.0}


def test_receipts_describe_what_came_in_and_show_what_goes_out() -> None:
    receipts = Policy.careful().receipts(
        {
            "title": "Hello alice@example.com",
            "client_ip": "12.34.56.78",
            "value": 1,
            "native": {"z": "ok", "email": "alice@example.com"},
        },
        FIELDS,
    )
    shown = {receipt.field: receipt for receipt in receipts}
    assert shown["title"].given == "text, 23 characters"
    assert shown["title"].sent == "Hello [email]"
    assert (shown["client_ip"].rule, shown["client_ip"].sent, shown["client_ip"].changed) == (
        "mask-address",
        "12.34.0.0",
        True,
    )
    assert shown["z"].changed is False
    assert "alice" not in repr(receipts)


@pytest.mark.parametrize("policy", [Policy.careful(), Policy.strict(), Policy.off(), Policy.careful(ip=len)])
def test_a_policy_describes_itself_as_a_table(policy: Policy) -> None:
    table = policy.describe()
    assert all(kind in table for kind in ("ip", "user_agent", "url", "properties", "session_id"))
    assert ("Nothing is withheld" in table) == (policy.name == "off")
    assert repr(policy)


def test_memory_holds_only_what_a_rule_left_unchanged() -> None:
    policy = Policy.careful()
    for title in ("Pricing", "Hello alice@example.com"):
        for _ in range(2):
            sealed(policy, title=title, native={"el": title})
    rule = policy._rules["text"]
    assert rule is not None
    assert "Pricing" in rule.same
    assert len(rule._changed.recent) == 1
    assert "Hello alice" not in repr(rule.same) + repr(list(rule._changed.recent)) + repr(policy._plans)
    assert "alice" not in repr(rule.same) + repr(rule._changed.recent)
    for index in range(5000):
        rule(f"title {index}")
        rule(f"title alice{index}@example.com")
    assert len(rule.same) < 4500
    assert len(rule._changed.recent) < 4500


def test_a_rule_is_a_function_with_a_name() -> None:
    rule = Rule("upper", str.upper, "Capitals.", remember=True)
    assert rule("a") == rule("a") == "A"
    assert rule("x " * 5000).startswith("X X")
    assert repr(rule) == "<Rule upper>"


@settings(max_examples=100, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(
            [
                "url",
                "title",
                "referrer",
                "client_ip",
                "user_agent",
                "language",
                "client_id",
                "user_id",
                "session_id",
                "screen",
                "name",
                "category",
                "label",
                "currency",
            ]
        ),
        st.one_of(st.none(), st.text(max_size=60), st.just("see alice@example.com now")),
    ),
    st.sampled_from([Policy.careful(), Policy.strict()]),
)
def test_any_draft_is_sealed_and_sealing_twice_is_sealing_once(draft: dict[str, Any], policy: Policy) -> None:
    hit = sealed(policy, **draft)
    assert "alice@" not in repr(hit.to_dict())
    assert Hit.from_dict(hit.to_dict()) == hit
    again = sealed(policy, **{name: value for name, value in hit.to_dict().items() if name in draft})
    assert again == hit


def test_utils_are_reached_lazily() -> None:
    assert utils.scrub_url("/u/alice@example.com") == "/u/:email"
    assert utils.scrub_text("alice@example.com") == "[email]"
    assert utils.anonymize_ip_address("12.34.56.78") == "12.34.0.0"
    assert set(utils.__all__) <= set(dir(utils))
    with pytest.raises(AttributeError, match="nothing"):
        utils.nothing  # noqa: B018


# -- small things -------------------------------------------------------------------------------------------------


def test_a_subject_passes_where_no_rule_is_asked() -> None:
    assert sealed(Policy.off(), url="https://example.com/", subject="alice@example.com").subject == "alice@example.com"


def test_a_key_whose_rule_raises_does_not_pass() -> None:
    def broken(value: Any) -> Any:
        raise ZeroDivisionError

    policy = Policy.careful(text=broken)
    hit, notes = seal(policy, url="https://example.com/", native={"anything": "x"})
    assert hit is not None
    assert hit.native is None
    assert any(note.what == "removed" for note in notes)


def test_what_is_remembered_of_keys_and_providers_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_KEPT_KEYS", 3)
    monkeypatch.setattr(module, "_KEPT_PLANS", 2)
    policy = Policy.careful()
    tables = [Fields(url=f"u{n}") for n in range(5)]
    for fields in tables:
        for n in range(10):
            hit, _ = seal(policy, fields, url="https://example.com/", native={f"key{n}": "x"})
            assert hit is not None
            assert hit.native == {f"key{n}": "x"}
    assert len(policy._plans) <= 2
    assert all(len(plan.keys) <= 3 for plan in policy._plans.values())


def test_a_text_is_cut_to_characters_where_its_bytes_fit() -> None:
    notes: list[Note] = []
    assert module._fit("title", "a" * 150, 100, 110, notes) == "a" * 100
    assert module._fit("title", "ä" * 150, 100, 110, notes) == "ä" * 55
    assert [note.what for note in notes] == ["cut", "cut"]


@pytest.mark.parametrize(
    ("value", "shape"),
    [(True, "yes or no"), (3, "number"), (1.5, "number"), ("abc", "text, 3 characters"),
     ({"a": 1, "b": 2}, "mapping, 2 pairs"), ([1, 2], "list, 2 items"), (b"x", "bytes")],
)  # fmt: skip
def test_a_receipt_says_the_shape_of_what_came_in(value: Any, shape: str) -> None:
    assert module._shape(value) == shape


def test_a_receipt_leaves_out_what_nobody_gave() -> None:
    receipts = Policy.careful().receipts({"title": None, "native": {"given": "x", "empty": None}}, FIELDS)
    assert [receipt.field for receipt in receipts] == ["given"]


@pytest.mark.parametrize("policy", [Policy.careful(), Policy.strict()], ids=["careful", "strict"])
def test_a_referrer_that_is_no_text_does_not_pass(policy: Policy) -> None:
    assert sealed(policy, url="https://example.com/", referrer=17).referrer is None


# -- what is recalled ---------------------------------------------------------------------------------------------


def recall(policy: Policy, **given: Any) -> Hit | None:
    return policy.recall("pageview", given, FIELDS, told=set(), needed=())


def test_an_empty_text_that_passed_elsewhere_is_not_recalled_because_it_means_absent() -> None:
    site = analytical.Provider("umami", "b59e9c65-ae32-47f1-8400-119fcf4861c4", transport=FakeTransport())
    with recording() as recorder:
        site.event("order", url="https://example.com/", properties={"coupon": ""})
        site.event("order", url="https://example.com/", title="")
        with pytest.raises(InvalidHit, match="name="):
            site.event("", url="https://example.com/")
    assert recorder.hits[-1].title is None


def test_a_text_is_recalled_only_for_a_name_that_takes_any_text() -> None:
    policy = Policy("own", Policy.careful().rules)
    assert sealed(policy, currency="EUR", title="EUR").currency == "EUR"
    assert recall(policy, currency="EUR", title="EUR") is not None
    assert recall(policy, consent="EUR") is None


def test_a_policy_that_seals_in_its_own_way_recalls_nothing() -> None:
    class Own(Policy):
        def seal(self, draft: dict[str, Any], *args: Any, **more: Any) -> Hit | None:
            return super().seal({**draft, "title": "own"}, *args, **more)

    policy = Own("own", Policy.careful().rules)
    assert seal(policy, url="https://example.com/")[0] is not None
    assert recall(policy, url="https://example.com/") is None


@pytest.mark.parametrize("policy", [Policy.strict(), Policy.careful(withhold=lambda draft, facts: None)])
def test_a_policy_that_needs_a_whole_draft_recalls_nothing(policy: Policy) -> None:
    assert sealed(policy, url="https://example.com/user/5").url == "https://example.com/user/5"
    assert recall(policy, url="https://example.com/user/5") is None

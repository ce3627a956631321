"""What every provider promises, as tests that a plug-in's author inherits.

::

    from analytical.testing import ProviderContract

    class TestAcme(ProviderContract):
        backend = Acme.create("site-1", secret="s3cret")

Run it with pytest. Nothing here needs a network.
"""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from .backend import Backend, Decoded, Parcel, language_tag, text_of
from .errors import InvalidHit
from .hit import DATA_FIELDS, Hit
from .http import Request, Response

__all__ = ["ProviderContract"]

NOW = 1_767_225_600.0
BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"

_PAGE = {
    "url": "https://example.com/pricing?utm_source=newsletter",
    "title": "Pricing – Grüße",
    "referrer": "https://search.example/",
    "client_ip": "203.0.113.0",
    "user_agent": BROWSER,
    "language": "de-CH,de;q=0.9",
    "client_id": "555123.1767225600",
    "user_id": "user-12345",
    "session_id": "1767225599",
    "screen": "1280x800",
}
_EVENT = {
    **_PAGE,
    "name": "signup",
    "category": "account",
    "label": "pro",
    "value": 12.5,
    "currency": "EUR",
    "properties": {"plan": "pro", "seats": 3},
}
_HEAVY = ("requests", "urllib3", "http.client", "sqlite3", "asyncio", "ua_parser", "analytical.transports")
_ANSWERS = (b"", b"ok", b"{", b"{}", b"[]", b"null", b"1", b'"x"', b'{"status":[1]}', b"<html>", b"\xff\xfe")
_GARBAGE = (
    b"",
    b"{",
    b"[]",
    b"{}",
    b"null",
    b"1",
    b"\xff\xfe\x00",
    b"[" * 50_000,
    b'{"events":1,"batch":1,"requests":1}',
    b"a=%ff&b",
)


class ProviderContract:
    """The promises of a provider file. A subclass sets ``backend``, with its secrets filled in.

    Set ``altered`` to the common names whose value the platform's own form changes (a hash, a rounded number);
    of those only the presence is checked.
    """

    backend: ClassVar[Backend]
    altered: ClassVar[frozenset[str]] = frozenset()
    #: Findings that the samples cannot avoid, by a part of their text.
    expected_findings: ClassVar[tuple[str, ...]] = ()

    # -- samples

    def hit(self, kind: str = "pageview", number: int = 0, **fields: Any) -> Hit:
        """Return a sealed hit of one kind with every field that such a hit has."""
        identity = f"00000000-0000-4000-8000-{number:012d}"
        data = dict(_EVENT if kind == "event" else _PAGE)
        return Hit.from_dict({"id": identity, "kind": kind, "time": NOW - 30.0, **data, **fields})

    def hits(self, count: int) -> list[Hit]:
        """Return a mixed list of hits of several visitors."""
        return [
            self.hit("event" if i % 3 == 1 else "pageview", i, user_id=f"user-{i % 7:05d}", client_id=f"{i % 7 + 1}.5")
            for i in range(count)
        ]

    def encoded(self, hits: Sequence[Hit]) -> list[Parcel]:
        """Return the parcels of hits at the samples' time."""
        return self.backend.encode(hits, now=NOW)

    # -- what is declared

    def test_its_facts_are_declared(self) -> None:
        backend = self.backend
        assert backend.name
        assert backend.title
        assert backend.docs.startswith("https://")
        assert {"pageview", "event"} <= backend.kinds
        assert backend.cannot <= set(DATA_FIELDS)
        assert not backend.cannot & set(backend.fields.common), "a field that has a native key can be said"
        assert backend.max_batch >= 1
        assert backend.max_bytes >= 1_000
        assert backend.paths

    def test_it_is_a_frozen_value(self) -> None:
        assert dataclasses.is_dataclass(self.backend)
        assert hash(self.backend) is not None
        try:
            self.backend.id = "other"  # type: ignore[misc]  # the point of the test
        except dataclasses.FrozenInstanceError:
            return
        raise AssertionError("the configuration can be changed")

    def test_importing_it_starts_nothing(self) -> None:
        module = type(self.backend).__module__
        # What stands there before (a coverage tool's start-up, a debugger) is not the module's doing.
        code = (
            f"import sys, threading; before = set(sys.modules); import {module}; "
            f"print([n for n in {_HEAVY!r} if n in set(sys.modules) - before], threading.active_count())"
        )
        done = subprocess.run(  # noqa: S603 - this interpreter, with an import
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")},
        )
        assert done.stdout.strip() == "[] 1", done.stdout + done.stderr

    def test_a_kind_it_has_not_is_refused_by_name(self) -> None:
        message = ""
        try:
            self.backend.refuse("no-such-kind", {})
        except InvalidHit as error:
            message = str(error)
        assert "no-such-kind" in message

    def test_the_common_call_is_taken(self) -> None:
        self.backend.refuse("pageview", dict(_PAGE))
        self.backend.refuse("event", dict(_EVENT))
        self.backend.refuse("event", {"name": "signup"})

    def test_lowering_undoes_lifting(self) -> None:
        fields = self.backend.fields
        native = {key: f"value of {key}" for key in (*fields.common.values(), *fields.kinds)}
        if "properties" in fields.common:
            native[fields.common["properties"]] = {"a": 1}  # type: ignore[assignment]
        known, rest = fields.lift(native)
        hit = Hit.from_dict({"id": "x", "kind": "event", "time": 0.0, "native": rest})
        assert {**fields.lower(hit), **{fields.common[name]: value for name, value in known.items()}} == native

    # -- encode

    def test_encode_is_pure(self) -> None:
        hits = self.hits(min(self.backend.max_batch, 7))
        before = [hit.to_dict() for hit in hits]
        assert self.encoded(hits) == self.encoded(hits)
        assert [hit.to_dict() for hit in hits] == before
        bare = [Hit.from_dict({"id": "0" * 8, "kind": "event", "time": NOW, "name": "signup"})]
        assert self.encoded(bare) == self.encoded(bare), "an id that is missing is derived, never drawn"

    def test_every_hit_travels_once(self) -> None:
        for count in {0, 1, min(self.backend.max_batch, 2), min(self.backend.max_batch, 120)}:
            parcels = self.encoded(self.hits(count))
            assert sorted(i for parcel in parcels for i in parcel.hits) == list(range(count))
            for parcel in parcels:
                assert len(parcel.hits) <= self.backend.max_batch
                assert len(parcel.request.body) <= self.backend.max_bytes

    def test_limits_hold_whatever_comes(self) -> None:
        self.check_limits(1 if self.backend.max_batch == 1 else 2)

    def check_limits(self, count: int) -> None:
        """Encode that many hits with everything far too long, and look at what would leave."""
        long = "é€𝄞&<" * 13_000
        hostile = [
            self.hit(
                kind,
                i,
                title=long,
                url="https://example.com/" + long,
                referrer="https://example.org/" + long,
                **({"name": "n" * 60_000, "category": long, "label": long} if kind == "event" else {}),
                user_id=long,
                client_id=long,
                user_agent="M" * 60_000,
                properties={f"p{n}{long[:400]}": long[:3_000] for n in range(60)} if kind == "event" else None,
            )
            for i, kind in enumerate(("event", "pageview") * count)
        ][:count]
        parcels = self.encoded(hostile)
        assert sorted(i for parcel in parcels for i in parcel.hits) == list(range(len(hostile)))
        for parcel in parcels:
            assert len(parcel.hits) <= self.backend.max_batch
            assert len(parcel.request.body) <= self.backend.max_bytes or len(parcel.hits) == 1
            parcel.request.body.decode("utf-8")
            for value in parcel.request.headers.values():
                assert value.isprintable()
                assert value.isascii()

    def test_no_secret_is_shown(self) -> None:
        secrets = [
            str(value)
            for item in dataclasses.fields(self.backend)
            if item.metadata.get("secret") and (value := getattr(self.backend, item.name))
        ]
        for secret in secrets:
            assert secret not in repr(self.backend)
            for parcel in self.encoded(self.hits(3)):
                shown = parcel.request.masked()
                assert secret not in shown.url + str(dict(shown.headers))
                assert secret.encode() not in shown.body
                assert secret not in repr(parcel.request)

    # -- interpret

    def test_every_answer_gives_a_verdict_for_each_hit(self) -> None:
        for count in {1, min(self.backend.max_batch, 3)}:
            hits = self.hits(count)
            for status in (200, 202, 204, 301, 400, 401, 403, 404, 413, 422, 429, 500, 503):
                for body in _ANSWERS:
                    found = self.backend.interpret(Response(status=status, body=body), hits, now=NOW)
                    assert len(found) == count, (status, body)

    def test_a_server_in_trouble_is_asked_again(self) -> None:
        for status in (500, 502, 503, 429):
            answer = Response(status=status, headers={"retry-after": "7"})
            verdicts = self.backend.interpret(answer, self.hits(2), now=NOW)
            assert {verdict.state for verdict in verdicts} == {"retry"}, status

    def test_delivered_only_where_the_platform_confirms(self) -> None:
        if not self.backend.confirms:
            for body in (b"", b"ok", b"{}"):
                found = self.backend.interpret(Response(status=200, body=body), self.hits(2), now=NOW)
                assert "delivered" not in {verdict.state for verdict in found}

    # -- the inspector

    def skip_without_decode(self) -> None:
        """Skip a test of the inspector's half where a provider has none."""
        if getattr(type(self.backend).decode, "__func__", None) is getattr(Backend.decode, "__func__", None):
            import pytest

            pytest.skip("the provider has no decode(), so the inspector cannot read it")

    def decoded(self, hit: Hit) -> tuple[Request, list[Decoded]]:
        """Return what the inspector reads of one hit."""
        parcels = self.encoded([hit])
        assert len(parcels) == 1
        request = parcels[0].request
        assert type(self.backend).claims(request), "the class does not know its own request"
        return request, type(self.backend).decode(request)

    def test_the_inspector_reads_what_is_sent_without_a_finding(self) -> None:
        self.skip_without_decode()
        for kind in ("pageview", "event"):
            hit = self.hit(kind)
            request, decoded = self.decoded(hit)
            assert len(decoded) == 1
            assert decoded[0].kind == kind
            findings = [f for f in decoded[0].findings if not any(known in f for known in self.expected_findings)]
            assert findings == []
            self.check_restored(hit, decoded[0].fields)
            answer = type(self.backend).answer(request, decoded)
            (verdict,) = self.backend.interpret(answer, [hit], now=NOW)
            assert verdict.state == ("delivered" if self.backend.confirms else "unconfirmed")

    def check_restored(self, hit: Hit, fields: Mapping[str, Any]) -> None:
        """Compare what was said with what was read."""
        for name in DATA_FIELDS:
            given = getattr(hit, name)
            if given is None or name in self.backend.cannot:
                continue
            assert name in fields, f"{name} did not arrive"
            found = fields[name]
            if name in self.altered:
                continue
            if name == "properties":
                assert {k: text_of(v) for k, v in given.items()}.items() <= {
                    k: text_of(v) for k, v in found.items()
                }.items()
            elif name == "language":
                assert (language_tag(str(found)) or "").lower() == (language_tag(given) or "").lower()
            else:
                assert text_of(found) == text_of(given), name

    def test_a_batch_is_read_hit_by_hit(self) -> None:
        self.skip_without_decode()
        hits = self.hits(min(self.backend.max_batch, 9))
        for parcel in self.encoded(hits):
            decoded = type(self.backend).decode(parcel.request)
            assert len(decoded) == len(parcel.hits)
            answer = type(self.backend).answer(parcel.request, decoded)
            verdicts = self.backend.interpret(answer, [hits[i] for i in parcel.hits], now=NOW)
            assert {verdict.state for verdict in verdicts} <= {"delivered", "unconfirmed"}

    def test_hostile_bytes_do_not_break_the_inspector(self) -> None:
        self.skip_without_decode()
        request = self.encoded(self.hits(1))[0].request
        for body in _GARBAGE:
            strange = dataclasses.replace(request, body=body)
            type(self.backend).claims(strange)
            decoded = type(self.backend).decode(strange)
            type(self.backend).answer(strange, decoded)

"""Every provider keeps the promises of ``ProviderContract``; the laws of its table hold for all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytical.backend import Backend, Parcel, compact
from analytical.contracts import NOW, ProviderContract
from analytical.fields import Fields
from analytical.hit import Hit
from analytical.http import Request
from analytical.providers.ga4 import Ga4
from analytical.providers.googleanalytics import GoogleAnalytics, GoogleAnalytics4
from analytical.registry import PROVIDERS

WEBSITE = "6f1c0000-0000-4000-8000-000000000000"


class TestGoogleAnalyticsV1(ProviderContract):
    backend = GoogleAnalytics(id="UA-12345-1")
    altered = frozenset({"value"})  # whole numbers only


class TestGoogleAnalytics4(ProviderContract):
    backend = GoogleAnalytics.create("G-ABC123", api_secret="s3cret/+ &")

    def test_it_is_the_protocol_of_the_id(self) -> None:
        assert isinstance(self.backend, GoogleAnalytics4)


class TestGa4(ProviderContract):
    backend = Ga4.create("G-ABC123", api_secret="s3cret/+ &", region="eu")


class TestGa4App(ProviderContract):
    backend = Ga4.create("1:123:android:abc", api_secret="s3cret")
    altered = frozenset({"client_id"})

    def check_restored(self, hit: Hit, fields: Any) -> None:
        super().check_restored(hit, {"user_agent": hit.user_agent, "client_id": "hashed", **fields})


class TestMatomo(ProviderContract):
    backend = PROVIDERS.get("matomo").create(1, endpoint="https://stats.example.com", token_auth="0123456789abcdef" * 2)
    altered = frozenset({"client_id"})


class TestMatomoPostOnly(ProviderContract):
    backend = PROVIDERS.get("piwik").create(
        1, endpoint="https://stats.example.com/x/piwik.php", token_auth="0123456789abcdef" * 2, post_only=True
    )
    altered = frozenset({"client_id"})


class TestPlausible(ProviderContract):
    backend = PROVIDERS.get("plausible").create("example.com")


class TestUmami(ProviderContract):
    backend = PROVIDERS.get("umami").create(WEBSITE)


class TestUmamiBatch(ProviderContract):
    backend = PROVIDERS.get("umami").create(WEBSITE, batch=True)


class TestSnowplow(ProviderContract):
    backend = PROVIDERS.get("snowplow").create("shop", endpoint="https://collector.example.com")
    altered = frozenset({"session_id"})  # a UUID there


class TestAmplitude(ProviderContract):
    backend = PROVIDERS.get("amplitude").create("key-0123456789", region="eu")


class TestMixpanel(ProviderContract):
    backend = PROVIDERS.get("mixpanel").create("token-0123456789")


class TestMixpanelServiceAccount(ProviderContract):
    backend = PROVIDERS.get("mixpanel").create(
        "token-0123456789", service_account="sa.user", secret="s3cret-of-sa", project_id="42"
    )


class TestPostHog(ProviderContract):
    backend = PROVIDERS.get("posthog").create("phc_0123456789")


class TestPostHogV1(ProviderContract):
    backend = PROVIDERS.get("posthog").create("phc_0123456789", version=1, region="eu")


class TestSegment(ProviderContract):
    backend = PROVIDERS.get("segment").create("write-key-0123456789")


class TestRudderStack(ProviderContract):
    backend = PROVIDERS.get("rudderstack").create("write-key-0123456789", endpoint="https://data.example.com")


class TestJitsu(ProviderContract):
    backend = PROVIDERS.get("jitsu").create("key-id:key-secret", endpoint="https://ingest.example.com")


class TestGoatCounter(ProviderContract):
    backend = PROVIDERS.get("goatcounter").create("mysite", api_key="gc-0123456789")

    def check_restored(self, hit: Hit, fields: Any) -> None:
        # A page is a path there, and an event has no page.
        url = hit.url if hit.kind == "event" else f"https://example.com{fields['url']}"
        super().check_restored(hit, {**fields, "url": url})


class TestPirsch(ProviderContract):
    backend = PROVIDERS.get("pirsch").create("example.com", access_key="pa_0123456789")


class TestSimpleAnalytics(ProviderContract):
    backend = PROVIDERS.get("simpleanalytics").create("example.com")
    altered = frozenset({"url"})  # the path alone; campaigns have keys of their own


class TestRybbit(ProviderContract):
    backend = PROVIDERS.get("rybbit").create("1", api_key="rb_0123456789abcdef")


class TestOpenPanel(ProviderContract):
    backend = PROVIDERS.get("openpanel").create("client-id", client_secret="sec_0123456789")


class TestFile(ProviderContract):
    backend = PROVIDERS.get("file").create("hits.ndjson", rotate="1M")


class TestStdout(ProviderContract):
    backend = PROVIDERS.get("stdout").create()


SUITES = [
    suite for suite in list(globals().values()) if isinstance(suite, type) and issubclass(suite, ProviderContract)
]
BACKENDS: dict[str, Backend] = {suite.__name__: suite.backend for suite in SUITES if suite is not ProviderContract}
JSON = st.one_of(st.text(max_size=20), st.integers(-(2**53), 2**53), st.booleans())


@pytest.mark.parametrize("backend", BACKENDS.values(), ids=BACKENDS)
def test_more_than_one_request_holds_is_split(backend: Backend) -> None:
    suite = ProviderContract()
    suite.backend = backend  # type: ignore[misc]  # one suite for a table of backends
    suite.check_limits(8)
    for count in (min(backend.max_batch, 60) + 1, 130):
        parcels = suite.encoded(suite.hits(count))
        assert sorted(i for parcel in parcels for i in parcel.hits) == list(range(count))


def test_a_plug_in_without_the_inspectors_half_passes_what_it_can() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Acme(Backend):
        name = "acme"
        title = "Acme"
        docs = "https://acme.example/docs"
        host = "https://in.acme.example"
        fields = Fields(url="page", title="heading", name="what")

        def encode(self, hits: Any, *, now: float) -> list[Parcel]:
            bodies = [compact(self.fields.lower(hit)) for hit in hits]
            return [Parcel(Request(url=self.address(), body=body), (i,)) for i, body in enumerate(bodies)]

    suite = ProviderContract()
    suite.backend = Acme(id="x")  # type: ignore[misc]
    skipped = []
    for name in dir(ProviderContract):
        if name.startswith("test_") and name != "test_importing_it_starts_nothing":
            try:
                getattr(suite, name)()
            except pytest.skip.Exception:
                skipped.append(name)
    assert len(skipped) == 3


@pytest.mark.parametrize("backend", BACKENDS.values(), ids=BACKENDS)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_lower_undoes_lift(backend: Backend, data: st.DataObject) -> None:
    keys = st.sampled_from(sorted({*backend.fields.common.values(), *backend.fields.kinds})) | st.text(
        min_size=1, max_size=12
    )
    native = data.draw(st.dictionaries(keys, JSON, max_size=8))
    known, rest = backend.fields.lift(native)
    assert set(known) <= set(dict(backend.fields))
    hit = Hit(id="x", kind="event", time=0.0, native=rest, **known)
    assert backend.fields.lower(hit) == native


@pytest.mark.parametrize("backend", BACKENDS.values(), ids=BACKENDS)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_whatever_a_hit_holds_is_encoded_once_and_read_back(backend: Backend, data: st.DataObject) -> None:
    texts = st.none() | st.text(max_size=60)
    hits = [
        Hit(
            id=f"00000000-0000-4000-8000-{i:012d}",
            kind=data.draw(st.sampled_from(["pageview", "event"])),
            time=NOW - data.draw(st.integers(0, 200)),
            url=data.draw(texts),
            title=data.draw(texts),
            referrer=data.draw(texts),
            name=data.draw(texts),
            category=data.draw(texts),
            client_id=data.draw(texts),
            user_id=data.draw(texts),
            user_agent=data.draw(texts),
            session_id=data.draw(texts | st.integers()),
            value=data.draw(st.none() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)),
            properties=data.draw(st.none() | st.dictionaries(st.text(max_size=9), JSON, max_size=3)),
            native=data.draw(st.none() | st.dictionaries(st.text(max_size=9), JSON, max_size=3)),
        )
        for i in range(data.draw(st.integers(1, 3)))
    ]
    parcels = backend.encode(hits, now=NOW)
    named = [i for parcel in parcels for i in parcel.hits]
    assert len(named) == len(set(named))
    for i in set(range(len(hits))) - set(named):
        # What is left out is rejected; only a hit without what its kind needs may be.
        assert backend.missing(hits[i].kind, hits[i].to_dict()), "a whole hit was left out"
    for parcel in parcels:
        assert len(type(backend).decode(parcel.request)) == len(parcel.hits)


def test_no_two_platforms_claim_one_request() -> None:
    classes: dict[type[Backend], None] = {}
    for name in PROVIDERS.names():
        try:
            classes[PROVIDERS.get(name)] = None
        except ModuleNotFoundError:
            continue
    for name, backend in BACKENDS.items():
        for parcel in backend.encode(ProviderContract().hits(9), now=NOW):
            claimed = [cls.__name__ for cls in classes if cls.claims(parcel.request)]
            assert len(claimed) == 1, f"{name}: {claimed}"

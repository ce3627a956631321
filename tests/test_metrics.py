"""The ledger as Prometheus and OpenTelemetry see it."""

from __future__ import annotations

import gc
import math
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

import analytical
from analytical import metrics
from analytical.testing import FakeTransport


@pytest.fixture
def site() -> Iterator[analytical.Provider]:
    transport = FakeTransport([200, 403])
    site = analytical.Provider("plausible", "example.com", transport=transport, to="web")
    yield site
    site.close()


def visit(site: analytical.Provider) -> None:
    site.pageview(url="https://example.com/", user_agent="x")
    site.pageview(url="https://example.com/2", user_agent="x", properties={"n": math.nan, "m": 1})


def test_prometheus_is_shown_every_state_and_the_equation_holds(site: analytical.Provider) -> None:
    registry = CollectorRegistry()
    metrics.prometheus(site, registry=registry)
    visit(site)
    stats = site.stats()

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(f"analytical_hits_{name}", {"to": "web", **labels})

    states = {state: value("settled_total", state=state) for state in analytical.observe.STATES}
    assert states == {state: stats[state] for state in states}
    assert value("accepted_total") == 2 == sum(filter(None, states.values())) + (value("pending") or 0)
    assert value("withheld_total") == 0
    assert value("noted_total", what="nan") == 1
    text = generate_latest(registry).decode()
    assert "# TYPE analytical_hits_settled_total counter" in text
    assert "example.com" not in text


def test_without_names_every_provider_of_the_process_is_shown(site: analytical.Provider) -> None:
    registry = CollectorRegistry()
    collector = metrics.prometheus(registry=registry)
    other = analytical.Provider("stdout", "demo", to="late")
    assert registry.get_sample_value("analytical_hits_accepted_total", {"to": "late"}) == 0
    assert registry.get_sample_value("analytical_hits_accepted_total", {"to": "web"}) is not None
    other.close()
    del other
    gc.collect()
    assert registry.get_sample_value("analytical_hits_accepted_total", {"to": "late"}) is None
    registry.unregister(collector)


def test_providers_of_one_name_and_spool_are_added_up_and_what_waits_is_not(tmp_path: Path) -> None:
    transport = FakeTransport([503])
    pair = [
        analytical.Provider("plausible", "example.com", spool=tmp_path / "o.db", to="web", transport=transport)
        for _ in range(2)
    ]
    registry = CollectorRegistry()
    metrics.prometheus(*pair, registry=registry)
    for site in pair:
        assert site.pageview(url="https://example.com/", user_agent="x")
    assert registry.get_sample_value("analytical_hits_accepted_total", {"to": "web"}) == 2
    assert registry.get_sample_value("analytical_hits_pending", {"to": "web"}) == 2
    for site in pair:
        site.close(0)


def test_opentelemetry_is_shown_the_same(site: analytical.Provider) -> None:
    pytest.importorskip("opentelemetry.sdk")
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader

    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])
    metrics.opentelemetry(site, meter_provider=provider)
    visit(site)
    data = reader.get_metrics_data()
    assert data is not None
    found = {
        (metric.name, *sorted(map(str, (point.attributes or {}).values()))): getattr(point, "value", None)
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in metric.data.data_points
    }
    stats = site.stats()
    assert found["analytical.hits.accepted", "web"] == stats["accepted"] == 2
    assert found["analytical.hits.settled", "delivered", "web"] == stats["delivered"]
    assert found["analytical.hits.pending", "web"] == stats["pending"]
    assert found["analytical.hits.noted", "nan", "web"] == 1
    provider.shutdown()


@pytest.mark.parametrize(
    ("missing", "call", "words"),
    [
        ("prometheus_client", "prometheus", 'pip install "analytical[prometheus]"'),
        ("opentelemetry.metrics", "opentelemetry", "pip install opentelemetry-api"),
    ],
)
def test_what_is_missing_is_one_sentence(missing: str, call: str, words: str) -> None:
    program = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        f"from analytical import metrics\n"
        f"try: metrics.{call}()\n"
        f"except ImportError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert words in done.stdout, done.stderr


def test_importing_it_loads_neither_library() -> None:
    program = (
        "import sys, analytical.metrics\n"
        "print([name for name in ('prometheus_client', 'opentelemetry') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr

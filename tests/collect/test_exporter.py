"""Reports as a Prometheus endpoint, scraped for real."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import Any
from urllib.request import urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families
from servers import Matomo, Server

import analytical
from analytical.collect import Exporter, Metrics, Session, counter, gauge, report_for
from analytical.collect.exporter import Snapshot
from analytical.errors import ConfigurationError, QuotaExhausted, SourceError

TOKEN = "s3cret-t0ken"


class Clock:
    def __init__(self) -> None:
        self.now = 1_736_510_400.0  # 2025-01-10T12:00Z

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def matomo() -> Iterator[Matomo]:
    with Matomo(
        {"2025-01-09": [{"label": "Desktop", "nb_visits": 9}, {"label": "Tv", "nb_visits": 0}]}, TOKEN
    ) as server:
        yield server


def devices(server: Server, clock: Clock, **changes: Any) -> Any:
    session = Session(secrets=(TOKEN,), clock=clock, wait=lambda _: None)
    options = {"by": {"label": "device"}, "metrics": {"nb_visits": "sessions"}, "title": "devices"} | changes
    return report_for(
        "matomo", 9, "DevicesDetection.getType", endpoint=f"{server.url}/matomo.php",
        options={"token_auth": TOKEN}, session=session, **options,
    )  # fmt: skip


def samples(exporter: Exporter) -> dict[str, float]:
    with urlopen(f"http://127.0.0.1:{exporter.port}/metrics", timeout=5) as answer:
        text = answer.read().decode()
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f'{name}="{value}"' for name, value in sorted(sample.labels.items()))
            key = f"{sample.name}{{{labels}}}" if labels else sample.name
            assert key not in found, f"{key} twice"
            found[key] = sample.value
    return found


@pytest.fixture
def serving() -> Iterator[Any]:
    made: list[Exporter] = []

    def start(reports: Any, **options: Any) -> Exporter:
        exporter = Exporter(reports, port=0, **options)
        # The test refreshes by hand: nothing depends on when a thread runs.
        exporter._keep_fresh = lambda state: None  # type: ignore[method-assign]
        exporter.start()
        made.append(exporter)
        return exporter

    yield start
    for exporter in made:
        exporter.stop()


def test_a_reports_series_are_named_after_its_metric_and_labelled_by_its_dimensions(
    matomo: Matomo, clock: Clock, serving: Any
) -> None:
    exporter = serving(devices(matomo, clock), clock=clock, monotonic=clock)
    assert samples(exporter)['analytical_up{report="devices"}'] == 0
    assert exporter.refresh("devices")
    found = samples(exporter)
    assert found['sessions{device="Desktop"}'] == 9
    assert found['sessions{device="Tv"}'] == 0
    assert found['analytical_up{report="devices"}'] == 1
    assert found['analytical_last_success_timestamp_seconds{report="devices"}'] == clock.now
    assert found['analytical_errors_total{report="devices"}'] == 0
    assert found['analytical_records{report="devices"}'] == 2
    assert 'analytical_fetch_seconds{report="devices"}' in found


def test_a_scrape_never_calls_an_api(matomo: Matomo, clock: Clock, serving: Any) -> None:
    exporter = serving(devices(matomo, clock), clock=clock, monotonic=clock)
    exporter.refresh("devices")
    asked = len(matomo.asked)
    for _ in range(5):
        samples(exporter)
    assert len(matomo.asked) == asked


def test_the_last_good_numbers_are_shown_until_max_age(matomo: Matomo, clock: Clock, serving: Any) -> None:
    exporter = serving(devices(matomo, clock), max_age="1h", clock=clock, monotonic=clock)
    exporter.refresh("devices")
    at = clock.now
    matomo.answer = lambda asked: {"result": "error", "message": "no"}
    clock.now += 3600
    assert not exporter.refresh("devices")
    found = samples(exporter)
    assert found['sessions{device="Desktop"}'] == 9
    assert found['analytical_up{report="devices"}'] == 0
    assert found['analytical_errors_total{report="devices"}'] == 1
    assert found['analytical_last_success_timestamp_seconds{report="devices"}'] == at
    clock.now += 1
    assert not any(name.startswith("sessions") for name in samples(exporter))


def test_label_sets_are_replaced_as_a_whole(matomo: Matomo, clock: Clock, serving: Any) -> None:
    exporter = serving(devices(matomo, clock), clock=clock, monotonic=clock)
    exporter.refresh("devices")
    matomo.rows["2025-01-09"] = [{"label": "Phone", "nb_visits": 3}]
    exporter.refresh("devices")
    assert [name for name in samples(exporter) if name.startswith("sessions")] == ['sessions{device="Phone"}']


def test_too_many_series_are_refused_and_the_old_ones_stay(matomo: Matomo, clock: Clock, serving: Any) -> None:
    exporter = serving(devices(matomo, clock), max_series=2, clock=clock, monotonic=clock)
    assert exporter.refresh("devices")
    matomo.rows["2025-01-09"] = [{"label": str(n), "nb_visits": n} for n in range(3)]
    assert not exporter.refresh("devices")
    assert samples(exporter)['sessions{device="Desktop"}'] == 9


def test_a_number_that_is_missing_is_no_sample(matomo: Matomo, clock: Clock, serving: Any) -> None:
    matomo.rows["2025-01-09"].append({"label": "Car"})
    exporter = serving(devices(matomo, clock), clock=clock, monotonic=clock)
    exporter.refresh("devices")
    assert 'sessions{device="Car"}' not in samples(exporter)


def test_two_reports_with_one_series_do_not_break_the_scrape(matomo: Matomo, clock: Clock, serving: Any) -> None:
    exporter = serving([devices(matomo, clock), devices(matomo, clock, title="again")], clock=clock, monotonic=clock)
    assert exporter.refresh("devices")
    assert not exporter.refresh("again")
    assert samples(exporter)['analytical_up{report="again"}'] == 0
    apart = serving(
        [devices(matomo, clock), devices(matomo, clock, title="again", add={"site": "b"})], clock=clock, monotonic=clock
    )
    assert apart.refresh("devices")
    assert apart.refresh("again")
    assert samples(apart)['sessions{device="Tv",site="b"}'] == 0


def test_a_quota_is_not_asked_before_its_reset(matomo: Matomo, clock: Clock, serving: Any) -> None:
    exporter = serving(devices(matomo, clock), refresh="1m", clock=clock, monotonic=clock)
    matomo.answer = lambda asked: (429, {"Retry-After": "7200"}, b"{}")
    assert not exporter.refresh("devices")
    assert exporter._states["devices"].pause(clock.now) == 7200
    assert isinstance(QuotaExhausted("x"), SourceError)


def test_it_refreshes_by_itself_and_outlives_the_api(matomo: Matomo, clock: Clock) -> None:
    rounds = threading.Semaphore(0)
    whole = matomo.answer

    def answer(asked: Any) -> Any:
        rounds.release()
        return b"<html>" if len(matomo.asked) == 2 else whole(asked)

    matomo.answer = answer
    exporter = Exporter(devices(matomo, clock), port=0, refresh="10ms")
    exporter.start()
    try:
        for _ in range(4):
            assert rounds.acquire(timeout=10)
        found = samples(exporter)
        assert found['analytical_errors_total{report="devices"}'] == 1
        assert found['sessions{device="Desktop"}'] == 9
    finally:
        exporter.stop()
    assert not any(thread.name.startswith("analytical-devices") for thread in threading.enumerate())


def test_a_failing_api_is_not_tried_beyond_the_next_refresh(matomo: Matomo) -> None:
    report = report_for(
        "matomo", 9, "DevicesDetection.getType", endpoint=f"{matomo.url}/matomo.php", options={"token_auth": TOKEN}
    )
    exporter = Exporter(report, port=0, refresh="50ms")
    matomo.answer = lambda asked: (500, {}, b"{}")
    assert not exporter.refresh(report.name)
    assert len(matomo.asked) <= 3
    assert report.session.retry_for == 0.05


def test_a_port_that_is_taken_is_said() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ConfigurationError, match=r"cannot listen on 127\.0\.0\.1"):
            Exporter([], port=taken.getsockname()[1]).start()


def test_only_the_latest_period_is_shown() -> None:
    records = [
        {"_id": str(day), "_timestamp": f"2025-01-0{day}T00:00:00+00:00", "timeSpan": "day", "d": "x", "n": day}
        for day in (1, 3, 2)
    ]
    shown = Snapshot.of("r", records)
    assert shown.series == {"n": {(("d", "x"),): 3}}
    assert shown.start == "2025-01-03T00:00:00+00:00"


def test_names_that_prometheus_cannot_spell_are_spelt_otherwise() -> None:
    record = {
        "_id": "1",
        "_timestamp": "t",
        "timeSpan": "now",
        "visit:source": "x",
        "1st": "y",
        "page views": 2,
        "9n": 1,
    }
    assert Snapshot.of("r", [record]).series == {
        "page_views": {(("_1st", "y"), ("visit_source", "x")): 2},
        "_9n": {(("_1st", "y"), ("visit_source", "x")): 1},
    }


# -- a class of metrics ---------------------------------------------------------------------------------------------


class Incidents(analytical.Metrics):
    url = ""
    headers = {"X-VO-Api-Key": "env:VO_KEY"}  # noqa: RUF012 - as a user writes it
    refresh = "1s"

    @analytical.counter
    def incidents(self, data: Any) -> int:
        """Incidents since the beginning."""
        return int(data["total"])

    @analytical.gauge(labels=["team"])
    def minutes_to_ack(self, data: Any) -> dict[str, float]:
        return {team["name"]: team["mtta"] for team in data["teams"]}

    @analytical.gauge(labels=("team", "level"))
    def open_incidents(self, data: Any) -> dict[tuple[str, str], int]:
        return {(team["name"], "high"): team["open"] for team in data["teams"]}

    @analytical.gauge
    def perhaps(self, data: Any) -> int | None:
        return data.get("perhaps")


@pytest.fixture
def incidents(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("VO_KEY", "v0-s3cret")
    data = {"total": 1000, "teams": [{"name": "web", "mtta": 2.5, "open": 1}, {"name": "db", "mtta": 7, "open": 0}]}
    with Server(lambda asked: data) as server:
        server.data = data  # type: ignore[attr-defined]
        monkeypatch.setattr(Incidents, "url", f"{server.url}/incidents")
        yield server


def test_a_class_of_metrics_is_an_endpoint(incidents: Any, serving: Any, clock: Clock) -> None:
    exporter = serving(Incidents(), clock=clock, monotonic=clock)
    assert exporter.refresh("Incidents")
    found = samples(exporter)
    assert found["incidents_total"] == 1000
    assert found['minutes_to_ack{team="web"}'] == 2.5
    assert found['open_incidents{level="high",team="db"}'] == 0
    assert "perhaps" not in found
    assert incidents.asked[0].headers["x-vo-api-key"] == "v0-s3cret"
    incidents.data["total"] = 10  # the API's own total fell: Prometheus reads a reset
    exporter.refresh("Incidents")
    assert samples(exporter)["incidents_total"] == 10


def test_the_same_class_goes_into_a_table(incidents: Any, tmp_path: Any) -> None:
    report = Incidents().report()
    report.to(f"sqlite:///{tmp_path}/stats.db")
    import sqlite3

    connection = sqlite3.connect(tmp_path / "stats.db")
    found = connection.execute(
        "SELECT incidents, team, level, minutes_to_ack, open_incidents FROM Incidents"
    ).fetchall()
    connection.close()
    assert set(found) == {
        (1000, None, None, None, None), (None, "web", None, 2.5, None), (None, "db", None, 7, None),
        (None, "web", "high", None, 1), (None, "db", "high", None, 0),
    }  # fmt: skip


@pytest.mark.parametrize("status", [500, 401])
def test_a_failing_api_keeps_the_last_value(incidents: Any, serving: Any, clock: Clock, status: int) -> None:
    exporter = serving(Incidents, clock=clock, monotonic=clock)
    exporter.refresh("Incidents")
    report = exporter._states["Incidents"].report
    assert report is not None
    report.session._wait = lambda _: None
    incidents.answer = lambda asked: (status, {}, {"total": 0, "teams": []})
    assert not exporter.refresh("Incidents")
    assert samples(exporter)["incidents_total"] == 1000


def test_a_metric_that_fails_is_named_and_no_zero_appears(incidents: Any, serving: Any, clock: Clock) -> None:
    exporter = serving(Incidents(), clock=clock, monotonic=clock)
    exporter.refresh("Incidents")
    del incidents.data["total"]
    assert not exporter.refresh("Incidents")
    assert samples(exporter)["incidents_total"] == 1000
    with pytest.raises(SourceError, match="the metric incidents failed: KeyError"):
        list(Incidents().report())


def test_what_a_class_lacks_is_said() -> None:
    class Nothing(Metrics):
        url = "http://127.0.0.1/"

    class NoAddress(Metrics):
        @gauge
        def one(self, data: Any) -> int:
            return 1

    with pytest.raises(ConfigurationError, match="@counter or @gauge"):
        Nothing().report()
    with pytest.raises(ConfigurationError, match="url is not set"):
        list(NoAddress().report())
    with pytest.raises(ConfigurationError, match="expected a list"):
        counter(labels="team")
    with pytest.raises(ConfigurationError, match="two reports are called"):
        Exporter([NoAddress(), NoAddress()])
    with pytest.raises(ConfigurationError, match="expected reports"):
        Exporter(["devices"])


def test_serve_blocks_until_it_is_told_to_end(matomo: Matomo, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    started = threading.Event()
    real = Exporter.start
    made: list[Exporter] = []

    def start(self: Exporter) -> None:
        real(self)
        made.append(self)
        started.set()

    monkeypatch.setattr(Exporter, "start", start)
    thread = threading.Thread(
        target=analytical.serve, args=(devices(matomo, clock),), kwargs={"port": 0, "refresh": "1s"}
    )
    thread.start()
    assert started.wait(10)
    assert "analytical_up" in str(samples(made[0]))
    made[0]._stop.set()
    thread.join(10)
    assert not thread.is_alive()


@pytest.mark.parametrize(
    ("labels", "value", "why"),
    [
        (["team"], 5, r"with labels=\['team'\] a dict is expected, got int"),
        (["team", "level"], {"web": 5}, r"the key 'web' has 1 values for 2 labels \['team', 'level'\]"),
        (["team"], {("web", "high"): 5}, "has 2 values for 1 labels"),
        (["team"], {"web": "5"}, "expected a number, got str"),
        ([], True, "expected a number, got bool"),
        ([], [5], "expected a number, got list"),
    ],
)
def test_a_method_that_returns_something_else_says_what_was_expected(labels: Any, value: Any, why: str) -> None:
    class Odd(Metrics):
        @gauge(labels=labels)
        def odd(self, data: Any) -> Any:
            return data

        def fetch(self, http: Session) -> Any:
            return value

    with pytest.raises(SourceError, match=f"the metric odd failed: TypeError: .*{why}"):
        list(Odd().report())


def test_a_number_that_is_none_at_all_is_no_sample(serving: Any) -> None:
    class Odd(Metrics):
        @gauge(labels=["team"])
        def odd(self, data: Any) -> Any:
            return {"web": float("nan"), "db": None, "api": 5, "far": float("inf")}

        def fetch(self, http: Session) -> Any:
            return None

    exporter = serving(Odd)
    assert exporter.refresh("Odd")
    assert [name for name in samples(exporter) if name.startswith("odd")] == ['odd{team="api"}']


def test_two_records_that_make_one_series_are_refused() -> None:
    record = {"_id": "1", "_timestamp": "t", "timeSpan": "day", "page": "/", "n": 1, "on": True}
    with pytest.raises(SourceError, match=r"two records make one series n\{'page': '/'\}; name in by="):
        Snapshot.of("r", [record, {**record, "_id": "2"}])


def test_ctrl_c_ends_an_endpoint_in_order(matomo: Matomo, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Exporter] = []

    def wait(self: Exporter) -> None:
        made.append(self)
        raise KeyboardInterrupt

    monkeypatch.setattr(Exporter, "wait", wait)
    analytical.serve(devices(matomo, clock), port=0)
    with pytest.raises(OSError, match="refused"):
        samples(made[0])
    # Told to stop while it asked, it does not ask again.
    asked = len(matomo.asked)
    made[0]._keep_fresh(made[0]._states["devices"])
    assert len(matomo.asked) == asked


def test_an_endpoint_that_never_began_can_be_stopped(matomo: Matomo, clock: Clock) -> None:
    Exporter(devices(matomo, clock), port=0).stop()
    assert matomo.asked == []

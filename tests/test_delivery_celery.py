"""Celery: real brokers, real worker processes, killed in the middle; and the worker's rules with a scripted clock."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from services import need_service

import analytical
from analytical.delivery import Delivery
from analytical.delivery import celery as module
from analytical.delivery.celery import TASK, CeleryDelivery
from analytical.hit import Hit
from analytical.observe import Hooks, Ledger
from analytical.route import Route
from analytical.spool.contracts import NOW, Clock, make_hit
from analytical.spool.memory import MemorySpool
from analytical.verdict import DELIVERED, UNCONFIRMED, Verdict, rejected, retry

# -- the worker's rules, with a scripted clock --------------------------------------------------------------------


class Worker:
    """What a worker process does with tasks, without Celery."""

    def __init__(self, answer: Verdict | Callable[[Sequence[Hit]], list[Verdict]] = DELIVERED, **options: Any) -> None:
        self.clock = Clock()
        self.batches: list[list[str]] = []
        self.answer = answer
        self.ledger = Ledger()
        self.tasks = module._Tasks(clock=self.clock, monotonic=self.clock, uniform=lambda low, high: high)
        module._known["web"] = Route(to="web", send=self.send, observer=options.pop("observer", self.ledger), **options)

    def send(self, hits: Sequence[Hit], *, timeout: float | None = None) -> list[Verdict]:
        self.batches.append([hit.id for hit in hits])
        return [self.answer] * len(hits) if isinstance(self.answer, Verdict) else self.answer(hits)

    def do(self, *hits: Hit) -> tuple[list[dict[str, Any]], float]:
        return self.tasks.deliver([{"v": 1, "to": "web", "hit": hit.to_dict()} for hit in hits])


@pytest.fixture(autouse=True)
def nobody_known() -> Iterator[None]:
    yield
    module._known.clear()
    module._shared.clear()


def test_the_driver_is_a_delivery() -> None:
    assert isinstance(CeleryDelivery(), Delivery)


def test_a_task_is_delivered_in_the_platforms_batches_and_counted() -> None:
    worker = Worker(max_batch=3)
    again, _ = worker.do(*[make_hit(n) for n in range(8)])
    assert not again
    assert [len(batch) for batch in worker.batches] == [3, 3, 2]
    assert worker.ledger.stats()["delivered"] == worker.ledger.stats()["accepted"] == 8


def test_only_the_failed_hits_of_a_batch_are_queued_again() -> None:
    hits = [make_hit(n) for n in range(4)]
    worker = Worker(
        lambda batch: [DELIVERED, retry(reason="http 500"), rejected("no"), retry()][: len(batch)], max_batch=9
    )
    again, wait = worker.do(*hits)
    assert [entry["hit"]["id"] for entry in again] == [hits[1].id, hits[3].id]
    assert [entry["attempts"] for entry in again] == [1, 1]
    assert 0 < wait <= 10
    counts = worker.ledger.stats()
    assert (counts["delivered"], counts["rejected"], counts["pending"]) == (1, 1, 0)


def test_while_a_destination_is_down_nothing_is_sent_and_no_attempt_is_counted() -> None:
    worker = Worker(retry(30.0, reason="http 503"), max_batch=10)
    again, wait = worker.do(make_hit())
    assert wait == pytest.approx(30.0, abs=15)
    worker.clock.tick(5)
    later, wait = worker.tasks.deliver(again)
    assert len(worker.batches) == 1
    assert later[0]["attempts"] == again[0]["attempts"]
    assert 0 < wait <= 26
    worker.clock.tick(30)
    worker.answer = DELIVERED
    assert worker.tasks.deliver(later) == ([], 0.0)


def test_a_hit_too_old_for_its_platform_expires_in_the_queue() -> None:
    lost: list[str] = []
    worker = Worker(max_age=300, observer=Hooks(on_lost=lambda hit, reason: lost.append(reason)))
    worker.clock.tick(301)
    assert worker.do(make_hit()) == ([], 0.0)
    assert lost == ["expired: too old for the platform"]
    assert not worker.batches


def test_a_hit_is_given_up_after_seven_days() -> None:
    worker = Worker(retry(reason="http 500"))
    again, _ = worker.do(make_hit())
    worker.clock.tick(7 * 86_400 + 1)
    assert worker.tasks.deliver(again)[0] == []
    assert worker.ledger.stats()["expired"] == 1


def test_a_name_that_the_worker_does_not_know_waits_and_the_log_says_what_to_type(
    caplog: pytest.LogCaptureFixture,
) -> None:
    tasks = module._Tasks()
    entry = {"v": 1, "to": "shop", "hit": make_hit().to_dict()}
    assert tasks.deliver([entry]) == ([entry], 60.0)
    assert 'analytical.configure({"shop"' in caplog.text
    assert "example.com" not in caplog.text


def test_entries_of_a_newer_version_wait_and_broken_ones_are_said(caplog: pytest.LogCaptureFixture) -> None:
    worker = Worker()
    newer = {"v": 2, "to": "web", "hit": {}}
    again, _ = worker.tasks.deliver([newer, {"v": 1, "to": "web", "hit": {"secret": "x"}}])
    assert again == [newer]
    assert "newer version" in caplog.text
    assert "secret" not in caplog.text


def test_what_the_worker_configured_otherwise_is_delivered_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "hits.ndjson"
    analytical.configure({"web": {"provider": "file", "id": str(path), "spool": str(tmp_path / "o.db")}})
    hit = make_hit(7, time=time.time())
    assert module._Tasks().deliver([{"v": 1, "to": "web", "hit": hit.to_dict()}]) == ([], 0.0)
    assert hit.id in path.read_text()
    assert not (tmp_path / "o.db").exists()


# -- the producer -------------------------------------------------------------------------------------------------


class Published(module._Broker):
    """A broker that remembers, and can be down."""

    def __init__(self) -> None:
        super().__init__(None)
        self.tasks: list[list[dict[str, Any]]] = []
        self.down = False

    def publish(self, entries: list[dict[str, Any]], **options: Any) -> None:
        if self.down:
            raise ConnectionError("amqp://guest:s3cret@broker")
        self.tasks.append(json.loads(json.dumps(entries)))


@pytest.fixture
def producer() -> tuple[CeleryDelivery, Published, Ledger]:
    driver = CeleryDelivery()
    driver._broker = broker = Published()
    ledger = Ledger()
    driver.attach(Route(to="web", send=lambda hits, *, timeout=None: [], observer=ledger, max_batch=50))
    return driver, broker, ledger


def test_a_queued_entry_is_a_name_and_a_sealed_hit(producer: tuple[CeleryDelivery, Published, Ledger]) -> None:
    driver, broker, ledger = producer
    hits = [make_hit(n, time=time.time()) for n in range(5)]
    assert all(driver.submit("web", hit) for hit in hits)
    assert driver.flush(5)
    entries = [entry for task in broker.tasks for entry in task]
    assert [Hit.from_dict(entry["hit"]) for entry in entries] == hits
    assert all(set(entry) == {"v", "to", "hit"} for entry in entries)
    assert ledger.stats()["unconfirmed"] == 5
    assert len(broker.tasks) < 5  # batches
    driver.close(1)


def test_hits_wait_while_the_broker_is_down_and_the_log_shows_no_password(
    producer: tuple[CeleryDelivery, Published, Ledger], caplog: pytest.LogCaptureFixture
) -> None:
    driver, broker, ledger = producer
    broker.down = True
    assert driver.submit("web", make_hit(time=time.time()))
    assert not driver.flush(0.2)
    assert ledger.stats()["pending"] == 1
    broker.down = False
    assert driver.flush(10)
    assert "the broker does not take them: ConnectionError" in caplog.text
    assert "s3cret" not in caplog.text
    driver.close(1)


def test_callbacks_are_for_what_is_lost_here(producer: tuple[CeleryDelivery, Published, Ledger]) -> None:
    driver, broker, _ = producer
    told: list[str] = []
    driver.submit("web", make_hit(time=time.time()), done=lambda state, reason: told.append(state))
    assert driver.flush(5)
    assert told == []
    broker.down = True
    driver.submit("web", make_hit(time=time.time()), done=lambda state, reason: told.append(state))
    driver.close(0.1)
    assert told == ["dropped"]


def test_an_eager_application_delivers_at_once(tmp_path: Path) -> None:
    from celery import Celery

    app = Celery("eager", set_as_current=False)
    app.conf.task_always_eager = True
    path = tmp_path / "hits.ndjson"
    provider = analytical.Provider("file", str(path), delivery=CeleryDelivery(app), to="web")
    provider.pageview(url="https://example.com/eager")
    assert provider.flush(5)
    assert "eager" in path.read_text()
    provider.close()


# -- the application and its connections --------------------------------------------------------------------------


class Connection:
    """Stands for one to a broker."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.options = options
        self.released = False

    def release(self) -> None:
        self.released = True


class App:
    """What is used of a Celery application."""

    def __init__(self, url: str | None = "amqp://broker", main: str = "shop") -> None:
        self.main = main
        self.conf = SimpleNamespace(broker_url=url, broker_write_url=None, task_always_eager=False)
        self.tasks = {TASK: self}
        self.made: list[Connection] = []
        self.used: list[Connection] = []
        self.down = False

    def connection_for_write(self, *, transport_options: dict[str, Any]) -> Connection:
        self.made.append(Connection(transport_options))
        return self.made[-1]

    def apply_async(self, arguments: Any, *, connection: Connection, **options: Any) -> None:
        if self.down:
            raise ConnectionError("gone")
        self.used.append(connection)


def known(monkeypatch: pytest.MonkeyPatch, current: App, *apps: App) -> None:
    monkeypatch.setattr(module, "current_app", SimpleNamespace(_get_current_object=lambda: current))
    monkeypatch.setattr(module, "_get_active_apps", lambda: apps)


def test_the_current_application_is_taken_else_the_only_one(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in, shop, forum = App(None, "default"), App(), App(main="forum")
    known(monkeypatch, forum, shop, forum)
    assert module._Broker(None).find() is forum
    known(monkeypatch, stand_in, stand_in, shop)
    assert module._Broker(None).find() is shop


@pytest.mark.parametrize("count", [0, 2])
def test_hits_wait_for_an_application_and_the_log_says_what_to_type(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, count: int
) -> None:
    stand_in = App(None, "default")
    known(monkeypatch, stand_in, stand_in, *[App() for _ in range(count)])
    driver = CeleryDelivery()
    driver.attach(Route(to="web", send=lambda hits, *, timeout=None: [], observer=Ledger()))  # not yet an error
    assert driver._publish("web", [make_hit()]) == [retry(reason="no application")]
    assert f"{count or 'no'} Celery applications are known here" in caplog.text
    assert "app.set_default()" in caplog.text


@pytest.mark.parametrize(
    ("url", "option"),
    [("amqp://b", "confirm_publish"), ("pyamqp://b", "confirm_publish"), (None, "confirm_publish"),
     ("redis://b", "socket_timeout"), ("rediss://b", "socket_timeout"), ("redis+socket:///b", "socket_timeout"),
     ("sqs://b", None)],
)  # fmt: skip
def test_a_broker_must_acknowledge_in_the_way_of_its_kind(url: str | None, option: str | None) -> None:
    app = App(url)
    module._Broker(app).publish([])
    ((only,), plain) = app.made, {"max_retries", "interval_start"}
    assert (option in only.options) if option else (set(only.options) == plain)


def test_a_connection_is_kept_and_one_that_failed_or_grew_old_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=clock, time=clock))
    app = App()
    broker = module._Broker(app)
    broker.publish([])
    broker.publish([])
    assert (len(app.made), app.used[0]) == (1, app.used[1])
    app.down = True
    with pytest.raises(ConnectionError):
        broker.publish([])
    assert app.made[0].released
    app.down = False
    broker.publish([])
    clock.tick(31)
    broker.publish([])
    assert [connection.released for connection in app.made] == [True, True, False]
    broker.close()
    assert app.made[2].released
    broker.close()


def test_a_forked_child_leaves_its_parent_s_connection_alone() -> None:
    app = App()
    broker = module._Broker(app)
    broker.publish([])
    child = os.fork()
    if child == 0:
        other = module._Broker(app)
        other._idle = list(broker._idle)
        other.close()
        broker.publish([])
        os._exit(0 if app.used[-1] is not app.made[0] and not app.made[0].released else 1)
    assert os.waitpid(child, 0)[1] == 0
    broker.publish([])
    assert app.used[-1] is app.made[0]


def test_a_driver_is_shared_by_place_and_a_spool_of_one_s_own_is_not(tmp_path: Path) -> None:
    place = tmp_path / "outbox.db"
    assert module.celery_driver() is module.celery_driver()
    assert module.celery_driver(place) is module.celery_driver(str(place))
    spool = MemorySpool()
    own = module.celery_driver(spool)
    assert own is not module.celery_driver(spool)
    assert own._driver.spool is spool


def test_without_a_later_task_what_fails_is_dropped_and_counted() -> None:
    worker = Worker(retry(reason="http 500"))
    entry = {"v": 1, "to": "web", "hit": make_hit().to_dict()}
    assert worker.tasks.deliver([entry], last=True) == ([], 0.0)
    assert (worker.ledger.stats()["dropped"], worker.ledger.stats()["pending"]) == (1, 0)


@pytest.fixture
def task(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Any, list[Any]]]:
    """The task within an application, and what it publishes."""
    from celery import Celery

    app = Celery("tasks", broker="memory://", set_as_current=False)
    app.conf.broker_transport_options = {"visibility_timeout": 60}
    published: list[Any] = []
    broker = SimpleNamespace(publish=lambda entries, **options: published.append((entries, options)))
    monkeypatch.setitem(module._brokers, id(app), broker)  # type: ignore[arg-type]  # all that is used of one
    yield app.tasks[TASK], published
    app.close()


@pytest.mark.parametrize(
    ("came", "back"),
    [
        ({"exchange": "", "routing_key": "hits"}, {"queue": "hits"}),
        ({"exchange": "shop", "routing_key": "hits"}, {"exchange": "shop", "routing_key": "hits"}),
        (None, {}),
    ],
    ids=["a queue", "an exchange", "unknown"],
)
def test_what_must_wait_goes_back_to_where_it_came_from(
    task: tuple[Any, list[Any]], came: Any, back: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver, published = task
    worker = Worker(retry(300.0, reason="http 503"))
    monkeypatch.setattr(module, "_tasks", worker.tasks)
    hit = make_hit()
    deliver.push_request(delivery_info=came, is_eager=False)
    deliver.run([{"v": 1, "to": "web", "hit": hit.to_dict()}])
    deliver.pop_request()
    ((entries, options),) = published
    assert [(entry["hit"]["id"], entry["attempts"]) for entry in entries] == [(hit.id, 1)]
    assert options == {"countdown": 30.0, **back}  # half of the time after which Redis gives a task to another
    worker.answer = DELIVERED
    worker.clock.tick(400)
    deliver.push_request(delivery_info=came, is_eager=False)
    deliver.run(entries)
    deliver.pop_request()
    assert len(published) == 1


def test_a_task_whose_rest_cannot_be_published_goes_back_as_it_came(
    task: tuple[Any, list[Any]], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from celery.exceptions import Reject

    def down(entries: Any, **options: Any) -> None:
        raise ConnectionError("amqp://guest:s3cret@broker")

    deliver, _ = task
    monkeypatch.setattr(module, "_tasks", Worker(retry(reason="http 500")).tasks)
    monkeypatch.setitem(module._brokers, id(deliver.app), SimpleNamespace(publish=down))  # type: ignore[arg-type]
    deliver.push_request(delivery_info={}, is_eager=False)
    with pytest.raises(Reject) as raised:
        deliver.run([{"v": 1, "to": "web", "hit": make_hit().to_dict()}])
    deliver.pop_request()
    assert raised.value.requeue
    assert "goes back to the broker as it came: ConnectionError" in caplog.text
    assert "s3cret" not in caplog.text


# -- real brokers, real workers -----------------------------------------------------------------------------------


class Sink:
    """An endpoint that remembers page titles, slowly where told to."""

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()
        self.slow = 0.0
        self.status = 202
        sink = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                threading.Event().wait(sink.slow)
                if sink.status == 202:
                    sink.seen[body["url"].rsplit("/", 1)[1]] += 1
                self.send_response(sink.status)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, *args: Any) -> None:
                """Quiet."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *args: Any) -> None:
                """A killed client is what is tested."""

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def sink() -> Iterator[Sink]:
    made = Sink()
    yield made
    made.close()


APP = """
import os
from celery import Celery
import analytical

app = Celery("shop", broker=os.environ["BROKER"])
app.conf.update(
    task_default_queue=os.environ["QUEUE"],
    worker_prefetch_multiplier=1,
    broker_connection_retry_on_startup=True,
    worker_enable_remote_control=False,
    broker_transport_options=(
        {"visibility_timeout": 2, "unacked_restore_limit": 100, "polling_interval": 0.1, "unacked_mutex_expire": 2,
         # By default what a dead worker held is looked for every hundred seconds.
         "unacked_restore_interval": 1, "unacked_restore_throttle": 1,
         # What is held is kept apart from what other programs, and other tests, hold.
         "unacked_key": os.environ["QUEUE"] + "-held", "unacked_index_key": os.environ["QUEUE"] + "-index",
         "unacked_mutex_key": os.environ["QUEUE"] + "-mutex"}
        if os.environ["BROKER"].startswith("redis") else {}
    ),
)
analytical.configure({"web": {
    "provider": "plausible", "id": "example.com", "endpoint": os.environ["SINK"], "privacy": "off",
    "asynchronously": True,
}})

@app.task
def order(number):
    analytical.get("web").pageview(url=f"https://example.com/{number}", user_agent="x", client_ip="127.0.0.1")
"""


class Shop:
    """A program with a Celery application, its producers and its workers."""

    def __init__(self, directory: Path, broker: str, sink: Sink) -> None:
        (directory / "shop.py").write_text(APP)
        self.queue = f"analytical-test-{uuid.uuid4()}"
        self.broker = broker
        self.directory = directory
        self.log = directory / "worker.log"
        clean = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
        self.environment = {
            **clean,
            "BROKER": broker,
            "QUEUE": self.queue,
            "SINK": sink.url,
            "PYTHONPATH": str(directory),
        }
        self.workers: list[subprocess.Popen[bytes]] = []

    def run(self, program: str) -> None:
        done = subprocess.run(
            [sys.executable, "-c", program], env=self.environment, cwd=self.directory, capture_output=True, text=True,
            timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr, done.stderr

    def work(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            worker = subprocess.Popen(
                [sys.executable, "-m", "celery", "-A", "shop", "worker", "-c", "2", "-l", "INFO", "--without-gossip",
                 "--without-mingle", "--without-heartbeat"],
                env=self.environment, cwd=self.directory, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        self.workers.append(worker)
        return worker

    def end(self) -> None:
        for worker in self.workers:
            if worker.poll() is None:
                os.killpg(worker.pid, signal.SIGKILL)
                worker.wait(10)
        if self.broker.startswith("redis"):
            import redis

            with redis.Redis.from_url(self.broker) as client:
                own = [f"{self.queue}-{kind}" for kind in ("held", "index", "mutex")]
                client.delete(self.queue, f"_kombu.binding.{self.queue}", *own)
        else:
            from kombu import Connection

            with Connection(self.broker) as connection:
                connection.default_channel.queue_delete(self.queue)


@pytest.fixture(params=["redis", "rabbitmq"])
def shop(request: pytest.FixtureRequest, tmp_path: Path, sink: Sink) -> Iterator[Shop]:
    url = need_service(request.param)
    if request.param == "redis":
        url = url.rsplit("/", 1)[0] + "/9"  # a database of its own: kombu's names are not the queue's
    made = Shop(tmp_path, url, sink)
    yield made
    made.end()


def until(true: Callable[[], bool], timeout: float, why: Callable[[], str]) -> None:
    deadline = time.monotonic() + timeout
    while not true():
        assert time.monotonic() < deadline, why()
        threading.Event().wait(0.05)


SEND = """
import shop, analytical
site = analytical.get("web")
for number in range({begin}, {end}):
    assert site.pageview(url=f"https://example.com/{{number}}", user_agent="x", client_ip="127.0.0.1")
"""


def test_a_worker_killed_in_the_middle_loses_nothing(shop: Shop, sink: Sink) -> None:
    sink.slow = 0.02
    shop.run(SEND.format(begin=0, end=120))  # a plain exit: everything reached the broker by then
    first = shop.work()
    until(lambda: len(sink.seen) >= 30, 90, lambda: shop.log.read_text())
    os.killpg(first.pid, signal.SIGKILL)
    first.wait(10)
    had = len(sink.seen)
    assert had < 120
    sink.slow = 0.0
    shop.work()
    until(lambda: len(sink.seen) == 120, 90, lambda: f"{len(sink.seen)} of 120\n{shop.log.read_text()}")


def test_a_500_is_tried_again_later_and_a_task_of_a_worker_hands_over_at_its_exit(shop: Shop, sink: Sink) -> None:
    sink.status = 500
    worker = shop.work()
    shop.run(SEND.format(begin=0, end=10))
    until(lambda: "retried" in shop.log.read_text(), 90, lambda: shop.log.read_text())
    sink.status = 202
    until(lambda: len(sink.seen) == 10, 90, lambda: f"{len(sink.seen)} of 10\n{shop.log.read_text()}")
    assert max(sink.seen.values()) == 1
    # What a task of the program itself records is flushed when its worker process ends.
    shop.run("import shop\nfor n in range(100, 104): shop.order.delay(n)")
    until(lambda: shop.log.read_text().count("shop.order[") >= 8, 90, lambda: shop.log.read_text())
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(30) == 0
    shop.work()
    until(lambda: len(sink.seen) == 14, 90, lambda: f"{len(sink.seen)} of 14\n{shop.log.read_text()}")


def test_a_bare_provider_is_known_to_a_worker_that_imports_the_same_module(shop: Shop, sink: Sink) -> None:
    bare = """
import os
site = analytical.Provider("plausible", "bare.example", endpoint=os.environ["SINK"], asynchronously=True, privacy="off")
"""
    with (shop.directory / "shop.py").open("a") as file:
        file.write(bare)
    shop.work()
    shop.run(
        "import shop; assert shop.site.pageview(url='https://bare.example/b', user_agent='x', client_ip='127.0.0.1')"
    )
    until(lambda: sink.seen["b"] == 1, 90, lambda: shop.log.read_text())


def test_no_address_and_no_secret_is_in_the_broker(tmp_path: Path) -> None:
    url = need_service("redis").rsplit("/", 1)[0] + "/9"
    import redis
    from celery import Celery

    queue = f"analytical-test-{uuid.uuid4()}"
    app = Celery("secretive", broker=url, set_as_current=False)
    app.conf.task_default_queue = queue
    site = analytical.Provider(
        "matomo", 1, endpoint="https://stats.example.org", token_auth="5ecret" * 5 + "ab",
        delivery=CeleryDelivery(app), to="web",
    )  # fmt: skip
    assert site.pageview(url="https://example.com/a", client_ip="12.34.56.78", user_agent="Mozilla/5.0")
    assert site.flush(10)
    site.close()
    with redis.Redis.from_url(url) as client:
        (message,) = client.lrange(queue, 0, -1)
        client.delete(queue)
    import base64

    seen = message + base64.b64decode(json.loads(message)["body"])
    assert TASK.encode() in seen
    assert b"example.com" in seen
    for private in (b"5ecret", b"stats.example.org", b"12.34.56.78"):
        assert private not in seen


def test_unconfirmed_is_what_this_process_can_say(producer: tuple[CeleryDelivery, Published, Ledger]) -> None:
    driver, _, _ = producer
    assert driver._publish("web", [make_hit(time=NOW)]) == [UNCONFIRMED]

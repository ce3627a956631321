"""Redis and Celery, real ones: workers are killed in the middle, and nothing is lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
import redis
from services import need_service
from snowplow_support import Collector, judge

from analytical.compat.snowplow import AsyncEmitter, CeleryEmitter, Emitter, RedisEmitter, Tracker, celery_app, emitters
from analytical.compat.snowplow.redis_worker import RedisWorker

WORKER = """
import sys, redis
from analytical.compat.snowplow import Emitter
from analytical.compat.snowplow.redis_worker import RedisWorker
url, key, rdb = sys.argv[1:4]
worker = RedisWorker(Emitter(url, request_timeout=5), key=key, dbr=redis.Redis.from_url(rdb), batch=20, lease=1.0)
print("ready", flush=True)
worker.run()
print("ended", flush=True)
"""


@pytest.fixture
def rdb() -> Iterator[redis.Redis]:
    with redis.Redis.from_url(need_service("redis")) as found:
        yield found


@pytest.fixture
def key(rdb: redis.Redis) -> Iterator[str]:
    name = f"snowplow-test-{uuid.uuid4()}"
    yield name
    for left in rdb.scan_iter(f"*{name}*"):
        rdb.delete(left)


class Process:
    """A program of our own, that can be told to end in every way."""

    def __init__(self, *command: str, folder: str | None = None, **environment: str) -> None:
        self._process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, **environment},
            cwd=folder,
            start_new_session=True,
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.lines.append(line.rstrip())

    def until(self, word: str, timeout: float = 40.0) -> None:
        until(lambda: any(word in line for line in self.lines), timeout, lambda: "\n".join(self.lines))

    def kill(self, number: int, *, group: bool = False) -> int:
        """Send a signal and wait for the end."""
        if group:  # a session of its own: the children are ours, too
            os.killpg(self._process.pid, number)
        else:
            self._process.send_signal(number)
        return self.wait()

    def wait(self, timeout: float = 30.0) -> int:
        code = self._process.wait(timeout)
        self._reader.join(5)
        assert self._process.stdout is not None
        self._process.stdout.close()
        return code

    def end(self) -> None:
        if self._process.poll() is None:
            self.kill(signal.SIGKILL, group=True)
        elif self._process.stdout is not None and not self._process.stdout.closed:
            self.wait()


def until(true: Callable[[], bool], timeout: float, why: Callable[[], str] = lambda: "it did not happen") -> None:
    deadline = time.monotonic() + timeout
    while not true():
        assert time.monotonic() < deadline, why()
        threading.Event().wait(0.02)


@pytest.fixture
def start() -> Iterator[Callable[..., Process]]:
    made: list[Process] = []

    def make(*command: str, folder: str | None = None, **environment: str) -> Process:
        made.append(Process(*command, folder=folder, **environment))
        return made[-1]

    yield make
    for process in made:
        process.end()


def fill(rdb: redis.Redis, key: str, count: int) -> set[str]:
    with RedisEmitter(rdb, key) as emitter:
        tracker = Tracker(emitter, app_id="shop")
        for number in range(count):
            tracker.track_page_view(f"{number}")
    return {str(number) for number in range(count)}


def urls(collector: Collector) -> set[str]:
    return {event["url"] for event in collector.events}


def test_the_emitter_pushes_flat_json_to_the_end_of_the_list(rdb: redis.Redis, key: str) -> None:
    fill(rdb, key, 3)
    kept = [json.loads(one) for one in rdb.lrange(key, 0, -1)]
    assert [one["url"] for one in kept] == ["0", "1", "2"]
    assert all(not isinstance(value, (dict, list)) for one in kept for value in one.values())


def test_the_worker_reads_what_the_old_tracker_left(rdb: redis.Redis, key: str) -> None:
    rdb.rpush(
        key,
        '{"tv":"py-0.4.0", "ev": "pv", "url": "http://www.example.com", "dtm": 1400252420261, "tid": 7515, "p": "pc"}',
        "no event",
        '["neither"]',
        '{"tv":"py-0.8.0","e":"se","se_ca":"c","se_ac":"a","se_va":13.99,"dtm":1400252420262,"p":"pc","refr":null}',
    )
    with Collector() as collector, Emitter(collector.url) as emitter:
        worker = RedisWorker(emitter, key, rdb)
        assert worker.step()
        judge(collector.events)
        assert [(one["e"], one["dtm"]) for one in collector.events] == [
            ("pv", "1400252420261"),
            ("se", "1400252420262"),
        ]
        assert rdb.llen(key) == 0
        assert rdb.lrange(f"{key}:dead", 0, -1) == [b"no event", b'["neither"]']
        assert not worker.step(wait=0)
        worker._finish()


def test_what_the_collector_does_not_take_stays_in_order(rdb: redis.Redis, key: str) -> None:
    fill(rdb, key, 5)
    with Collector(script=[503]) as collector, Emitter(collector.url) as emitter:
        worker = RedisWorker(emitter, key, rdb, batch=3)
        assert not worker.step()
        assert len(collector.refused) == 3
        assert worker.step()
        assert [one["url"] for one in collector.events] == ["0", "1", "2"]
        collector.script = [503]
        assert not worker.step()
        worker._finish()
        assert [json.loads(one)["url"] for one in rdb.lrange(key, 0, -1)] == ["3", "4"]
    assert rdb.keys(f"{key}:*") == []


def test_any_consumer_with_input_will_do(rdb: redis.Redis, key: str) -> None:
    class Consumer:
        def __init__(self) -> None:
            self.seen: list[str] = []
            self.flushed = 0

        def input(self, payload: dict[str, Any]) -> None:
            self.seen.append(payload["url"])

        def sync_flush(self) -> None:
            self.flushed += 1

    consumer = Consumer()
    fill(rdb, key, 4)
    worker = RedisWorker(consumer, key=key, dbr=rdb)
    assert worker.step()
    assert consumer.seen == ["0", "1", "2", "3"]
    assert consumer.flushed == 1
    with pytest.raises(TypeError, match="emitter"):
        RedisWorker(object())
    with pytest.raises(TypeError, match=r"dbr.*str"):
        RedisWorker(consumer, key, "localhost")
    with pytest.raises(TypeError, match=r"rdb.*str"):
        RedisEmitter("localhost")


def test_a_consumer_of_one_method_is_enough_and_no_event_is_set_aside(rdb: redis.Redis, key: str) -> None:
    class Consumer:
        def __init__(self) -> None:
            self.seen: list[dict[str, Any]] = []

        def input(self, payload: dict[str, Any]) -> None:
            self.seen.append(payload)

    consumer = Consumer()
    worker = RedisWorker(consumer, key=key, dbr=rdb)
    rdb.rpush(key, "no event")
    assert worker.step(), "it is done with"
    assert consumer.seen == []
    fill(rdb, key, 1)
    assert worker.step()
    assert len(consumer.seen) == 1
    worker._finish()
    assert rdb.lrange(f"{key}:dead", 0, -1) == [b"no event"]


def test_a_worker_whose_redis_is_gone_ends_and_says_so(
    rdb: redis.Redis, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    class Gone:
        """A client whose server went away."""

        def __getattr__(self, name: str) -> Any:
            def fails(*_: Any, **__: Any) -> None:
                raise redis.ConnectionError("password-4711")

            return fails

    with Collector(delay=0.3) as collector, Emitter(collector.url) as emitter:
        worker = RedisWorker(emitter, key, rdb, lease=0.1)
        worker.dbr = Gone()
        with caplog.at_level("DEBUG"):
            assert worker._hand_over([b'{"e": "pv", "url": "u", "p": "pc", "tv": "t"}']), "a missed beat stops nothing"
            worker._finish()
        assert len(collector.events) == 1
    assert "sign of life failed: ConnectionError" in caplog.text
    assert "could not put back what it held: ConnectionError" in caplog.text
    assert "4711" not in caplog.text


def test_a_worker_in_a_thread_ends_when_it_is_asked(rdb: redis.Redis, key: str) -> None:
    with Collector() as collector, AsyncEmitter(collector.url) as emitter:
        worker = RedisWorker(emitter, key=key, dbr=rdb)
        thread = threading.Thread(target=worker.run)
        thread.start()
        fill(rdb, key, 10)
        collector.wait(10)
        worker.request_shutdown()
        thread.join(10)
        assert not thread.is_alive()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_loses_nothing(rdb: redis.Redis, key: str, start: Any, number: int) -> None:
    with Collector(delay=0.05) as collector:
        expected = fill(rdb, key, 200)
        worker = start(sys.executable, "-c", WORKER, collector.url, key, need_service("redis"))
        collector.wait(20)
        assert worker.kill(number) == 0
        assert "ended" in worker.lines
        assert not any("Traceback" in line for line in worker.lines)
        left = {json.loads(one)["url"] for one in rdb.lrange(key, 0, -1)}
        assert left
        assert urls(collector) | left == expected
        assert urls(collector).isdisjoint(left)
    assert rdb.keys(f"{key}:*") == []


def test_sigkill_in_the_middle_loses_nothing(rdb: redis.Redis, key: str, start: Any) -> None:
    with Collector(delay=0.1) as collector:
        expected = fill(rdb, key, 200)
        first = start(sys.executable, "-c", WORKER, collector.url, key, need_service("redis"))
        collector.wait(40)
        assert first.kill(signal.SIGKILL) == -signal.SIGKILL
        assert rdb.keys(f"{key}:taken:*"), "what was under way stands in the worker's own list"
        second = start(sys.executable, "-c", WORKER, collector.url, key, need_service("redis"))
        until(lambda: urls(collector) == expected, 30, lambda: f"{len(urls(collector))} of 200")
        assert second.kill(signal.SIGTERM) == 0
    assert len({event["eid"] for event in collector.events}) == 200
    assert rdb.llen(key) == 0


def test_two_workers_share_a_list(rdb: redis.Redis, key: str, start: Any) -> None:
    with Collector(delay=0.02) as collector:
        expected = fill(rdb, key, 300)
        workers = [start(sys.executable, "-c", WORKER, collector.url, key, need_service("redis")) for _ in range(2)]
        until(lambda: urls(collector) == expected, 30)
        for worker in workers:
            assert worker.kill(signal.SIGTERM) == 0
        assert len(collector.events) == 300, "none was sent twice"


# -- Celery

CONFIG = """
broker_url = {broker!r}
task_default_queue = {queue!r}
broker_transport_options = {options!r}
worker_hijack_root_logger = False
"""

PRODUCER = """
import sys
from analytical.compat.snowplow import CeleryEmitter, Tracker
emitter = CeleryEmitter(sys.argv[1])
tracker = Tracker(emitter)
for number in range(int(sys.argv[2]), int(sys.argv[3])):
    tracker.track_page_view(str(number))
print(emitter.stats()["delivered"], flush=True)
"""


@pytest.fixture(params=["rabbitmq", "redis"])
def celery(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, str]]:
    pytest.importorskip("celery")
    broker = need_service(request.param)
    queue = f"snowplow-test-{uuid.uuid4()}"
    # A name of their own for what workers hold: other tests' tasks may be on the same server.
    keys = {
        "unacked_key": f"{queue}-held",
        "unacked_index_key": f"{queue}-index",
        "unacked_mutex_key": f"{queue}-mutex",
    }
    options = {"visibility_timeout": 5, **keys} if request.param == "redis" else {}
    text = CONFIG.format(broker=broker, queue=queue, options=options)
    (tmp_path / "snowplow_celery_config.py").write_text(text, encoding="utf-8")
    # The module is found in the folder that the programs are started in.
    yield {"PYTHONPATH": str(Path(__file__).parents[2]), "PYTHONUNBUFFERED": "1", "FOLDER": str(tmp_path)}
    from kombu import Connection

    with Connection(broker) as connection, connection.channel() as channel:
        channel.queue_delete(queue)
        if request.param == "redis":
            for left in channel.client.scan_iter(f"*{queue}*"):
                channel.client.delete(left)


def worker_command() -> tuple[str, ...]:
    # The command itself, not ``python -m celery``, which would find modules in the working folder by itself.
    return (
        str(Path(sys.executable).with_name("celery")),
        *("-A", "analytical.compat.snowplow.emitters", "worker", "--loglevel=info", "--concurrency=2"),
        *("--without-mingle", "--without-gossip", "-n", f"{uuid.uuid4()}@%h"),
    )


@pytest.mark.timeout(300)  # three programs that load Celery, one after the other, on a busy machine
def test_celery_sigkill_in_the_middle_loses_nothing(celery: dict[str, str], start: Any) -> None:
    folder = celery.pop("FOLDER")
    expected = {str(number) for number in range(40)}
    with Collector(delay=0.1) as collector:
        producer = start(sys.executable, "-c", PRODUCER, collector.url, "0", "40", folder=folder, **celery)
        assert producer.wait(60) == 0, producer.lines
        assert producer.lines == ["40"], "a task was made of each before the call returned"
        first = start(*worker_command(), folder=folder, **celery)
        collector.until(lambda: len(collector.events) >= 6, 120)
        first.kill(signal.SIGKILL, group=True)
        assert len(urls(collector)) < 40
        collector.script = [503]  # and one that is not taken at first
        second = start(*worker_command(), folder=folder, **celery)
        until(
            lambda: urls(collector) == expected,
            120,
            lambda: "\n".join([str(len(urls(collector))), *second.lines[-20:]]),
        )
    judge(collector.events)
    assert len({event["eid"] for event in collector.events}) == 40


@pytest.fixture
def over_redis(rdb: redis.Redis, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Celery in this process, over the real Redis, with a queue of its own."""
    pytest.importorskip("celery")
    options = {"unacked_key": f"{key}-held"}
    text = CONFIG.format(broker=need_service("redis"), queue=key, options=options)
    (tmp_path / "snowplow_celery_config.py").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(celery_app, "_made", [])
    monkeypatch.setattr(celery_app._Copies, "GRACE", 0.0)
    yield celery_app.app()
    celery_app.app().close()
    sys.modules.pop("snowplow_celery_config", None)


def test_a_task_that_was_lost_between_queue_and_worker_comes_back(rdb: redis.Redis, key: str, over_redis: Any) -> None:
    where = {"endpoint": "http://127.0.0.1:1"}
    for number in range(3):
        celery_app.publish(where, [{"e": "pv", "url": f"{number}"}])
    copies = over_redis.copies
    lost = json.loads(rdb.rpop(key))["headers"]["id"]
    assert copies.restore() == 0, "as long as something waits, nobody knows what is lost"
    held = json.loads(rdb.rpop(key))["headers"]["id"]
    rdb.hset(f"{key}-held", "tag", json.dumps([{"headers": {"id": held}}, "", key]))
    done = json.loads(rdb.rpop(key))["headers"]["id"]
    copies.drop(done)
    rdb.delete(f"{key}:analytical-tasks:restoring")
    assert copies.restore() == 1
    [again] = [json.loads(one) for one in rdb.lrange(key, 0, -1)]
    assert again["headers"]["id"] == lost
    assert set(rdb.hkeys(f"{key}:analytical-tasks")) == {lost.encode(), held.encode()}
    tasks = over_redis.conf
    assert tasks.broker_transport_options["visibility_timeout"] == 30
    assert tasks.worker_prefetch_multiplier == 1


def test_a_worker_looks_for_lost_tasks_from_time_to_time(
    rdb: redis.Redis, key: str, over_redis: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from celery.signals import worker_ready

    class Timer:
        def __init__(self) -> None:
            self.every: list[tuple[float, Callable[[], None]]] = []

        def call_repeatedly(self, seconds: float, call: Callable[[], None]) -> None:
            self.every.append((seconds, call))

    def ready(app: Any) -> Timer:
        timer = Timer()
        worker_ready.send(sender=type("Consumer", (), {"app": app, "timer": timer})())
        return timer

    assert ready(None).every == [], "another application's worker"
    [(seconds, look)] = ready(over_redis).every
    assert seconds == celery_app._Copies.GRACE
    celery_app.publish({"endpoint": "http://127.0.0.1:1"}, [{"e": "pv", "url": "u"}])
    rdb.delete(key)  # the worker that took it was killed
    with caplog.at_level("DEBUG"):
        look()
        assert rdb.llen(key) == 1
        assert "1 tasks that a killed worker had taken are back" in caplog.text
        rdb.delete(key, f"{key}:analytical-tasks", f"{key}:analytical-tasks:restoring")
        caplog.clear()
        look()
        assert caplog.text == "", "nothing is kept, so nothing is lost"
        monkeypatch.setattr(over_redis.copies, "restore", lambda: (_ for _ in ()).throw(redis.ConnectionError))
        look()
    assert "could not be looked for: ConnectionError" in caplog.text


def test_a_task_over_redis_keeps_its_copy_until_it_is_done(rdb: redis.Redis, key: str, over_redis: Any) -> None:
    class Later(Exception):
        """What Celery raises to say so."""

    class Task:
        app = over_redis
        request = type("Request", (), {"retries": 0, "id": "task"})()

        def retry(self, **_: Any) -> Exception:
            return Later()

    def payload(number: int) -> dict[str, Any]:
        return {"e": "pv", "url": f"{number}", "p": "pc", "tv": "t", "dtm": "1"}

    with Collector(script=[503]) as collector:
        where = {"endpoint": collector.url}
        with pytest.raises(Later):
            celery_app._send(Task(), where, [payload(1), payload(2)])
        kept = json.loads(rdb.hget(over_redis.copies.key, "task") or b"{}")
        assert [one["url"] for one in kept["payloads"]] == ["1", "2"]
        celery_app._send(Task(), where, kept["payloads"])
        assert not rdb.hexists(over_redis.copies.key, "task")
        assert len(collector.events) == 2
        celery_app._emitter(where).close()


@pytest.mark.usefixtures("in_memory")
def test_emitters_of_a_worker_are_kept_and_not_without_end() -> None:
    first = celery_app._emitter({"endpoint": "c0.example"})
    assert celery_app._emitter({"endpoint": "c0.example"}) is first
    for number in range(1, 70):
        celery_app._emitter({"endpoint": f"c{number}.example"})
    assert len(celery_app._emitters) <= 64


def test_without_a_broker_events_wait_here_and_leave_later(tmp_path: Path) -> None:
    (tmp_path / "snowplow_celery_config.py").write_text('broker_url = "redis://127.0.0.1:1/0"\n', encoding="utf-8")
    code = (
        "import sys; from analytical.compat.snowplow import CeleryEmitter, Tracker\n"
        "emitter = CeleryEmitter('c.example'); Tracker(emitter).track_page_view('u')\n"
        "print(emitter.stats()['pending'])\n"
    )
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{Path(__file__).parents[2]}"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.strip() == "1", done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture
def in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Celery in this process, with a broker of its own."""
    pytest.importorskip("celery")
    (tmp_path / "snowplow_celery_config.py").write_text('broker_url = "memory://"\n', encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(celery_app, "_made", [])
    monkeypatch.setattr(celery_app, "_emitters", {})
    yield
    sys.modules.pop("snowplow_celery_config", None)


@pytest.mark.usefixtures("in_memory")
def test_the_module_is_the_application_that_celery_looks_for() -> None:
    assert emitters.app is emitters.celery is celery_app.app()
    assert celery_app.TASK in emitters.app.tasks
    assert emitters.app.conf.broker_url == "memory://"
    task = emitters.app.tasks[celery_app.TASK]
    assert (task.acks_late, task.reject_on_worker_lost, task.serializer) == (True, True, "json")
    with pytest.raises(AttributeError, match="nothing"):
        _ = emitters.nothing
    with CeleryEmitter("c.example", buffer_size=2) as emitter:
        Tracker(emitter).track_page_view("1").track_page_view("2")
        assert emitter.stats()["delivered"] == 2


@pytest.mark.usefixtures("in_memory")
def test_a_task_sends_and_asks_for_another_with_what_was_not_taken() -> None:
    class Later(Exception):
        """What Celery raises to say so."""

    class Task:
        app = None
        request = type("Request", (), {"retries": 3, "id": "task"})()
        asked: ClassVar[list[Any]] = []

        def retry(self, **how: Any) -> Exception:
            self.asked.append(how)
            return Later()

    payload = {"e": "pv", "url": "u", "p": "pc", "tv": "t", "eid": "538e46f7-7738-4ac4-a68c-53decd3bf0f1", "dtm": "1"}
    with Collector(script=[503]) as collector:
        where = {"endpoint": collector.url, "method": "post"}
        with pytest.raises(Later):
            celery_app._send(Task(), where, [payload])
        assert Task.asked[0]["args"] == (where, [payload])
        assert 0 < Task.asked[0]["countdown"] <= 8
        celery_app._send(Task(), where, [payload])
        judge(collector.events)
        assert len(collector.events) == 1
        celery_app._emitter(where).close()


def test_a_worker_outlives_a_redis_that_goes_and_comes_back(rdb: redis.Redis, key: str) -> None:
    class Flaky:
        """A client whose server is away at first."""

        def __init__(self) -> None:
            self.failures = 2

        def __getattr__(self, name: str) -> Any:
            if name == "pipeline" and self.failures:
                self.failures -= 1
                raise redis.ConnectionError
            return getattr(rdb, name)

    fill(rdb, key, 3)
    with Collector() as collector, Emitter(collector.url) as emitter:
        worker = RedisWorker(emitter, key, Flaky())
        worker._stop = Patient()
        thread = threading.Thread(target=worker.run)
        thread.start()
        collector.wait(3)
        worker.request_shutdown()
        thread.join(10)
        assert not thread.is_alive()


class Patient(threading.Event):
    """An event whose waits take no time, as long as it is not set."""

    def wait(self, timeout: float | None = None) -> bool:
        return super().wait(0.001)


def test_a_dead_workers_events_go_to_the_front_in_order(rdb: redis.Redis, key: str) -> None:
    fill(rdb, key, 4)
    with Collector() as collector, Emitter(collector.url) as emitter:
        dead = RedisWorker(emitter, key, rdb, batch=2, lease=0.05)
        dead._alive()
        assert len(dead._take(0)) == 2
        until(lambda: not rdb.exists(f"{key}:alive:{dead._name}"), 5)
        heir = RedisWorker(emitter, key, rdb)
        assert heir.step()
        assert [one["url"] for one in collector.events] == ["0", "1", "2", "3"]
        heir._finish()
    assert rdb.smembers(f"{key}:workers") == set()


def test_a_long_exchange_keeps_the_worker_alive(rdb: redis.Redis, key: str) -> None:
    fill(rdb, key, 1)
    with Collector(delay=0.4) as collector, Emitter(collector.url) as emitter:
        worker = RedisWorker(emitter, key, rdb, lease=0.2)
        thread = threading.Thread(target=worker.step)
        thread.start()
        threading.Event().wait(0.3)
        assert rdb.exists(f"{key}:alive:{worker._name}")
        thread.join()
        assert len(collector.events) == 1
        worker._finish()

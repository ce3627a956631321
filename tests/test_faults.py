"""Faults that are real: processes killed, forked and ended, endpoints that hang, disks that are full."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from analytical.spool.sqlite import SqliteSpool

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs POSIX processes")

#: What every program under test begins with: a driver, and a destination that is a real endpoint.
PRELUDE = """
import json, logging, os, sys, time, threading, signal
from analytical.delivery.thread import ThreadDelivery, driver_for
from analytical.hit import Hit, new_id
from analytical.http import NoResponse, Request
from analytical.observe import Ledger
from analytical.route import Route
from analytical.transports.default import default_transport
from analytical.verdict import UNCONFIRMED, rejected, retry
logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(name)s %(message)s")
transport = default_transport(timeout=3.0, background=True)

def send(hits, *, timeout=None):
    body = json.dumps([hit.id for hit in hits]).encode()
    answer = transport.send(Request(url=URL, body=body), timeout=timeout)
    if isinstance(answer, NoResponse):
        return [retry(reason=answer.reason, ambiguous=answer.sent)] * len(hits)
    if answer.ok:
        return [UNCONFIRMED] * len(hits)
    return [retry(reason=f"http {answer.status}")] * len(hits)

def hit(number=0, **fields):
    return Hit(id=new_id(), kind="pageview", time=time.time(), url=f"https://example.com/{number}", **fields)

def driver(spool=None, to="web", max_batch=20, **options):
    made = driver_for(spool)
    ledger = Ledger()
    made.attach(Route(to=to, send=send, observer=ledger, max_batch=max_batch, dedupes=True, **options))
    made.ledger = ledger
    return made
"""


class Sink:
    """An endpoint that remembers ids, and can be slow, hang, reset or say no."""

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()
        self.lock = threading.Lock()
        self.resets = 0.0
        self.status = 200
        self.over = threading.Event()
        self.random = random.Random(7)
        sink = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.path == "/hang":
                    sink.over.wait(20)
                    self.close_connection = True
                    return
                with sink.lock:
                    if sink.random.random() < sink.resets:
                        if sink.random.random() < 0.5:  # half of them after it was counted
                            sink.seen.update(json.loads(body))
                        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
                        self.close_connection = True
                        return
                    status = sink.status
                    if status == 200:
                        sink.seen.update(json.loads(body))
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args: Any) -> None:
                """Quiet."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *args: Any) -> None:
                """A killed client is what is tested."""

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/collect"
        self.hanging = f"http://127.0.0.1:{self.server.server_port}/hang"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    def close(self) -> None:
        self.over.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def sink() -> Iterator[Sink]:
    made = Sink()
    yield made
    made.close()


@pytest.fixture
def dead() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}/collect"


def start(url: str, program: str, **options: Any) -> subprocess.Popen[str]:
    code = PRELUDE.replace("URL", repr(url)) + textwrap.dedent(program)
    environment = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
    return subprocess.Popen(
        [sys.executable, "-W", "error::ResourceWarning", "-c", code],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, **options,
    )  # fmt: skip


def run(url: str, program: str, *, timeout: float = 60) -> tuple[str, str, float]:
    """Run a program to its end; return what it said, what it logged and how long it took after its last word."""
    process = start(url, program)
    assert process.stdout is not None
    said, last = "", time.monotonic()
    ends = threading.Timer(timeout, process.kill)
    ends.start()
    try:
        for line in process.stdout:
            said += line
            last = time.monotonic()
        _, logged = process.communicate()
    finally:
        ends.cancel()
        process.kill()
    took = time.monotonic() - last
    assert process.returncode == 0, logged
    assert "Traceback" not in logged, logged
    return said, logged, took


# -- exits --------------------------------------------------------------------------------------------------------


def test_a_plain_exit_delivers_what_waits(sink: Sink) -> None:
    _, logged, _ = run(sink.url, "d = driver()\nfor n in range(12): assert d.submit('web', hit(n))")
    assert len(sink.seen) == 12
    assert "lost" not in logged


@pytest.mark.parametrize("endpoint", ["dead", "hung"])
def test_an_exit_takes_two_seconds_at_most_and_says_how_many_are_lost(sink: Sink, dead: str, endpoint: str) -> None:
    url = dead if endpoint == "dead" else sink.hanging
    program = """
        a = driver()
        b = driver("memory://?hits=1000", to="other")
        for n in range(40):
            a.submit("web", hit(n))
        for n in range(17):
            b.submit("other", hit(n))
        print("end", flush=True)
    """
    _, logged, took = run(url, program)
    assert took <= 2.3  # the interpreter's own end included
    (line,) = [line for line in logged.splitlines() if line.startswith("WARNING analytical") and "lost" in line]
    assert [int(number) for number in re.findall(r"\b\d+\b", line)] == [57]


def test_an_exit_with_a_durable_spool_loses_nothing_when_the_endpoint_is_down(
    sink: Sink, dead: str, tmp_path: Path
) -> None:
    program = f"""
        d = driver({str(tmp_path / "o.db")!r})
        ids = [hit(n) for n in range(50)]
        assert all(d.submit("web", h) for h in ids)
        print(json.dumps([h.id for h in ids]), flush=True)
    """
    said, logged, took = run(dead, program)
    assert took <= 2.3
    assert "lost" not in logged
    run(sink.url, f"d = driver({str(tmp_path / 'o.db')!r})\nassert d.flush(20), d.stats('web')")
    assert set(sink.seen) == set(json.loads(said))


@pytest.mark.parametrize("broker", ["redis://127.0.0.1:{}/0", "kafka://127.0.0.1:{}/hits"])
@pytest.mark.parametrize("journal", ["", "?journal={}"])
def test_an_exit_does_not_wait_for_a_broker_that_hangs(sink: Sink, tmp_path: Path, broker: str, journal: str) -> None:
    pytest.importorskip({"r": "redis", "k": "confluent_kafka"}[broker[0]])
    with socket.create_server(("127.0.0.1", 0), backlog=100) as listener:
        url = broker.format(listener.getsockname()[1]) + journal.format(tmp_path / "journal")
        program = f"""
            d = driver({url!r})
            for n in range(20):
                assert d.submit("web", hit(n)) is {bool(journal)}
            print("end", flush=True)
        """
        _, logged, took = run(sink.url, program)
    assert took <= 3.0  # 1.6, and the end of the interpreter on a busy machine
    assert "lost" not in logged


def test_a_multiprocessing_child_delivers_before_it_ends(sink: Sink) -> None:
    program = """
        import multiprocessing
        d = driver()
        d.submit("web", hit(0))
        def work():
            for n in range(12):
                assert d.submit("web", hit(n))
        child = multiprocessing.get_context("fork").Process(target=work)
        child.start()
        child.join()
        assert child.exitcode == 0
    """
    run(sink.url, program)
    assert len(sink.seen) == 13
    assert set(sink.seen.values()) == {1}


def test_a_worker_drains_on_sigterm(sink: Sink, tmp_path: Path) -> None:
    program = f"""
        from analytical.delivery.worker import Worker
        d = driver({str(tmp_path / "o.db")!r})
        with Worker(d).signals() as worker:
            print("ready", flush=True)
            worker.run()
        print("ended", flush=True)
    """
    spool = SqliteSpool(tmp_path / "o.db")
    spool.attach("web")
    worker = start(sink.url, program)
    assert worker.stdout is not None
    assert worker.stdout.readline() == "ready\n"
    from analytical.spool.contracts import make_hit

    for n in range(100):
        assert spool.put("web", make_hit(n, time=time.time()))
    worker.send_signal(signal.SIGTERM)
    said, logged = worker.communicate(timeout=20)
    assert (worker.returncode, said) == (0, "ended\n"), logged
    assert len(sink.seen) == 100
    spool.close()


def test_sigterm_can_be_made_to_drain_memory(sink: Sink) -> None:
    program = """
        from analytical.delivery.worker import drain_on_sigterm
        d = driver()
        drain_on_sigterm(d)
        for n in range(30):
            d.submit("web", hit(n))
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(10)
    """
    process = start(sink.url, program)
    process.communicate(timeout=20)
    assert process.returncode == -signal.SIGTERM
    assert len(sink.seen) == 30


# -- forks --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spool", ["memory", "sqlite"])
def test_a_fork_delivers_the_parent_s_and_the_child_s_hits_once_each(sink: Sink, tmp_path: Path, spool: str) -> None:
    place = "None" if spool == "memory" else repr(str(tmp_path / "o.db"))
    program = f"""
        d = driver({place})
        for n in range(12):
            d.submit("web", hit(n))
        child = os.fork()
        for n in range(12):
            assert d.submit("web", hit(n))
        if child == 0:
            assert d.ledger.stats()["accepted"] == 12
            sys.exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert d.flush(10)
        assert d.ledger.stats()["accepted"] == 24
    """
    run(sink.url, program)
    assert len(sink.seen) == 36
    assert set(sink.seen.values()) == {1}


def test_a_fork_in_the_middle_of_an_import_does_not_hang_the_child(sink: Sink) -> None:
    program = """
        import importlib.abc, importlib.machinery
        begun = threading.Event()
        class Slow(importlib.abc.MetaPathFinder):
            def find_spec(self, name, path, target=None):
                if name == "analytical.transports.http11":
                    begun.set()
                    time.sleep(0.5)  # the importer's locks are held meanwhile
        sys.meta_path.insert(0, Slow())
        d = driver()
        d.submit("web", hit())
        assert begun.wait(20)
        child = os.fork()
        if child == 0:
            # Threads that take the places, and so the identities, of those that are gone.
            for _ in range(4): threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
            os._exit(0 if d.submit("web", hit()) and d.flush(10) else 1)
        assert os.waitpid(child, 0)[1] == 0
    """
    run(sink.url, program)
    assert len(sink.seen) == 2


def test_forks_at_bad_moments_never_hang(sink: Sink, tmp_path: Path) -> None:
    program = f"""
        d = driver()
        e = driver({str(tmp_path / "o.db")!r}, to="durable")
        sys.setswitchinterval(1e-5)
        over = False
        def busy():
            while not over:
                d.submit("web", hit())
                e.submit("durable", hit())
                d.ledger.stats()
                time.sleep(0.0005)
        threads = [threading.Thread(target=busy, daemon=True) for _ in range(3)]
        for thread in threads: thread.start()
        for _ in range(15):
            e.stats("durable")
            child = os.fork()
            if child == 0:
                sys.setswitchinterval(5e-3)
                ok = d.submit("web", hit()) and e.submit("durable", hit()) and d.flush(20)
                os._exit(0 if ok and d.ledger.stats()["accepted"] == 1 else 1)
            deadline = time.monotonic() + 30
            while True:
                pid, status = os.waitpid(child, os.WNOHANG)
                if pid:
                    assert status == 0, status
                    break
                assert time.monotonic() < deadline, "the child hangs"
                time.sleep(0.005)
        over = True
        for thread in threads: thread.join()
    """
    run(sink.url, program)


def test_signals_at_bad_moments_never_hang(sink: Sink, tmp_path: Path) -> None:
    program = f"""
        d = driver()
        e = driver({str(tmp_path / "o.db")!r}, to="durable")
        count = depth = 0
        def again(*_):
            global count, depth
            if depth == 5:
                return  # on a slow machine signals come faster than they are handled: the stack must not fill with them
            depth += 1
            count += 1
            d.submit("web", hit())
            e.submit("durable", hit())
            d.ledger.stats()
            depth -= 1
        signal.signal(signal.SIGALRM, again)
        signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
        end = time.monotonic() + 1.0
        mine = 0
        while time.monotonic() < end:
            mine += 1
            d.submit("web", hit())
            e.submit("durable", hit())
        signal.setitimer(signal.ITIMER_REAL, 0)
        assert count > 50
        assert d.flush(30)
        stats = d.ledger.stats()
        assert stats["accepted"] == count + mine == stats["unconfirmed"] + stats["dropped"], stats
    """
    run(sink.url, program)


# -- kills --------------------------------------------------------------------------------------------------------


def test_sigkill_at_any_moment_loses_nothing_of_what_a_durable_spool_accepted(sink: Sink, tmp_path: Path) -> None:
    program = f"""
        d = driver({str(tmp_path / "o.db")!r})
        print("ready", flush=True)
        out = sys.stdout.fileno()
        for n in range(1_000_000):
            h = hit(n)
            if d.submit("web", h):
                os.write(out, h.id.encode() + b"\\n")
            if n % 50 == 0:
                time.sleep(0.002)
    """
    accepted: set[str] = set()
    moments = random.Random(3)
    for _ in range(4):
        process = start(sink.url, program)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        killer = threading.Timer(moments.uniform(0.05, 0.5), process.kill)
        killer.start()
        said, _ = process.communicate(timeout=30)
        accepted.update(line for line in said.splitlines() if len(line) == 36)
    assert len(accepted) > 100
    run(sink.url, f"d = driver({str(tmp_path / 'o.db')!r})\nassert d.flush(30), d.stats('web')")
    assert accepted <= set(sink.seen)


def test_eight_processes_on_one_outbox_lose_and_repeat_nothing(sink: Sink, tmp_path: Path) -> None:
    program = f"""
        d = driver({str(tmp_path / "o.db")!r})
        for n in range(200):
            assert d.submit("web", hit(n))
            if n % 20 == 0:
                time.sleep(0.005)
        if sys.argv[1:] == ["die"]:
            os.kill(os.getpid(), signal.SIGKILL)
    """
    processes = [start(sink.url, program) for _ in range(8)]
    # One of them dies in the middle, whichever it is: maybe the one that uploads.
    time.sleep(0.9)
    for process in processes:
        _, logged = process.communicate(timeout=60)
        assert process.returncode == 0, logged
        assert "Traceback" not in logged
    run(sink.url, f"d = driver({str(tmp_path / 'o.db')!r})\nassert d.flush(30), d.stats('web')")
    assert len(sink.seen) == 1_600
    assert set(sink.seen.values()) == {1}
    spool = SqliteSpool(tmp_path / "o.db")
    spool.attach("web")
    (row,) = spool.status()
    assert (row["pending"], row["unconfirmed"], row["dead"]) == (0, 1_600, 0)
    spool.close()


def test_another_process_takes_over_from_an_uploader_that_is_killed(sink: Sink, tmp_path: Path) -> None:
    place = str(tmp_path / "o.db")
    first = start(
        sink.hanging, f"d = driver({place!r})\nd.submit('web', hit())\nprint('up', flush=True)\ntime.sleep(60)"
    )
    assert first.stdout is not None
    assert first.stdout.readline() == "up\n"
    second = start(
        sink.url,
        f"d = driver({place!r})\nprint('up', flush=True)\nd.submit('web', hit())\n"
        "assert d.flush(20)\nprint('done', flush=True)",
    )
    assert second.stdout is not None
    assert second.stdout.readline() == "up\n"
    time.sleep(0.3)
    first.kill()
    killed = time.monotonic()
    assert second.stdout.readline() == "done\n"
    assert time.monotonic() - killed < 5
    for process in (first, second):
        process.communicate(timeout=20)
    assert len(sink.seen) == 2


# -- networks and disks -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spool", ["memory", "sqlite"])
def test_thirty_percent_resets_lose_nothing(sink: Sink, tmp_path: Path, spool: str) -> None:
    sink.resets = 0.3
    place = "None" if spool == "memory" else repr(str(tmp_path / "o.db"))
    program = f"""
        d = driver({place}, max_batch=5)
        for n in range(300):
            assert d.submit("web", hit(n))
        assert d.flush(40), d.ledger.stats()
        assert d.ledger.stats()["unconfirmed"] == 300
    """
    run(sink.url, program)
    assert len(sink.seen) == 300  # an id may come twice: the platform counts it once


def test_a_full_disk_refuses_and_loses_nothing_it_accepted(sink: Sink, tmp_path: Path) -> None:
    program = f"""
        import resource
        d = driver({str(tmp_path / "o.db")!r})
        kept = []
        def put(count):
            for n in range(count):
                h = hit(n, title="x" * 200)
                if d.submit("web", h):
                    kept.append(h.id)
        put(10)
        assert d.flush(10)
        # No file may grow beyond this: what a full disk does, without one.
        resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
        put(2_000)
        refused = 2_010 - len(kept)
        assert refused > 0
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.getrlimit(resource.RLIMIT_FSIZE)[1],) * 2)
        put(10)
        assert d.flush(30), d.stats("web")
        stats = d.stats("web")
        assert stats["dropped"] == refused, (stats, refused)
        assert stats["accepted"] == 2_020 and stats["pending"] == 0, stats
        print(json.dumps(kept), flush=True)
    """
    said, _, _ = run(sink.url, program)
    assert set(json.loads(said)) == set(sink.seen)


def test_an_endpoint_that_comes_back_gets_everything_within_fifteen_seconds(sink: Sink) -> None:
    sink.status = 500
    program = """
        d = driver(max_batch=5)
        for n in range(100):
            d.submit("web", hit(n))
        print("down", flush=True)
        assert d.flush(25)
        print("up", flush=True)
    """
    process = start(sink.url, program)
    assert process.stdout is not None
    assert process.stdout.readline() == "down\n"
    time.sleep(3)
    assert len(sink.seen) == 0
    sink.status = 200
    back = time.monotonic()
    assert process.stdout.readline() == "up\n"
    assert time.monotonic() - back < 15
    process.communicate(timeout=20)
    assert len(sink.seen) == 100


# -- gevent -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spool", ["memory", "sqlite"])
def test_gevent_s_monkey_patching_works(sink: Sink, tmp_path: Path, spool: str) -> None:
    pytest.importorskip("gevent")
    place = "None" if spool == "memory" else repr(str(tmp_path / "o.db"))
    program = f"""
        import gevent
        d = driver({place})
        def visit(start):
            for n in range(20):
                assert d.submit("web", hit(start + n))
                gevent.sleep(0)
        gevent.joinall([gevent.spawn(visit, n * 100) for n in range(5)])
        assert d.flush(20)
    """
    environment = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
    code = (
        "from gevent import monkey; monkey.patch_all()\n"
        + PRELUDE.replace("URL", repr(sink.url))
        + textwrap.dedent(program)
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert len(sink.seen) == 100


Program = Callable[[str], str]


# -- web servers --------------------------------------------------------------------------------------------------

SITE = """
site = driver(os.environ.get("OUTBOX"))
if os.environ.get("EARLY"):  # used before the server forks its workers
    assert site.submit("web", hit()) and site.flush(20)

def application(environ, answer):
    answer("200 OK" if site.submit("web", hit()) else "500 Refused", [("Connection", "close")])
    return [str(os.getpid()).encode()]

async def asgi(scope, receive, send):
    while scope["type"] == "lifespan":
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return
    accepted = site.submit("web", hit())
    headers = [(b"connection", b"close")]
    await send({"type": "http.response.start", "status": 200 if accepted else 500, "headers": headers})
    await send({"type": "http.response.body", "body": str(os.getpid()).encode()})
"""


def visits(port: int, count: int) -> set[bytes]:
    """Visit a site from several threads; return who answered."""
    workers: set[bytes] = set()
    failed: list[object] = []

    def visit() -> None:
        try:
            for _ in range(count // 4):
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=30) as answer:
                    workers.add(answer.read())
        except OSError as error:
            failed.append(error)

    threads = [threading.Thread(target=visit) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    return workers


@pytest.mark.parametrize("spool", ["memory", "sqlite"])
@pytest.mark.parametrize("server", ["uvicorn", "gunicorn --preload"])
def test_workers_of_a_web_server_deliver_every_page_view_once(
    sink: Sink, tmp_path: Path, server: str, spool: str
) -> None:
    pytest.importorskip(server.split(maxsplit=1)[0])
    (tmp_path / "shop.py").write_text(PRELUDE.replace("URL", repr(sink.url)) + SITE)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = {
        "uvicorn": ["-m", "uvicorn", "shop:asgi", "--workers", "3", "--port", str(port)],
        "gunicorn --preload": ["-m", "gunicorn", "--preload", "-w", "3", "-b", f"127.0.0.1:{port}", "shop:application"],
    }[server]
    environment = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
    root = str(Path(__file__).parent.parent)
    environment |= {"PYTHONPATH": os.pathsep.join([str(tmp_path), root])}
    if spool == "sqlite":
        environment["OUTBOX"] = str(tmp_path / "outbox.db")
    early = server.startswith("gunicorn")
    if early:
        environment["EARLY"] = "1"
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([sys.executable, *command], stdout=log, stderr=log, cwd=tmp_path, env=environment)
    try:
        deadline = time.monotonic() + 60
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            assert process.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() < deadline
            threading.Event().wait(0.05)
        workers = visits(port, 120)
        process.send_signal(signal.SIGTERM)
        process.wait(60)
    finally:
        process.kill()
        process.wait()
    logged = (tmp_path / "log").read_text()
    assert "Traceback" not in logged, logged
    assert str(process.pid).encode() not in workers
    if spool == "sqlite":  # what the last of them had no time for is there for the next
        left = run(sink.url, f"d = driver({environment['OUTBOX']!r})\nassert d.flush(20), d.stats('web')")
        assert "lost" not in left[1]
    assert sum(sink.seen.values()) == len(sink.seen) == 120 + early

"""The Redis spool, on a real Redis: the contract, what a dead worker leaves, and a Redis that restarts."""

from __future__ import annotations

import importlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from services import need_service

from analytical.errors import ConfigurationError, MissingExtra
from analytical.hit import Hit
from analytical.spool import Entry, Spool, open_spool
from analytical.spool.redis import RedisSpool
from analytical.verdict import DELIVERED, rejected, retry
from tests.contract.spools import NOW, Clock, SpoolContract, make_hit


@pytest.fixture
def stream() -> Iterator[str]:
    url = need_service("redis")
    name = f"test-{uuid.uuid4()}"
    yield name
    with redis.Redis.from_url(url) as client:
        for key in client.scan_iter(f"{{{name}*", count=1_000):
            client.delete(key)


@pytest.fixture
def make(stream: str) -> Iterator[Callable[..., RedisSpool]]:
    made: list[RedisSpool] = []

    def make(**options: Any) -> RedisSpool:
        made.append(RedisSpool(need_service("redis"), **{"stream": stream, **options}))
        return made[-1]

    yield make
    for spool in made:
        spool.close()


class TestContract(SpoolContract):
    durable = True

    @pytest.fixture
    def spool(self, clock: Clock, make: Callable[..., RedisSpool]) -> Spool:
        self.make = make
        self.clock = clock
        return make(clock=lambda: NOW, monotonic=clock)

    def reopen(self, spool: Spool) -> Spool:
        self.clock.tick(1)
        return self.make(clock=lambda: NOW, monotonic=self.clock)

    @pytest.fixture(autouse=True)
    def keep_make(self, make: Callable[..., RedisSpool]) -> None:
        self.make = make

    def small(self, hits: int) -> Spool:
        return self.make(hits=hits)


class TestContractWithAJournal(TestContract):
    @pytest.fixture
    def spool(self, clock: Clock, make: Callable[..., RedisSpool], tmp_path: Path) -> Spool:
        self.clock = clock
        self.path = tmp_path
        return make(clock=lambda: NOW, monotonic=clock, journal=tmp_path / "journal")

    def reopen(self, spool: Spool) -> Spool:
        return self.make(clock=lambda: NOW, monotonic=self.clock, journal=self.path / "journal")


def fill(spool: Spool, count: int, **fields: Any) -> list[Hit]:
    hits = [make_hit(n, **fields) for n in range(count)]
    assert all(spool.put("web", hit) for hit in hits)
    return hits


def test_what_a_dead_worker_held_goes_to_another_after_the_lease(make: Callable[..., RedisSpool]) -> None:
    dead, other = make(lease=0.3), make(lease=0.3)
    for spool in (dead, other):
        spool.attach("web")
    hits = fill(dead, 5)
    assert len(dead.take(5, NOW, to="web")) == 5
    assert other.take(5, NOW, to="web") == []
    found = []
    deadline = time.monotonic() + 5
    while len(found) < 5 and time.monotonic() < deadline:
        threading.Event().wait(0.05)
        found += other.take(5, NOW, to="web")
    assert {entry.hit.id for entry in found} == {hit.id for hit in hits}
    assert all(other.settle(found, [DELIVERED] * 5, NOW))
    # The first one comes back to life, and its verdict is late.
    assert dead.waiting("web") == 0


def test_what_a_worker_lets_go_of_is_there_at_once(make: Callable[..., RedisSpool]) -> None:
    first, second = make(), make()
    for spool in (first, second):
        spool.attach("web")
    fill(first, 4)
    assert len(first.take(4, NOW, to="web")) == 4
    first.close()
    assert len(second.take(4, NOW, to="web")) == 4


def test_workers_share_the_hits_of_a_destination_without_lanes(make: Callable[..., RedisSpool]) -> None:
    workers = [make() for _ in range(3)]
    for spool in workers:
        spool.attach("web", lane=lambda hit: None)
    fill(workers[0], 1_500)
    taken = [spool.take(100, NOW, to="web") for spool in workers]
    assert [len(batch) for batch in taken] == [100, 100, 100]
    assert len({entry.hit.id for batch in taken for entry in batch}) == 300


def test_where_order_matters_one_worker_at_a_time_delivers(make: Callable[..., RedisSpool]) -> None:
    first, second = make(), make()
    for spool in (first, second):
        spool.attach("web", lane=lambda hit: hit.client_id)
    fill(first, 3, client_id="a")
    assert len(first.take(1, NOW, to="web")) == 1
    assert second.take(5, NOW, to="web") == []
    assert not second.uploads("web")
    first.close()
    assert second.uploads("web")
    assert [entry.hit.url for entry in second.take(5, NOW, to="web")] == [f"https://example.com/{n}" for n in range(3)]


def test_a_retry_keeps_its_due_time_and_attempts_for_the_next_worker(make: Callable[..., RedisSpool]) -> None:
    first = make()
    first.attach("web")
    fill(first, 1)
    first.settle(first.take(1, NOW, to="web"), [retry(30.0)], NOW)
    first.close()
    second = make()
    second.attach("web")
    assert second.take(1, NOW + 29, to="web") == []
    (entry,) = second.take(1, NOW + 31, to="web")
    assert entry.attempts == 1


def test_a_business_key_counts_once_on_all_hosts(make: Callable[..., RedisSpool]) -> None:
    first, second = make(), make()
    for spool in (first, second):
        spool.attach("web")
    hit = make_hit(keyed=True)
    assert first.put("web", hit)
    assert second.put("web", hit)
    assert first.waiting("web") == 1
    first.settle(first.take(1, NOW, to="web"), [rejected("no")], NOW)
    assert second.put("web", hit)  # what was refused may be tried anew
    assert second.waiting("web") == 1


def test_dead_letters_can_be_looked_at_and_replayed(make: Callable[..., RedisSpool]) -> None:
    spool = make()
    spool.attach("web")
    hits = fill(spool, 3)
    spool.settle(spool.take(3, NOW, to="web"), [rejected("no such site"), DELIVERED, rejected("no")], NOW)
    (row,) = spool.status()
    assert (row["to"], row["pending"], row["dead"], row["rejected"], row["delivered"]) == ("web", 0, 2, 2, 1)
    assert [(entry.hit.id, state, reason) for entry, state, reason in spool.dead()] == [
        (hits[2].id, "rejected", "no"),
        (hits[0].id, "rejected", "no such site"),
    ]
    assert spool.replay() == 2
    assert [entry.hit.id for entry in spool.peek()] == [hits[0].id, hits[2].id]
    assert spool.purge(limit=1) == 1
    assert spool.waiting("web") == 1
    counts = spool.stats("web")
    assert counts is not None
    assert counts["accepted"] == sum(count for state, count in counts.items() if state != "accepted")


def test_a_producer_leaves_delivery_to_workers(make: Callable[..., RedisSpool]) -> None:
    spool = make(deliver=False)
    spool.attach("web")
    fill(spool, 2)
    assert not spool.uploads("web")
    assert spool.take(2, NOW, to="web") == []
    assert spool.waiting("web") == 2


def test_what_a_worker_detaches_is_there_at_once_and_what_it_delivers_late_does_not_count(
    make: Callable[..., RedisSpool],
) -> None:
    first, second = make(), make()
    for spool in (first, second):
        spool.attach("web")
    fill(first, 2)
    late = first.take(2, NOW, to="web")
    first.detach("web")
    assert len(entries := second.take(2, NOW, to="web")) == 2
    assert first.settle(late, [DELIVERED] * 2, NOW) == [False, False]
    assert second.settle(entries, [DELIVERED] * 2, NOW) == [True, True]


def test_a_late_verdict_on_what_was_detached_takes_nothing_from_the_next_lease(
    make: Callable[..., RedisSpool],
) -> None:
    spool = make()
    spool.attach("web")
    fill(spool, 1)
    late = spool.take(1, NOW, to="web")
    spool.detach("web")
    again = spool.take(1, NOW, to="web")
    assert spool.settle(late, [DELIVERED], NOW) == [False]
    assert spool.settle(again, [DELIVERED], NOW) == [True]
    assert spool.waiting("web") == 0


def test_a_worker_that_was_away_for_longer_than_its_lease_hears_what_it_has_lost(
    make: Callable[..., RedisSpool],
) -> None:
    clock = Clock()
    slow, quick = make(lease=20.0, monotonic=clock), make(lease=0.05)
    for spool in (slow, quick):
        spool.attach("web")
    fill(slow, 3)
    lost = slow.take(2, NOW, to="web")
    found: list[Entry] = []
    deadline = time.monotonic() + 5
    while len(found) < 3 and time.monotonic() < deadline:
        threading.Event().wait(0.06)
        found += quick.take(3, NOW, to="web")
    clock.tick(6.0)  # it says that it lives, too late
    assert slow.take(3, NOW, to="web") == []
    assert slow.settle(lost, [DELIVERED] * 2, NOW) == [False, False]
    assert quick.settle(found[:3], [DELIVERED] * 3, NOW) == [True] * 3


def test_a_business_key_whose_hit_was_purged_may_come_again(make: Callable[..., RedisSpool]) -> None:
    spool = make()
    spool.attach("web")
    hits = [make_hit(1, keyed=True), make_hit(2, keyed=True)]
    assert all(spool.put("web", hit) for hit in hits)
    spool._redis.xadd(spool._at("web").stream, {"q": "{}", "s": "0"})  # what cannot be read is deleted too
    assert spool.purge() == 3
    assert all(spool.put("web", hit) for hit in hits)
    assert spool.waiting("web") == 2


def test_what_another_has_settled_meanwhile_is_not_settled_twice(make: Callable[..., RedisSpool]) -> None:
    spool, operator = make(), make()
    spool.attach("web")
    fill(spool, 2)
    entries = spool.take(2, NOW, to="web")
    assert operator.purge(limit=1) == 1
    assert spool.settle(entries, [DELIVERED] * 2, NOW) == [False, True]
    counts = spool.stats("web")
    assert counts is not None
    assert (counts["accepted"], counts["delivered"], counts["dropped"], counts["pending"]) == (2, 1, 1, 0)


def test_who_delivers_where_order_matters_goes_on_doing_so(make: Callable[..., RedisSpool], stream: str) -> None:
    clock = Clock()
    spool = make(monotonic=clock)
    spool.attach("web", lane=lambda hit: hit.client_id)
    fill(spool, 1, client_id="a")
    with redis.Redis.from_url(need_service("redis")) as client:
        lock = f"{{{stream}:web}}:lock"
        assert spool.uploads("web")
        client.pexpire(lock, 1_000)
        clock.tick(6.0)
        assert spool.uploads("web")
        assert client.pttl(lock) > 10_000
        client.set(lock, "another")
        clock.tick(6.0)
        assert not spool.uploads("web")
        spool.detach("web")
        assert client.get(lock) == b"another"  # what is another's stays


def test_no_more_is_brought_here_than_there_is_room_for(
    make: Callable[..., RedisSpool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("analytical.spool.redis.WINDOW", 5)
    first, second = make(), make()
    for spool in (first, second):
        spool.attach("web")
    fill(first, 8)
    assert len(first.take(10, NOW, to="web")) == 5
    assert first.take(10, NOW, to="web") == []
    assert len(second.take(10, NOW, to="web")) == 3


def test_what_others_have_left_comes_before_what_is_new(
    make: Callable[..., RedisSpool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("analytical.spool.redis.WINDOW", 3)
    gone, other = make(), make(lease=0.05)
    for spool in (gone, other):
        spool.attach("web")
    hits = fill(gone, 3)
    assert len(gone.take(3, NOW, to="web")) == 3
    fill(gone, 3)
    threading.Event().wait(0.1)
    taken = other.take(3, NOW, to="web")
    assert [entry.hit.id for entry in taken] == [hit.id for hit in hits]
    other.settle(taken, [DELIVERED] * 3, NOW)
    assert len(other.take(3, NOW, to="web")) == 3


def test_a_redis_that_was_emptied_is_begun_anew(make: Callable[..., RedisSpool], stream: str) -> None:
    spool = make()
    spool.attach("web")
    fill(spool, 2)
    assert len(spool.take(2, NOW, to="web")) == 2
    with redis.Redis.from_url(need_service("redis")) as client:
        client.delete(f"{{{stream}:web}}:hits")
    assert spool.take(2, NOW, to="web") == []
    fill(spool, 3)
    assert len(spool.take(3, NOW, to="web")) == 3


def test_a_key_that_is_something_else_is_said_and_not_touched(
    make: Callable[..., RedisSpool], stream: str, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    spool = make(monotonic=clock)
    with redis.Redis.from_url(need_service("redis")) as client:
        client.set(f"{{{stream}:web}}:hits", "somebody's")
        spool.attach("web")
        assert "Redis cannot be used: ResponseError" in caplog.text
        clock.tick(1.0)
        assert not spool.put("web", make_hit())
        clock.tick(1.0)
        assert spool.take(1, NOW, to="web") == []
        assert client.get(f"{{{stream}:web}}:hits") == b"somebody's"
        client.delete(f"{{{stream}:web}}:hits")
    clock.tick(1.0)
    fill(spool, 1)
    assert len(taken := spool.take(1, NOW, to="web")) == 1
    with redis.Redis.from_url(need_service("redis")) as client:
        client.set(f"{{{stream}:web}}:hits", "somebody's")
        assert spool.waiting("web") == 1
        assert spool.away
        clock.tick(1.0)
        assert spool.take(1, NOW, to="web") == []
        clock.tick(1.0)
        assert spool.settle(taken, [DELIVERED], NOW) == [True]  # said to Redis when it can be
        clock.tick(1.0)
        assert spool.take(1, NOW, to="web") == []


def test_a_hit_of_a_newer_version_waits_for_a_newer_worker(
    make: Callable[..., RedisSpool], stream: str, caplog: pytest.LogCaptureFixture
) -> None:
    spool = make()
    spool.attach("web")
    (hit,) = fill(spool, 1)
    with redis.Redis.from_url(need_service("redis")) as client:
        client.xadd(f"{{{stream}:web}}:hits", {"q": b'{"v":2,"to":"web","hit":{}}', "s": repr(NOW)})
        client.xadd(f"{{{stream}:web}}:dead", {"state": "rejected", "reason": "", "q": b'{"v":2}', "s": repr(NOW)})
    assert [entry.hit.id for entry in spool.take(5, NOW, to="web")] == [hit.id]
    assert "written by a newer version of analytical, and waits for it" in caplog.text
    assert spool.waiting("web") == 2
    assert spool.dead() == []


def test_workers_that_are_gone_are_forgotten(
    make: Callable[..., RedisSpool], stream: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("analytical.spool.redis._GONE", 0.01)
    clock = Clock()
    idle, holder, spool = make(), make(), make(monotonic=clock)
    for one in (holder, idle, spool):
        one.attach("web")
    fill(holder, 1)
    idle.settle(idle.take(1, NOW, to="web"), [DELIVERED], NOW)
    fill(holder, 1)
    assert len(holder.take(1, NOW, to="web")) == 1
    with redis.Redis.from_url(need_service("redis")) as client:

        def workers() -> set[str]:
            return {one["name"].decode() for one in client.xinfo_consumers(f"{{{stream}:web}}:hits", "workers")}

        assert workers() >= {idle._me, holder._me}
        clock.tick(601.0)
        threading.Event().wait(0.05)
        spool.take(1, NOW, to="web")
        assert idle._me not in workers()
        assert holder._me in workers()  # what it holds must not be forgotten with it


def test_an_operator_sees_and_moves_so_many_of_each_destination(make: Callable[..., RedisSpool]) -> None:
    spool = make()
    for to in ("shop", "web"):
        spool.attach(to)
        hits = [make_hit(n) for n in range(3)]
        assert all(spool.put(to, hit) for hit in hits)
        spool.settle(spool.take(3, NOW, to=to), [rejected("no")] * 2 + [retry(30.0)], NOW)
    operator = make()
    assert operator.names() == ["shop", "web"]
    assert [row["pending"] for row in operator.status()] == [1, 1]
    assert len(operator.dead(limit=3)) == 3
    assert {entry.to for entry, _, _ in operator.dead(to="web")} == {"web"}
    assert operator.retry(to="web") == 1
    assert operator.retry() == 1
    assert operator.retry() == 0
    assert operator.replay(limit=2) == 2  # both of the first, none of the second
    assert [(row["pending"], row["dead"]) for row in operator.status()] == [(3, 0), (1, 2)]
    assert operator.purge(dead=True, limit=1) == 1
    assert operator.purge(dead=True) == 1
    assert operator.purge(dead=True) == 0
    assert operator.purge(limit=3) == 3
    assert operator.purge(to="web") == 1
    assert operator.waiting("web") == operator.waiting("shop") == 0
    assert operator.peek() == []


def test_a_child_takes_and_puts_over_a_connection_of_its_own(make: Callable[..., RedisSpool]) -> None:
    spool = make()
    spool.attach("web")
    fill(spool, 2)
    assert len(spool.take(1, NOW, to="web")) == 1
    spool.before_fork()
    child = os.fork()
    if not child:
        code = 1
        try:
            spool.abandon()
            took = spool.take(5, NOW, to="web")  # nothing: the parent holds both
            code = 0 if not took and spool.put("web", make_hit(9)) else 2
        finally:
            os._exit(code)
    spool.after_fork()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert [entry.hit.url for entry in spool.take(5, NOW, to="web")] == [
        "https://example.com/1",
        "https://example.com/9",
    ]


def test_what_is_left_behind_in_a_fork_is_not_closed(make: Callable[..., RedisSpool]) -> None:
    spool = make()
    spool.attach("web")
    before, me = spool._redis, spool._me
    spool.abandon()
    assert spool._redis is not before
    assert spool._me != me  # or its leases would be the parent's
    assert before.ping()
    fill(spool, 1)
    assert len(spool.take(1, NOW, to="web")) == 1
    before.close()


def test_a_journal_may_hold_hits_for_what_this_process_does_not_know(
    make: Callable[..., RedisSpool], tmp_path: Path
) -> None:
    gone = make(journal=tmp_path)
    gone.attach("shop")
    assert gone.put("shop", make_hit())
    assert gone._shipping is not None
    gone._shipping.journal.close()  # its process ends without a word
    worker = make(journal=tmp_path)
    worker.attach("web")
    assert worker.take(1, NOW, to="web") == []
    assert worker.names() == ["shop", "web"]
    assert worker.waiting("shop") == 1


# -- a Redis of its own, that can be stopped ----------------------------------------------------------------------


class Server:
    def __init__(self, directory: Path) -> None:
        binary = shutil.which("redis-server")
        if binary is None:
            pytest.skip("no redis-server on the path: a Redis that restarts needs one of its own")
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port = listener.getsockname()[1]
        self.command = [binary, "--port", str(self.port), "--appendonly", "yes", "--appendfsync", "always",
                        "--save", "", "--dir", str(directory), "--bind", "127.0.0.1"]  # fmt: skip
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with redis.Redis.from_url(self.url) as client:
            deadline = time.monotonic() + 20
            while time.monotonic() < deadline:
                try:
                    client.ping()
                    return
                except redis.RedisError:
                    threading.Event().wait(0.05)
        raise AssertionError("redis-server does not answer")

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path)
    made.start()
    yield made
    made.kill()


def test_what_was_accepted_survives_a_killed_redis(server: Server) -> None:
    spool = RedisSpool(server.url, timeout=0.3)
    spool.attach("web")
    hits = fill(spool, 10)
    taken = spool.take(3, NOW, to="web")
    server.kill()
    began = time.monotonic()
    assert not spool.put("web", make_hit())
    assert time.monotonic() - began < 1.0
    assert all(spool.settle(taken, [DELIVERED] * 3, NOW))  # remembered until Redis is back
    server.start()
    found = spool.take(100, NOW, to="web")
    assert [entry.hit.id for entry in found] == [hit.id for hit in hits[3:]]
    deadline = time.monotonic() + 20
    while spool.take(100, NOW, to="web") == [] and spool.away and time.monotonic() < deadline:
        spool.stats("web")  # a Redis that did not answer is not asked again at once
        threading.Event().wait(0.05)
    counts = spool.stats("web")
    assert counts is not None
    assert (counts["delivered"], counts["pending"], counts["dropped"]) == (3, 7, 1)
    spool.close()


def test_without_redis_everything_else_goes_on(server: Server) -> None:
    clock = Clock()
    spool = RedisSpool(server.url, timeout=0.3, monotonic=clock)
    spool.attach("web", lane=lambda hit: hit.client_id)
    fill(spool, 3, client_id="a")
    taken = spool.take(2, NOW, to="web")
    server.kill()
    clock.tick(6.0)  # it must say again that it delivers here
    assert spool.uploads("web")
    assert spool.away
    assert spool.uploads("web")
    assert spool.waiting("web") == 0  # never asked, and not known
    clock.tick(1.0)
    assert spool.settle(taken, [DELIVERED] * 2, NOW) == [True] * 2
    assert spool.settle(taken, [DELIVERED] * 2, NOW) == [False] * 2
    clock.tick(1.0)
    spool.detach("web")  # the leases end by themselves
    clock.tick(1.0)
    spool.close()


def test_what_has_begun_without_redis_counts_when_it_is_there(server: Server) -> None:
    server.kill()
    clock = Clock()
    spool = RedisSpool(server.url, timeout=0.3, monotonic=clock)
    spool.attach("web")
    spool.attach("shop")  # not asked again at once
    assert spool._destinations["shop"].base is None
    server.start()
    clock.tick(1.0)
    fill(spool, 1)
    counts = spool.stats("web")
    assert counts is not None
    assert (counts["accepted"], counts["pending"]) == (1, 1)
    spool.close()


@pytest.fixture
def silent() -> Iterator[str]:
    """A server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as listener:
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}/0"


def test_while_redis_is_silent_one_page_waits_and_not_all(silent: str) -> None:
    spool = RedisSpool(silent, timeout=0.3)
    spool.attach("web")
    began = time.monotonic()
    assert [spool.put("web", make_hit(n)) for n in range(50)] == [False] * 50
    assert time.monotonic() - began < 2.0
    counts = spool.stats("web")
    assert counts is not None
    assert (counts["accepted"], counts["dropped"]) == (50, 50)
    spool.close()


def test_with_a_journal_the_caller_does_not_need_redis(server: Server, tmp_path: Path) -> None:
    server.kill()
    spool = RedisSpool(server.url, timeout=0.2, journal=tmp_path / "journal")
    spool.attach("web")
    began = time.monotonic()
    hits = fill(spool, 50)
    assert time.monotonic() - began < 0.2
    assert spool.waiting("web") == 50
    server.start()
    assert spool._shipping is not None
    spool._shipping._looked = -1e9
    found: list[Entry] = []
    deadline = time.monotonic() + 20
    while len(found) < 50 and time.monotonic() < deadline:
        found += spool.take(100, NOW, to="web")
        threading.Event().wait(0.05)
    assert [entry.hit.id for entry in found] == [hit.id for hit in hits]
    assert spool.waiting("web") == 50
    spool.close()


PRODUCER = """
import sys
from analytical.spool import open_spool
from tests.contract.spools import make_hit
spool = open_spool(sys.argv[1])
spool.attach("web")
n = 0
while True:
    assert spool.put("web", make_hit(n))
    n += 1
    print(n, flush=True)
"""


@pytest.mark.parametrize("journal", [False, True])
def test_a_killed_producer_loses_nothing_that_was_accepted(
    stream: str, make: Callable[..., RedisSpool], tmp_path: Path, journal: bool
) -> None:
    url = f"{need_service('redis')}?stream={stream}" + (f"&journal={tmp_path}/journal" if journal else "")
    root = str(Path(__file__).parent.parent)
    process = subprocess.Popen(
        [sys.executable, "-c", PRODUCER, url], stdout=subprocess.PIPE, cwd=root, env={**os.environ, "PYTHONPATH": root}
    )
    assert process.stdout is not None
    said = 0
    for line in process.stdout:
        said = int(line)
        if said >= 200:
            process.send_signal(signal.SIGKILL)
            break
    rest = process.stdout.read().split()
    said = int(rest[-1]) if rest else said
    process.stdout.close()
    process.wait(10)
    spool = make(journal=tmp_path / "journal") if journal else make()
    spool.attach("web")
    ids: list[str] = []
    while batch := spool.take(500, NOW, to="web"):
        ids += [entry.hit.id for entry in batch]
    assert said <= len(ids) == len(set(ids)) <= said + 1
    assert spool.waiting("web") == len(ids)


# -- its URL ------------------------------------------------------------------------------------------------------


def test_the_url_says_everything(tmp_path: Path) -> None:
    spool = open_spool(
        f"redis://127.0.0.1:6379/3?stream=hits&timeout=0.5&lease=5&hits=10&journal={tmp_path}&deliver=no"
    )
    assert isinstance(spool, RedisSpool)
    assert (spool._stream, spool.timeout, spool._lease, spool.hits, spool.blocking) == ("hits", 0.5, 5.0, 10, False)
    assert spool._redis.connection_pool.connection_kwargs["db"] == 3


@pytest.mark.parametrize("query", ["streem=x", "timeout=soon", "stream={x}"])
def test_a_mistyped_option_is_said(query: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        open_spool(f"redis://:hunter2@127.0.0.1/0?{query}")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://127.0.0.1", "redis://127.0.0.1:6379?db=first"])
def test_a_url_that_redis_py_cannot_read_is_said(url: str) -> None:
    with pytest.raises(ConfigurationError, match="the Redis URL cannot be read"):
        RedisSpool(url)


def test_what_is_redis_pys_goes_to_redis_py() -> None:
    spool = RedisSpool.from_url("rediss://127.0.0.1/0?ssl_check_hostname=no&client_name=app&deliver=off&timeout=2")
    given = spool._redis.connection_pool.connection_kwargs
    assert (given["client_name"], given["socket_timeout"], spool._deliver) == ("app", 2.0, False)
    assert "ssl_check_hostname" in given


def test_without_redis_py_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "analytical.spool.redis")
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(MissingExtra, match=r"analytical\[redis\]"):
        importlib.import_module("analytical.spool.redis")


def test_neither_repr_nor_log_shows_the_password(caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    spool = open_spool(f"redis://:hunter2@127.0.0.1:{port}/0?timeout=0.1")
    spool.attach("web")
    assert not spool.put("web", make_hit())
    assert "Redis cannot be used: ConnectionError" in caplog.text
    assert "hunter2" not in caplog.text + repr(spool)

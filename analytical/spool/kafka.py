"""Hits that wait in Kafka: a topic per destination, keyed by visitor, at least once.

https://docs.confluent.io/platform/current/clients/confluent-kafka-python/html/index.html

``put`` answers when the brokers have acknowledged the hit, or ``timeout`` seconds have passed. Workers form a consumer
group; what one of them has not committed goes to the others when it dies. A hit that must be tried again goes to the
retry topic, with its due time, and only then is its place in the topic committed; where the platform needs the order
of a visitor's hits (a *lane*), it is held back here instead, with those behind it. Refused hits go to the topic of
dead letters.

Topics, for ``analytical`` and the destination ``web``: ``analytical.web``, ``analytical.web.retry``,
``analytical.web.dead``. Kafka deletes by age, not by what was read: give them a retention longer than any outage.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Any
from urllib.parse import unquote, urlsplit

from ..errors import ConfigurationError, MissingExtra
from ..hit import Hit
from ..observe import STATES
from ..secrets import resolve
from ..verdict import DELIVERED, Verdict
from . import LEASE, Entry, Lost, query_of, switch
from ._remote import FETCH, WINDOW, Destination, RemoteSpool
from ._shipping import read_queued
from .memory import Queue

try:
    from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
except ImportError:
    raise MissingExtra("a kafka:// spool", "kafka") from None

__all__ = ["KafkaSpool"]

#: Seconds between two commits: what a worker settled since then is delivered again when it is killed.
_COMMIT = 0.2


class _Partition:
    """How far one partition has been read and settled."""

    __slots__ = ("committed", "done", "position")

    def __init__(self, committed: int) -> None:
        self.committed = committed
        self.position = committed
        #: Settled, behind something that is not.
        self.done: set[int] = set()

    def settle(self, offset: int) -> None:
        self.done.add(offset)
        while self.committed in self.done:
            self.done.remove(self.committed)
            self.committed += 1

    def skip_to(self, offset: int) -> None:
        """Step over offsets that hold no message: Kafka's own markers, or what retention has deleted."""
        for missing in range(self.position, offset):
            self.settle(missing)
        self.position = offset + 1


class _Destination(Destination):
    """What this process keeps about one destination."""

    def __init__(self, topic: str, to: str, queue: Queue) -> None:
        super().__init__(to, queue)
        # A topic's name has only letters, digits, dots, dashes and underscores; two names must not become one.
        safe = re.sub(r"[^A-Za-z0-9._-]", "-", to)
        if safe != to:
            safe += "-" + blake2b(to.encode(), digest_size=4).hexdigest()
        self.topic = f"{topic}.{safe}"
        self.retries, self.dead = f"{self.topic}.retry", f"{self.topic}.dead"
        self.consumer: Any = None
        #: Asks how far the topics reach. Not the consumer: its questions would wait behind its own long reads.
        self.asker: Any = None
        #: Knows which dead letters were put back.
        self.letters: Any = None
        self.partitions: dict[tuple[str, int], _Partition] = {}
        self.seq = 0
        self.paused = False
        self.astray = False
        self.committed = -1e9
        self.dirty = False
        self.counts: dict[str, int] = dict.fromkeys(STATES, 0)
        #: How many had been put before this process began to look, less those that waited then.
        self.base: int | None = None


class KafkaSpool(RemoteSpool[_Destination]):
    """A spool in Kafka.

    Args:
        servers: ``host:port``, several with commas.
        topic: what the topics' names begin with.
        group: the consumer group of the workers.
        timeout: seconds that ``put`` waits at most for the brokers' acknowledgement.
        lease: seconds after which a batch that nobody settled is taken again within this process.
        journal: a directory on this machine: ``put`` appends to a file in it and returns, and a thread of the
            driver brings it to Kafka.
        deliver: whether this process takes hits out, too; ``False`` where workers of their own do.
        assign: take all partitions without asking the group: for a single worker that shall begin at once.
        settings: librdkafka's own, such as ``security.protocol``; a secret may be ``env:NAME`` or ``file:PATH``.
        clock: seconds since 1970.
        monotonic: the clock of leases.

    Kafka keeps no count of what became of hits: ``stats()`` knows what this process settled, and calls what others
    have settled since *unconfirmed*.
    """

    _BROKER = "Kafka"
    _ERRORS = (KafkaException, TimeoutError)
    _AWAY = 1.0

    def __init__(
        self,
        servers: str,
        *,
        topic: str = "analytical",
        group: str = "analytical",
        timeout: float = 2.0,
        lease: float = LEASE,
        journal: str | os.PathLike[str] | None = None,
        deliver: bool = True,
        assign: bool = False,
        settings: Mapping[str, str] | None = None,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        if not servers:
            raise ConfigurationError("a kafka:// spool needs a broker: kafka://host:9092/topic")
        if not re.fullmatch(r"[A-Za-z0-9._-]{1,180}", topic):
            raise ConfigurationError(f"topic={topic!r}: expected letters, digits, dots, dashes and underscores")
        self._topic = topic
        self._group = group
        self._assign = assign
        self._settings = {"bootstrap.servers": servers, **(settings or {})}
        super().__init__(
            topic, timeout=timeout, lease=lease, journal=journal, deliver=deliver, clock=clock, monotonic=monotonic
        )

    def _reset(self) -> None:
        super()._reset()
        self._making = threading.Lock()
        self._producer: Any = None

    @classmethod
    def from_url(cls, url: str) -> KafkaSpool:
        """Read ``kafka://host:9092,host2:9092/topic?group=workers&timeout=1&security.protocol=SASL_SSL&…``.

        Options with a dot in their name are librdkafka's:
        https://github.com/confluentinc/librdkafka/blob/master/CONFIGURATION.md
        """
        also = ", and librdkafka's, such as security.protocol"
        ours, theirs = query_of(url, _READERS, theirs=lambda name: "." in name, also=also)
        parts = urlsplit(url)
        topic = unquote(parts.path.strip("/"))
        if topic:
            ours["topic"] = topic
        settings = {name: resolve(value, what=name) for name, value in theirs}
        return cls(parts.netloc.rpartition("@")[2], settings=settings, **ours)

    # -- what every spool does ------------------------------------------------------------------------------------

    def attach(self, to: str, *, lane: Callable[[Hit], str | None] | None = None, lost: Lost | None = None) -> None:
        super().attach(to, lane=lane, lost=lost)
        if self.blocking:
            with self._lock:
                self._writer()  # it takes half a second to be ready, and the first hit need not wait for that

    def settle(self, entries: Sequence[Entry], verdicts: Sequence[Verdict], now: float) -> list[bool]:
        with self._lock:
            gone = self._hand_on(entries, verdicts, now)
            done: list[bool] = []
            for entry, verdict in zip(entries, verdicts, strict=True):
                destination = self._destinations[entry.to]
                moved = verdict.state == "retry" and entry.token in gone
                # A retry that is in the retry topic is done with here.
                really = destination.queue.settle(entry, DELIVERED if moved else verdict, now)
                done.append(really)
                if really and (moved or verdict.state != "retry"):
                    topic, partition, offset = entry.token
                    destination.partitions[topic, partition].settle(offset)
                    destination.dirty = True
                    if not moved:
                        destination.counts[verdict.state] += 1
            return done

    def uploads(self, to: str) -> bool:
        if self._shipping is not None:
            with self._lock:
                self._begin(self._destinations[to])
                self._ship()
        return self._deliver

    def abandon(self) -> None:
        # librdkafka's threads are the parent's: in a child its objects must never be used, nor freed.
        here = list(self._destinations.values())
        for handle in (self._producer, *(one.consumer for one in here), *(one.asker for one in here)):
            if handle is not None:
                ctypes.pythonapi.Py_IncRef(ctypes.py_object(handle))
        super().abandon()

    def close(self) -> None:
        with self._lock:
            super().close()
            producer, self._producer = self._producer, None
            if producer is not None and not self._gone():
                producer.flush(self.timeout)

    # -- what an operator does ------------------------------------------------------------------------------------

    def names(self) -> list[str]:
        """Return the destinations that have a topic. One whose topic is empty may be called by the topic's name."""
        return sorted(self._topics())

    def status(self) -> list[dict[str, Any]]:
        """Return a row for each destination: how many wait, since when, and how many are dead letters."""
        rows = []
        for to, here in sorted(self._topics().items()):
            with self._closing(here):
                pending = self._left(here)
                first = self._waiting_messages(here, 1) if pending else []
                dead = sum(high - low for low, high in self._letters(here).values())
            oldest = min((message.timestamp()[1] / 1_000 for message in first), default=None)
            rows.append({"to": to, "pending": pending, "oldest": oldest, "dead": dead})
        return rows

    def peek(self, limit: int = 20, *, to: str | None = None) -> list[Entry]:
        """Return hits that wait, the oldest first, without taking them."""
        found: list[Entry] = []
        for name, here in self._chosen(to):
            with self._closing(here):
                messages = self._waiting_messages(here, limit)
            found += [entry for message in messages if (entry := _entry(name, message)) is not None]
        return sorted(found, key=lambda entry: entry.since)[:limit]

    def dead(self, limit: int = 20, *, to: str | None = None) -> list[tuple[Entry, str, str]]:
        """Return dead letters that were not put back, the newest first, each with its state and reason."""
        found: list[tuple[float, Entry, str, str]] = []
        for name, here in self._chosen(to):
            with self._closing(here):
                begin = {place: (max(low, high - limit), high) for place, (low, high) in self._letters(here).items()}
                messages = self._read(begin, limit * len(begin))
            for message in messages:
                entry, headers = _entry(name, message), dict(message.headers() or ())
                if entry is not None:
                    state, reason = (bytes(headers.get(key, b"")).decode() for key in ("state", "reason"))
                    found.append((message.timestamp()[1], entry, state, reason))
        found.sort(key=lambda letter: letter[0], reverse=True)
        return [(entry, state, reason) for _, entry, state, reason in found[:limit]]

    def replay(self, *, to: str | None = None, limit: int = 1_000) -> int:
        """Put up to ``limit`` dead letters back among the waiting; return how many. They count as accepted anew."""
        done = 0
        for _, here in self._chosen(to):
            with self._closing(here):
                messages = self._read(self._letters(here), limit - done) if done < limit else []
                again = [(here.topic, message.value(), message.key(), None) for message in messages]
                if again and not self._produce(again):
                    raise KafkaException(KafkaError(KafkaError._MSG_TIMED_OUT))
                if again:
                    upto = {(message.topic(), message.partition()): message.offset() + 1 for message in messages}
                    places = [TopicPartition(*place, offset) for place, offset in upto.items()]
                    self._letter_reader(here).commit(offsets=places, asynchronous=False)
                done += len(again)
        return done

    def _topics(self) -> dict[str, _Destination]:
        """Return the destinations by name, those of other processes included."""
        known = {here.topic: here for here in self._destinations.values()}
        asker = Consumer({"group.id": f"{self._group}.operator", "log_level": 0, **self._settings})
        try:
            topics = set(asker.list_topics(timeout=self.timeout).topics)
        finally:
            asker.close()
        found: dict[str, _Destination] = {}
        for topic in sorted(topics):
            suffix = topic.removeprefix(f"{self._topic}.")
            if suffix == topic or suffix.endswith((".retry", ".dead")):
                continue
            here = known.get(topic) or self._apart(topic, suffix)
            found[here.to] = here
        return found

    def _apart(self, topic: str, suffix: str) -> _Destination:
        """Return what is needed to look at a topic; its hits know what the destination is really called."""
        here = _Destination(self._topic, suffix, Queue(None))
        here.topic, here.retries, here.dead = topic, f"{topic}.retry", f"{topic}.dead"
        with self._closing(here):
            places = self._places(here, [topic])
            first, high = self._reach(here, places, -2), self._reach(here, places, -1)
            begin = {place: (first[place], min(first[place] + 1, high[place])) for place in first}
            for message in self._read(begin, 1):
                queued = read_queued(message.value() or b"")
                if queued is not None:
                    here.to = queued.to
        return here

    def _chosen(self, to: str | None) -> list[tuple[str, _Destination]]:
        found = self._topics()
        return sorted(found.items()) if to is None else [(to, found[to])] if to in found else []

    @contextlib.contextmanager
    def _closing(self, here: _Destination) -> Iterator[None]:
        """Close what was opened for a destination that this process does not deliver to."""
        try:
            yield
        finally:
            letters, here.letters = here.letters, None
            if letters is not None:
                letters.close()
            if here.to not in self._destinations and here.asker is not None:
                here.asker.close()
                here.asker = None

    def _letter_reader(self, here: _Destination) -> Any:
        if here.letters is None:
            here.letters = Consumer({**self._consuming(here), "group.id": f"{self._group}.{here.dead}"})
        return here.letters

    def _letters(self, here: _Destination) -> dict[tuple[str, int], tuple[int, int]]:
        """Return from where to where the dead letters reach that were not put back."""
        places = self._places(here, [here.dead])
        committed = self._letter_reader(here).committed(places, timeout=self.timeout)
        first, high = self._reach(here, places, -2), self._reach(here, places, -1)
        return {
            at: (max(place.offset, first[at]), high[at])
            for place in committed
            if (at := (place.topic, place.partition))
        }

    def _waiting_messages(self, here: _Destination, limit: int) -> list[Any]:
        places = self._places(here, (here.topic, here.retries))
        committed = self._asker(here).committed(places, timeout=self.timeout)
        first, high = self._reach(here, places, -2), self._reach(here, places, -1)
        begin = {}
        for place in committed:
            at = place.topic, place.partition
            low = max(place.offset, first[at])
            begin[at] = (low, min(low + limit, high[at]))
        return self._read(begin, limit * len(begin))

    def _read(self, ranges: Mapping[tuple[str, int], tuple[int, int]], limit: int) -> list[Any]:
        """Return the messages of partitions from one offset to another, up to so many, moving nobody's place."""
        left = {place: reach for place, reach in ranges.items() if reach[0] < reach[1]}
        found: list[Any] = []
        if not left:
            return found
        reader: Any = Consumer(
            {
                "group.id": f"{self._group}.operator",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "earliest",
                "log_level": 0,
                **self._settings,
            }
        )
        try:
            reader.assign([TopicPartition(*place, low) for place, (low, _) in left.items()])
            deadline = time.monotonic() + self.timeout + 1.0
            while left and len(found) < limit and time.monotonic() < deadline:
                for message in reader.consume(min(limit - len(found), FETCH), timeout=0.1):
                    place = message.topic(), message.partition()
                    error = message.error()
                    if error is not None:
                        if error.code() != KafkaError._PARTITION_EOF:
                            raise KafkaException(error)
                        left.pop(place, None)
                    elif place in left and message.offset() < left[place][1]:
                        found.append(message)
                        if message.offset() + 1 >= left[place][1]:
                            del left[place]
        finally:
            reader.close()
        return found

    # -- to Kafka -------------------------------------------------------------------------------------------------

    def _make(self, to: str, queue: Queue) -> _Destination:
        return _Destination(self._topic, to, queue)

    def _send(self, destination: _Destination, hit: Hit, body: bytes) -> bool:
        accepted = self._produce([(destination.topic, body, self._key(destination, hit), None)])
        if not accepted:
            self._in_vain = self._monotonic()
        return accepted

    def _key(self, destination: _Destination, hit: Hit) -> bytes:
        """Return what decides on the partition: one visitor's hits stay in one, in order."""
        lane = destination.queue.lane
        return ((lane(hit) if lane is not None else None) or hit.client_id or hit.user_id or hit.id).encode()

    def _writer(self) -> Any:
        with self._making:
            if self._producer is None:
                # librdkafka looks for messages that are overdue once a second. It gives up before put() does, so that
                # a hit that was refused does not arrive later.
                patience = int(1_000 * (self.timeout - 1.0 if self.timeout >= 2.0 else self.timeout / 2))
                self._producer = Producer(
                    {
                        "acks": "all",
                        "enable.idempotence": True,
                        "linger.ms": 2,
                        "message.timeout.ms": max(patience, 10),
                        "log_level": 0,
                        **self._settings,
                    }
                )
            return self._producer

    def _produce(self, messages: Sequence[tuple[str, bytes, bytes, list[tuple[str, bytes]] | None]]) -> bool:
        """Write messages and wait for the acknowledgement of all; tell whether it came."""
        answers: list[Any] = []  # appended to by whichever thread happens to poll

        def reported(error: Any, message: Any) -> None:
            answers.append(error)

        deadline = time.monotonic() + self.timeout
        try:
            writer = self._writer()
            for topic, body, key, headers in messages:
                writer.produce(topic, body, key=key, headers=headers, on_delivery=reported)
            while len(answers) < len(messages) and (left := deadline - time.monotonic()) > 0:
                writer.poll(min(left, 0.02))
        except (KafkaException, BufferError) as error:
            self._unreachable(error)
            return False
        failed = [error for error in answers if error is not None]
        if failed or len(answers) < len(messages):
            self._unreachable(failed[0] if failed else TimeoutError())
            return False
        return True

    def _hand_on(self, entries: Sequence[Entry], verdicts: Sequence[Verdict], now: float) -> set[Any]:
        """Write what must be tried again, and what was refused, to their topics; return what was moved for a retry."""
        again: list[tuple[str, bytes, bytes, list[tuple[str, bytes]] | None]] = []
        dead: list[tuple[str, bytes, bytes, list[tuple[str, bytes]] | None]] = []
        moving: list[Any] = []
        for entry, verdict in zip(entries, verdicts, strict=True):
            destination = self._destinations[entry.to]
            if entry.state != 1 or entry.heir is not None or entry.token[:2] not in destination.partitions:
                continue  # not this lease's to settle
            body, key = destination.prefix + self._encode(entry.hit) + b"}", self._key(destination, entry.hit)
            if verdict.state == "retry":
                if entry.lane is None:
                    headers = [
                        ("due", repr(now + (verdict.after or 0.0)).encode()),
                        ("attempts", str(entry.attempts + verdict.tried).encode()),
                        ("since", repr(entry.since).encode()),
                    ]
                    again.append((destination.retries, body, key, headers))
                    moving.append(entry.token)
            elif verdict.state in ("rejected", "expired", "dropped"):
                reason = [("state", verdict.state.encode()), ("reason", verdict.reason.encode())]
                dead.append((destination.dead, body, key, reason))
        if dead and not self._produce(dead):
            self._complain("dead letters could not be written")
        return set(moving) if again and self._produce(again) else set()

    # -- from Kafka -----------------------------------------------------------------------------------------------

    def _reader(self, destination: _Destination) -> Any:
        if destination.consumer is not None:
            return destination.consumer
        topics = (destination.topic, destination.retries)
        places = self._places(destination, topics)  # asked for by name, so that they are made where brokers do that
        answered = {"on_commit": lambda error, places: self._answered(destination, error)}
        consumer = Consumer({**self._consuming(destination), **answered})
        try:
            if self._assign:
                self._assigned(destination, None, places)
                # From where this process counts, whatever the group's coordinator says meanwhile.
                begin = [(place, destination.partitions[place.topic, place.partition]) for place in places]
                consumer.assign([TopicPartition(place.topic, place.partition, here.position) for place, here in begin])
            else:
                consumer.subscribe(
                    list(topics),
                    on_assign=lambda c, places: self._given(destination, c, places),
                    on_revoke=lambda c, places: self._revoked(destination, c, places),
                    on_lost=lambda c, places: self._revoked(destination, None, places),
                )
        except KafkaException:
            consumer.close()
            raise
        destination.consumer = consumer
        return consumer

    def _consuming(self, destination: _Destination) -> dict[str, Any]:
        return {
            "group.id": f"{self._group}.{destination.topic}",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "allow.auto.create.topics": True,
            "fetch.wait.max.ms": 100,
            "log_level": 0,
            **self._settings,
        }

    def _asker(self, destination: _Destination) -> Any:
        if destination.asker is None:
            destination.asker = Consumer(self._consuming(destination))
        return destination.asker

    def _places(self, destination: _Destination, topics: Iterable[str]) -> list[Any]:
        asker = self._asker(destination)
        deadline = time.monotonic() + self.timeout
        pause = threading.Event()
        places = []
        for topic in topics:
            while True:
                found = asker.list_topics(topic, timeout=self.timeout).topics[topic]
                if found.partitions and found.error is None:
                    break
                if time.monotonic() >= deadline:
                    raise KafkaException(found.error or KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART))
                pause.wait(0.02)  # it is being made
            places += [TopicPartition(topic, number) for number in sorted(found.partitions)]
        return places

    def _reach(self, destination: _Destination, places: Iterable[Any], which: int) -> dict[tuple[str, int], int]:
        """Return the first (-2) or the next (-1) offset of partitions, in one question to each broker.

        https://kafka.apache.org/protocol.html#The_Messages_ListOffsets
        """
        asked = [TopicPartition(place.topic, place.partition, which) for place in places]
        answers = self._asker(destination).offsets_for_times(asked, timeout=self.timeout)
        for place in answers:
            if place.error is not None:
                raise KafkaException(place.error)
        return {(place.topic, place.partition): place.offset for place in answers}

    def _assigned(self, destination: _Destination, consumer: Any, places: list[Any]) -> None:
        first = self._reach(destination, places, -2)
        for place in self._asker(destination).committed(places, timeout=self.timeout):
            at = place.topic, place.partition
            destination.partitions[at] = _Partition(max(place.offset, first[at]))

    def _given(self, destination: _Destination, consumer: Any, places: list[Any]) -> None:
        try:
            self._assigned(destination, consumer, places)
        except KafkaException as error:
            # Where to begin is not known: what comes now is not kept, and the group is joined anew.
            destination.astray = True
            self._unreachable(error)

    def _revoked(self, destination: _Destination, consumer: Any, places: list[Any]) -> None:
        if consumer is not None:
            try:
                self._commit(destination, now=True)
            except KafkaException as error:
                self._unreachable(error)
        gone = {(place.topic, place.partition) for place in places}
        for entry in list(destination.queue):
            if entry.token[:2] in gone:  # another worker has it from now on
                destination.queue.settle(entry, DELIVERED, 0.0)
        for place in gone:
            destination.partitions.pop(place, None)

    def _refill(self, destination: _Destination, limit: int) -> None:
        self._fetch(destination, limit)
        self._commit(destination)

    def _fetch(self, destination: _Destination, limit: int) -> None:
        consumer = self._reader(destination)
        self._begin(destination)
        queue = destination.queue
        room = WINDOW - queue.count
        full = room <= 0 or queue.ready() >= limit
        if full != destination.paused:
            places = consumer.assignment()
            (consumer.pause if full else consumer.resume)(places)
            destination.paused = full
        # Asked even when there is no room: a consumer that does not ask is taken for dead.
        messages = consumer.consume(1 if full else min(room, FETCH), timeout=0.0 if full else 0.01)
        if destination.astray:
            self._let_go(destination)
            return
        for message in messages:
            self._keep(destination, message)
        self._pace = 0.02 if messages else min(self._pace * 1.5, 0.25)

    def _keep(self, destination: _Destination, message: Any) -> None:
        error = message.error()
        if error is not None:
            if error.code() not in (KafkaError._PARTITION_EOF, KafkaError.UNKNOWN_TOPIC_OR_PART):
                self._unreachable(error)
            return
        place = message.topic(), message.partition()
        here = destination.partitions.get(place)
        if here is None or message.offset() < here.position:
            return
        here.skip_to(message.offset())
        entry = _entry(destination.to, message)
        if entry is None:
            # Left uncommitted it would hold up everything behind it.
            self._complain("a message is no hit of a known version, and is skipped")
            here.settle(message.offset())
            return
        destination.seq += 1
        entry.seq = destination.seq
        if entry.due:
            destination.queue.later(entry, entry.due)
        else:
            destination.queue.append(entry)

    def _commit(self, destination: _Destination, *, now: bool = False) -> None:
        mono = time.monotonic()
        if not destination.dirty or destination.consumer is None:
            return
        if not now and mono - destination.committed < _COMMIT:
            return
        places = [TopicPartition(*place, here.committed) for place, here in destination.partitions.items()]
        if places:
            destination.consumer.commit(offsets=places, asynchronous=not now)
        destination.committed, destination.dirty = mono, False

    def _answered(self, destination: _Destination, error: Any) -> None:
        """Hear how a commit went that nobody waited for."""
        if error is not None:
            destination.dirty = True
            self._complain(f"what was settled cannot be committed and may be delivered again: {error.name()}")

    def _let_go(self, destination: _Destination) -> None:
        consumer, destination.consumer = destination.consumer, None
        if consumer is not None:
            try:
                if destination.dirty and not self._gone():
                    places = [TopicPartition(*place, here.committed) for place, here in destination.partitions.items()]
                    if places:
                        consumer.commit(offsets=places, asynchronous=False)
            except KafkaException as error:
                self._unreachable(error)  # what was delivered since comes again
            consumer.close()
        asker, destination.asker = destination.asker, None
        if asker is not None:
            asker.close()
        destination.partitions, destination.dirty, destination.paused = {}, False, False
        destination.astray = False
        destination.queue = self._queue(destination.queue.lane)

    # -- a journal on this machine --------------------------------------------------------------------------------

    def _carry(self, to: str, bodies: list[bytes], name: str, end: int) -> None:
        destination = self._at(to)
        messages = []
        for body in bodies:
            queued = read_queued(body)
            assert queued is not None  # it was read before
            messages.append((destination.topic, body, self._key(destination, queued.hit), None))
        if not self._produce(messages):
            raise TimeoutError("the brokers do not take it")

    # -- counting -------------------------------------------------------------------------------------------------

    def _begin(self, destination: _Destination) -> None:
        if destination.base is not None or self._gone():
            return
        try:
            waiting = self._left(destination)
            destination.base = self._high(destination) - waiting
        except KafkaException as error:
            self._unreachable(error)

    def _ask(self, destination: _Destination) -> None:
        destination.known = self._left(destination)

    def _counts(self, destination: _Destination) -> tuple[dict[str, int], int]:
        put: int | None = None
        if destination.base is not None and not self._gone():
            try:
                put = self._high(destination) - destination.base
            except KafkaException as error:
                self._unreachable(error)
        pending = self._pending(destination)
        counts = dict(destination.counts)
        if put is not None:
            counts["unconfirmed"] += max(0, put - destination.known - sum(counts.values()))
        return counts, pending

    def _high(self, destination: _Destination) -> int:
        """Count what was ever put."""
        return sum(self._reach(destination, self._places(destination, [destination.topic]), -1).values())

    def _left(self, destination: _Destination) -> int:
        """Count what is in the topics and not settled, here or by a worker elsewhere that has said so."""
        places = self._places(destination, (destination.topic, destination.retries))
        # In this order: what is put or settled between the questions shows as waiting, never as less than none.
        committed = self._asker(destination).committed(places, timeout=self.timeout)
        first = self._reach(destination, places, -2)
        high = self._reach(destination, places, -1)
        left = 0
        for place in committed:
            at = place.topic, place.partition
            here = destination.partitions.get(at)
            settled = place.offset if here is None else here.committed
            left += high[at] - max(settled, first[at]) - (0 if here is None else len(here.done))
        return max(left, 0)

    @staticmethod
    def _kind(error: Any) -> str:
        code = error.args[0] if isinstance(error, KafkaException) and error.args else error
        return str(code.name()) if isinstance(code, KafkaError) else type(error).__name__


def _entry(to: str, message: Any) -> Entry | None:
    """Return what a message says, for somebody who looks; ``None`` where it is no hit of a known version."""
    queued = read_queued(message.value() or b"")
    if queued is None:
        return None
    headers = dict(message.headers() or ())
    since = float(headers.get("since") or message.timestamp()[1] / 1_000)
    entry = Entry(queued.hit, to, message.offset(), len(message.value()), int(headers.get("attempts") or 0), since)
    entry.due, entry.token = float(headers.get("due") or 0.0), (message.topic(), message.partition(), message.offset())
    return entry


_READERS: dict[str, Callable[[str], Any]] = {
    "group": str,
    "timeout": float,
    "lease": float,
    "journal": str,
    "deliver": switch,
    "assign": switch,
}

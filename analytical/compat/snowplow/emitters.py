"""The emitters: they buffer events and hand them on, to a collector, to Celery or to Redis.

They are thin: the protocol is :class:`analytical.providers.snowplow.Snowplow`, the sending, the retries and the end of
the process are those of every provider, and an event store is a spool.
"""

from __future__ import annotations

import itertools
import json
import logging
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from ...delivery.thread import ThreadDelivery
from ...errors import MissingExtra
from ...hit import Hit, new_id
from ...http import Response
from ...privacy.policy import Policy
from ...providers.base import Shell
from ...providers.snowplow import Snowplow, complete
from ...retry import system_uniform
from ...transports import default as transports
from ...verdict import DELIVERED, UNCONFIRMED, Verdict, rejected, retry
from . import contracts
from .event_store import EventStore, InMemoryEventStore, StoreSpool, hit_of
from .tracker import VERSION
from .typing import FailureCallback, PayloadDict, PayloadDictList, SuccessCallback

if TYPE_CHECKING:
    from ...transports import Transport

__all__ = ["AsyncEmitter", "CeleryEmitter", "Emitter", "RedisEmitter", "logger"]

logger = logging.getLogger("analytical.compat.snowplow")

#: Seconds for a whole exchange with the collector, where nothing else is said; 1.x waits for ever.
TIMEOUT = 5.0
#: Seconds after which a buffer leaves that is not full.
LINGER = 1.0

#: The answers after which 1.x does not try again.
_NEVER = frozenset({400, 401, 403, 410, 413, 422})

_numbers = itertools.count(1)


class _Busy(threading.local):
    calling_back = False


_busy = _Busy()


@dataclass(frozen=True, kw_only=True)
class _Collector(Snowplow):
    """The collector, with an application's own rules for what is tried again."""

    retry_codes: Mapping[int, bool] = field(default_factory=dict)

    def interpret(self, response: Response, hits: Sequence[Hit], *, now: float) -> list[Verdict]:
        if response.ok:
            return [UNCONFIRMED] * len(hits)
        reason = f"http {response.status}"
        if self.retry_codes.get(response.status, response.status not in _NEVER):
            return [retry(self.by_status(response, now=now).after, reason=reason)] * len(hits)
        return [rejected(reason)] * len(hits)


class _Driver(ThreadDelivery):
    """The background driver over one emitter's buffer; what waits to fill it leaves when somebody waits for that."""

    spool: StoreSpool

    def flush(self, timeout: float | None = None, *, to: str | None = None) -> bool:
        self.spool.push()
        return super().flush(timeout, to=to)

    def _end(self, deadline: float | None, *, exiting: bool = False) -> int:
        self.spool.push()
        return super()._end(deadline, exiting=exiting)

    def _carrier(self, to: str) -> Any:
        return self._carriers.get(to) or self._again(to)  # an emitter that was closed begins anew

    def wake(self, to: str) -> None:
        """Let a thread look, and start the first."""
        self._carrier(to).ring()

    def work_here(self, to: str) -> None:
        """Carry what is due in the calling thread, as far as the destination may be spoken to."""
        carrier = self._carrier(to)
        for _ in range(1000):
            failures = self.spool.failures
            if not self.spool.ready(to):
                return
            carrier._work_here(self.monotonic())
            if self.spool.failures != failures:
                break
        carrier.ring()  # what is left is a thread's to send, after a pause


class _Site(Shell):
    """A destination whose sending an emitter watches."""

    emitter: Emitter

    def _send_hits(self, hits: Sequence[Hit], *, timeout: float | None = None) -> list[Verdict]:
        return self.emitter._attempt(hits, timeout)

    def carry(self, hits: Sequence[Hit], timeout: float | None) -> list[Verdict]:
        """Send over HTTP."""
        return super()._send_hits(hits, timeout=timeout)


class Emitter:
    """Sends to a collector. The call that fills the buffer sends it; one that is not full leaves after a second.

    Args:
        endpoint: the collector: a host, or an address with ``http://`` or ``https://``.
        protocol: ``http`` or ``https``, where the endpoint does not say.
        port: the collector's port.
        method: ``post``, all events of the buffer in one request, or ``get``, one each.
        batch_size: how many events fill the buffer: 10, with ``get`` 1.
        on_success: called with the list of payloads that were sent.
        on_failure: called with the number that were sent, and the list of payloads that were not. What may succeed
            later is tried again without your doing; an event put back by hand is not sent twice.
        byte_limit: how many bytes fill the buffer, about.
        request_timeout: seconds for a whole exchange, or the two numbers that ``requests`` takes; 5 by default.
        max_retry_delay_seconds: accepted; the wait between attempts is the library's own, at most 10 s.
        buffer_capacity: how many events may wait; one more is lost, and counted.
        custom_retry_codes: status = whether an answer with it is tried again.
        event_store: where events wait, instead of memory.
        session: a ``requests.Session`` of yours.
        buffer_size: the older name of ``batch_size``.
        thread_count: accepted; see :class:`AsyncEmitter`.
        privacy: ``off``, ``careful``, ``strict`` or a policy; this front door sends what it is given unless told so.
        transport: what sends a request, instead of the default.
    """

    #: Whether the call that fills the buffer sends it.
    _inline = True
    #: Seconds that a thread waits for more once the buffer is full.
    _gathering = 0.0

    def __init__(
        self,
        endpoint: str,
        protocol: str = "https",
        port: int | None = None,
        method: str = "post",
        batch_size: int | None = None,
        on_success: SuccessCallback | None = None,
        on_failure: FailureCallback | None = None,
        byte_limit: int | None = None,
        request_timeout: float | tuple[float, float] | None = None,
        max_retry_delay_seconds: int = 60,
        buffer_capacity: int | None = None,
        custom_retry_codes: Mapping[int, bool] | None = None,
        event_store: EventStore | None = None,
        session: Any = None,
        *,
        buffer_size: int | None = None,
        thread_count: int = 1,
        privacy: str | Policy = "off",
        transport: Transport | None = None,
    ) -> None:
        contracts.one_of("protocol", protocol, ("http", "https"))
        contracts.one_of("method", method, ("get", "post"))
        contracts.whole("port", port, least=1, optional=True)
        batch_size = buffer_size if batch_size is None else batch_size
        contracts.whole("batch_size", batch_size, least=1, optional=True)
        contracts.whole("byte_limit", byte_limit, least=1, optional=True)
        contracts.whole("buffer_capacity", buffer_capacity, least=1, optional=True)
        contracts.whole("thread_count", thread_count, least=1)
        self.endpoint = self.as_collector_uri(endpoint, protocol, port, method)
        self.method = method
        self.request_timeout = request_timeout
        self.max_retry_delay_seconds = max_retry_delay_seconds
        self.custom_retry_codes = custom_retry_codes or {}
        collector = _Collector(
            id="",
            endpoint=self.as_collector_uri(endpoint, protocol, port, "post"),
            method=method,
            platform="pc",
            tracker=VERSION,
            retry_codes=self.custom_retry_codes,
        )
        timeout = _seconds(request_timeout)
        own = transport is None
        if transport is None:
            transport = transports.default_transport(timeout=timeout, session=session, background=True)
        self._build(
            collector,
            default_size=10 if method == "post" else 1,
            batch_size=batch_size,
            byte_limit=byte_limit,
            capacity=buffer_capacity,
            store=event_store,
            policy=Policy.of(privacy),
            transport=transport,
            own=own,
            timeout=timeout,
            connections=thread_count,
            on_success=on_success,
            on_failure=on_failure,
        )

    def _build(
        self,
        collector: _Collector,
        *,
        policy: Policy,
        transport: Transport,
        own: bool = True,
        default_size: int = 1,
        batch_size: int | None = None,
        byte_limit: int | None = None,
        capacity: int | None = None,
        store: EventStore | None = None,
        timeout: float = TIMEOUT,
        connections: int = 1,
        on_success: SuccessCallback | None = None,
        on_failure: FailureCallback | None = None,
    ) -> None:
        if store is None:
            store = InMemoryEventStore(logger, capacity or 10_000)
            capacity = store.buffer_capacity
        size = batch_size or default_size
        self._spool = StoreSpool(
            store, batch_size=min(size, capacity or size), byte_limit=byte_limit, linger=LINGER, capacity=capacity
        )
        self._driver = _Driver(self._spool, connections=connections, linger=self._gathering)
        self._to = f"snowplow-emitter#{next(_numbers)}"
        self.on_success = on_success
        self.on_failure = on_failure
        self._policy = policy
        self._timeout = timeout
        self._site = _Site.__new__(_Site)
        self._site.emitter = self
        Shell.__init__(
            self._site,
            collector,
            to=self._to,
            policy=policy,
            delivery=self._driver,
            transport=transport,
            timeout=timeout,
            background=True,
        )
        if own:
            # Nobody closed the older emitters; their connections go when they do.
            weakref.finalize(self, transport.close).atexit = False

    # -- what a tracker calls

    def input(self, payload: PayloadDict) -> None:
        """Take an event: a mapping of the protocol's names to values. The buffer leaves when that fills it."""
        if not isinstance(payload, (dict, Mapping)):
            raise TypeError(f"payload: expected a mapping of names to values, got {type(payload).__name__}")
        ready = self._ready(payload)
        if ready is None:
            return
        ledger = self._site.ledger
        ledger.accepted(self._to)
        spool = self._spool
        held = spool.add(ready)
        if not held:
            ledger.settled(self._to, hit_of(ready), "dropped", "full")
            return
        if spool.rung:
            return  # a thread is on its way already
        if _busy.calling_back:
            # A callback that puts back what failed must not become a loop without a pause.
            spool.hold(LINGER)
        elif held >= spool.batch_size or (spool.byte_limit is not None and spool.full):
            if self._inline:
                self._send()
            else:
                spool.rung = True
                self._driver.wake(self._to)
        elif spool.armed < spool.used:
            self._driver.wake(self._to)

    def flush(self) -> None:
        """Send what is in the buffer, and return when the collector has answered or cannot be reached."""
        self._spool.push()
        self._send()

    def sync_flush(self) -> None:
        """Send what is in the buffer, and return when the collector has answered or cannot be reached."""
        self._spool.push()
        if not _busy.calling_back:
            self._driver.work_here(self._to)
            self._wait()

    def async_flush(self) -> None:
        """Let a thread send what is in the buffer, and return at once."""
        self._spool.push()
        self._driver.wake(self._to)

    #: What ``Tracker.flush(is_async=True)`` asks for: not every emitter's ``async_flush`` does what its name says.
    hand_over = async_flush

    def set_flush_timer(self, timeout: float) -> None:
        """Let a buffer that is not full leave after so many seconds, instead of one."""
        contracts.number("timeout", timeout)
        if not timeout > 0:
            raise ValueError(f"timeout: expected seconds above 0, got {timeout}")
        self._spool.linger = float(timeout)
        self._spool.armed = 0.0
        self._driver.wake(self._to)

    def cancel_flush_timer(self) -> None:
        """Let a buffer leave only when it is full, when it is flushed, and at the end of the process."""
        self._spool.linger = None

    def cancel_flush(self) -> None:
        """Do as :meth:`cancel_flush_timer`; the old documentation calls it by this name."""
        self.cancel_flush_timer()

    # -- what else can be asked

    @property
    def event_store(self) -> EventStore:
        """Where events wait."""
        return self._spool.store

    @property
    def batch_size(self) -> int:
        """How many events fill the buffer."""
        return self._spool.batch_size

    @property
    def buffer_size(self) -> int:
        """How many events fill the buffer, by its older name."""
        return self._spool.batch_size

    @property
    def byte_limit(self) -> int | None:
        """How many bytes fill the buffer."""
        return self._spool.byte_limit

    def reached_limit(self) -> bool:
        """Tell whether the buffer is full."""
        return self._spool.full

    def stats(self) -> dict[str, int]:
        """Return what became of the events so far; see :meth:`analytical.Provider.stats`."""
        return self._site.stats()

    def deliver(self, payloads: Sequence[Mapping[str, Any]], *, timeout: float | None = None) -> list[Verdict]:
        """Send payloads now, past the buffer, once, and return a verdict for each: for whoever keeps them elsewhere.

        Args:
            payloads: what a queue kept.
            timeout: seconds for all of it.
        """
        verdicts: list[Verdict] = [rejected("refused by the privacy gate")] * len(payloads)
        kept = {position: ready for position, payload in enumerate(payloads) if (ready := self._ready(payload))}
        hits = {position: hit_of(ready) for position, ready in kept.items()}
        for position, verdict in zip(hits, self._attempt(list(hits.values()), timeout), strict=True):
            verdicts[position] = verdict
        return verdicts

    def close(self, timeout: float = 2.0) -> None:
        """Send what is left within some seconds, and let go of threads and connections."""
        self._site.close(timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._to}>"

    @staticmethod
    def as_collector_uri(endpoint: str, protocol: str = "https", port: int | None = None, method: str = "post") -> str:
        """Return the address that events are sent to.

        Args:
            endpoint: a host, or an address; what it says of the protocol wins.
            protocol: ``http`` or ``https``.
            port: the collector's port.
            method: ``get`` or ``post``, which have different paths.
        """
        contracts.text("endpoint", endpoint, empty=False)
        scheme, mark, rest = endpoint.partition("://")
        if not mark or scheme not in ("http", "https"):
            scheme, rest = protocol, endpoint
        rest = rest.rstrip("/")
        if not rest:
            raise ValueError(f"endpoint: expected a host or an address, got {endpoint!r}")
        path = "/i" if method == "get" else "/com.snowplowanalytics.snowplow/tp2"
        return f"{scheme}://{rest}{'' if port is None else f':{port}'}{path}"

    # -- inside

    def _ready(self, payload: Mapping[str, Any]) -> PayloadDict | None:
        """Return a payload as it is kept and sent, after the gate; ``None`` where that withholds it."""
        native = dict(payload)
        if not _SIMPLE.issuperset(map(type, native.values())) or "" in native.values():
            native = {str(key): _plain(value) for key, value in payload.items() if value not in (None, "")}
        if type(native.get("eid")) is not str:
            native["eid"] = new_id()
        if "dtm" not in native:
            native["dtm"] = int(time.time() * 1000)
        policy = self._policy
        return self._sealed(policy, native) if policy.rules or policy.withhold else native

    def _sealed(self, policy: Policy, native: PayloadDict) -> PayloadDict | None:
        backend = self._site.backend
        assert isinstance(backend, Snowplow)
        plain = "ue_pr" in native or "co" in native
        known, rest = backend.lift(native)
        found = hit_of(native)
        draft = {"id": found.id, "kind": "reduced", "time": found.time, **known, "native": rest}
        hit = policy.seal(draft, backend.fields, notes=[])
        sealed = None if hit is None else backend.but(base64=not plain).payload(hit)
        if sealed is None or not complete(sealed):
            self._site.ledger.noted(self._to, "withheld:gate")
            return None
        return dict(sealed)

    def _send(self) -> None:
        if self._inline and not _busy.calling_back:
            self._driver.work_here(self._to)
        else:
            self._driver.wake(self._to)

    def _wait(self) -> None:
        """Wait until all is sent, or an attempt has failed; at most for one exchange and a little."""
        deadline = time.monotonic() + self._timeout + 1.0
        failures = self._spool.failures
        while self._spool.waiting() and self._spool.failures == failures:
            if not self._spool.lent and not self._spool.ready():
                return  # what is left waits for the end of a pause
            left = deadline - time.monotonic()
            if left <= 0 or self._driver.flush(min(left, 0.1), to=self._to):
                return

    def _attempt(self, hits: Sequence[Hit], timeout: float | None) -> list[Verdict]:
        if not hits:
            return []
        stamp = str(int(time.time() * 1000))
        verdicts = self._transmit(hits, timeout)
        if self.on_success is None and self.on_failure is None:
            return verdicts
        sent: PayloadDictList = []
        failed: PayloadDictList = []
        for hit, verdict in zip(hits, verdicts, strict=True):
            (sent if _arrived(verdict) else failed).append(_texts({**(hit.native or {}), "stm": stamp}))
        if sent and self.on_success is not None:
            self._call(self.on_success, sent)
        if failed and self.on_failure is not None:
            self._call(self.on_failure, len(sent), failed)
        return verdicts

    def _transmit(self, hits: Sequence[Hit], timeout: float | None) -> list[Verdict]:
        if self.method == "post" or len(hits) == 1:
            return self._site.carry(hits, timeout)
        # Each GET is a request of its own, and what becomes of one says nothing of the next: all are tried, as long as
        # the collector answers and asks for no pause.
        deadline = None if timeout is None else time.monotonic() + timeout
        found: list[Verdict] = []
        for hit in hits:
            [verdict] = self._site.carry([hit], None if deadline is None else deadline - time.monotonic())
            found.append(verdict)
            if verdict.state == "retry" and (verdict.after is not None or not verdict.reason.startswith("http ")):
                break
        return found + [retry(found[-1].after, reason="not tried")] * (len(hits) - len(found))

    def _call(self, callback: Callable[..., Any], *args: Any) -> None:
        before, _busy.calling_back = _busy.calling_back, True
        try:
            callback(*args)
        except Exception as error:  # noqa: BLE001 - a caller's callback must not stop the sending
            logger.warning("%s: a callback raised %s", self._to, type(error).__name__)
        finally:
            _busy.calling_back = before


class AsyncEmitter(Emitter):
    """Sends to a collector in threads of its own: no call that tracks ever waits for the network.

    Args:
        thread_count: how many requests may be under way at once.
        endpoint: this and the others are those of :class:`Emitter`, in the documented order.
    """

    _inline = False
    # A caller in a hurry fills many buffers; they leave together, and it is not held up by the work on each.
    _gathering = 0.02

    def __init__(
        self,
        endpoint: str,
        protocol: str = "https",
        port: int | None = None,
        method: str = "post",
        batch_size: int | None = None,
        on_success: SuccessCallback | None = None,
        on_failure: FailureCallback | None = None,
        thread_count: int = 1,
        byte_limit: int | None = None,
        *args: Any,
        **options: Any,
    ) -> None:
        super().__init__(
            endpoint,
            protocol,
            port,
            method,
            batch_size,
            on_success,
            on_failure,
            byte_limit,
            *args,
            thread_count=thread_count,
            **options,
        )

    def sync_flush(self) -> None:
        """Wait until what is in the buffer is sent, or the collector cannot be reached."""
        self._spool.push()
        if not _busy.calling_back:
            self._driver.wake(self._to)
            self._wait()


class CeleryEmitter(Emitter):
    """Hands events to Celery; a worker sends them: ``celery -A analytical.compat.snowplow.emitters worker``.

    A module ``snowplow_celery_config`` on the path is Celery's configuration, here and in the worker; without one the
    broker is Redis on this machine. A task is acknowledged when it is done, so that a worker that dies loses nothing.

    Args:
        endpoint: this and the next three are those of :class:`Emitter`; the worker is told them with each task.
        protocol: see :class:`Emitter`.
        port: see :class:`Emitter`.
        method: see :class:`Emitter`.
        batch_size: how many events make a task; 1 by default, so that nothing waits in this process.
        byte_limit: how many bytes do.
        buffer_size: the older name of ``batch_size``.
        request_timeout: seconds for a whole exchange with the collector.
        privacy: see :class:`Emitter`; applied here, before the broker.
    """

    def __init__(
        self,
        endpoint: str,
        protocol: str = "https",
        port: int | None = None,
        method: str = "post",
        batch_size: int | None = None,
        byte_limit: int | None = None,
        *,
        buffer_size: int | None = None,
        request_timeout: float | None = None,
        privacy: str | Policy = "off",
    ) -> None:
        size = batch_size if batch_size is not None else buffer_size
        super().__init__(
            endpoint,
            protocol,
            port,
            method,
            size if size is not None else 1,
            byte_limit=byte_limit,
            request_timeout=request_timeout,
            privacy=privacy,
        )
        self._where: dict[str, Any] = {"endpoint": endpoint, "protocol": protocol, "port": port, "method": method}
        self._where["request_timeout"] = request_timeout

    def _transmit(self, hits: Sequence[Hit], timeout: float | None) -> list[Verdict]:
        from .celery_app import publish

        again = {"max_retries": 2, "interval_max": 0.2}
        try:
            publish(self._where, [hit.native or {} for hit in hits], retry=True, retry_policy=again)
        except Exception as error:  # noqa: BLE001 - every broker's library has errors of its own
            return [retry(reason=f"broker: {type(error).__name__}")] * len(hits)
        return [DELIVERED] * len(hits)


class RedisEmitter(Emitter):
    """Pushes events to the end of a list in Redis, as JSON, for a :class:`RedisWorker` to send.

    Args:
        rdb: a ``redis.Redis`` of yours; by default one on this machine.
        key: the list.
        privacy: see :class:`Emitter`; applied here, before Redis.
    """

    def __init__(self, rdb: Any = None, key: str = "snowplow", *, privacy: str | Policy = "off") -> None:
        contracts.text("key", key, empty=False)
        if rdb is not None and not callable(getattr(rdb, "rpush", None)):
            raise TypeError(f"rdb: expected a redis.Redis, got {type(rdb).__name__}")
        self.rdb = redis_client() if rdb is None else rdb
        self.key = key
        self.endpoint = ""
        self.method = "post"
        collector = _Collector(id="", endpoint="http://localhost", platform="pc", tracker=VERSION)
        self._build(collector, policy=Policy.of(privacy), transport=transports.default_transport(timeout=TIMEOUT))

    def _transmit(self, hits: Sequence[Hit], timeout: float | None) -> list[Verdict]:
        try:
            self.rdb.rpush(self.key, *(json.dumps(hit.native, ensure_ascii=False) for hit in hits))
        except Exception as error:  # noqa: BLE001 - the client is the caller's, and so are its errors
            return [retry(reason=f"redis: {type(error).__name__}")] * len(hits)
        return [DELIVERED] * len(hits)


def redis_client() -> Any:
    """Return a client of the Redis on this machine."""
    try:
        import redis
    except ImportError:
        raise MissingExtra("the Redis emitter", "redis") from None
    return redis.Redis()


def pause_before(attempt: int) -> float:
    """Return how many seconds to wait before an attempt: up to ten, with jitter."""
    return system_uniform(0.5, 1.0) * min(10.0, 2.0**attempt)


def _arrived(verdict: Verdict) -> bool:
    return verdict.state in ("delivered", "unconfirmed")


def _seconds(timeout: float | tuple[float, float] | None) -> float:
    if timeout is None:
        return TIMEOUT
    whole = sum(timeout) if isinstance(timeout, tuple) else timeout
    contracts.number("request_timeout", whole)
    if not whole > 0:
        raise ValueError(f"request_timeout: expected seconds above 0, got {timeout}")
    return float(whole)


_SIMPLE = frozenset({str, int, float})


def _plain(value: Any) -> Any:
    if type(value) in _SIMPLE:
        return value
    if isinstance(value, bool):
        return "1" if value else "0"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (dict, list)) else str(value)


def _texts(payload: Mapping[str, Any]) -> PayloadDict:
    return {key: value if type(value) is str else str(value) for key, value in payload.items()}


def __getattr__(name: str) -> Any:
    # What ``celery -A`` looks for; Celery is imported when it does.
    if name in ("app", "celery"):
        from .celery_app import app

        return app()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""The worker that sends what a :class:`RedisEmitter` pushed."""

from __future__ import annotations

import json
import logging
import signal
import threading
import time
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Any

from ..._stop import Stop
from ...hit import new_id
from .emitters import Emitter, pause_before, redis_client

__all__ = ["RedisWorker"]

logger = logging.getLogger("analytical.compat.snowplow")

_SIGNALS = ("SIGINT", "SIGTERM", "SIGQUIT")


class RedisWorker:
    """Takes events from a list in Redis and hands them to an emitter, until it is asked to stop.

    What is taken stands in a list of this worker's own until it is sent, so that nothing is lost if the worker is
    killed: another, or the next, takes it over when this one has been silent for ``lease`` seconds.

    Args:
        _consumer: an emitter of this package, which says of each event what became of it; or anything with
            ``input(payload)``, which has an event when ``input`` (and ``sync_flush``, if it has that) has returned.
        key: the list; ``snowplow`` by default.
        dbr: a ``redis.Redis`` of yours; by default one on this machine.
        batch: how many events are taken at once.
        lease: seconds of silence after which a worker is taken for dead.
    """

    def __init__(
        self, _consumer: Any, key: str | None = None, dbr: Any = None, *, batch: int = 100, lease: float = 10.0
    ) -> None:
        if not callable(getattr(_consumer, "input", None)):
            raise TypeError(f"_consumer: expected an emitter, got {type(_consumer).__name__}")
        if dbr is not None and not callable(getattr(dbr, "lmove", None)):
            raise TypeError(f"dbr: expected a redis.Redis, got {type(dbr).__name__}")
        self._consumer = _consumer
        self.key = key or "snowplow"
        self.dbr = redis_client() if dbr is None else dbr
        self.batch = batch
        self.lease = lease
        self._name = new_id()
        self._mine = f"{self.key}:taken:{self._name}"
        self._stop = Stop()
        self._beat = 0.0
        self._searched = 0.0
        self._failures = 0

    def run(self) -> None:
        """Work until SIGINT, SIGTERM or :meth:`request_shutdown`; what is not sent by then is put back."""
        before = self._listen()
        try:
            while not self._stop.is_set():
                try:
                    busy = self.step()
                except Exception as error:  # noqa: BLE001 - Redis may go and come back
                    logger.warning("the Redis worker cannot work: %s", type(error).__name__)
                    busy = False
                    self._failures += 1
                if not busy and self._failures:
                    self._stop.wait(min(10.0, pause_before(self._failures)))
        finally:
            self._finish()
            for number, handler in before.items():
                signal.signal(number, handler)

    def request_shutdown(self, *_: Any) -> None:
        """Ask :meth:`run` to end."""
        self._stop.set()

    def step(self, *, wait: float = 1.0) -> bool:
        """Take what is there, up to a batch, and send it.

        Args:
            wait: seconds to wait for the first event.

        Returns:
            Whether anything was sent.
        """
        self._alive()
        taken = self._take(wait)
        if not taken:
            return False
        done = self._hand_over(taken)
        if done:
            pipe = self.dbr.pipeline(transaction=False)
            for raw in done:
                pipe.lrem(self._mine, 1, raw)
            pipe.execute()
        self._failures = 0 if done else self._failures + 1
        return bool(done)

    # -- taking

    def _take(self, wait: float) -> list[bytes]:
        # What failed before stands in our own list still, and goes first.
        held = list(reversed(self.dbr.lrange(self._mine, -self.batch, -1)))
        room = self.batch - len(held)
        if room and not held:
            first = self.dbr.blmove(self.key, self._mine, wait, "LEFT", "LEFT") if wait else None
            if wait and first is None:
                return []
            held = [first] if first is not None else []
            room -= len(held)
        if room:
            pipe = self.dbr.pipeline(transaction=False)
            for _ in range(room):
                pipe.lmove(self.key, self._mine, "LEFT", "LEFT")
            held += [raw for raw in pipe.execute() if raw is not None]
        return held

    def _alive(self) -> None:
        now = time.monotonic()
        if now - self._beat > self.lease / 4 or not self._beat:
            self._beat = now
            pipe = self.dbr.pipeline(transaction=False)
            pipe.set(f"{self.key}:alive:{self._name}", 1, px=int(self.lease * 1000))
            pipe.sadd(f"{self.key}:workers", self._name)
            pipe.execute()
        if now - self._searched > self.lease / 2 or not self._searched:
            self._searched = now
            self._inherit()

    def _inherit(self) -> None:
        """Put back what silent workers had taken, at the front of the list and in the old order."""
        for raw in self.dbr.smembers(f"{self.key}:workers"):
            name = raw.decode() if isinstance(raw, bytes) else str(raw)
            if name == self._name or self.dbr.exists(f"{self.key}:alive:{name}"):
                continue
            count = self._put_back(f"{self.key}:taken:{name}")
            self.dbr.srem(f"{self.key}:workers", name)
            logger.info("the Redis worker took over %d events of one that is gone", count)

    def _put_back(self, taken: str) -> int:
        # The newest stands first there, so that one by one they come back in order.
        count = 0
        while self.dbr.lmove(taken, self.key, "LEFT", "LEFT") is not None:
            count += 1
        return count

    # -- handing over

    def _hand_over(self, taken: list[bytes]) -> list[bytes]:
        """Return what is done with."""
        done: list[bytes] = []
        payloads: list[dict[str, Any]] = []
        sources: list[bytes] = []
        for raw in taken:
            payload = _read(raw)
            if payload is None:
                logger.error("an entry of the Redis list %r is no event; it is set aside", self.key)
                self.dbr.rpush(f"{self.key}:dead", raw)
                done.append(raw)
            else:
                payloads.append(payload)
                sources.append(raw)
        if not payloads:
            return done
        consumer = self._consumer
        if isinstance(consumer, Emitter) and type(consumer).input is Emitter.input:
            with _Heart(self):
                verdicts = consumer.deliver(payloads)
            done += [raw for raw, verdict in zip(sources, verdicts, strict=True) if verdict.state != "retry"]
            return done
        for raw, payload in zip(sources, payloads, strict=True):
            consumer.input(payload)
            done.append(raw)
        flush = getattr(consumer, "sync_flush", None)
        if flush is not None:
            flush()
        return done

    def _finish(self) -> None:
        try:
            self._put_back(self._mine)
            self.dbr.srem(f"{self.key}:workers", self._name)
            self.dbr.delete(f"{self.key}:alive:{self._name}")
        except Exception as error:  # noqa: BLE001 - without Redis the next worker takes over what this one held
            logger.warning("the Redis worker could not put back what it held: %s", type(error).__name__)
        flush = getattr(self._consumer, "sync_flush", None) or getattr(self._consumer, "flush", None)
        if flush is not None:
            flush()

    def _listen(self) -> dict[int, Any]:
        before: dict[int, Any] = {}
        if threading.current_thread() is not threading.main_thread():
            return before

        def stop(number: int, frame: FrameType | None) -> None:
            self._stop.set()

        for name in _SIGNALS:
            number = getattr(signal, name, None)
            if number is not None:
                before[number] = signal.signal(number, stop)
        return before


class _Heart:
    """Beats while an exchange takes its time, so that nobody takes over what is under way."""

    def __init__(self, worker: RedisWorker) -> None:
        self._worker = worker
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._timeout: Callable[[], float] = lambda: worker.lease / 4

    def __enter__(self) -> None:
        self._thread = threading.Thread(target=self._beat, name="analytical-redis-worker", daemon=True)
        self._thread.start()

    def _beat(self) -> None:
        worker = self._worker
        while not self._over.wait(self._timeout()):
            try:
                worker.dbr.set(f"{worker.key}:alive:{worker._name}", 1, px=int(worker.lease * 1000))
            except Exception as error:  # noqa: BLE001 - the next beat may succeed
                logger.debug("the Redis worker's sign of life failed: %s", type(error).__name__)

    def __exit__(self, *_: object) -> None:
        self._over.set()


def _read(raw: bytes | str) -> dict[str, Any] | None:
    try:
        payload = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    if not isinstance(payload, Mapping):
        return None
    found = dict(payload)
    if "e" not in found and "ev" in found:  # as the old documentation spells it
        found["e"] = found.pop("ev")
    return found if found.get("e") else None

"""The Celery application of the emitters: one task, which sends."""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from ...errors import MissingExtra
from ...hit import new_id

__all__ = ["TASK", "app", "publish"]

log = logging.getLogger("analytical.compat.snowplow")

TASK = "analytical.snowplow.send"
_CONFIGURATION = "snowplow_celery_config"
#: Seconds for a word with Redis.
_PATIENCE = 5.0

_made: list[Any] = []
_lock = threading.Lock()
_emitters: dict[str, Any] = {}


def app() -> Any:
    """Return the application, made on first use."""
    with _lock:
        if not _made:
            _made.append(_make())
        return _made[0]


def _make() -> Any:
    try:
        from celery import Celery
    except ImportError:
        raise MissingExtra("the Celery emitter", "celery") from None
    application = Celery("snowplow", set_as_current=False)
    with _working_folder():
        if importlib.util.find_spec(_CONFIGURATION) is not None:
            # Alone: settings given beside it would win over it, and its names may be of either generation of Celery.
            application.config_from_object(_CONFIGURATION)
        else:
            application.conf.broker_url = "redis://localhost:6379/0"
            application.conf.broker_connection_retry_on_startup = True
        transport = str(application.conf.broker_url or "").partition(":")[0]  # read now, while the module can be found
    options = dict(application.conf.broker_transport_options or {})
    redis = transport in ("redis", "rediss")
    if redis:
        # A task that a dead worker held comes back after this many seconds (Celery's own default is an hour); it is
        # longer than a task waits and works: ten seconds before a retry, and two exchanges.
        options.setdefault("visibility_timeout", 30)
        # Looked for every second, not every hundredth.
        options.setdefault("unacked_restore_interval", 1)
        options.setdefault("unacked_restore_throttle", 1)
        # Kombu's lock around putting such tasks back outlives a worker that was killed while it held it: five minutes.
        options.setdefault("unacked_mutex_expire", 10)
    elif transport.startswith(("amqp", "pyamqp")):
        options.setdefault("confirm_publish", True)
    application.conf.broker_transport_options = options
    if application.conf.worker_prefetch_multiplier == 4:  # Celery's default: what a worker holds must come back first
        application.conf.worker_prefetch_multiplier = 1
    # Acknowledged when done: a worker that is killed in the middle leaves the task to another.
    application.task(
        bind=True,
        name=TASK,
        acks_late=True,
        reject_on_worker_lost=True,
        max_retries=None,
        ignore_result=True,
        serializer="json",
    )(_send)
    if redis and not application.conf.task_always_eager:
        application.copies = _Copies(application)
        _watch(application)
    return application


def publish(where: Mapping[str, Any], payloads: Sequence[Mapping[str, Any]], **options: Any) -> None:
    """Make a task of payloads; raises what Celery and the broker's library raise.

    Args:
        where: the arguments of the emitter that sends them.
        payloads: what to send.
        options: more for ``apply_async``.
    """
    application = app()
    task, name = application.tasks[TASK], new_id()
    copies = getattr(application, "copies", None)
    if copies is not None:
        copies.keep(name, where, payloads)
    task.apply_async((dict(where), [dict(payload) for payload in payloads]), task_id=name, **options)


class _Copies:
    """A copy of each task over Redis, beside the queue, until the task is done.

    Kombu takes a message off a Redis list with one command and writes down who has it with the next; a worker that is
    killed between the two loses it (https://github.com/celery/kombu, ``kombu/transport/redis.py``, ``_brpop_read``).
    What is kept here, waits in no queue and is held by no worker was lost that way, and is published again.
    """

    #: Seconds that a task may be on its way between queue and worker; how often lost ones are looked for.
    GRACE = 5.0

    def __init__(self, application: Any) -> None:
        try:
            from redis import Redis
            from redis.backoff import NoBackoff
            from redis.retry import Retry
        except ImportError:
            raise MissingExtra("Celery over Redis", "redis") from None

        conf = application.conf
        options = conf.broker_transport_options
        queue = application.amqp.router.route({}, TASK)["queue"]
        prefix = options.get("global_keyprefix") or ""
        self._app = application
        self._waiting = f"{prefix}{getattr(queue, 'name', queue)}"
        self._held = f"{prefix}{options.get('unacked_key', 'unacked')}"
        self.key = f"{self._waiting}:analytical-tasks"
        # The client's own pauses between attempts, seconds of them, would hold up whoever tracks.
        self._client: Any = Redis.from_url(
            str(conf.broker_write_url or conf.broker_url).split(";")[0],
            socket_timeout=_PATIENCE,
            socket_connect_timeout=_PATIENCE,
            retry=Retry(NoBackoff(), 1),
        )

    def keep(self, name: str, where: Mapping[str, Any], payloads: Sequence[Mapping[str, Any]]) -> None:
        """Keep a task; over the one of the same name."""
        copy = json.dumps({"at": time.time(), "where": dict(where), "payloads": [dict(one) for one in payloads]})
        self._client.hset(self.key, name, copy)

    def drop(self, name: str) -> None:
        """Forget a task that is done."""
        self._client.hdel(self.key, name)

    def restore(self) -> int:
        """Publish what was lost on the way from the queue to a worker once more; return how many."""
        client = self._client
        # Only where the queue is empty does it show what was lost: what is kept then is in work, or nowhere.
        alone = {"nx": True, "px": max(1, int(self.GRACE * 900))}
        if client.llen(self._waiting) or not client.set(f"{self.key}:restoring", 1, **alone):
            return 0
        kept = client.hgetall(self.key)
        if not kept or client.llen(self._waiting):
            return 0
        held = b"".join(client.hvals(self._held))
        count = 0
        for name, raw in kept.items():
            copy = json.loads(raw)
            if time.time() - copy["at"] < self.GRACE or name in held or not client.hexists(self.key, name):
                continue
            self.keep(name.decode(), copy["where"], copy["payloads"])
            self._app.tasks[TASK].apply_async((copy["where"], copy["payloads"]), task_id=name.decode())
            count += 1
        return count


def _watch(application: Any) -> None:
    """Let a worker look for lost tasks from time to time."""
    from celery.signals import worker_ready

    def look() -> None:
        try:
            count = application.copies.restore()
        except Exception as error:  # noqa: BLE001 - Redis may go and come back
            log.debug("lost tasks could not be looked for: %s", type(error).__name__)
            return
        if count:
            log.info("%d tasks that a killed worker had taken are back in the queue", count)

    def begin(sender: Any, **_: Any) -> None:
        if sender.app is application:
            sender.timer.call_repeatedly(_Copies.GRACE, look)

    worker_ready.connect(begin, weak=False)


@contextmanager
def _working_folder() -> Iterator[None]:
    """Let a module be found in the working folder, last: the command ``celery`` does not look there by itself."""
    here = os.getcwd()
    if here in sys.path or "" in sys.path:
        yield
        return
    sys.path.append(here)
    try:
        yield
    finally:
        sys.path.remove(here)


def _send(task: Any, where: Mapping[str, Any], payloads: list[dict[str, Any]]) -> None:
    """Send payloads; what the collector did not take becomes a later task."""
    from .emitters import pause_before

    verdicts = _emitter(where).deliver(payloads)
    again = [payload for payload, verdict in zip(payloads, verdicts, strict=True) if verdict.state == "retry"]
    copies = getattr(task.app, "copies", None)
    if copies is not None:
        if again:
            copies.keep(task.request.id, where, again)
        else:
            copies.drop(task.request.id)
    if again:
        raise task.retry(args=(dict(where), again), countdown=pause_before(task.request.retries))


def _emitter(where: Mapping[str, Any]) -> Any:
    from .emitters import Emitter

    name = repr(sorted(where.items()))
    with _lock:
        if name not in _emitters:
            if len(_emitters) >= 64:
                _emitters.clear()
            _emitters[name] = Emitter(**where)
        return _emitters[name]

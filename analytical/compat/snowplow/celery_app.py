"""The Celery application of the emitters: one task, which sends."""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Mapping
from typing import Any

from ...errors import MissingExtra

__all__ = ["TASK", "app"]

TASK = "analytical.snowplow.send"
_CONFIGURATION = "snowplow_celery_config"

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
    if importlib.util.find_spec(_CONFIGURATION) is not None:
        # Alone: settings given beside it would win over it, and its names may be of either generation of Celery.
        application.config_from_object(_CONFIGURATION)
    else:
        application.conf.broker_url = "redis://localhost:6379/0"
        application.conf.broker_connection_retry_on_startup = True
    transport = str(application.conf.broker_url or "").partition(":")[0]
    options = dict(application.conf.broker_transport_options or {})
    if transport.startswith("redis"):
        # A task that a dead worker held comes back after this many seconds; Celery's own default is an hour.
        options.setdefault("visibility_timeout", 120)
        # Kombu's lock around putting such tasks back outlives a worker that was killed while it held it: five minutes.
        options.setdefault("unacked_mutex_expire", 30)
    elif transport.startswith(("amqp", "pyamqp")):
        options.setdefault("confirm_publish", True)
    application.conf.broker_transport_options = options
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
    return application


def _send(task: Any, where: Mapping[str, Any], payloads: list[dict[str, Any]]) -> None:
    """Send payloads; what the collector did not take becomes a later task."""
    from .emitters import pause_before

    verdicts = _emitter(where).deliver(payloads)
    again = [payload for payload, verdict in zip(payloads, verdicts, strict=True) if verdict.state == "retry"]
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

"""Trackers by name."""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike
from typing import Any, ClassVar

from .emitter_configuration import EmitterConfiguration
from .emitters import Emitter, logger
from .subject import Subject
from .tracker import Tracker
from .tracker_configuration import TrackerConfiguration

__all__ = ["Snowplow"]


class Snowplow:
    """The trackers of this process, by namespace."""

    _trackers: ClassVar[dict[str, Tracker]] = {}

    @staticmethod
    def create_tracker(
        namespace: str,
        endpoint: str,
        method: str = "post",
        app_id: str | None = None,
        subject: Subject | None = None,
        tracker_config: TrackerConfiguration | None = None,
        emitter_config: EmitterConfiguration | None = None,
        *,
        validate: str | PathLike[str] | Callable[[str, Any], str | None] | None = None,
        **options: Any,
    ) -> Tracker:
        """Make a tracker with an emitter, and remember it.

        Args:
            namespace: the tracker's name.
            endpoint: the collector.
            method: ``post`` or ``get``.
            app_id: the application's id.
            subject: whom the events are about.
            tracker_config: how it encodes.
            emitter_config: how it sends.
            validate: a folder of Iglu schemas; see :class:`Tracker`.
            options: further arguments of :class:`Emitter`.

        Raises:
            TypeError: there is no endpoint, or a tracker of that name already.
        """
        if endpoint is None:
            raise TypeError("endpoint: expected the collector's address, got None")
        how = emitter_config or EmitterConfiguration()
        emitter = Emitter(
            endpoint=endpoint,
            method=method,
            batch_size=how.batch_size,
            on_success=how.on_success,
            on_failure=how.on_failure,
            byte_limit=how.byte_limit,
            request_timeout=how.request_timeout,
            buffer_capacity=how.buffer_capacity,
            custom_retry_codes=how.custom_retry_codes,
            event_store=how.event_store,
            session=how.session,
            **options,
        )
        encode = tracker_config or TrackerConfiguration()
        tracker = Tracker(
            namespace=namespace,
            emitters=emitter,
            app_id=app_id,
            subject=subject,
            encode_base64=encode.encode_base64,
            json_encoder=encode.json_encoder,
            validate=validate,
        )
        return Snowplow.add_tracker(tracker)

    @classmethod
    def add_tracker(cls, tracker: Tracker) -> Tracker:
        """Remember a tracker.

        Raises:
            TypeError: there is one of that name already.
        """
        if not isinstance(tracker, Tracker):
            raise TypeError(f"tracker: expected a Tracker, got {type(tracker).__name__}")
        namespace = tracker.get_namespace() or ""
        if namespace in cls._trackers:
            raise TypeError(f"there is a tracker with the namespace {namespace!r} already")
        cls._trackers[namespace] = tracker
        return tracker

    @classmethod
    def get_tracker(cls, namespace: str) -> Tracker | None:
        """Return the tracker of a name, or ``None``."""
        return cls._trackers.get(namespace)

    @classmethod
    def remove_tracker(cls, tracker: Tracker) -> None:
        """Forget a tracker."""
        cls.remove_tracker_by_namespace(tracker.get_namespace() or "")

    @classmethod
    def remove_tracker_by_namespace(cls, namespace: str) -> None:
        """Forget the tracker of a name."""
        if cls._trackers.pop(namespace, None) is None:
            logger.info("there is no tracker of that namespace to remove")

    @classmethod
    def reset(cls) -> None:
        """Forget all trackers."""
        cls._trackers = {}

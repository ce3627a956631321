"""The documented API of Snowplow's own Python tracker, 0.8 and 1.x, over this package's sending.

Changing one import is the whole migration::

    from analytical.compat.snowplow import Subject, Tracker, Emitter

Events are sent as they are given (``privacy="off"``) unless an emitter is told otherwise.
"""

from __future__ import annotations

from .contracts import disable_contracts, enable_contracts
from .emitter_configuration import EmitterConfiguration
from .emitters import AsyncEmitter, CeleryEmitter, Emitter, RedisEmitter, logger
from .event_store import EventStore, InMemoryEventStore
from .events import Event, PagePing, PageView, ScreenView, SelfDescribing, StructuredEvent
from .payload import Payload
from .redis_worker import RedisWorker
from .self_describing_json import SelfDescribingJson
from .snowplow import Snowplow
from .subject import Subject, get_domain_user_id
from .timestamp import DeviceTimestamp, Timestamp, TrueTimestamp
from .tracker import Tracker
from .tracker_configuration import TrackerConfiguration

__all__ = [
    "AsyncEmitter",
    "CeleryEmitter",
    "DeviceTimestamp",
    "Emitter",
    "EmitterConfiguration",
    "Event",
    "EventStore",
    "InMemoryEventStore",
    "PagePing",
    "PageView",
    "Payload",
    "RedisEmitter",
    "RedisWorker",
    "ScreenView",
    "SelfDescribing",
    "SelfDescribingJson",
    "Snowplow",
    "StructuredEvent",
    "Subject",
    "Timestamp",
    "Tracker",
    "TrackerConfiguration",
    "TrueTimestamp",
    "disable_contracts",
    "enable_contracts",
    "get_domain_user_id",
    "logger",
]

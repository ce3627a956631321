"""The events as objects, to be built, changed and given to :meth:`Tracker.track`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ...providers.snowplow import CONTEXTS, SCHEMAS, UNSTRUCT_EVENT
from . import contracts
from .payload import Payload, encoded, written
from .self_describing_json import SelfDescribingJson
from .subject import Subject
from .timestamp import Timestamp, milliseconds
from .typing import JsonEncoderFunction, PayloadDict

__all__ = ["Event", "PagePing", "PageView", "ScreenView", "SelfDescribing", "StructuredEvent"]


class _Parameter:
    """An attribute of an event that stands in its payload under a key of the protocol."""

    def __init__(self, key: str, check: Callable[..., None], **rules: Any) -> None:
        self.key = key
        self.check = check
        self.rules = rules

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, event: Event | None, owner: type | None = None) -> Any:
        return self if event is None else event.payload.nv_pairs.get(self.key)

    def __set__(self, event: Event, value: Any) -> None:
        if value is None or type(value) is not str or not value or self.check is not contracts.text:
            self.check(self.name, value, **self.rules)
        pairs = event.payload.nv_pairs
        if value is None or value == "":
            pairs.pop(self.key, None)
        else:
            pairs[self.key] = value


class Event:
    """What every event can have.

    Args:
        dict_: parameters of the protocol, as they are.
        event_subject: whom this one event is about; its values stand over those of the tracker's subject.
        context: what the event was about: a list of :class:`SelfDescribingJson`.
        true_timestamp: when it truly happened, in milliseconds since 1970.
    """

    def __init__(
        self,
        dict_: Mapping[str, Any] | None = None,
        event_subject: Subject | None = None,
        context: Sequence[SelfDescribingJson] | None = None,
        true_timestamp: float | Timestamp | None = None,
    ) -> None:
        self.payload = Payload(dict_)
        self.event_subject = event_subject
        self.context = context
        self.true_timestamp = true_timestamp

    @property
    def context(self) -> list[SelfDescribingJson]:
        """What the event was about."""
        return self._context

    @context.setter
    def context(self, value: Sequence[SelfDescribingJson] | None) -> None:
        self._context = entities(value)

    @property
    def true_timestamp(self) -> float | Timestamp | None:
        """When it truly happened, in milliseconds since 1970."""
        return self._true_timestamp

    @true_timestamp.setter
    def true_timestamp(self, value: float | Timestamp | None) -> None:
        if value is not None and not isinstance(value, Timestamp):
            milliseconds("true_timestamp", value)
        self._true_timestamp = value

    def described(self) -> SelfDescribingJson | None:
        """Return the event's own data with its schema, where it is an event of that kind."""
        return None

    def build_payload(
        self,
        encode_base64: bool,
        json_encoder: JsonEncoderFunction | None = None,
        subject: Subject | None = None,
    ) -> Payload:
        """Return the event in the protocol's keys; the event itself stays as it is and can be tracked again.

        Args:
            encode_base64: whether containers travel as base64.
            json_encoder: turns what JSON does not know into what it knows.
            subject: the tracker's subject.
        """
        payload = Payload(self.payload.nv_pairs)
        write_containers(payload.nv_pairs, self.described(), self._context, encode_base64, json_encoder)
        moment = self._true_timestamp
        if moment is not None:
            key, value = (moment.ts_type, moment.value) if isinstance(moment, Timestamp) else ("ttm", int(moment))
            payload.nv_pairs[key] = value
        if self.event_subject is not None:
            payload.add_dict(self.event_subject.combine_subject(subject))
        elif subject is not None:
            payload.add_dict(subject.standard_nv_pairs)
        return payload

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


class PageView(Event):
    """A page was viewed.

    Args:
        page_url: the page's address, not empty.
        page_title: its title.
        referrer: the address of the page before.
        event_subject: see :class:`Event`.
        context: see :class:`Event`.
        true_timestamp: see :class:`Event`.
    """

    page_url = _Parameter("url", contracts.text, empty=False)
    page_title = _Parameter("page", contracts.text, optional=True)
    referrer = _Parameter("refr", contracts.text, optional=True)

    def __init__(
        self,
        page_url: str,
        page_title: str | None = None,
        referrer: str | None = None,
        event_subject: Subject | None = None,
        context: Sequence[SelfDescribingJson] | None = None,
        true_timestamp: float | Timestamp | None = None,
    ) -> None:
        super().__init__({"e": "pv"}, event_subject, context, true_timestamp)
        self.page_url = page_url
        self.page_title = page_title
        self.referrer = referrer


class PagePing(PageView):
    """A page is still being read.

    Args:
        page_url: the page's address, not empty.
        page_title: its title.
        referrer: the address of the page before.
        min_x: the least horizontal scroll offset since the last ping, in pixels.
        max_x: the greatest.
        min_y: the least vertical scroll offset, in pixels.
        max_y: the greatest.
        event_subject: see :class:`Event`.
        context: see :class:`Event`.
        true_timestamp: see :class:`Event`.
    """

    min_x = _Parameter("pp_mix", contracts.whole, optional=True)
    max_x = _Parameter("pp_max", contracts.whole, optional=True)
    min_y = _Parameter("pp_miy", contracts.whole, optional=True)
    max_y = _Parameter("pp_may", contracts.whole, optional=True)

    def __init__(
        self,
        page_url: str,
        page_title: str | None = None,
        referrer: str | None = None,
        min_x: int | None = None,
        max_x: int | None = None,
        min_y: int | None = None,
        max_y: int | None = None,
        event_subject: Subject | None = None,
        context: Sequence[SelfDescribingJson] | None = None,
        true_timestamp: float | Timestamp | None = None,
    ) -> None:
        super().__init__(page_url, page_title, referrer, event_subject, context, true_timestamp)
        self.payload.nv_pairs["e"] = "pp"
        self.min_x = min_x
        self.max_x = max_x
        self.min_y = min_y
        self.max_y = max_y


class StructuredEvent(Event):
    """Something happened that up to five parts describe.

    Args:
        category: the group of events, not empty.
        action: what was done, not empty.
        label: what it was done to.
        property_: what the value or the object is about.
        value: a number.
        event_subject: see :class:`Event`.
        context: see :class:`Event`.
        true_timestamp: see :class:`Event`.
    """

    category = _Parameter("se_ca", contracts.text, empty=False)
    action = _Parameter("se_ac", contracts.text, empty=False)
    label = _Parameter("se_la", contracts.text, optional=True)
    property_ = _Parameter("se_pr", contracts.text, optional=True)
    value = _Parameter("se_va", contracts.number, optional=True)

    def __init__(
        self,
        category: str,
        action: str,
        label: str | None = None,
        property_: str | None = None,
        value: float | None = None,
        event_subject: Subject | None = None,
        context: Sequence[SelfDescribingJson] | None = None,
        true_timestamp: float | Timestamp | None = None,
    ) -> None:
        super().__init__({"e": "se"}, event_subject, context, true_timestamp)
        self.category = category
        self.action = action
        self.label = label
        self.property_ = property_
        self.value = value


class SelfDescribing(Event):
    """Something happened that a schema describes.

    Args:
        event_json: the data and its schema.
        event_subject: see :class:`Event`.
        context: see :class:`Event`.
        true_timestamp: see :class:`Event`.
    """

    def __init__(
        self,
        event_json: SelfDescribingJson,
        event_subject: Subject | None = None,
        context: Sequence[SelfDescribingJson] | None = None,
        true_timestamp: float | Timestamp | None = None,
    ) -> None:
        super().__init__({"e": "ue"}, event_subject, context, true_timestamp)
        if not hasattr(event_json, "to_json"):
            raise TypeError(f"event_json: expected a SelfDescribingJson, got {type(event_json).__name__}")
        self.event_json = event_json

    def described(self) -> SelfDescribingJson:
        return self.event_json


class _Property:
    """An attribute of a screen view that stands in its data."""

    def __init__(self, key: str, *, required: bool = False) -> None:
        self.key = key
        self.required = required

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, event: ScreenView | None, owner: type | None = None) -> Any:
        return self if event is None else event.screen_view_properties.get(self.key)

    def __set__(self, event: ScreenView, value: Any) -> None:
        contracts.text(self.name, value, optional=not self.required, empty=not self.required)
        event.screen_view_properties.pop(self.key, None)
        if value is not None:
            event.screen_view_properties[self.key] = value


class ScreenView(Event):
    """A screen was shown (``iglu:com.snowplowanalytics.mobile/screen_view/jsonschema/1-0-0``).

    Args:
        id_: a UUID of this view.
        name: the screen's name.
        type: the kind of screen, such as ``feed``.
        previous_name: the name of the screen before.
        previous_id: the UUID of the view before.
        previous_type: the kind of the screen before.
        transition_type: how one came to the other.
        event_subject: see :class:`Event`.
        context: see :class:`Event`.
        true_timestamp: see :class:`Event`.
    """

    id_ = _Property("id", required=True)
    name = _Property("name", required=True)
    type = _Property("type")
    previous_name = _Property("previousName")
    previous_id = _Property("previousId")
    previous_type = _Property("previousType")
    transition_type = _Property("transitionType")

    def __init__(
        self,
        id_: str,
        name: str,
        type: str | None = None,
        previous_name: str | None = None,
        previous_id: str | None = None,
        previous_type: str | None = None,
        transition_type: str | None = None,
        event_subject: Subject | None = None,
        context: Sequence[SelfDescribingJson] | None = None,
        true_timestamp: float | Timestamp | None = None,
    ) -> None:
        super().__init__({"e": "ue"}, event_subject, context, true_timestamp)
        self.screen_view_properties: dict[str, str] = {}
        self.id_ = id_
        self.name = name
        self.type = type
        self.previous_name = previous_name
        self.previous_id = previous_id
        self.previous_type = previous_type
        self.transition_type = transition_type

    def described(self) -> SelfDescribingJson:
        return SelfDescribingJson(SCHEMAS["screen_view"], dict(self.screen_view_properties))


def write_containers(
    pairs: PayloadDict,
    described: SelfDescribingJson | None,
    context: Sequence[SelfDescribingJson],
    encode_base64: bool,
    json_encoder: JsonEncoderFunction | None,
) -> None:
    """Add an event's own data and what it was about, each in its envelope."""
    if described is not None:
        text = f'{{"schema": "{UNSTRUCT_EVENT}", "data": {_pair(described, json_encoder)}}}'
        pairs["ue_px" if encode_base64 else "ue_pr"] = encoded(text) if encode_base64 else text
    if context:
        parts = ", ".join([_pair(one, json_encoder) for one in context])
        text = f'{{"schema": "{CONTEXTS}", "data": [{parts}]}}'
        pairs["cx" if encode_base64 else "co"] = encoded(text) if encode_base64 else text


def _pair(one: SelfDescribingJson, json_encoder: JsonEncoderFunction | None) -> str:
    if type(one) is not SelfDescribingJson:
        return written(one.to_json(), json_encoder)
    return f'{{"schema": {written(one._schema)}, "data": {written(one.data, json_encoder)}}}'


def entities(context: Any) -> list[SelfDescribingJson]:
    """Return what an event was about as a list; none is none.

    Raises:
        TypeError: it is no list, or holds something else.
    """
    if context is None:
        return []
    if not isinstance(context, (list, tuple)):
        raise TypeError(f"context: expected a list of SelfDescribingJson, even of one, got {type(context).__name__}")
    for one in context:
        if not hasattr(one, "to_json"):
            raise TypeError(f"context: expected a list of SelfDescribingJson, got {type(one).__name__} in it")
    return list(context)

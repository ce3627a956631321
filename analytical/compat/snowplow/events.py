"""The events as objects, to be built, changed and given to :meth:`Tracker.track`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ...providers.snowplow import CONTEXTS, SCHEMAS, UNSTRUCT_EVENT
from . import contracts
from .payload import Payload, encoded, filled, written
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
        self._context = [] if context is None else entities(context)
        self._true_timestamp: float | Timestamp | None = None
        if true_timestamp is not None:
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
        pairs = payload.nv_pairs
        described = self.described()
        if described is not None or self._context:
            own = None if described is None else pair(described, json_encoder)
            write_containers(pairs, own, self._context, encode_base64, json_encoder)
        moment = self._true_timestamp
        if moment is not None:
            key, value = (moment.ts_type, moment.value) if isinstance(moment, Timestamp) else ("ttm", int(moment))
            pairs[key] = value
        if self.event_subject is not None:
            pairs.update(filled(self.event_subject.combine_subject(subject)))
        elif subject is not None:
            pairs.update(filled(subject.standard_nv_pairs))
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
        super().__init__(page("pv", page_url, page_title, referrer), event_subject, context, true_timestamp)


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
        pairs = structured(category, action, label, property_, value)
        super().__init__(pairs, event_subject, context, true_timestamp)


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
        can_describe(event_json)
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
        self.screen_view_properties = screen(
            id_, name, type, previous_name, previous_id, previous_type, transition_type
        )

    def described(self) -> SelfDescribingJson:
        return SelfDescribingJson(SCHEMAS["screen_view"], dict(self.screen_view_properties))


# What the events begin with; the tracker's calls begin with it too, without an object between.


def page(event: str, page_url: str, page_title: str | None, referrer: str | None) -> PayloadDict:
    """Return a page's view or ping in the protocol's keys."""
    contracts.text("page_url", page_url, empty=False)
    pairs: PayloadDict = {"e": event, "url": page_url}
    if page_title is not None and page_title != "":
        contracts.text("page_title", page_title, optional=True)
        pairs["page"] = page_title
    if referrer is not None and referrer != "":
        contracts.text("referrer", referrer, optional=True)
        pairs["refr"] = referrer
    return pairs if page_url else filled(pairs)


def structured(
    category: str, action: str, label: str | None, property_: str | None, value: float | None
) -> PayloadDict:
    """Return an event of up to five parts in the protocol's keys."""
    contracts.text("category", category, empty=False)
    contracts.text("action", action, empty=False)
    pairs: PayloadDict = {"e": "se", "se_ca": category, "se_ac": action}
    if label is not None and label != "":
        contracts.text("label", label, optional=True)
        pairs["se_la"] = label
    if property_ is not None and property_ != "":
        contracts.text("property_", property_, optional=True)
        pairs["se_pr"] = property_
    if value is not None:
        contracts.number("value", value)
        pairs["se_va"] = value
    return pairs if category and action and value else filled(pairs)


def screen(
    id_: str,
    name: str,
    type: str | None,
    previous_name: str | None,
    previous_id: str | None,
    previous_type: str | None,
    transition_type: str | None,
) -> dict[str, str]:
    """Return a screen's view as its schema has it."""
    contracts.text("id_", id_, empty=False)
    contracts.text("name", name, empty=False)
    data = {"id": id_, "name": name}
    if type is not None:
        contracts.text("type", type, optional=True)
        data["type"] = type
    if previous_name is not None:
        contracts.text("previous_name", previous_name, optional=True)
        data["previousName"] = previous_name
    if previous_id is not None:
        contracts.text("previous_id", previous_id, optional=True)
        data["previousId"] = previous_id
    if previous_type is not None:
        contracts.text("previous_type", previous_type, optional=True)
        data["previousType"] = previous_type
    if transition_type is not None:
        contracts.text("transition_type", transition_type, optional=True)
        data["transitionType"] = transition_type
    return data


def write_containers(
    pairs: PayloadDict,
    own: str | None,
    context: Sequence[SelfDescribingJson],
    encode_base64: bool,
    json_encoder: JsonEncoderFunction | None,
) -> None:
    """Add an event's own data, as :func:`pair` writes it, and what it was about, each in its envelope."""
    if own is not None:
        text = f'{{"schema": "{UNSTRUCT_EVENT}", "data": {own}}}'
        pairs["ue_px" if encode_base64 else "ue_pr"] = encoded(text) if encode_base64 else text
    if context:
        parts = ", ".join([pair(one, json_encoder) for one in context])
        text = f'{{"schema": "{CONTEXTS}", "data": [{parts}]}}'
        pairs["cx" if encode_base64 else "co"] = encoded(text) if encode_base64 else text


def pair(one: SelfDescribingJson, json_encoder: JsonEncoderFunction | None) -> str:
    """Return a schema and its data as JSON text."""
    if type(one) is not SelfDescribingJson:
        return written(one.to_json(), json_encoder)
    return f'{{"schema": {written(one._schema)}, "data": {written(one.data, json_encoder)}}}'


def can_describe(event_json: Any) -> None:
    """Require data with its schema."""
    if not hasattr(event_json, "to_json"):
        raise TypeError(f"event_json: expected a SelfDescribingJson, got {type(event_json).__name__}")


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

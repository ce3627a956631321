"""The tracker: builds events and hands them to one or more emitters."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from os import PathLike
from typing import Any, Self

from ... import __version__
from ...hit import new_id
from ...providers.snowplow import SCHEMAS
from . import contracts
from ._scope import Scoped
from .events import (
    Event,
    PagePing,
    PageView,
    ScreenView,
    SelfDescribing,
    StructuredEvent,
    can_describe,
    entities,
    page,
    pair,
    screen,
    structured,
    write_containers,
)
from .payload import EMPTY, Payload, filled, written
from .self_describing_json import SelfDescribingJson
from .subject import DEFAULT_PLATFORM, Subject, Subjective
from .timestamp import DeviceTimestamp, Timestamp, TrueTimestamp, milliseconds
from .typing import JsonEncoderFunction

__all__ = ["VERSION", "DeviceTimestamp", "Timestamp", "Tracker", "TrueTimestamp"]

#: What the protocol calls the tracker's version (``tv``).
VERSION = f"py-analytical-{__version__}"

Context = Sequence[SelfDescribingJson] | None
Tstamp = float | Timestamp | None

_OLD = ("emitters", "subject", "namespace", "app_id", "encode_base64")
_NEW = ("namespace", "emitters", "subject", "app_id", "encode_base64", "json_encoder")
_UNSET: Any = object()


class Tracker(Subjective):
    """Builds events and hands them to emitters.

    Both generations' forms work: ``Tracker(emitters, subject, namespace, app_id, encode_base64)`` and
    ``Tracker(namespace, emitters, subject, app_id, encode_base64, json_encoder)``; the first is told from the second
    by its first argument, which is no text.

    Args:
        emitters: an emitter, or a list of at least one: anything with ``input(payload)``.
        subject: whom the events are about; a new :class:`Subject` by default.
        namespace: the tracker's name (``tna``).
        app_id: the application's id (``aid``).
        encode_base64: whether containers travel as base64.
        json_encoder: turns what JSON does not know into what it knows.
        validate: a folder of Iglu schemas to check data against before it goes to the emitters (extra ``schemas``).
    """

    def __init__(
        self,
        *args: Any,
        namespace: str | None = _UNSET,
        emitters: Any = _UNSET,
        subject: Subject | None = _UNSET,
        app_id: str | None = _UNSET,
        encode_base64: bool = _UNSET,
        json_encoder: JsonEncoderFunction | None = None,
        validate: str | PathLike[str] | Callable[[str, Any], str | None] | None = None,
    ) -> None:
        named = {"namespace": namespace, "emitters": emitters, "subject": subject, "app_id": app_id}
        named["encode_base64"] = encode_base64
        given = {name: value for name, value in named.items() if value is not _UNSET}
        # Only the newer form begins with a text; with the emitters named, the first argument can be nothing else.
        order = _NEW if args and (isinstance(args[0], str) or "emitters" in given) else _OLD
        if len(args) > len(order):
            raise TypeError(f"Tracker() takes {len(order)} positional arguments: {', '.join(order)}")
        for name, value in zip(order, args, strict=False):
            if name in given:
                raise TypeError(f"Tracker() was given {name} twice")
            if name == "json_encoder":
                json_encoder = value
            else:
                given[name] = value
        if "emitters" not in given:
            raise TypeError("Tracker() needs an emitter: Tracker(Emitter('collector.example.com'))")
        emitters = given["emitters"]
        self.emitters: list[Any] = list(emitters) if isinstance(emitters, (list, tuple)) else [emitters]
        if not self.emitters:
            raise ValueError("emitters: expected at least one emitter, got an empty list")
        for emitter in self.emitters:
            _can_input(emitter)
        contracts.text("namespace", given.get("namespace"), optional=True)
        contracts.text("app_id", given.get("app_id"), optional=True)
        self._subject: Scoped[Subject | None] = Scoped(given.get("subject") or Subject())
        self.encode_base64 = bool(given.get("encode_base64", True))
        self.json_encoder = json_encoder
        self.standard_nv_pairs = {"tv": VERSION, "tna": given.get("namespace"), "aid": given.get("app_id")}
        self._filled: dict[str, Any] | None = filled(self._standard)
        if isinstance(validate, (str, PathLike)):
            from ...schemas import checker

            validate = checker(validate)
        self._validate = validate

    # -- what a subclass, or whoever tests, may put something of its own in the place of; every call passes it then

    _overridden = False

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls._overridden = any(getattr(cls, name) is not getattr(Tracker, name) for name in _PASSED)

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name in _PASSED:
            super().__setattr__("_overridden", True)

    # -- whom it is about

    @property
    def subject(self) -> Subject | None:
        """Whom the events are about, here: another thread or task may have set another."""
        return self._subject.get()

    @subject.setter
    def subject(self, subject: Subject | None) -> None:
        self._subject.set(subject)

    def set_subject(self, subject: Subject | None) -> Self:
        """Set whom the next events are about: where the tracker was made, for all; in another thread, for that one."""
        self._subject.set(subject)
        return self

    def _set(self, name: str, value: Any) -> Self:
        subject = self._subject.get()
        if subject is None:
            subject = Subject()
            self._subject.set(subject)
        subject._set(name, value)
        return self

    @property
    def standard_nv_pairs(self) -> dict[str, Any]:
        """The names and values that every event gets from its tracker."""
        self._filled = None  # whoever has it may change it
        return self._standard

    @standard_nv_pairs.setter
    def standard_nv_pairs(self, pairs: dict[str, Any]) -> None:
        self._filled, self._standard = None, pairs

    # -- emitters

    def add_emitter(self, emitter: Any) -> Self:
        """Hand the next events to one more emitter."""
        _can_input(emitter)
        self.emitters.append(emitter)
        return self

    addEmitter = add_emitter  # noqa: N815 - the name in the documentation of 0.8

    def flush(self, is_async: bool = False, *, asynchronous: bool | None = None) -> Self:
        """Send what the emitters hold.

        Args:
            is_async: whether to return before it is sent. ``flush()`` and ``flush(False)`` wait.
            asynchronous: the older name of the same.
        """
        wait = not (is_async if asynchronous is None else asynchronous)
        for emitter in self.emitters:
            names = ("sync_flush", "flush") if wait else ("hand_over", "flush")
            flush = next((found for name in names if (found := getattr(emitter, name, None)) is not None), None)
            if flush is not None:
                flush()
        return self

    def get_namespace(self) -> str | None:
        """Return the tracker's name."""
        found: str | None = self._standard["tna"]
        return found

    @staticmethod
    def get_uuid() -> str:
        """Return a random UUID."""
        return new_id()

    @staticmethod
    def get_timestamp(tstamp: Tstamp = None) -> int:
        """Return a moment, or this one, in whole milliseconds since 1970."""
        if isinstance(tstamp, Timestamp):
            return tstamp.value
        return int(time.time() * 1000) if tstamp is None else milliseconds("tstamp", tstamp)

    # -- tracking

    def track(self, event: Event) -> str | None:
        """Hand an event to the emitters and return its id."""
        if not isinstance(event, Event):
            raise TypeError(f"event: expected an event such as PageView(…), got {type(event).__name__}")
        return self._emit(self.complete_payload(event).nv_pairs)

    def complete_payload(self, event: Event) -> Payload:
        """Return an event as it would be handed to the emitters."""
        if self._validate is not None:
            described = event.described()
            self._check(event.context if described is None else [*event.context, described])
        payload = event.build_payload(self.encode_base64, self.json_encoder, self._subject.get())
        self._finish(payload.nv_pairs)
        return payload

    def _finish(self, pairs: dict[str, Any]) -> None:
        pairs["eid"] = new_id()
        if "dtm" not in pairs:
            pairs["dtm"] = time.time_ns() // 1_000_000
        if "p" not in pairs:
            pairs["p"] = DEFAULT_PLATFORM
        pairs.update(filled(self._standard) if self._filled is None else self._filled)

    def _emit(self, pairs: dict[str, Any]) -> str | None:
        if len(self.emitters) == 1:
            self.emitters[0].input(pairs)
            return pairs.get("eid")
        failed: Exception | None = None
        for emitter in self.emitters:
            try:
                emitter.input(dict(pairs))
            except Exception as error:  # noqa: BLE001 - one that fails must not touch the others; raised below
                failed = failed or error
        if failed is not None:
            raise failed
        found: str | None = pairs.get("eid")
        return found

    def _check(self, parts: Sequence[SelfDescribingJson]) -> None:
        assert self._validate is not None
        for part in parts:
            both = part.to_json()
            wrong = self._validate(both["schema"], both["data"])
            if wrong:
                raise ValueError(f"data of {both['schema']}: {wrong}")

    def _said(
        self,
        pairs: dict[str, Any],
        context: Context,
        tstamp: Tstamp,
        event_subject: Subject | None,
        own: str | None = None,
    ) -> Self:
        """Complete an event and hand it to the emitters; ``own`` is its data with their schema, as JSON text."""
        if own is None and (self._overridden or Tracker.track is not _TRACK):
            kind = _EVENTS.get(pairs["e"], Event)
            event = kind.__new__(kind)
            Event.__init__(event, pairs)
            return self._tracked(event, context, tstamp, event_subject)
        if context is not None and tstamp is None and isinstance(context, (int, float, Timestamp)):
            # The documentation's own example counts one None too few before the time.
            context, tstamp = None, context
        if own is not None or context is not None:
            about = entities(context)
            if self._validate is not None:
                self._check(about)
            write_containers(pairs, own, about, self.encode_base64, self.json_encoder)
        if tstamp is not None:
            if isinstance(tstamp, Timestamp):
                pairs[tstamp.ts_type] = tstamp.value
            else:
                pairs["dtm"] = pairs["ttm"] = milliseconds("tstamp", tstamp)
        subject = self._subject.get()
        if event_subject is not None:
            pairs.update(filled(event_subject.combine_subject(subject)))
        elif subject is not None:
            pairs.update(filled(subject.standard_nv_pairs))
        self._finish(pairs)
        self._emit(pairs)
        return self

    def _tracked(self, event: Event, context: Context, tstamp: Tstamp, event_subject: Subject | None) -> Self:
        """Hand an event to :meth:`track`, as 1.x does with each."""
        if context is not None and tstamp is None and isinstance(context, (int, float, Timestamp)):
            context, tstamp = None, context
        event.context = entities(context)
        event.true_timestamp = tstamp
        event.event_subject = event_subject
        if tstamp is not None and not isinstance(tstamp, Timestamp):
            event.payload.nv_pairs["dtm"] = int(tstamp)
        self.track(event)
        return self

    def track_page_view(
        self,
        page_url: str,
        page_title: str | None = None,
        referrer: str | None = None,
        context: Context = None,
        tstamp: Tstamp = None,
        event_subject: Subject | None = None,
    ) -> Self:
        """Track that a page was viewed.

        Args:
            page_url: the page's address, not empty.
            page_title: its title.
            referrer: the address of the page before.
            context: what the event was about: a list of :class:`SelfDescribingJson`.
            tstamp: when it happened, in milliseconds since 1970 (``dtm`` and ``ttm``), or a :class:`TrueTimestamp`
                (``ttm``), or a :class:`DeviceTimestamp` (``dtm``).
            event_subject: whom this one event is about.
        """
        pairs = page("pv", page_url, page_title, referrer)
        return self._said(pairs, context, tstamp, event_subject)

    def track_page_ping(
        self,
        page_url: str,
        page_title: str | None = None,
        referrer: str | None = None,
        min_x: int | None = None,
        max_x: int | None = None,
        min_y: int | None = None,
        max_y: int | None = None,
        context: Context = None,
        tstamp: Tstamp = None,
        event_subject: Subject | None = None,
    ) -> Self:
        """Track that a page is still being read: the least and greatest scroll offsets since the last ping, in pixels.

        The other arguments are those of :meth:`track_page_view`.
        """
        pairs = page("pp", page_url, page_title, referrer)
        if min_x is not None:
            contracts.whole("min_x", min_x)
            pairs["pp_mix"] = min_x
        if max_x is not None:
            contracts.whole("max_x", max_x)
            pairs["pp_max"] = max_x
        if min_y is not None:
            contracts.whole("min_y", min_y)
            pairs["pp_miy"] = min_y
        if max_y is not None:
            contracts.whole("max_y", max_y)
            pairs["pp_may"] = max_y
        return self._said(pairs, context, tstamp, event_subject)

    def track_screen_view(
        self,
        name: str | None = None,
        id_: str | None = None,
        context: Context = None,
        tstamp: Tstamp = None,
        event_subject: Subject | None = None,
    ) -> Self:
        """Track that a screen was shown (``…snowplow/screen_view/jsonschema/1-0-0``): a name, an id, or both."""
        data: dict[str, Any] = {}
        if name is not None:
            contracts.text("name", name, optional=True)
            data["name"] = name
        if id_ is not None:
            contracts.text("id_", id_, optional=True)
            data["id"] = id_
        if not data and contracts.contracts_enabled():
            raise ValueError("name, id_: expected at least one of them, got neither")
        return self._described("screen_view_web", data, context, tstamp, event_subject)

    def track_mobile_screen_view(
        self,
        name: str,
        id_: str | None = None,
        type: str | None = None,
        previous_name: str | None = None,
        previous_id: str | None = None,
        previous_type: str | None = None,
        transition_type: str | None = None,
        context: Context = None,
        tstamp: Tstamp = None,
        event_subject: Subject | None = None,
    ) -> Self:
        """Track that a screen of a mobile application was shown; without an id it gets one. See :class:`ScreenView`."""
        id_ = self.get_uuid() if id_ is None else id_
        if self._overridden or Tracker.track is not _TRACK:
            event = ScreenView(id_, name, type, previous_name, previous_id, previous_type, transition_type)
            return self._tracked(event, context, tstamp, event_subject)
        data = screen(id_, name, type, previous_name, previous_id, previous_type, transition_type)
        return self._described("screen_view", data, context, tstamp, event_subject)

    def track_struct_event(
        self,
        category: str,
        action: str,
        label: str | None = None,
        property_: str | None = None,
        value: float | None = None,
        context: Context = None,
        tstamp: Tstamp = None,
        event_subject: Subject | None = None,
    ) -> Self:
        """Track an event of up to five parts; category and action are not empty, the value is a number.

        The other arguments are those of :meth:`track_page_view`.
        """
        pairs = structured(category, action, label, property_, value)
        return self._said(pairs, context, tstamp, event_subject)

    def track_self_describing_event(
        self,
        event_json: SelfDescribingJson,
        context: Context = None,
        tstamp: Tstamp = None,
        event_subject: Subject | None = None,
    ) -> Self:
        """Track an event that a schema describes. The other arguments are those of :meth:`track_page_view`."""
        can_describe(event_json)
        if self._overridden or Tracker.track is not _TRACK:
            return self._tracked(SelfDescribing(event_json), context, tstamp, event_subject)
        if self._validate is not None:
            self._check([event_json])
        return self._said({"e": "ue"}, context, tstamp, event_subject, pair(event_json, self.json_encoder))

    def track_unstruct_event(
        self,
        event_json: SelfDescribingJson,
        context: Context = None,
        tstamp: Tstamp = None,
        event_subject: Subject | None = None,
    ) -> Self:
        """Do as :meth:`track_self_describing_event`; its older name."""
        self.track_self_describing_event(event_json, context, tstamp, event_subject)
        return self

    def track_link_click(
        self,
        target_url: str,
        element_id: str | None = None,
        element_classes: Sequence[str] | None = None,
        element_target: str | None = None,
        element_content: str | None = None,
        context: Context = None,
        tstamp: Tstamp = None,
        event_subject: Subject | None = None,
    ) -> Self:
        """Track a click on a link (``…snowplow/link_click/jsonschema/1-0-1``)."""
        contracts.text("target_url", target_url, empty=False)
        data: dict[str, Any] = {"targetUrl": target_url}
        if element_id is not None:
            contracts.text("element_id", element_id, optional=True)
            data["elementId"] = element_id
        if element_classes is not None:
            contracts.texts("element_classes", element_classes)
            data["elementClasses"] = element_classes
        if element_target is not None:
            contracts.text("element_target", element_target, optional=True)
            data["elementTarget"] = element_target
        if element_content is not None:
            contracts.text("element_content", element_content, optional=True)
            data["elementContent"] = element_content
        return self._described("link_click", data, context, tstamp, event_subject)

    def track_add_to_cart(
        self,
        sku: str,
        quantity: int,
        name: str | None = None,
        category: str | None = None,
        unit_price: float | None = None,
        currency: str | None = None,
        context: Context = None,
        tstamp: Tstamp = None,
        event_subject: Subject | None = None,
    ) -> Self:
        """Track that something was put into a cart (``…snowplow/add_to_cart/jsonschema/1-0-0``)."""
        data = _cart(sku, quantity, name, category, unit_price, currency)
        return self._described("add_to_cart", data, context, tstamp, event_subject)

    def track_remove_from_cart(
        self,
        sku: str,
        quantity: int,
        name: str | None = None,
        category: str | None = None,
        unit_price: float | None = None,
        currency: str | None = None,
        context: Context = None,
        tstamp: Tstamp = None,
        event_subject: Subject | None = None,
    ) -> Self:
        """Track that something was taken out of a cart (``…snowplow/remove_from_cart/jsonschema/1-0-0``)."""
        data = _cart(sku, quantity, name, category, unit_price, currency)
        return self._described("remove_from_cart", data, context, tstamp, event_subject)

    def track_form_change(
        self,
        form_id: str,
        element_id: str | None,
        node_name: str,
        value: str | None,
        type_: str | None = None,
        element_classes: Sequence[str] | None = None,
        context: Context = None,
        tstamp: Tstamp = None,
        event_subject: Subject | None = None,
    ) -> Self:
        """Track that a form's field was changed (``…snowplow/change_form/jsonschema/1-0-0``).

        Args:
            form_id: the form's ``id``, not empty.
            element_id: the field's ``id``.
            node_name: ``INPUT``, ``TEXTAREA`` or ``SELECT``.
            value: what stands in it now.
            type_: the type of an input: ``text``, ``email`` …
            element_classes: the field's classes.
            context: see :meth:`track_page_view`.
            tstamp: see :meth:`track_page_view`.
            event_subject: see :meth:`track_page_view`.
        """
        contracts.text("form_id", form_id, empty=False)
        contracts.text("element_id", element_id, optional=True)
        contracts.node_name("node_name", node_name)
        contracts.text("value", value, optional=True)
        # The schema demands the first four, and an id that is text.
        data: dict[str, Any] = {"formId": form_id, "elementId": element_id or "", "nodeName": node_name, "value": value}
        if type_ is not None:
            contracts.input_type("type_", type_)
            data["type"] = type_.lower()
        if element_classes is not None:
            contracts.texts("element_classes", element_classes)
            data["elementClasses"] = list(element_classes)
        return self._described("form_change", data, context, tstamp, event_subject)

    def track_form_submit(
        self,
        form_id: str,
        form_classes: Sequence[str] | None = None,
        elements: Sequence[Mapping[str, Any]] | Mapping[str, Any] | None = None,
        context: Context = None,
        tstamp: Tstamp = None,
        event_subject: Subject | None = None,
    ) -> Self:
        """Track that a form was sent (``…snowplow/submit_form/jsonschema/1-0-0``).

        Args:
            form_id: the form's ``id``, not empty.
            form_classes: its classes.
            elements: mappings of ``name``, ``value``, ``nodeName`` and, if known, ``type``; one alone will do.
            context: see :meth:`track_page_view`.
            tstamp: see :meth:`track_page_view`.
            event_subject: see :meth:`track_page_view`.
        """
        contracts.text("form_id", form_id, empty=False)
        data: dict[str, Any] = {"formId": form_id}
        if form_classes is not None:
            contracts.texts("form_classes", form_classes)
            data["formClasses"] = form_classes
        if elements is not None:
            if not isinstance(elements, (list, Iterable)):
                raise TypeError(f"elements: expected a list of mappings, got {type(elements).__name__}")
            one_alone = elements and not isinstance(elements, list) and isinstance(elements, Mapping)
            whole: list[Any] = [elements] if one_alone else list(elements)
            if whole:
                contracts.form_elements("elements", whole)
                data["elements"] = [dict(one) for one in whole]
        return self._described("form_submit", data, context, tstamp, event_subject)

    def track_site_search(
        self,
        terms: Sequence[str],
        filters: Mapping[str, str | bool] | None = None,
        total_results: int | None = None,
        page_results: int | None = None,
        context: Context = None,
        tstamp: Tstamp = None,
        event_subject: Subject | None = None,
    ) -> Self:
        """Track a search on the site (``…snowplow/site_search/jsonschema/1-0-0``).

        Args:
            terms: the words searched for, at least one.
            filters: names to text, or to yes and no.
            total_results: how many were found.
            page_results: how many the first page shows.
            context: see :meth:`track_page_view`.
            tstamp: see :meth:`track_page_view`.
            event_subject: see :meth:`track_page_view`.
        """
        contracts.texts("terms", terms, least=1)
        data: dict[str, Any] = {"terms": terms}
        if filters is not None:
            contracts.filters("filters", filters)
            data["filters"] = filters
        if total_results is not None:
            contracts.whole("total_results", total_results, least=0)
            data["totalResults"] = total_results
        if page_results is not None:
            contracts.whole("page_results", page_results, least=0)
            data["pageResults"] = page_results
        return self._described("site_search", data, context, tstamp, event_subject)

    def track_ecommerce_transaction_item(
        self,
        order_id: str,
        sku: str,
        price: float,
        quantity: int,
        name: str | None = None,
        category: str | None = None,
        currency: str | None = None,
        context: Context = None,
        tstamp: Tstamp = None,
        event_subject: Subject | None = None,
    ) -> Self:
        """Track one line of an order."""
        if isinstance(currency, (list, tuple)):
            # The older documentation knows no currency here: a context is the seventh, and the time the eighth.
            moment = tstamp if tstamp is not None or context is None else context
            currency, context, tstamp = None, currency, moment
        contracts.text("order_id", order_id, empty=False)
        contracts.text("currency", currency, optional=True)
        pairs = _item(order_id, sku, price, quantity, name, category, currency)
        return self._said(pairs, context, tstamp, event_subject)

    def track_ecommerce_transaction(
        self,
        order_id: str,
        total_value: float,
        affiliation: str | None = None,
        tax_value: float | None = None,
        shipping: float | None = None,
        city: str | None = None,
        state: str | None = None,
        country: str | None = None,
        currency: str | None = None,
        items: Sequence[Mapping[str, Any]] | None = None,
        context: Context = None,
        tstamp: Tstamp = None,
        event_subject: Subject | None = None,
    ) -> Self:
        """Track an order, and each of its items as an event of its own with the same order, currency and time.

        Args:
            order_id: the order's id, not empty.
            total_value: its value.
            affiliation: the shop.
            tax_value: the tax in it.
            shipping: the cost of delivery.
            city: where it goes.
            state: where it goes.
            country: where it goes.
            currency: ISO 4217.
            items: mappings of ``sku``, ``price``, ``quantity``, ``name``, ``category``, ``context``. They are not
                changed. An item without a context has the order's.
            context: see :meth:`track_page_view`.
            tstamp: see :meth:`track_page_view`.
            event_subject: see :meth:`track_page_view`.
        """
        contracts.text("order_id", order_id, empty=False)
        contracts.number("total_value", total_value)
        pairs: dict[str, Any] = {"e": "tr", "tr_id": order_id, "tr_tt": total_value}
        if affiliation not in EMPTY:
            contracts.text("affiliation", affiliation, optional=True)
            pairs["tr_af"] = affiliation
        if tax_value is not None:
            contracts.number("tax_value", tax_value)
            pairs["tr_tx"] = tax_value
        if shipping is not None:
            contracts.number("shipping", shipping)
            pairs["tr_sh"] = shipping
        if city not in EMPTY:
            contracts.text("city", city, optional=True)
            pairs["tr_ci"] = city
        if state not in EMPTY:
            contracts.text("state", state, optional=True)
            pairs["tr_st"] = state
        if country not in EMPTY:
            contracts.text("country", country, optional=True)
            pairs["tr_co"] = country
        if currency not in EMPTY:
            contracts.text("currency", currency, optional=True)
            pairs["tr_cu"] = currency
        if not contracts.contracts_enabled():
            pairs = filled(pairs)
        # All are made before the first is sent: a slip in one item sends nothing at all.
        lines = [_line(position, item, order_id, currency) for position, item in enumerate(items or ())]
        moment = tstamp if isinstance(tstamp, Timestamp) else self.get_timestamp(tstamp)
        if tstamp is None:
            pairs["dtm"] = moment
        self._said(pairs, context, tstamp, event_subject)
        for line, about in lines:
            self._said(line, about or context, moment, event_subject)
        return self

    def _described(
        self,
        kind: str,
        data: Mapping[str, Any],
        context: Context,
        tstamp: Tstamp,
        event_subject: Subject | None,
    ) -> Self:
        schema = SCHEMAS[kind]
        if self._overridden or Tracker.track is not _TRACK:
            self.track_self_describing_event(SelfDescribingJson(schema, data), context, tstamp, event_subject)
            return self
        if self._validate is not None:
            self._check([SelfDescribingJson(schema, data)])
        own = f'{{"schema": "{schema}", "data": {written(data, self.json_encoder)}}}'
        return self._said({"e": "ue"}, context, tstamp, event_subject, own)

    def __copy__(self) -> Self:
        made = type(self).__new__(type(self))
        made.__dict__.update(self.__dict__)
        # The subject itself is shared, as by any copy; which one it is, each says for itself.
        made._subject = Scoped(self._subject.get())
        return made

    def __repr__(self) -> str:
        return f"<Tracker {self.get_namespace() or ''} {len(self.emitters)} emitters>"


_TRACK = Tracker.track  # what it is unless a test patches the class
_PASSED = ("track", "complete_payload", "track_self_describing_event")
_EVENTS: dict[str, type[Event]] = {"pv": PageView, "pp": PagePing, "se": StructuredEvent}


def _can_input(emitter: Any) -> None:
    if not callable(getattr(emitter, "input", None)):
        raise TypeError(f"emitters: expected something with input(payload), got {type(emitter).__name__}")


def _cart(
    sku: str, quantity: int, name: str | None, category: str | None, unit_price: float | None, currency: str | None
) -> dict[str, Any]:
    contracts.text("sku", sku, empty=False)
    contracts.whole("quantity", quantity)
    data: dict[str, Any] = {"sku": sku, "quantity": quantity}
    if name is not None:
        contracts.text("name", name, optional=True)
        data["name"] = name
    if category is not None:
        contracts.text("category", category, optional=True)
        data["category"] = category
    if unit_price is not None:
        contracts.number("unit_price", unit_price)
        data["unitPrice"] = unit_price
    if currency is not None:
        contracts.text("currency", currency, optional=True)
        data["currency"] = currency
    return data


def _item(
    order_id: str, sku: str, price: float, quantity: int, name: str | None, category: str | None, currency: str | None
) -> dict[str, Any]:
    contracts.text("sku", sku, empty=False)
    contracts.number("price", price)
    contracts.whole("quantity", quantity)
    pairs: dict[str, Any] = {"e": "ti", "ti_id": order_id, "ti_sk": sku}
    if name not in EMPTY:
        contracts.text("name", name, optional=True)
        pairs["ti_nm"] = name
    if category not in EMPTY:
        contracts.text("category", category, optional=True)
        pairs["ti_ca"] = category
    pairs["ti_pr"] = price
    pairs["ti_qu"] = quantity
    if currency not in EMPTY:
        pairs["ti_cu"] = currency
    return pairs if contracts.contracts_enabled() else filled(pairs)


_LINE = frozenset({"sku", "price", "quantity", "name", "category", "context"})
_KNOWN = _LINE | {"order_id", "currency", "tstamp", "event_subject"}  # what 1.x writes into the caller's mappings


def _line(position: int, item: Any, order_id: str, currency: str | None) -> tuple[dict[str, Any], Context]:
    """Return one item of an order in the protocol's keys, and its context."""
    if not isinstance(item, (dict, Mapping)):
        raise TypeError(f"items[{position}]: expected a mapping, got {type(item).__name__}")
    if not _KNOWN.issuperset(item):
        unknown = min(str(name) for name in item if name not in _KNOWN)
        raise ValueError(f"items[{position}]: {unknown!r} is no part of an item; known: {', '.join(sorted(_LINE))}")
    for needed in ("sku", "price", "quantity"):
        if needed not in item:
            raise ValueError(f"items[{position}]: expected {needed!r}, got {', '.join(sorted(item))}")
    name, category = item.get("name"), item.get("category")
    pairs = _item(order_id, item["sku"], item["price"], item["quantity"], name, category, currency)
    return pairs, item.get("context")

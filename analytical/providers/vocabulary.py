"""The wider vocabulary: page pings, screens, orders, carts, forms, searches, and events that carry their schema.

Each call says in words what happened; a platform that has such a thing says it in its own keys (``Backend.phrase``),
and every other refuses with the names of those that have it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol, Unpack, runtime_checkable

from ..backend import Backend
from ..errors import InvalidHit, Unsupported
from ..hit import VisitFields
from ..registry import PROVIDERS
from ..values import seconds

__all__ = ["Describes", "Phrases", "Vocabulary"]


@runtime_checkable
class Describes(Protocol):
    """Something that becomes ``{"schema": …, "data": …}``."""

    def to_json(self) -> Mapping[str, Any]:
        """Return the pair of schema and data."""
        ...


@runtime_checkable
class Phrases(Protocol):
    """A backend that has more to say than page views and events."""

    kinds: frozenset[str]

    def phrase(self, kind: str, said: Mapping[str, Any]) -> dict[str, Any]:
        """Return the platform's own keys for one of the calls below."""
        ...


Entity = Mapping[str, Any] | Describes
Moment = datetime | float
OnSuccess = Callable[[], object] | None
OnFailure = Callable[[Exception], object] | None


class Vocabulary:
    """The typed calls of a provider beyond ``pageview()`` and ``event()``.

    Every call takes the common keywords too (``client_ip``, ``user_id``, ``time`` …), and four of its own:
    ``entities``, what the event was about: pairs ``{"schema": "iglu:…", "data": {…}}``; ``true_time``, the exact
    moment where a clock better than this machine's knows it (an aware ``datetime``, or seconds since 1970);
    ``on_success`` and ``on_failure``. Those and the result are as in :meth:`~analytical.Provider.pageview`. Values of
    the wrong type raise :class:`~analytical.errors.InvalidHit`, and every call
    :class:`~analytical.errors.Unsupported` where the platform has no such thing.
    """

    backend: Backend

    def _hit(
        self,
        kind: str,
        params: Mapping[str, Any] | None,
        fields: Mapping[str, Any],
        on_success: OnSuccess = None,
        on_failure: OnFailure = None,
    ) -> bool:
        raise NotImplementedError

    def page_ping(
        self,
        *,
        min_x: int | None = None,
        max_x: int | None = None,
        min_y: int | None = None,
        max_y: int | None = None,
        entities: Iterable[Entity] | None = None,
        true_time: Moment | None = None,
        on_success: OnSuccess = None,
        on_failure: OnFailure = None,
        **fields: Unpack[VisitFields],
    ) -> bool:
        """Record that a page is still being read: a heartbeat, whose interval is the application's to choose.

        Args:
            min_x: the least horizontal scroll offset since the last ping, in pixels.
            max_x: the greatest.
            min_y: the least vertical scroll offset, in pixels.
            max_y: the greatest.
            entities: what the event was about.
            true_time: when it truly happened.
            on_success: called once when the platform has taken it.
            on_failure: called once with the exception when it never will.
            fields: the common names; ``url`` is the page's address.
        """
        said = {"min_x": min_x, "max_x": max_x, "min_y": min_y, "max_y": max_y}
        return self._say("page_ping", said, fields, entities, true_time, on_success, on_failure)

    def screen_view(
        self,
        name: str | None = None,
        *,
        id: str | None = None,
        type: str | None = None,
        previous_name: str | None = None,
        previous_id: str | None = None,
        previous_type: str | None = None,
        transition_type: str | None = None,
        entities: Iterable[Entity] | None = None,
        true_time: Moment | None = None,
        on_success: OnSuccess = None,
        on_failure: OnFailure = None,
        **fields: Unpack[VisitFields],
    ) -> bool:
        """Record that a screen of an application was shown.

        Args:
            name: the screen's name for people.
            id: a UUID of this view. With it and a name, the schema is
                ``iglu:com.snowplowanalytics.mobile/screen_view/jsonschema/1-0-0``; with one of them alone it is the
                older ``iglu:com.snowplowanalytics.snowplow/screen_view/jsonschema/1-0-0``, which knows no more.
            type: the kind of screen, such as ``feed``.
            previous_name: the name of the screen before.
            previous_id: the UUID of the view before.
            previous_type: the kind of the screen before.
            transition_type: how one came to the other.
            entities: what the event was about.
            true_time: when it truly happened.
            on_success: called once when the platform has taken it.
            on_failure: called once with the exception when it never will.
            fields: the common names.

        Raises:
            InvalidHit: neither a name nor an id; or a detail that only the schema with both has.
        """
        said: dict[str, Any] = {"name": name, "id": id}
        detail = {"type": type, "previous_name": previous_name, "previous_id": previous_id}
        detail |= {"previous_type": previous_type, "transition_type": transition_type}
        if name is None and id is None:
            raise InvalidHit("a screen_view needs a name or an id")
        if (name is None or id is None) and any(value is not None for value in detail.values()):
            raise InvalidHit(f"a screen_view with {', '.join(detail)} needs both a name and an id (a UUID)")
        return self._say("screen_view", said | detail, fields, entities, true_time, on_success, on_failure)

    def self_describing(
        self,
        schema: str | Describes,
        data: Mapping[str, Any] | None = None,
        *,
        entities: Iterable[Entity] | None = None,
        true_time: Moment | None = None,
        on_success: OnSuccess = None,
        on_failure: OnFailure = None,
        **fields: Unpack[VisitFields],
    ) -> bool:
        """Record an event of a type of your own, with the address of the schema that describes it.

        Args:
            schema: ``iglu:VENDOR/NAME/jsonschema/1-0-0``, or an object with ``to_json()`` that holds schema and data.
            data: the event's own data, as the schema describes it.
            entities: what the event was about.
            true_time: when it truly happened.
            on_success: called once when the platform has taken it.
            on_failure: called once with the exception when it never will.
            fields: the common names.
        """
        if not isinstance(schema, str):
            pair = _pair(schema)
            schema, data = str(pair["schema"]), pair["data"]
        said = {"schema": schema, "data": {} if data is None else data}
        return self._say("self_describing", said, fields, entities, true_time, on_success, on_failure)

    def structured_event(
        self,
        category: str,
        action: str,
        label: str | None = None,
        property: str | None = None,
        value: float | None = None,
        *,
        entities: Iterable[Entity] | None = None,
        true_time: Moment | None = None,
        on_success: OnSuccess = None,
        on_failure: OnFailure = None,
        **fields: Unpack[VisitFields],
    ) -> bool:
        """Record an event of up to five parts; :meth:`~analytical.Provider.event` says the same in the common names.

        Args:
            category: the group of events, not empty.
            action: what was done, not empty.
            label: what it was done to.
            property: what the value or the object is about.
            value: a number.
            entities: what the event was about.
            true_time: when it truly happened.
            on_success: called once when the platform has taken it.
            on_failure: called once with the exception when it never will.
            fields: the common names.
        """
        said = {"category": category, "action": action, "label": label, "property": property, "value": value}
        return self._say("structured_event", said, fields, entities, true_time, on_success, on_failure)

    def ecommerce_transaction(
        self,
        order_id: str,
        total: float,
        *,
        items: Sequence[Mapping[str, Any]] = (),
        affiliation: str | None = None,
        tax: float | None = None,
        shipping: float | None = None,
        city: str | None = None,
        state: str | None = None,
        country: str | None = None,
        currency: str | None = None,
        entities: Iterable[Entity] | None = None,
        true_time: Moment | None = None,
        on_success: OnSuccess = None,
        on_failure: OnFailure = None,
        **fields: Unpack[VisitFields],
    ) -> bool:
        """Record an order, and each item of it as a hit of its own with the same order, currency and time.

        Args:
            order_id: the order's id, not empty.
            total: its value, in ``currency``.
            items: mappings of ``sku``, ``price``, ``quantity`` and, if known, ``name``, ``category``, ``entities``.
            affiliation: the shop.
            tax: the tax in it.
            shipping: the cost of delivery.
            city: where it goes.
            state: where it goes.
            country: where it goes.
            currency: ISO 4217, three letters: ``GBP``; the items have the same.
            entities: what the event was about; an item has its own.
            true_time: when it truly happened.
            on_success: called once when the platform has taken the order (its items are hits of their own).
            on_failure: called once with the exception when it never will.
            fields: the common names; a ``key`` makes one for each item too.

        Returns:
            Whether all of it was accepted.
        """
        said: dict[str, Any] = {"order_id": order_id, "total": total, "affiliation": affiliation, "tax": tax}
        said |= {"shipping": shipping, "city": city, "state": state, "country": country, "currency": currency}
        if fields.get("time") is None:
            fields["time"] = time.time()
        prepared = [_item(order_id, item) for item in items]
        done = self._say("ecommerce_transaction", said, fields, entities, true_time, on_success, on_failure)
        key = fields.pop("key", None)
        for position, (said_of, about) in enumerate(prepared):
            if key is not None:
                fields["key"] = f"{key}/{position}"
            done &= self._say(
                "ecommerce_transaction_item", {**said_of, "currency": currency}, fields, about, true_time, None, None
            )
        return done

    def ecommerce_transaction_item(
        self,
        order_id: str,
        sku: str,
        price: float,
        quantity: int,
        *,
        name: str | None = None,
        category: str | None = None,
        currency: str | None = None,
        entities: Iterable[Entity] | None = None,
        true_time: Moment | None = None,
        on_success: OnSuccess = None,
        on_failure: OnFailure = None,
        **fields: Unpack[VisitFields],
    ) -> bool:
        """Record one line of an order; :meth:`ecommerce_transaction` records an order with its lines.

        Args:
            order_id: the order's id.
            sku: the product's.
            price: of one, in ``currency``.
            quantity: how many, a whole number.
            name: the product's.
            category: the product's.
            currency: ISO 4217, three letters: ``GBP``.
            entities: what the event was about.
            true_time: when it truly happened.
            on_success: called once when the platform has taken it.
            on_failure: called once with the exception when it never will.
            fields: the common names.
        """
        said: dict[str, Any] = {"order_id": order_id, "sku": sku, "price": price, "quantity": quantity}
        said |= {"name": name, "category": category, "currency": currency}
        return self._say("ecommerce_transaction_item", said, fields, entities, true_time, on_success, on_failure)

    def link_click(
        self,
        target_url: str,
        *,
        element_id: str | None = None,
        element_classes: Sequence[str] | None = None,
        element_target: str | None = None,
        element_content: str | None = None,
        entities: Iterable[Entity] | None = None,
        true_time: Moment | None = None,
        on_success: OnSuccess = None,
        on_failure: OnFailure = None,
        **fields: Unpack[VisitFields],
    ) -> bool:
        """Record a click on a link (``iglu:com.snowplowanalytics.snowplow/link_click/jsonschema/1-0-1``).

        Args:
            target_url: where the link leads, not empty.
            element_id: the ``id`` of the HTML element.
            element_classes: its classes.
            element_target: its ``target``.
            element_content: what it shows.
            entities: what the event was about.
            true_time: when it truly happened.
            on_success: called once when the platform has taken it.
            on_failure: called once with the exception when it never will.
            fields: the common names.
        """
        said = {"target_url": _full("target_url", target_url), "element_id": element_id}
        said |= {"element_target": element_target, "element_content": element_content}
        classes = {"element_classes": _texts("element_classes", element_classes)}
        return self._say("link_click", said | classes, fields, entities, true_time, on_success, on_failure)

    def add_to_cart(
        self,
        sku: str,
        quantity: int,
        *,
        name: str | None = None,
        category: str | None = None,
        unit_price: float | None = None,
        currency: str | None = None,
        entities: Iterable[Entity] | None = None,
        true_time: Moment | None = None,
        on_success: OnSuccess = None,
        on_failure: OnFailure = None,
        **fields: Unpack[VisitFields],
    ) -> bool:
        """Record that something was put into a cart.

        The schema is ``iglu:com.snowplowanalytics.snowplow/add_to_cart/jsonschema/1-0-0``.

        Args:
            sku: the product's id, not empty.
            quantity: how many were added.
            name: the product's.
            category: the product's.
            unit_price: the price of one, in ``currency``.
            currency: ISO 4217, three letters: ``USD``.
            entities: what the event was about.
            true_time: when it truly happened.
            on_success: called once when the platform has taken it.
            on_failure: called once with the exception when it never will.
            fields: the common names.
        """
        said = _cart(sku, quantity, name, category, unit_price, currency)
        return self._say("add_to_cart", said, fields, entities, true_time, on_success, on_failure)

    def remove_from_cart(
        self,
        sku: str,
        quantity: int,
        *,
        name: str | None = None,
        category: str | None = None,
        unit_price: float | None = None,
        currency: str | None = None,
        entities: Iterable[Entity] | None = None,
        true_time: Moment | None = None,
        on_success: OnSuccess = None,
        on_failure: OnFailure = None,
        **fields: Unpack[VisitFields],
    ) -> bool:
        """Record that something was taken out of a cart.

        The schema is ``iglu:com.snowplowanalytics.snowplow/remove_from_cart/jsonschema/1-0-0``; the arguments are
        those of :meth:`add_to_cart`.
        """
        said = _cart(sku, quantity, name, category, unit_price, currency)
        return self._say("remove_from_cart", said, fields, entities, true_time, on_success, on_failure)

    def form_change(
        self,
        form_id: str,
        element_id: str,
        node_name: str,
        value: str | None = None,
        *,
        type: str | None = None,
        element_classes: Sequence[str] | None = None,
        entities: Iterable[Entity] | None = None,
        true_time: Moment | None = None,
        on_success: OnSuccess = None,
        on_failure: OnFailure = None,
        **fields: Unpack[VisitFields],
    ) -> bool:
        """Record that a form's field was changed.

        The schema is ``iglu:com.snowplowanalytics.snowplow/change_form/jsonschema/1-0-0``.

        Args:
            form_id: the ``id`` of the form, not empty.
            element_id: the ``id`` of the field.
            node_name: ``INPUT``, ``TEXTAREA`` or ``SELECT``.
            value: what stands in it now; ``None`` becomes the empty text. Think before you record what people type.
            type: the type of an input: ``text``, ``email``, ``checkbox`` …
            element_classes: the field's classes.
            entities: what the event was about.
            true_time: when it truly happened.
            on_success: called once when the platform has taken it.
            on_failure: called once with the exception when it never will.
            fields: the common names.
        """
        if node_name not in NODE_NAMES:
            raise InvalidHit(f"node_name={node_name!r}: expected one of {', '.join(NODE_NAMES)}")
        said: dict[str, Any] = {"form_id": _full("form_id", form_id), "element_id": element_id or ""}
        said |= {"node_name": node_name, "value": value or "", "type": _input_type(type)}
        said["element_classes"] = _texts("element_classes", element_classes)
        return self._say("form_change", said, fields, entities, true_time, on_success, on_failure)

    def form_submit(
        self,
        form_id: str,
        *,
        form_classes: Sequence[str] | None = None,
        elements: Sequence[Mapping[str, Any]] | None = None,
        entities: Iterable[Entity] | None = None,
        true_time: Moment | None = None,
        on_success: OnSuccess = None,
        on_failure: OnFailure = None,
        **fields: Unpack[VisitFields],
    ) -> bool:
        """Record that a form was sent (``iglu:com.snowplowanalytics.snowplow/submit_form/jsonschema/1-0-0``).

        Args:
            form_id: the ``id`` of the form, not empty.
            form_classes: its classes.
            elements: its fields: mappings of ``name``, ``value``, ``nodeName`` and, if known, ``type``.
            entities: what the event was about.
            true_time: when it truly happened.
            on_success: called once when the platform has taken it.
            on_failure: called once with the exception when it never will.
            fields: the common names.
        """
        said: dict[str, Any] = {"form_id": _full("form_id", form_id)}
        said["form_classes"] = _texts("form_classes", form_classes)
        said["elements"] = [_element(one) for one in elements] if elements else None
        return self._say("form_submit", said, fields, entities, true_time, on_success, on_failure)

    def site_search(
        self,
        terms: Sequence[str],
        *,
        filters: Mapping[str, str | bool] | None = None,
        total_results: int | None = None,
        page_results: int | None = None,
        entities: Iterable[Entity] | None = None,
        true_time: Moment | None = None,
        on_success: OnSuccess = None,
        on_failure: OnFailure = None,
        **fields: Unpack[VisitFields],
    ) -> bool:
        """Record a search on the site (``iglu:com.snowplowanalytics.snowplow/site_search/jsonschema/1-0-0``).

        Args:
            terms: the words searched for, at least one.
            filters: names to text, or to yes and no.
            total_results: how many were found.
            page_results: how many the first page shows.
            entities: what the event was about.
            true_time: when it truly happened.
            on_success: called once when the platform has taken it.
            on_failure: called once with the exception when it never will.
            fields: the common names.
        """
        words = _texts("terms", terms)
        if not words:
            raise InvalidHit("a site_search needs at least one term")
        if filters is not None and (
            not isinstance(filters, Mapping) or not all(isinstance(one, str | bool) for one in filters.values())
        ):
            raise InvalidHit("filters: expected a mapping of names to text, or to yes and no")
        said = {"terms": words, "filters": filters, "total_results": total_results, "page_results": page_results}
        return self._say("site_search", said, fields, entities, true_time, on_success, on_failure)

    def _say(
        self,
        kind: str,
        said: Mapping[str, Any],
        fields: Mapping[str, Any],
        entities: Iterable[Entity] | None,
        true_time: Moment | None,
        on_success: OnSuccess,
        on_failure: OnFailure,
    ) -> bool:
        backend = self.backend
        if not isinstance(backend, Phrases) or kind not in backend.kinds:
            raise Unsupported(f"{kind} unsupported by {backend.name}; supported by: {', '.join(_speakers(kind))}")
        _check(kind, said)
        params = backend.phrase(kind, {**said, **_extras(entities, true_time)})
        return self._hit(kind, params, fields, on_success, on_failure)

    def _about(
        self, params: Mapping[str, Any] | None, entities: Iterable[Entity] | None, true_time: Moment | None
    ) -> dict[str, Any]:
        """Add to a call's native keys what it was about, and when it truly happened."""
        backend = self.backend
        if not isinstance(backend, Phrases):
            what = "entities" if entities is not None else "true_time"
            raise Unsupported(f"{what} unsupported by {backend.name}; supported by: {', '.join(_speakers())}")
        return {**(params or {}), **backend.phrase("", _extras(entities, true_time))}


NODE_NAMES = ("INPUT", "TEXTAREA", "SELECT")
INPUT_TYPES = frozenset(
    # https://github.com/snowplow/iglu-central, change_form and submit_form 1-0-0
    [
        "button", "checkbox", "color", "date", "datetime", "datetime-local", "email", "file", "hidden", "image",
        "month", "number", "password", "radio", "range", "reset", "search", "submit", "tel", "text", "time", "url",
        "week",
    ]
)  # fmt: skip


def _speakers(kind: str | None = None) -> list[str]:
    found = []
    for name in PROVIDERS.names():
        try:
            backend = PROVIDERS.get(name)
        except Exception:  # noqa: BLE001, S112 - somebody's broken plug-in must not hide what this error says
            continue
        if hasattr(backend, "phrase") and (kind is None or kind in getattr(backend, "kinds", ())):
            found.append(name)
    return found


def _extras(entities: Iterable[Entity] | None, true_time: Moment | None) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if entities is not None:
        if isinstance(entities, str | Mapping | Describes) or not isinstance(entities, Iterable):
            raise InvalidHit("entities= takes a list, even of one")
        found["entities"] = [_pair(one) for one in entities]
    if true_time is not None:
        found["ttm"] = int(seconds(true_time) * 1000)
    return found


#: What is no text: a number, a whole number (any, or from 0 on), or something that its own call looks at.
_NUMBERS = frozenset({"total", "tax", "shipping", "price", "unit_price"})
_WHOLE = frozenset({"min_x", "max_x", "min_y", "max_y", "quantity"})
_COUNTS = frozenset({"total_results", "page_results"})
_OTHER = frozenset({"data", "element_classes", "form_classes", "elements", "terms", "filters"})


def _check(kind: str, said: Mapping[str, Any]) -> None:
    """Refuse a value of the wrong type: the platform would take it, and fail it later and out of sight."""
    for name, value in said.items():
        if value is None or name in _OTHER:
            continue
        if name in _WHOLE or name in _COUNTS:
            if isinstance(value, bool) or not isinstance(value, int):
                raise InvalidHit(f"{name}: expected a whole number, got <{type(value).__name__}>")
            if name in _COUNTS and not 0 <= value < 2**31:
                raise InvalidHit(f"{name}={value}: expected a whole number from 0 to 2147483647")
        elif name in _NUMBERS or (name == "value" and kind == "structured_event"):
            if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
                raise InvalidHit(f"{name}: expected a number, got <{type(value).__name__}>")
            if not math.isfinite(value):
                raise InvalidHit(f"{name}={value}: expected a finite number")
        elif not isinstance(value, str):
            raise InvalidHit(f"{name}: expected text, got <{type(value).__name__}>")


def _cart(
    sku: str, quantity: int, name: str | None, category: str | None, unit_price: float | None, currency: str | None
) -> dict[str, Any]:
    said = {"sku": _full("sku", sku), "quantity": quantity, "name": name, "category": category}
    # The schema wants a JSON number, which an exact decimal is not.
    return {
        **said,
        "unit_price": float(unit_price) if isinstance(unit_price, Decimal) else unit_price,
        "currency": currency,
    }


def _full(name: str, value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise InvalidHit(f"{name}: expected text that is not empty, got <{type(value).__name__}>")
    return value


def _texts(name: str, value: Sequence[str] | None) -> list[str] | None:
    if value is None:
        return None
    if isinstance(value, str) or not all(isinstance(text, str) for text in value):
        raise InvalidHit(f"{name}: expected a list of texts, got <{type(value).__name__}>")
    return list(value)


def _input_type(value: str | None) -> str | None:
    if value is not None and str(value).lower() not in INPUT_TYPES:
        raise InvalidHit(f"type={value!r}: expected one of {', '.join(sorted(INPUT_TYPES))}")
    return value.lower() if value is not None else None


def _element(element: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(element, Mapping) or not {"name", "value", "nodeName"} <= set(element):
        raise InvalidHit("elements: expected mappings of name, value, nodeName and, if known, type")
    if element["nodeName"] not in NODE_NAMES:
        raise InvalidHit(f"elements: nodeName={element['nodeName']!r}: expected one of {', '.join(NODE_NAMES)}")
    kept = {"name": element["name"], "value": element["value"] or "", "nodeName": element["nodeName"]}
    if element.get("type") is not None:
        kept["type"] = _input_type(element["type"])
    return kept


def _pair(entity: Any) -> dict[str, Any]:
    pair = entity.to_json() if isinstance(entity, Describes) else entity
    if not isinstance(pair, Mapping) or set(pair) != {"schema", "data"}:
        raise InvalidHit('expected {"schema": "iglu:VENDOR/NAME/jsonschema/1-0-0", "data": {…}}')
    return dict(pair)


_ITEM = frozenset({"sku", "price", "quantity", "name", "category", "entities"})


def _item(order_id: str, item: Mapping[str, Any]) -> tuple[dict[str, Any], Iterable[Entity] | None]:
    if not isinstance(item, Mapping) or not {"sku", "price", "quantity"} <= set(item) <= _ITEM:
        raise InvalidHit(f"items: expected mappings of {', '.join(sorted(_ITEM))}; sku, price and quantity are needed")
    said = {name: value for name, value in item.items() if name != "entities"}
    return {"order_id": order_id, **said}, item.get("entities")

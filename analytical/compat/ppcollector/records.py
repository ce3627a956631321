"""Records as the collector built them, id for id: ``_timestamp``, mappings, ``humanId``, ``_id``, plug-ins.

The rules come from https://github.com/alphagov/performanceplatform-collector (``utils/data_parser.py``, as of 2018);
where dictionaries gave order, the order is Python 2's (:mod:`.python2`).
"""

from __future__ import annotations

import base64
import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from . import python2
from .dates import to_datetime, to_utc
from .errors import CollectorError

__all__ = ["DataParser", "Record", "build_document", "build_document_set", "json_ready", "stamp", "value_id"]

Record = dict[str, Any]

_PART = re.compile(r"^(.*)_([0-9]*)$", re.DOTALL)
_log = logging.getLogger("analytical.compat.ppcollector")


class DataParser:
    """Turns rows into records by the ``options`` of a query file.

    Args:
        data: rows with ``start_date`` and, for some sources, ``dimensions``.
        options: ``mappings``, ``additionalFields``, ``idMapping``, ``dataType``, ``plugins``; others are passed over.
        data_type: the data set's type, where ``dataType`` does not override it.
    """

    def __init__(self, data: Iterable[Mapping[str, Any]], options: Mapping[str, Any], data_type: str | None) -> None:
        self.data = list(data)
        self.plugins = options.get("plugins")
        self.data_type = options.get("dataType", data_type)
        self.mappings = options.get("mappings", {})
        self.idMapping = options.get("idMapping")
        self.additionalFields = options.get("additionalFields", {})

    def get_data(self, special_fields: Iterable[Mapping[str, Any]] | None = None) -> list[Record]:
        """Return the records.

        Args:
            special_fields: one mapping a row, which wins over every other field: metrics, ``timeSpan``.

        Raises:
            CollectorError: the options do not fit the rows.
        """
        records = build_document_set(
            self.data, self.data_type, self.mappings, special_fields, self.idMapping, self.additionalFields
        )
        if self.plugins:
            from .plugins import run_plugins

            records = run_plugins(self.plugins, records)
        _warn_of_repeated_ids(records)
        return records


def build_document_set(
    results: Sequence[Mapping[str, Any]],
    data_type: str | None,
    mappings: Mapping[str, str] | None,
    special_fields: Iterable[Mapping[str, Any]] | None,
    idMapping: Sequence[str] | str | None = None,  # noqa: N803  the original's keyword
    additionalFields: Mapping[str, Any] | None = None,  # noqa: N803
) -> list[Record]:
    """Return a record for every row; see :class:`DataParser`."""
    special = list(special_fields or ())
    if special and len(special) != len(results):
        raise CollectorError(f"{len(results)} rows came with {len(special)} sets of special fields; expected as many")
    return [
        build_document(row, data_type, special[at] if special else {}, mappings, idMapping, additionalFields)
        for at, row in enumerate(results)
    ]


def build_document(
    item: Mapping[str, Any],
    data_type: str | None,
    special_fields: Mapping[str, Any] | None = None,
    mappings: Mapping[str, str] | None = None,
    idMapping: Sequence[str] | str | None = None,  # noqa: N803
    additionalFields: Mapping[str, Any] | None = None,  # noqa: N803
) -> Record:
    """Return the record of one row; see :class:`DataParser`."""
    if data_type is None:
        raise CollectorError('a record needs a data type: "data-type" of "data-set", or "dataType" of "options"')
    when = to_datetime(item["start_date"])
    dimensions = item.get("dimensions", {})
    whole: Record = dict(
        [
            *python2.items({"_timestamp": when, "dataType": data_type}),
            *python2.items(additionalFields or {}),
            *python2.items(dimensions),
            *python2.items(special_fields or {}),
        ]
    )
    record = _renamed(mappings or {}, whole)
    if idMapping is None:
        span = record.get("timeSpan")
        values = [python2.text(value) for _, value in python2.items(dimensions)]
        parts = [data_type, stamp(when), *([] if span is None else [span]), *values]
        human = "_".join(map(python2.text, parts))
    else:
        names = [idMapping] if isinstance(idMapping, str) else idMapping
        human = "".join(python2.text(record.get(name, "")) for name in names)
    identity, record["humanId"] = value_id(human)
    record["_id"] = identity
    return record


def value_id(human: str) -> tuple[str, str]:
    """Return ``_id`` and ``humanId`` of an id's text.

    >>> value_id("t_20151012000000_week")
    ('dF8yMDE1MTAxMjAwMDAwMF93ZWVr', 't_20151012000000_week')
    """
    return base64.urlsafe_b64encode(human.encode("utf-8", "surrogatepass")).decode("ascii"), human


def stamp(when: datetime) -> str:
    """Return an instant as ids spell it: ``YYYYmmddHHMMSS`` in UTC."""
    return to_utc(when).strftime("%Y%m%d%H%M%S")


def json_ready(value: Any) -> Any:
    """Return a record, or records, as JSON: instants in ISO 8601 (UTC unless they say otherwise), keys in old order."""
    if isinstance(value, datetime):
        return (to_datetime(value) if value.tzinfo is None else value).isoformat()
    if isinstance(value, date):
        raise CollectorError(f"a record holds the date {value}; expected a datetime, a number or a text")
    if isinstance(value, Mapping):
        return {key: json_ready(each) for key, each in python2.items(value)}
    if isinstance(value, (list, tuple)):
        return [json_ready(each) for each in value]
    return value


def _renamed(mappings: Mapping[str, str], pairs: Record) -> Record:
    renamed = {mappings.get(key, key): value for key, value in python2.items(pairs)}
    parts: Record = {}
    for name, target in python2.items(mappings):
        found = _PART.search(name)
        if found is None:
            continue
        stem, index = found[1], found[2]
        if not index:
            raise CollectorError(
                f'the mapping "{name}" ends in an underscore, which asks for a part of "{stem}" without saying which; '
                f'expected a number, such as "{name}0"'
            )
        value = pairs.get(stem)
        if value is None:
            continue
        if not isinstance(value, str):
            raise CollectorError(
                f'the mapping "{name}" asks for part {index} of "{stem}", which is {value!r}; only a text has parts'
            )
        split = value.split(":")
        if int(index) < len(split):
            parts[target] = split[int(index)]
    return dict([*python2.items(renamed), *python2.items(parts)])


def _warn_of_repeated_ids(records: Sequence[Mapping[str, Any]]) -> None:
    first: dict[Any, int] = {}
    repeated = [
        record.get("humanId") for at, record in enumerate(records) if first.setdefault(record.get("_id"), at) != at
    ]
    if repeated:
        _log.warning(
            "%d of %d records repeat the id of another and will overwrite it, the first is %r; "
            'name the fields that tell them apart in "idMapping"',
            len(repeated),
            len(records),
            repeated[0],
        )

"""The plug-ins of ``options.plugins``: a short list of known names, read as text and never run as code.

``ComputeIdFrom('_timestamp', 'timeSpan')`` is taken apart with :mod:`ast`; anything but a known name and literal
arguments is refused.

Departments' codes and names (``departments.json``) are those that existing records hold; their source is
``performanceplatform/collector/ga/plugins/department.py`` in
https://github.com/alphagov/performanceplatform-collector (MIT licence).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Any

import msgspec

from . import python2
from .errors import CollectorError
from .records import Record, stamp, value_id

__all__ = [
    "AggregateKey",
    "Comment",
    "ComputeDepartmentKey",
    "ComputeIdFrom",
    "ComputeRank",
    "RemoveKey",
    "SetDepartment",
    "aggregate_count",
    "aggregate_rate",
    "department_of",
    "load_plugin",
    "load_plugins",
    "run_plugins",
]

Plugin = Callable[[list[Record]], list[Record]]
Aggregate = tuple[str, Callable[[Sequence[Record]], Any]]


class Comment:
    """Does nothing: a remark among the plug-ins."""

    def __init__(self, *remarks: object) -> None:
        self.remarks = remarks

    def __call__(self, documents: list[Record]) -> list[Record]:
        """Return the records as they are."""
        return documents


class ComputeIdFrom:
    """Makes ids of the named fields, joined by ``_``."""

    def __init__(self, *fields: str) -> None:
        self.fields = fields

    def __call__(self, documents: list[Record]) -> list[Record]:
        """Set ``_id`` and ``humanId`` of every record."""
        for document in documents:
            parts = [_spelled(_field(document, name, "ComputeIdFrom")) for name in self.fields]
            document["_id"], document["humanId"] = value_id("_".join(parts))
        return documents


class ComputeRank:
    """Numbers the records from 1 in the order in which they came."""

    def __init__(self, var_name: str) -> None:
        self.var_name = var_name

    def __call__(self, documents: list[Record]) -> list[Record]:
        """Set the rank of every record."""
        for rank, document in enumerate(documents, 1):
            document[self.var_name] = rank
        return documents


class RemoveKey:
    """Takes fields out."""

    def __init__(self, *remove_keys: str) -> None:
        self.remove_keys = remove_keys

    def __call__(self, documents: list[Record]) -> list[Record]:
        """Remove the fields from every record."""
        for document in documents:
            for name in self.remove_keys:
                _field(document, name, "RemoveKey")
                del document[name]
        return documents


class SetDepartment:
    """Sets ``department`` to one department, by its code (``<D3>``) or in words."""

    def __init__(self, department_or_code: str) -> None:
        self.value = department_of(department_or_code)

    def __call__(self, documents: list[Record]) -> list[Record]:
        """Set the department of every record."""
        for document in documents:
            document["department"] = self.value
        return documents


class ComputeDepartmentKey:
    """Sets ``department`` from the first code (``<D3>``) of a field; a code that is not in the table stays."""

    def __init__(self, key_name: str) -> None:
        self.key_name = key_name

    def __call__(self, documents: list[Record]) -> list[Record]:
        """Set the department of every record."""
        for document in documents:
            codes = _field(document, self.key_name, "ComputeDepartmentKey")
            code = _first_code(codes)
            if code is None:
                raise CollectorError(
                    f'ComputeDepartmentKey: "{self.key_name}" is {codes!r}; expected a text that begins with a code '
                    "such as <D3>"
                )
            document["department"] = _departments().get(code, code)
        return documents


class AggregateKey:
    """Puts records together that are equal in every field but the aggregated ones.

    ``_id`` and ``humanId`` are fields too, so ``RemoveKey('_id', 'humanId')`` comes before it.
    """

    def __init__(self, *aggregations: Aggregate) -> None:
        self.aggregations = aggregations

    def __call__(self, documents: list[Record]) -> list[Record]:
        """Return a record for every group."""
        if not documents:
            return []
        aggregated = {name for name, _ in self.aggregations}
        names = sorted(set(documents[0]) - aggregated)
        groups: dict[tuple[Any, ...], list[Record]] = {}
        for document in documents:
            key = tuple(_field(document, name, "AggregateKey") for name in names)
            groups.setdefault(key, []).append(document)
        ordered = sorted(groups, key=lambda key: tuple((type(part).__name__, part) for part in key))
        return [
            {**groups[key][0], **{name: function(groups[key]) for name, function in self.aggregations}}
            for key in ordered
        ]


def aggregate_count(keyname: str) -> Aggregate:
    """Return an aggregation that adds a field up."""
    return keyname, lambda group: sum(_field(record, keyname, "aggregate_count") for record in group)


def aggregate_rate(rate_key: str, count_key: str) -> Aggregate:
    """Return an aggregation that averages a rate, weighted by a count."""

    def weighted(group: Sequence[Record]) -> float:
        total = sum(_field(record, count_key, "aggregate_rate") for record in group)
        if not total:
            raise CollectorError(f'aggregate_rate: the counts "{count_key}" of a group add up to 0')
        summed = sum(_field(record, rate_key, "aggregate_rate") * record[count_key] for record in group)
        return float(summed / total)

    return rate_key, weighted


_KNOWN: dict[str, Callable[..., Any]] = {
    "AggregateKey": AggregateKey,
    "Comment": Comment,
    "ComputeDepartmentKey": ComputeDepartmentKey,
    "ComputeIdFrom": ComputeIdFrom,
    "ComputeRank": ComputeRank,
    "RemoveKey": RemoveKey,
    "SetDepartment": SetDepartment,
}
_INSIDE: dict[str, Callable[..., Any]] = {"aggregate_count": aggregate_count, "aggregate_rate": aggregate_rate}


def load_plugin(plugin_name: str) -> Plugin:
    """Return the plug-in that a text such as ``"ComputeRank('rank')"`` describes.

    Raises:
        CollectorError: it is anything but a known name with literal arguments.
    """
    try:
        tree = ast.parse(plugin_name.strip(), mode="eval").body
    except (SyntaxError, ValueError, AttributeError, RecursionError, MemoryError):
        raise CollectorError(
            f"the plug-in {_shown(plugin_name)} cannot be read; expected one such as ComputeRank('rank')"
        ) from None
    made: Plugin = _made(tree, plugin_name, _KNOWN)
    return made


def load_plugins(plugin_names: Sequence[str]) -> list[Plugin]:
    """Return the plug-ins that texts describe; see :func:`load_plugin`."""
    return [load_plugin(name) for name in plugin_names]


def run_plugins(plugins_strings: Sequence[str], results: list[Record]) -> list[Record]:
    """Run plug-ins over records, each on what the one before left.

    Raises:
        CollectorError: the last is not ``ComputeIdFrom``, one is not known, or a record lacks a field.
    """
    if isinstance(plugins_strings, str) or not all(isinstance(each, str) for each in plugins_strings):
        raise CollectorError('"plugins" must be a list of texts, such as ["ComputeRank(\'rank\')"]')
    if not plugins_strings[-1].startswith("ComputeIdFrom"):
        raise CollectorError(f"the last plug-in is {_shown(plugins_strings[-1])}; it must be ComputeIdFrom(…)")
    for name, plugin in zip(plugins_strings, load_plugins(plugins_strings), strict=True):
        try:
            results = plugin(results)
        except TypeError as error:
            raise CollectorError(f"the plug-in {_shown(name)} does not fit the records: {error}") from None
    return results


def department_of(text: str) -> str:
    """Return the name of a department by the code that a text begins with, or else the text."""
    value = _first_code(text) or text
    return _departments().get(value, value)


def _made(tree: ast.expr, whole: str, allowed: dict[str, Callable[..., Any]]) -> Any:
    if not (isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name) and tree.func.id in allowed):
        raise CollectorError(
            f"the plug-in {_shown(whole)} is not on the list and is not run; expected one of {', '.join(_KNOWN)} "
            "with texts or numbers as arguments"
        )
    try:
        arguments = [
            _made(each, whole, _INSIDE) if tree.func.id == "AggregateKey" else ast.literal_eval(each)
            for each in tree.args
        ]
        named = {each.arg: ast.literal_eval(each.value) for each in tree.keywords if each.arg}
        if len(named) != len(tree.keywords):
            raise ValueError
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        raise CollectorError(
            f"the plug-in {_shown(whole)} has an argument that is not a plain text or number; such plug-ins are not run"
        ) from None
    try:
        return allowed[tree.func.id](*arguments, **named)
    except TypeError:
        raise CollectorError(f"the plug-in {_shown(whole)} has too many or too few arguments") from None


def _shown(plugin: object) -> str:
    return repr(plugin)[:120]


def _field(document: Record, name: str, who: str) -> Any:
    try:
        return document[name]
    except KeyError:
        raise CollectorError(f'{who}: a record has no field "{name}"; it has {", ".join(sorted(document))}') from None


def _spelled(value: Any) -> str:
    return stamp(value) if isinstance(value, datetime) else python2.text(value)


def _first_code(text: object) -> str | None:
    found = re.match(r"(<[^>]+>).*$", text) if isinstance(text, str) else None
    return found[1] if found else None


@cache
def _departments() -> dict[str, str]:
    return msgspec.json.decode(files(__package__).joinpath("departments.json").read_bytes(), type=dict[str, str])

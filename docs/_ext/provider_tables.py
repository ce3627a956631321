"""Sphinx directives that draw tables from the providers' class data, so that no page restates the code.

``provider-matrix`` (all providers), ``provider-facts``, ``provider-fields``, ``provider-options`` (of the one named).
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from analytical.backend import Backend
from analytical.hit import DATA_FIELDS
from analytical.registry import PROVIDERS

#: Names that are no page of their own.
ALIASES = {"piwik": "matomo"}
#: Pages that hold several.
PAGES = {"rudderstack": "segment", "jitsu": "segment"}
PERSONAL = ("client_ip", "user_agent", "client_id", "user_id", "session_id", "properties", "value", "consent")
SHORT = {"client_ip": "address", "user_agent": "browser", "session_id": "session"}


def built_in() -> dict[str, type[Backend]]:
    """Return the package's own providers, sorted by title."""
    found = {name: PROVIDERS.get(name) for name in PROVIDERS.names() if name not in ALIASES}
    own = {name: cls for name, cls in found.items() if cls.__module__.startswith("analytical.providers.")}
    return dict(sorted(own.items(), key=lambda item: item[1].title.lower()))


def can_say(cls: type[Backend], name: str) -> bool:
    """Tell whether a provider has a place for a common field."""
    return name in cls.fields.common or name not in cls.cannot


def lateness(cls: type[Backend]) -> str:
    """Return how late a hit may be, in words."""
    age = cls.max_age
    if age is None:
        return "any"
    return f"{age / 3600:g} h" if age >= 3600 else f"{age / 60:g} min"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, widths: str = "auto") -> list[str]:
    """Return a ``list-table`` as lines of reStructuredText."""
    lines = [".. list-table::", "   :header-rows: 1", f"   :widths: {widths}", ""]
    for row in (head, *rows):
        for position, cell in enumerate(row):
            lines.append(f"   {'*' if position == 0 else ' '} - {cell}")
    return [*lines, ""]


def literal(value: Any) -> str:
    """Return a value as reStructuredText shows code."""
    return f"``{value}``"


class Drawn(SphinxDirective):
    """A directive whose content is reStructuredText made from class data."""

    def lines(self) -> list[str]:
        raise NotImplementedError

    def run(self) -> list[nodes.Node]:
        holder = nodes.container()
        self.state.nested_parse(StringList(self.lines(), source="provider_tables"), self.content_offset, holder)
        return list(holder.children)


class OneProvider(Drawn):
    """A directive about the provider that its argument names."""

    required_arguments: ClassVar[int] = 1  # type: ignore[misc]

    @property
    def cls(self) -> type[Backend]:
        found: type[Backend] = PROVIDERS.get(self.arguments[0])
        source = sys.modules[found.__module__].__file__
        if source:
            self.env.note_dependency(str(Path(source)))
        return found


class Matrix(Drawn):
    """What each provider takes, confirms and cannot say."""

    def lines(self) -> list[str]:
        head = ["Provider", "Batch", "Confirms", "Dedupes by", "Late by", *PERSONAL]
        rows = [
            [
                f":doc:`{cls.title} <{PAGES.get(name, name)}>`",
                str(cls.max_batch),
                "yes" if cls.confirms else "no",
                literal(cls.dedupes) if cls.dedupes else "—",
                lateness(cls),
                *("yes" if can_say(cls, field) else "—" for field in PERSONAL),
            ]
            for name, cls in built_in().items()
        ]
        return table([SHORT.get(cell, cell.replace("_", " ")) for cell in head], rows)


class Facts(OneProvider):
    """A provider's declared facts."""

    def lines(self) -> list[str]:
        cls = self.cls
        host = literal(cls.host) if cls.host else "yours: ``endpoint=``"
        facts = [
            ("Name", literal(cls.name)),
            ("Its own documentation", f"`{cls.docs} <{cls.docs}>`__"),
            ("Address", f"{host}, {', '.join(literal(path) for path in cls.paths)}"),
            ("Hits in one request", f"{cls.max_batch}, in at most {cls.max_bytes:,} bytes"),
            ("Kinds of hits", ", ".join(literal(kind) for kind in sorted(cls.kinds))),
            ("How late a hit may be", lateness(cls)),
            (
                "A good answer means",
                "*delivered*" if cls.confirms else "*unconfirmed*: the platform takes the bytes and says no more",
            ),
            (
                "A repeated hit counts once by",
                literal(cls.dedupes) if cls.dedupes else "nothing; see :doc:`/explanation/delivery`",
            ),
            ("It has no place for", ", ".join(literal(name) for name in sorted(cls.cannot)) or "—"),
            ("Worth knowing", cls.remark or "—"),
        ]
        return table(["Fact", ""], facts, widths="30 70")


class FieldTable(OneProvider):
    """A provider's native keys beside the common names."""

    def lines(self) -> list[str]:
        cls = self.cls
        table_ = cls.fields
        rows = []
        for name in DATA_FIELDS:
            native = table_.common.get(name)
            if native is None and name in cls.cannot:
                continue
            said = literal(native) if native else "in its own form"
            rows.append([literal(name), said, self._limit(name, native)])
        lines = table(["Common name", "Native key", "Longest"], rows)
        if table_.kinds and not self._is_identity():
            others = ", ".join(literal(key) for key in sorted(table_.kinds))
            lines += [f"Further native keys, each through the privacy rule of its kind: {others}.", ""]
        return lines

    def _is_identity(self) -> bool:
        return all(name == native for name, native in self.cls.fields.common.items())

    def _limit(self, name: str, native: str | None) -> str:
        fields = self.cls.fields
        for limits, unit in ((fields.limits, "characters"), (fields.byte_limits, "bytes")):
            found = limits.get(name) or limits.get(native or name)
            if found:
                return f"{found} {unit}"
        return "—"


class Options(OneProvider):
    """A provider's options."""

    def lines(self) -> list[str]:
        rows = []
        for item in dataclasses.fields(self.cls):
            if not item.init or item.name in ("id", "endpoint"):
                continue
            default = "" if item.default in (None, dataclasses.MISSING) else literal(repr(item.default))
            doc = str(item.metadata.get("doc", "")).replace("_", r"\_")  # pa_ alone would be a reference
            if item.metadata.get("secret"):
                doc += "; a secret: may be given as ``env:NAME`` or ``file:PATH``, and is never shown"
            rows.append([literal(item.name + "="), default or "—", doc or "—"])
        rows.append(["``endpoint=``", "—" if self.cls.host is None else literal(self.cls.host), "where it is sent"])
        return table(["Option", "Default", ""], rows)


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("provider-matrix", Matrix)
    app.add_directive("provider-facts", Facts)
    app.add_directive("provider-fields", FieldTable)
    app.add_directive("provider-options", Options)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}

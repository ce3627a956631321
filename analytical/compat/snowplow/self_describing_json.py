"""Data with the address of the schema that describes it."""

from __future__ import annotations

import json
from typing import Any

from . import contracts

__all__ = ["SelfDescribingJson"]


class SelfDescribingJson:
    """Data and its schema.

    Args:
        schema: ``iglu:VENDOR/NAME/jsonschema/1-0-0``.
        data: a mapping, or a list of mappings.
    """

    __slots__ = ("_schema", "data")

    def __init__(self, schema: str, data: Any) -> None:
        self.schema = schema
        self.data = data

    @property
    def schema(self) -> str:
        """The schema's address."""
        return self._schema

    @schema.setter
    def schema(self, value: str) -> None:
        contracts.text("schema", value, empty=False)
        self._schema = value

    def to_json(self) -> dict[str, Any]:
        """Return the pair."""
        return {"schema": self._schema, "data": self.data}

    def to_string(self) -> str:
        """Return the pair as JSON text."""
        return json.dumps(self.to_json())

    def __repr__(self) -> str:
        return f"<SelfDescribingJson {self._schema}>"

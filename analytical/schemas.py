"""Iglu schemas from a folder, to check self-describing data against before it is sent (extra ``schemas``).

A folder is laid out as a registry is: ``VENDOR/NAME/jsonschema/1-0-0``, with or without ``schemas/`` before it and
``.json`` behind it (https://docs.snowplow.io/docs/api-reference/iglu/common-architecture/schema-resolution/). A file
``*.json`` elsewhere will do, too, if it says in ``self`` which schema it is.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import Any

from .errors import ConfigurationError, MissingExtra

__all__ = ["Checker", "checker"]

#: Takes a schema's URI and data; returns what is wrong in words that hold no data, or ``None``.
Checker = Callable[[str, Any], str | None]


def checker(folder: str | PathLike[str]) -> Checker:
    """Return a function that checks data against the schemas of a folder.

    A schema that is not in the folder is an error too: a pipeline fails data whose schema it cannot find. Only those of
    Snowplow's own vendors (``com.snowplowanalytics.…``) may be missing, because every pipeline has them.

    Raises:
        ConfigurationError: there is no such folder, or it holds no schema, or one that cannot be read.
        MissingExtra: without the extra ``schemas``.
    """
    try:
        from jsonschema import Draft4Validator, FormatChecker
        from jsonschema.exceptions import SchemaError, best_match
    except ImportError:
        raise MissingExtra("validate=", "schemas") from None
    root = Path(folder).resolve()
    if not root.is_dir():
        raise ConfigurationError(f"validate={str(folder)!r}: no such folder; expected one with Iglu schemas")
    validators: dict[str, Any] = {}
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        placed = path.parent.name == "jsonschema"
        if not placed and path.suffix != ".json":
            continue
        try:
            schema = json.loads(path.read_text(encoding="utf-8"))
            uri = _placed(path) if placed else _named(schema)
            if uri is None:
                continue
            # The registry's own meta-schema is draft 4 and one key more; that key and its name are not for a validator.
            schema = {key: value for key, value in schema.items() if key not in ("$schema", "self")}
            Draft4Validator.check_schema(schema)
        except (OSError, ValueError, AttributeError, SchemaError) as error:
            raise ConfigurationError(f"{path}: no schema can be read from it ({type(error).__name__})") from None
        validators[uri] = Draft4Validator(schema, format_checker=FormatChecker())
    if not validators:
        raise ConfigurationError(
            f"validate={str(folder)!r}: no schema in it; expected files such as com.acme/thing/jsonschema/1-0-0"
        )

    def check(uri: str, data: Any) -> str | None:
        validator = validators.get(uri)
        if validator is None:
            published = uri.startswith("iglu:com.snowplowanalytics.")
            return None if published else "this schema is not in the folder given as validate="
        error = best_match(validator.iter_errors(data))
        if error is None:
            return None
        where = "/".join(str(step) for step in error.absolute_path) or "the data"
        rule = error.validator_value if error.validator not in ("enum",) else "one of the allowed values"
        return f"{where} breaks the rule {error.validator} ({str(rule)[:80]})"

    return check


def _placed(path: Path) -> str:
    vendor, name = path.parts[-4], path.parts[-3]
    return f"iglu:{vendor}/{name}/jsonschema/{path.name.removesuffix('.json')}"


def _named(schema: Any) -> str | None:
    """Return what a schema calls itself, or ``None`` for JSON of another kind."""
    own = schema.get("self") if isinstance(schema, dict) else None
    if not isinstance(own, dict) or not {"vendor", "name", "version"} <= set(own):
        return None
    return f"iglu:{own['vendor']}/{own['name']}/jsonschema/{own['version']}"

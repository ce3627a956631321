"""What is not installed: one sentence that says what to type."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest

from analytical.errors import MissingExtra
from analytical.privacy.visitor import RedisSalts, RedisSessions, SqlSalts
from analytical.schemas import checker


@pytest.mark.parametrize(
    ("module", "library", "extra"),
    [
        ("analytical.delivery.celery", "celery", "celery"),
        ("analytical.integrations.django", "django.conf", "django"),
        ("analytical.integrations.flask", "flask", "flask"),
    ],
)
def test_a_module_whose_library_is_missing_names_the_extra(
    module: str, library: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.delitem(sys.modules, module, raising=False)
    with pytest.raises(MissingExtra, match=rf"analytical\[{extra}\]"):
        import_module(module)


@pytest.mark.parametrize(
    ("use", "library", "extra"),
    [
        (lambda: checker("."), "jsonschema", "schemas"),
        (lambda: SqlSalts("sqlite://"), "sqlalchemy", "sql"),
        (lambda: RedisSalts("redis://127.0.0.1"), "redis", "redis"),
        (lambda: RedisSessions("redis://127.0.0.1"), "redis", "redis"),
    ],
    ids=["schemas", "salts in sql", "salts in redis", "visits in redis"],
)
def test_a_use_whose_library_is_missing_names_the_extra(
    use: Callable[[], Any], library: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingExtra, match=rf"analytical\[{extra}\]"):
        use()

"""What one page of the docs can list."""

from __future__ import annotations

import importlib
import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import analytical


def test_every_public_name_is_there() -> None:
    for name in analytical.__all__:
        assert getattr(analytical, name) is not None
    assert set(analytical.__all__) <= set(dir(analytical))
    assert analytical.utils.anonymize_ip_address("12.34.56.78") == "12.34.0.0"
    with pytest.raises(AttributeError, match="no_such"):
        analytical.no_such  # noqa: B018


def test_the_lazy_table_and_all_agree() -> None:
    assert set(analytical._HOMES) | {"__version__"} == set(analytical.__all__)
    assert sorted(analytical.__all__, key=str.lower) == sorted(set(analytical.__all__), key=str.lower)


def public_modules() -> list[str]:
    return [
        info.name
        for info in pkgutil.walk_packages(analytical.__path__, "analytical.")
        if not any(part.startswith("_") for part in info.name.split(".")) and ".compat." not in info.name
    ]


@pytest.mark.parametrize("name", public_modules())
def test_every_module_lists_what_is_public(name: str) -> None:
    module = importlib.import_module(name)
    if (
        module.__spec__ is not None
        and module.__spec__.submodule_search_locations is not None
        and not hasattr(module, "__all__")
    ):
        return  # a package that only holds modules
    assert module.__doc__, f"{name} does not say what it is"
    for public in module.__all__:
        assert hasattr(module, public), f"{name}.__all__ names {public}, which is not there"


def test_every_exception_is_caught_by_the_base() -> None:
    from analytical import errors

    for name in errors.__all__:
        if name != "did_you_mean":
            assert issubclass(getattr(errors, name), analytical.AnalyticalError)


def test_the_typed_surface() -> None:
    """A type checker finds the typo: tests/typing/api.py must check, and each line marked with an error must err."""
    api = Path(__file__).parent / "typing" / "api.py"
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--warn-unused-ignores", str(api)],
        capture_output=True, text=True, check=False, cwd=api.parent,
        env={**os.environ, "MYPYPATH": str(Path(analytical.__file__).parent.parent)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout

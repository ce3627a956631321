"""The arrows of the house point down: who may import whom, and who may do what."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "analytical"

#: The floors. A module may import from its own floor where listed together, and from any floor below.
FLOORS = {
    0: {"hit", "http", "verdict", "route", "errors", "registry", "secrets", "retry", "values"},
    1: {"fields", "observe"},
    2: {"backend", "privacy", "bots"},
    3: {"spool", "context", "utils", "transports", "schemas", "_stop"},
    4: {"delivery"},
    5: {"providers.base", "providers.vocabulary"},
    6: {"providers"},
    7: {"models", "config", "collect"},
    8: {"integrations", "inspector", "testing", "contracts", "_leaks", "metrics"},
    9: {"cli", "__init__", "__main__", "compat"},
}
#: Arrows that the floors alone would forbid, with the reason.
ALLOWED = {
    ("route", "observe"): "a Route names the observer that is told; both are plain protocols",
    ("models", "collect"): "Provider.report reaches the reading half lazily",
    ("privacy", "fields"): "the gate compiles its plan from a provider's table",
}
FORBIDDEN = {
    "delivery": {"backend", "http", "providers", "models", "config", "collect"},
    "spool": {"backend", "http", "providers", "models", "config", "collect", "transports"},
    "collect": {"backend", "privacy", "spool", "delivery", "providers", "models", "context", "observe", "bots"},
}
IMPURE = {
    "requests", "time", "threading", "logging", "sqlite3", "socket", "asyncio", "random", "os", "subprocess",
    "urllib3", "secrets",
}  # fmt: skip


def modules() -> list[Path]:
    return sorted(ROOT.rglob("*.py"))


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def room(name: str) -> str:
    return name if name in {"providers.base", "providers.vocabulary"} else name.partition(".")[0]


def floor(name: str) -> int:
    for level, rooms in FLOORS.items():
        if room(name) in rooms:
            return level
    raise AssertionError(f"analytical.{name} stands on no floor: give it one in FLOORS")


def imports(path: Path) -> set[tuple[str, bool]]:
    """Return what a module imports, and whether at import time."""
    found: set[tuple[str, bool]] = set()
    package = path.relative_to(ROOT.parent).with_suffix("").parts
    if package[-1] == "__init__":
        package = (*package[:-1], "")

    def visit(node: ast.AST, eager: bool) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
                for item in child.orelse:
                    visit(item, eager)
                continue
            if isinstance(child, ast.Import):
                found.update((alias.name, eager) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                if child.level:
                    base = ".".join(package[: len(package) - child.level])
                    target = f"{base}.{child.module}" if child.module else base
                else:
                    target = child.module or ""
                for alias in child.names:
                    full = f"{target}.{alias.name}"
                    as_path = ROOT.parent.joinpath(*full.split("."))
                    is_module = as_path.with_suffix(".py").exists() or (as_path / "__init__.py").exists()
                    found.add((full if is_module else target, eager))
            visit(child, eager and not isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)))

    visit(ast.parse(path.read_text(encoding="utf-8")), True)
    return found


def ours(path: Path) -> set[str]:
    return {
        name.removeprefix("analytical.") if name != "analytical" else "__init__"
        for name, _ in imports(path)
        if name == "analytical" or name.startswith("analytical.")
    }


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_arrows_point_down(path: Path) -> None:
    here = name_of(path)
    for target in ours(path):
        if room(target) == room(here) or (room(here), room(target)) in ALLOWED:
            continue
        if here == "__init__" or (here in {"testing", "contracts", "_leaks"} or here.startswith("cli")):
            continue
        assert floor(target) <= floor(here), f"analytical.{here} imports analytical.{target}, which lives higher"
        if floor(target) == floor(here) and floor(here) == 6:
            raise AssertionError(f"analytical.{here} imports its neighbour analytical.{target}")


@pytest.mark.parametrize("room_name", sorted(FORBIDDEN))
def test_the_engine_and_the_reading_half_know_no_provider(room_name: str) -> None:
    for path in (ROOT / room_name).rglob("*.py"):
        for target in ours(path):
            assert room(target) not in FORBIDDEN[room_name], f"{name_of(path)} imports analytical.{target}"


def test_a_provider_file_is_pure() -> None:
    checked = 0
    for path in (ROOT / "providers").glob("*.py"):
        if path.stem in {"__init__", "base", "vocabulary"}:
            continue
        checked += 1
        outside = {name.split(".")[0] for name, _ in imports(path) if not name.startswith("analytical")}
        assert not outside & IMPURE, f"{path.name} imports {outside & IMPURE}"
        siblings = {
            target for target in ours(path) if target.startswith("providers.") and target != f"providers.{path.stem}"
        }
        # The UA- and the G- protocol are one vendor's: an id of one is sent by the other's code.
        assert siblings <= ({"providers.ga4"} if path.stem == "googleanalytics" else set()), siblings
        assert {room(target) for target in ours(path)} <= {
            "backend",
            "fields",
            "hit",
            "http",
            "verdict",
            "errors",
            "providers",
        }
    assert checked >= 8


def test_only_the_gate_and_from_dict_make_a_hit() -> None:
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Hit":
                assert name_of(path) in {"hit", "privacy.policy"}, f"{name_of(path)}:{node.lineno} makes a Hit"


def test_nothing_sleeps_evaluates_or_unpickles() -> None:
    for path in modules():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                assert called not in {"time.sleep", "eval", "exec", "pickle.loads", "pickle.load"}, (
                    f"{name_of(path)}:{node.lineno} calls {called}"
                )
        assert "pickle" not in {name for name, _ in imports(path)}


def run(code: str) -> str:
    # A coverage tool that starts itself in every process would be taken for the package's doing.
    env = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60, env=env
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_the_package_does_nothing() -> None:
    code = """
import sys, threading, logging, socket, os
real = socket.socket
def refuse(*a, **k): raise AssertionError("a socket at import")
socket.socket = refuse
before = set(os.environ)
import analytical
assert threading.active_count() == 1
assert not logging.getLogger().handlers
assert set(os.environ) == before
heavy = {"requests", "sqlite3", "asyncio", "urllib3", "ua_parser", "user_agents", "importlib.metadata", "click", "rich",
         "msgspec"} & set(sys.modules)
assert not heavy, heavy
"""
    run(code)


@pytest.mark.parametrize(
    "provider", [p.stem for p in (ROOT / "providers").glob("*.py") if p.stem not in {"__init__", "base", "vocabulary"}]
)
def test_importing_a_provider_brings_in_neither_transports_nor_the_others(provider: str) -> None:
    allowed = {"googleanalytics": {"ga4"}}.get(provider, set())
    code = f"""
import sys
import analytical.providers.{provider}
heavy = {{"requests", "sqlite3", "asyncio", "urllib3", "http.client", "ua_parser"}} & set(sys.modules)
assert not heavy, heavy
others = {{n for n in sys.modules if n.startswith("analytical.providers.")}} - {{"analytical.providers.{provider}"}}
assert {{n.rsplit(".", 1)[1] for n in others}} <= {allowed!r}, others
assert not any(n.startswith("analytical.transports") for n in sys.modules)
"""
    run(code)

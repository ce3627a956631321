"""What the documentation shows, runs: every Python block of the README and the docs, page by page, in order.

A block after the comment ``.. no-run: REASON`` is only compiled: it shows a fragment, or needs what a test must not do.
Providers answer as their platforms do; nothing leaves this machine. Files in TOML are read, and the command lines shown
name commands and options that exist.
"""

from __future__ import annotations

import os
import re
import shlex
import textwrap
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from analytical.registry import PROVIDERS
from analytical.testing import FakeTransport

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.rst", *sorted((ROOT / "docs").rglob("*.rst"))]
BLOCK = re.compile(
    r"^(?P<mark>\.\. no-run: \S.*\n\n?)?\.\. code-block:: python\n(?P<options>(?:   +:.*\n)*)\n"
    r"(?P<code>(?:(?: +.*)?\n)+)",
    re.M,
)


def shown(page: Path, language: str) -> list[str]:
    text = page.read_text(encoding="utf-8") + "\n"
    found = re.findall(rf"(?m)^ *\.\. code-block:: {language}\n(?: +:.*\n)*\n((?:(?: +.*)?\n)+)", text)
    return [textwrap.dedent(block).strip("\n") + "\n" for block in found]


def blocks(page: Path) -> Iterator[tuple[int, str, bool]]:
    text = page.read_text(encoding="utf-8") + "\n"
    # A block may stand inside a list or a tab: bring every indented directive to the margin first.
    for found in re.finditer(r"(?m)^( *)(?:\.\. no-run: \S.*\n\s*)?\.\. code-block:: python", text):
        indent = len(found.group(1))
        rest = text[found.start() :]
        body = "\n".join(line[indent:] if line[:indent].strip() == "" else line for line in rest.split("\n"))
        match = BLOCK.match(body)
        if match is None:
            raise AssertionError(f"{page}: an empty block of code")
        line = text.count("\n", 0, found.start()) + 1
        yield line, textwrap.dedent(match["code"]), match["mark"] is None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_the_page_shows_runs(page: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    transports: list[FakeTransport] = []

    def fake(**_: Any) -> FakeTransport:
        transports.append(FakeTransport())
        return transports[-1]

    monkeypatch.setattr("analytical.transports.default.default_transport", fake)
    monkeypatch.setenv("GA_SECRET", "s3cret")
    monkeypatch.setenv("MATOMO_TOKEN", "0" * 32)
    monkeypatch.setenv("MIXPANEL_SECRET", "s3cret")
    monkeypatch.setenv("ANALYTICAL_SECRET", "0123456789abcdef" * 4)
    monkeypatch.setattr(PROVIDERS, "_known", dict(PROVIDERS._known))  # what a page registers ends with it
    monkeypatch.chdir(tmp_path)
    for text in shown(page, "toml")[:1]:
        (tmp_path / "analytical.toml").write_text(text, encoding="utf-8")
    names: dict[str, Any] = {"__name__": "docs"}
    for line, code, runs in blocks(page):
        compiled = compile(code, f"{page.relative_to(ROOT)}:{line}", "exec", dont_inherit=True)
        if runs:
            exec(compiled, names)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_does_not_run_says_why(page: Path) -> None:
    marks = re.findall(r"(?m)^ *\.\. no-run.*$", page.read_text(encoding="utf-8"))
    assert all(re.match(r" *\.\. no-run: \S", mark) for mark in marks), marks


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_and_command_lines_on_the_page_are_right(page: Path) -> None:
    for text in shown(page, "toml"):
        tomllib.loads(text)
    for block in shown(page, "console"):
        for line in block.replace("\\\n", " ").splitlines():
            if re.match(r"\$ (\w+=\S+ )*(analytical|python -m analytical) ", line):
                check_command(line)


def check_command(line: str) -> None:
    from analytical.cli import group

    words = shlex.split(re.sub(r"^\$ (\w+=\S+ )*(python -m )?analytical ", "", line), comments=True)
    words = words[: next((at for at, word in enumerate(words) if word in ("|", "&&", "&", ">")), len(words))]
    command: click.Command = group()
    context = click.Context(command, info_name="analytical")
    while isinstance(command, click.Group):
        assert words, f"{line}: a command is missing"
        found = command.get_command(context, words[0])
        assert found is not None, f"{line}: there is no command {words[0]!r}"
        command, words = found, words[1:]
    known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    for word in words:
        if word.startswith("-") and word != "-":
            assert word.partition("=")[0] in {*known, "--help"}, f"{line}: there is no option {word}"


def test_the_readme_shows_the_exact_wire_of_the_first_example() -> None:
    """Regenerate with ANALYTICAL_UPDATE_README=1."""
    import analytical

    params = {"dl": "https://example.com", "dt": "My Page Title", "ua": "user-agent", "uip": "12.34.56.78"}
    shown = []
    for privacy in ("careful", "off"):
        provider = analytical.Provider("googleanalytics", "G-XXXXXXX", api_secret="XXXXXXXXXXXXXXXX", privacy=privacy)
        request = provider.explain("pageview", params)[0]
        body = request.body.decode()
        for changing, stable in (
            (r'"client_id":"[^"]+"', '"client_id":"…"'),
            (r'"timestamp_micros":\d+', '"timestamp_micros":…'),
        ):
            body = re.sub(changing, stable, body)
        shown.append(f"privacy={privacy!r}\n  {request.method} {request.url}\n  {body}")
    block = ".. code-block:: text\n\n" + textwrap.indent("\n\n".join(shown), "    ") + "\n"
    readme = ROOT / "README.rst"
    text = readme.read_text(encoding="utf-8")
    begin, end = ".. include-wire-begin\n\n", "\n.. include-wire-end"
    before, rest = text.split(begin)
    now, after = rest.split(end)
    if os.environ.get("ANALYTICAL_UPDATE_README") == "1":
        readme.write_text(before + begin + block + end + after, encoding="utf-8")
        now = block
    assert now == block
    assert "12.34.56.78" not in shown[0]
    assert "12.34.56.78" in shown[1]

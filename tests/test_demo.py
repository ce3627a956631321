"""The demo: what a newcomer's first command shows."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import urllib.request

import click
import pytest

from analytical.cli import demo
from analytical.inspector import Inspector

COMMAND = [sys.executable, "-u", "-m", "analytical", "demo", "--port", "0", "--site-port", "0"]
SIX = ("matomo", "ga4", "plausible", "umami", "snowplow", "posthog")


def test_once_ends_by_itself_with_every_hit_arrived() -> None:
    done = subprocess.run([*COMMAND, "--once"], capture_output=True, text=True, check=False, timeout=110)
    assert done.returncode == 0, done.stdout + done.stderr
    for name in SIX:
        assert name in done.stdout
    assert "view /pricing" in done.stdout
    assert "event signup" in done.stdout
    assert "60 hits accepted: 40 delivered" in done.stdout
    assert re.search(r"findings +0 +0 +0 +0 +0 +0", done.stdout)
    assert done.stderr == ""


def test_it_stays_until_it_is_interrupted_and_serves_both_pages() -> None:
    process = subprocess.Popen(COMMAND, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        said = ""
        while "Ctrl-C" not in said:
            line = process.stdout.readline()
            assert line, said
            said += line
        inspector, site = re.findall(r"http://127\.0\.0\.1:\d+", said)
        with urllib.request.urlopen(inspector, timeout=10) as answer:
            assert b"Inspector" in answer.read()
        with urllib.request.urlopen(f"{site}/pricing", timeout=10) as answer:
            assert b"<h1>Pricing</h1>" in answer.read()
        with urllib.request.urlopen(f"{inspector}/hits.ndjson", timeout=10) as answer:
            exported = answer.read()
        # The visitors' addresses, a planted e-mail and the providers' secrets are nowhere.
        for hidden in (b"203.0.113.57", b"someone", b"demo-secret", b"0123456789abcdef0123456789abcdef"):
            assert hidden not in exported
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_a_hit_that_is_missing_is_seen() -> None:
    expected = [demo._Expected("pageview", "Home", "/")]
    hits = [
        {"provider": name, "kind": "pageview", "url": "http://127.0.0.1/", "name": None, "findings": []} for name in SIX
    ]
    assert demo._report(hits, expected)
    assert not demo._report(hits[1:], expected)
    assert not demo._report([*hits, hits[0]], expected)
    assert not demo._report([*hits, {**hits[0], "kind": "unknown"}], expected)


def test_a_taken_port_makes_way_for_a_free_one() -> None:
    with Inspector() as first:
        second = demo._listening(Inspector, first.port)
        assert second.port != first.port
        second.close()


def test_it_says_how_many_were_confirmed() -> None:
    from click.testing import CliRunner

    # NO_PROXY is named so that what the command sets ends with it.
    env = {"COLUMNS": "100", "HTTP_PROXY": "http://127.0.0.1:9", "NO_PROXY": None}
    found = CliRunner(env=env).invoke(
        demo.command, ["--once", "--port", "0", "--site-port", "0"], catch_exceptions=False
    )
    assert found.exit_code == 0, found.output
    assert "20 unconfirmed (it cannot)" in found.output
    assert found.output.endswith("Every hit arrived.\n")


def test_it_stays_until_it_is_told_to_end(monkeypatch: pytest.MonkeyPatch) -> None:
    from click.testing import CliRunner

    waits: list[float] = []

    class Stop:
        def wait(self, timeout: float) -> bool:
            waits.append(timeout)
            return len(waits) == 3

    monkeypatch.setattr(demo, "until_interrupted", Stop)
    found = CliRunner(env={"COLUMNS": "100"}).invoke(demo.command, ["--port", "0", "--site-port", "0"])
    assert found.exit_code == 0, found.output
    assert "Ctrl-C ends both" in found.output
    assert len(waits) == 3


def test_the_demos_site_has_the_pages_that_it_links_and_no_other() -> None:
    import urllib.error

    from analytical.models import Provider, Providers

    with Providers([Provider("stdout", delivery="inline")]) as providers, demo._site(providers, 0) as address:
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"{address}/nothing", timeout=10)
    with pytest.raises(click.ClickException, match="the demo's web site does not answer"):
        demo._visit(address)

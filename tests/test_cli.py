"""The command line: what it prints, and what it exits with."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from analytical.cli import COMMANDS, group, main
from analytical.inspector import Faults, Inspector

UA = "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0"


def run(*arguments: str, **environment: str) -> Result:
    return CliRunner(env={"COLUMNS": "200", **environment}).invoke(group(), arguments, catch_exceptions=False)


def test_help_lists_every_command_and_loads_none() -> None:
    code = """
import sys
from analytical.cli import group
from click.testing import CliRunner
print(CliRunner().invoke(group(), ["--help"]).output)
loaded = [name for name in sys.modules if name.startswith("analytical.") and name not in
          ("analytical.cli", "analytical.cli._group", "analytical.errors")]
assert not loaded, loaded
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for name in ("send", "explain", "inspect", "demo", "providers", "doctor", "collect", "serve", "check"):
        assert re.search(rf"^  {name} ", done.stdout, re.M)


def test_python_m_analytical_is_the_same() -> None:
    done = subprocess.run([sys.executable, "-m", "analytical", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("analytical, version ")


def test_every_command_there_is_has_help() -> None:
    for name in COMMANDS:
        found = run(name, "--help")
        assert found.exit_code in (0, 2)
        if found.exit_code == 2:
            assert "no command" in found.output or "pip install" in found.output


def test_a_misspelled_command_is_a_usage_error_that_helps() -> None:
    found = run("inspekt")
    assert found.exit_code == 2
    assert 'Did you mean "inspect"?' in found.output


def test_without_the_extra_one_sentence_says_what_to_type(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("analytical.cli.find_spec", lambda name: None)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert capsys.readouterr().err == (
        'the command line needs an optional dependency; type: pip install "analytical[cli]"\n'
    )


def test_a_file_that_is_missing_for_another_reason_is_no_clash(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> Any:
        raise ImportError("no such thing")

    monkeypatch.setattr("analytical.cli.group", broken)
    with pytest.raises(ImportError, match="no such thing"):
        main()
    import analytical

    monkeypatch.setitem(sys.modules, "analytical.config", None)
    monkeypatch.delattr(analytical, "config", raising=False)
    with pytest.raises(ImportError):
        run("doctor")


def test_a_shell_that_completes_gets_the_commands() -> None:
    import click

    lazy = group()
    context = click.Context(lazy)
    assert set(lazy.list_commands(context)) <= set(COMMANDS)
    assert lazy.get_command(context, "nosuch") is None


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        ("errors.Unreachable('refused')", 1, "Error: refused"),
        ("errors.Lost()", 1, "Error: Lost"),
        ("errors.MissingExtra('this', 'that')", 2, 'pip install "analytical[that]"'),
        ("errors.UnknownName('no such thing')", 2, "Error: no such thing"),
    ],
)
def test_what_a_command_raises_becomes_a_sentence_and_an_exit_code(
    monkeypatch: pytest.MonkeyPatch, error: str, code: int, said: str
) -> None:
    import click

    from analytical import errors

    @click.command("providers")
    def command() -> None:
        raise eval(error, {"errors": errors})

    monkeypatch.setattr("analytical.cli.providers.command", command)
    found = run("providers")
    assert (found.exit_code, said in found.output) == (code, True), found.output


def test_a_command_whose_import_needs_an_extra_says_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    from analytical.errors import MissingExtra

    def needs(name: str) -> Any:
        raise MissingExtra("the command", "that")

    monkeypatch.setattr("analytical.cli._group.import_module", needs)
    found = run("serve", "x.toml")
    assert (found.exit_code, 'pip install "analytical[that]"' in found.output) == (2, True)


# -- send and explain ------------------------------------------------------------------------------------------------


def test_send_delivers_and_says_so() -> None:
    with Inspector() as inspector:
        found = run(
            "send", "event", "signup", "--provider", "matomo", "--id", "1", "--endpoint", inspector.url,
            "--url", "https://example.com/", "-p", "plan=pro", "-p", "seats=3", "--value", "2.5",
        )  # fmt: skip
        assert (found.exit_code, found.output) == (0, "delivered: the platform confirms it\n")
        (hit,) = inspector.wait(1)
        assert (hit["kind"], hit["name"]) == ("event", "signup")


def test_send_takes_the_platforms_own_keys() -> None:
    with Inspector() as inspector:
        found = run(
            "send", "pageview", "--provider", "matomo", "--id", "1", "--endpoint", inspector.url,
            "--param", "url=https://example.com/", "--param", "action_name=Home", "--json",
        )  # fmt: skip
        assert found.exit_code == 0
        assert json.loads(found.output)["state"] == "delivered"
        assert inspector.wait(1)[0]["title"] == "Home"


def test_send_to_a_platform_that_cannot_confirm_says_that_too() -> None:
    with Inspector() as inspector:
        found = run("send", "pageview", "--destination", f"snowplow+{inspector.url}/shop", "--url", "https://e.com/")
        assert (found.exit_code, found.output.split(":")[0]) == (0, "sent")


def test_send_that_fails_exits_with_1_and_the_reason() -> None:
    with Inspector(faults=Faults(status=500)) as inspector:
        url = inspector.url
        found = run(
            "send", "pageview", "--provider", "plausible", "--id", "e.com", "--endpoint", url, "--url", "https://e.com/"
        )
        assert found.exit_code == 1
        assert "500" in found.output
    gone = run(
        "send", "pageview", "--provider", "plausible", "--id", "e.com", "--endpoint", url, "--url", "https://e.com/"
    )
    assert gone.exit_code == 1
    assert "could not be reached" in gone.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--provider", "mattomo"], 'Did you mean "matomo"?'),
        (["--provider", "matomo", "--id", "1", "--endpoint", "https://h", "-o", "tokn=x"], "option"),
        (["--provider", "matomo", "--id", "1", "--endpoint", "https://h"], "needs url="),
        (["--provider", "matomo", "--id", "1"], "endpoint="),
        (["--provider", "matomo", "--to", "web"], "one of"),
        ([], "--provider NAME"),
        (["--to", "web"], "analytical.configure"),
        (["--provider", "stdout", "-p", "nonsense"], "NAME=VALUE"),
        (["--provider", "stdout", "--value", "much"], "a number"),
        (["--provider", "stdout", "--time", "2026-01-01T00:00:00"], "offset"),
        (["--provider", "stdout", "--time", "noon"], "ISO 8601"),
        (["--config", "missing.toml", "--to", "x"], "cannot be read"),
    ],
)
def test_a_wrong_call_exits_with_2_and_says_why(arguments: list[str], said: str) -> None:
    found = run("send", "pageview", *arguments)
    assert found.exit_code == 2
    assert said in found.output


def test_an_events_name_is_an_argument_or_an_option() -> None:
    for arguments in (["signup"], ["--name", "signup"]):
        found = run("send", "event", *arguments, "--provider", "stdout", "--json")
        assert found.exit_code == 0
    assert run("send", "event", "a", "--name", "b", "--provider", "stdout").exit_code == 2
    nameless = run("send", "event", "--provider", "stdout")
    assert (nameless.exit_code, "name" in nameless.output) == (2, True)


def test_options_alone_mean_a_page_view() -> None:
    found = run("explain", "--provider", "plausible", "--id", "example.com", "--url", "https://example.com/x")
    assert found.exit_code == 0
    assert '"name":"pageview"' in found.output
    assert "Commands:" in run("explain", "--help").output


def test_a_configured_provider_is_used_by_name(tmp_path: Path) -> None:
    with Inspector() as inspector:
        file = tmp_path / "analytical.toml"
        file.write_text(
            f'[providers.web]\nprovider = "plausible"\nid = "e.com"\nendpoint = "{inspector.url}"\n'
            f'delivery = "background"\nspool = "{tmp_path / "outbox.db"}"\n'
        )
        found = run(
            "send", "pageview", "--config", str(file), "--to", "web", "--url", "https://e.com/x", "--user-agent", UA
        )
        assert found.exit_code == 0, found.output
        assert inspector.wait(1)[0]["url"] == "https://e.com/x"
    assert not (tmp_path / "outbox.db").exists()


def test_the_environments_provider_is_the_default() -> None:
    with Inspector() as inspector:
        url = f"plausible+{inspector.url}/e.com"
        assert run("send", "pageview", "--url", "https://e.com/", "--user-agent", UA, ANALYTICAL_URL=url).exit_code == 0
        assert inspector.wait(1)


def test_explain_shows_the_request_masked_and_what_the_gate_did() -> None:
    arguments = (
        "explain", "pageview", "--provider", "ga4", "--id", "G-1", "-o", "api_secret=do-not-show",
        "--url", "https://e.com/x?email=a%40b.example", "--client-ip", "203.0.113.9",
    )  # fmt: skip
    found = run(*arguments)
    assert found.exit_code == 0
    assert "api_secret=***" in found.output
    assert "203.0.0.0" in found.output
    for hidden in ("do-not-show", "203.0.113.9", "a%40b.example"):
        assert hidden not in found.output
    data = json.loads(run(*arguments, "--json").output)
    assert data["requests"][0]["method"] == "POST"
    assert {receipt["field"] for receipt in data["receipts"]} >= {"url", "client_ip"}


def test_a_time_is_given_with_its_offset_or_as_seconds() -> None:
    shown = [
        json.loads(run("explain", "--provider", "stdout", "--url", "https://e.com/", "--time", time, "--json").output)
        for time in ("2026-01-31T12:00:00+01:00", "1769857200")
    ]
    (one,), (other,) = (
        [json.loads(request["body"])["time"] for request in data["requests"]] for data in shown
    )  # fmt: skip
    assert one == other == 1769857200.0


def test_a_hit_that_the_gate_withholds_is_said_and_exits_with_1() -> None:
    arguments = ("pageview", "--provider", "stdout", "--url", "https://e.com/", "--consent", "no")
    bot = (
        "pageview",
        "--provider",
        "stdout",
        "-o",
        "bots=drop",
        "--url",
        "https://e.com/",
        "--user-agent",
        "Googlebot/2.1",
    )
    del arguments
    found = run("send", *bot)
    assert (found.exit_code, found.output) == (1, "withheld: the privacy gate let nothing out\n")
    shown = run("explain", *bot)
    assert shown.exit_code == 0
    assert shown.output.startswith("nothing: ")
    assert json.loads(run("send", *bot, "--json").output)["state"] == "withheld"


def test_explain_refuses_an_option_that_a_provider_lacks() -> None:
    found = run("explain", "--provider", "plausible", "--id", "e.com", "-o", "tokn=x", "--url", "https://e.com/")
    assert (found.exit_code, "tokn" in found.output) == (2, True)


# -- providers -------------------------------------------------------------------------------------------------------


def test_providers_come_from_the_classes_own_facts() -> None:
    from analytical.registry import PROVIDERS

    table = run("providers").output
    data = json.loads(run("providers", "--json").output)
    named = {name for facts in data for name in [facts["name"], *facts["aliases"]]}
    assert named == set(PROVIDERS.names())
    for facts in data:
        assert facts["name"] in table
        assert facts["batch"] == PROVIDERS.get(facts["name"]).max_batch


def test_one_provider_is_shown_with_its_options_and_keys() -> None:
    shown = run("providers", "matomo").output
    assert "token_auth (secret)" in shown
    assert "title = action_name" in shown
    assert json.loads(run("providers", "piwik", "--json").output)["name"] == "matomo"
    assert run("providers", "mattomo").exit_code == 2


def test_every_provider_can_be_shown_alone() -> None:
    for facts in json.loads(run("providers", "--json").output):
        shown = run("providers", facts["name"])
        assert shown.exit_code == 0
        assert shown.output.startswith(facts["title"])
        assert (facts["remark"] in shown.output) if facts["remark"] else True
        for name in facts["cannot"]:
            assert f"  {name} = (no place for it)" in shown.output


# -- doctor ----------------------------------------------------------------------------------------------------------


def test_doctor_finds_a_healthy_configuration_healthy() -> None:
    with Inspector() as inspector:
        url = f"plausible+{inspector.url}/e.com?delivery=background"
        found = run("doctor", ANALYTICAL_URL=url)
        assert (found.exit_code, found.output.splitlines()[-1]) == (0, "nothing to mend")
        assert "takes the credentials" in found.output
        assert "not checked" in run("doctor", "--offline", ANALYTICAL_URL=url).output


def test_doctor_exits_with_1_where_a_platform_refuses() -> None:
    with Inspector(faults=Faults(status=401)) as inspector:
        url = inspector.url
        found = run("doctor", ANALYTICAL_URL=f"plausible+{url}/e.com")
        assert found.exit_code == 1
        assert "http 401" in found.output
        assert "delivers inline" in found.output
    assert "no answer" in run("doctor", ANALYTICAL_URL=f"plausible+{url}/e.com").output


def test_doctor_names_the_clash_with_django_analytical(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.metadata

    real = importlib.metadata.distribution

    class Theirs:
        version = "3.2.0"

    def distribution(name: str) -> Any:
        return Theirs() if name == "django-analytical" else real(name)

    monkeypatch.setattr(importlib.metadata, "distribution", distribution)
    found = run("doctor", "--offline")
    assert found.exit_code == 1
    assert "django-analytical 3.2.0" in found.output
    assert "pip uninstall django-analytical" in found.output


@pytest.mark.parametrize("command", ["doctor", "send"])
def test_files_that_django_analytical_has_overwritten_end_in_a_sentence(command: str) -> None:
    code = f"""
import importlib.metadata, sys
real = importlib.metadata.distribution
class Theirs:
    version = "3.2.0"
importlib.metadata.distribution = lambda name: Theirs() if name == "django-analytical" else real(name)
sys.modules["analytical.config"] = None
sys.argv = ["analytical", *{command!r}.split(), *(["pageview"] if {command!r} == "send" else [])]
from analytical.cli import main
main()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "pip uninstall django-analytical analytical && pip install analytical" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_doctor_knows_the_servers_around_it(tmp_path: Path) -> None:
    from types import SimpleNamespace

    from analytical.cli.doctor import _server

    def found(environ: dict[str, str], modules: dict[str, Any] | None = None) -> Any:
        (finding,) = _server(environ, modules or {}, tmp_path)
        return finding

    assert found({}).what.startswith("no application server")
    assert found({}, {"uwsgi": SimpleNamespace(opt={})}).mark == "bad"
    assert found({}, {"uwsgi": SimpleNamespace(opt={"enable-threads": True})}).mark == "ok"
    assert "flushing" in found({"AWS_LAMBDA_FUNCTION_NAME": "f"}).advice
    assert "preloads" in found({"GUNICORN_CMD_ARGS": "--preload"}).what
    assert "each worker" in found({"GUNICORN_CMD_ARGS": "--workers 2"}).what
    (tmp_path / "gunicorn.conf.py").write_text("workers = 2\npreload_app = True\n")
    assert "preloads" in found({}).what
    (tmp_path / "gunicorn.conf.py").unlink()
    file = tmp_path / "uwsgi.ini"
    file.write_text("[uwsgi]\nmodule = shop\nenable-threads = false\n")
    assert (found({}).mark, found({}).advice) == ("bad", "write enable-threads = true")
    file.write_text("[uwsgi]\nmodule = shop\nenable-threads = true\n")
    assert found({}).mark == "ok"


def test_doctor_asks_each_platform_what_it_can_be_asked() -> None:
    with Inspector() as inspector:
        for url, said in (
            (f"matomo+http://0123456789abcdef0123456789abcdef@127.0.0.1:{inspector.port}/1", "takes the credentials"),
            (
                f"ga4+http://secret-of-ga4@127.0.0.1:{inspector.port}/G-ABC1234567",
                "the validation server takes a sample",
            ),
            (f"umami+http://127.0.0.1:{inspector.port}/5f6d2a8e-0d6b-4c43-9f6e-1c1d0c2b7a11", "no call that checks"),
        ):
            found = run("doctor", ANALYTICAL_URL=url)
            assert (found.exit_code, said in found.output) == (0, True), found.output
            assert "secret-of-ga4" not in found.output
        # Nothing was counted anywhere: what was validated was validated only.
        assert {hit["raw"]["path"].partition("?")[0] for hit in inspector.hits()} == {"/debug/mp/collect"}
    gone = run("doctor", ANALYTICAL_URL=url)
    assert (gone.exit_code, "no answer (refused)" in gone.output) == (1, True)


def test_doctor_says_what_a_validation_server_finds() -> None:
    with Inspector(faults=Faults(status=403)) as inspector:
        found = run("doctor", ANALYTICAL_URL=f"ga4+http://s@127.0.0.1:{inspector.port}/G-ABC1234567")
    assert (found.exit_code, "the validation server says: http 403" in found.output) == (1, True)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('provider = "mattomo"', "Did you mean"),
        ('provider = "matomo"\nid = 1\nendpoint = "https://h"\ntoken_auth = "env:NO_SUCH"', "NO_SUCH"),
        ('provider = "plausible"\nid = "e"\nspool = "/no/such/folder/outbox.db"', "cannot be written"),
        ('provider = "file"\nid = "/no/such/folder/hits.ndjson"', "cannot be written"),
    ],
)
def test_doctor_names_what_is_wrong_in_a_configuration(table: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text(f"[providers.web]\n{table}\n")
    found = run("doctor", "--offline", "--config", str(file))
    assert found.exit_code == 1
    assert said in found.output


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('provider = "stdout"', "ok   web: "),
        (
            'provider = "plausible"\nid = "e.com"\nspool = "{here}/outbox.db"',
            "the spool's folder {here} can be written",
        ),
        ('provider = "plausible"\nid = "e.com"\nspool = "redis://10.0.0.1/0"', "ok   web: hits wait in a redis spool"),
        ('provider = "plausible"\nid = "e.com"\nendpoint = "http://10.0.0.1"', "note web: hits travel without TLS"),
        ('provider = "file"\nid = "{here}/hits.ndjson"', "the file's folder {here} can be written"),
    ],
)
def test_doctor_names_what_is_right_and_what_to_think_of(table: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text("[providers.web]\n" + table.replace("{here}", str(tmp_path)))
    found = run("doctor", "--offline", "--config", str(file))
    assert found.exit_code == 0, found.output
    assert said.replace("{here}", str(tmp_path)) in found.output


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('provider = "pingdom"\nid = "1"\ntoken = "t0k"', "ok   web: reads reports and takes no hits\n"),
        (
            'provider = "googleanalytics"\nid = "123456789"\naccess_token = "t0k"',
            "ok   web: reads reports and takes no hits ('123456789' is no Google Analytics id",
        ),
    ],
)
def test_doctor_asks_nobody_for_a_provider_that_is_only_read(table: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text(f"[providers.web]\n{table}\n")
    found = run("doctor", "--config", str(file))
    assert (found.exit_code, said in found.output) == (0, True), found.output
    assert "localhost" not in found.output


def test_doctor_does_not_blame_an_address_that_has_no_validation_server_beside_it() -> None:
    with Inspector() as inspector:
        found = run("doctor", ANALYTICAL_URL=f"ga4+http://s3cret@127.0.0.1:{inspector.port}/my/own/path/G-ABC1234567")
        assert found.exit_code == 0, found.output
        assert "something answers there; Google Analytics 4 has no call that checks" in found.output


# -- inspect ---------------------------------------------------------------------------------------------------------


def test_inspect_serves_until_it_is_interrupted() -> None:
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "analytical", "inspect", "--port", "0", "--status", "429", "--delay", "10ms"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        url = re.findall(r"http://127\.0\.0\.1:\d+", line)[0]
        with urllib.request.urlopen(f"{url}/hits.ndjson", timeout=10) as answer:
            assert answer.read() == b""
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_inspect_on_a_taken_port_exits_with_1() -> None:
    with Inspector() as inspector:
        done = subprocess.run(
            [sys.executable, "-m", "analytical", "inspect", "--port", str(inspector.port)],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    assert done.returncode == 1
    assert "--port 0" in done.stderr


def test_inspect_says_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    ended = threading.Event()
    ended.set()
    monkeypatch.setattr("analytical.cli.inspect.until_interrupted", lambda: ended)
    found = run("inspect", "--port", "0", "--fail-rate", "0.2", "--delay", "500ms", "--seed", "1")
    assert found.exit_code == 0
    assert re.search(r"endpoint='http://127\.0\.0\.1:\d+'", found.output)
    with Inspector() as taken:
        assert run("inspect", "--port", str(taken.port)).exit_code == 1


def test_inspect_stays_until_it_is_told_to_end(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []

    class Stop:
        def wait(self, timeout: float) -> bool:
            waits.append(timeout)
            return len(waits) == 3

    monkeypatch.setattr("analytical.cli.inspect.until_interrupted", Stop)
    assert run("inspect", "--port", "0").exit_code == 0
    assert len(waits) == 3


def test_inspect_refuses_rates_that_make_no_sense() -> None:
    found = run("inspect", "--port", "0", "--hang-rate", "nan")
    assert (found.exit_code, "expected a share from 0 to 1" in found.output) == (2, True), found.output


def test_an_interrupt_ends_the_waiting() -> None:
    from analytical.cli.inspect import until_interrupted

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        stop = until_interrupted()
        assert not stop.is_set()
        signal.raise_signal(signal.SIGTERM)
        assert stop.is_set()
    finally:
        for number, action in before.items():
            signal.signal(number, action)


def test_a_broken_plug_in_is_named() -> None:
    from analytical.registry import PROVIDERS

    PROVIDERS.register("broken", "analytical.no_such:Thing")
    try:
        assert "cannot be loaded" in run("providers").output
        assert "the provider broken cannot be loaded" in run("doctor", "--offline").output
    finally:
        PROVIDERS._known.pop("broken")


@pytest.mark.parametrize("arguments", [["--fail-rate", "2"], ["--delay", "soon"], ["--status", "42"]])
def test_inspect_refuses_nonsense(arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "analytical", "inspect", *arguments], capture_output=True, check=False, timeout=60
    )
    assert done.returncode == 2

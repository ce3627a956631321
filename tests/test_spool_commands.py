"""``analytical worker`` and ``analytical outbox``, as an operator types them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import analytical
from analytical import config
from analytical.cli import main
from analytical.cli.outbox import _long, _span
from analytical.cli.outbox import command as outbox_command
from analytical.cli.worker import _Line
from analytical.cli.worker import command as worker_command
from analytical.spool import open_spool
from analytical.verdict import rejected


class Platform:
    """Takes Segment's batches, or refuses them."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.status = 200
        platform = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if platform.status == 200:
                    platform.ids += [message["messageId"] for message in body["batch"]]
                answer = b'{"success": true}'
                self.send_response(platform.status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *args: Any) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def platform() -> Iterator[Platform]:
    platform = Platform()
    yield platform
    platform.server.shutdown()
    platform.server.server_close()


@pytest.fixture(autouse=True)
def _forgotten(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv(config.VARIABLE, raising=False)
    config.reset()
    yield
    config.reset()


@pytest.fixture
def box(tmp_path: Path) -> Path:
    return tmp_path / "outbox.db"


def fill(box: Path, count: int, *, to: str | None = "web") -> None:
    """Accept hits that nobody can deliver."""
    site = analytical.Provider("segment", "key", endpoint="http://127.0.0.1:9", spool=box, to=to)
    for number in range(count):
        assert site.pageview(url=f"https://example.com/{number}", title="Secret plans", client_id="c")
    site.close(0)


def kill_letters(box: Path, count: int) -> None:
    spool = open_spool(box)
    spool.attach("web")
    entries = spool.take(count, time.time() + 30, to="web")
    assert len(entries) == count
    spool.settle(entries, [rejected("no such key")] * count, time.time())
    spool.close()


def settings(tmp_path: Path, url: str, *, name: str = "web", spool: Path | None = None) -> Path:
    path = tmp_path / "analytical.toml"
    where = f'spool = "{spool}"\n' if spool is not None else ""
    path.write_text(f'[providers.{name}]\nprovider = "segment"\nid = "key"\nendpoint = "{url}"\n{where}')
    return path


def run(command: Any, *arguments: object) -> Result:
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


# -- worker -------------------------------------------------------------------------------------------------------


def test_once_delivers_everything_and_ends(platform: Platform, box: Path, tmp_path: Path) -> None:
    fill(box, 30)
    done = run(worker_command, "--spool", box, "--config", settings(tmp_path, platform.url), "--once")
    assert done.exit_code == 0, done.output
    assert len(set(platform.ids)) == 30
    assert "0 waiting · 30 delivered" in done.output


def test_once_with_something_left_is_a_failure(platform: Platform, box: Path, tmp_path: Path) -> None:
    fill(box, 3)
    platform.status = 503
    done = run(
        worker_command, "--spool", box, "--config", settings(tmp_path, platform.url), "--once", "--timeout", "0.2"
    )
    assert done.exit_code == 1
    assert "not everything could be delivered" in done.output
    assert "3 waiting" in done.output


def test_hits_of_a_provider_without_a_name_go_to_the_one_of_the_same_kind_and_id(
    platform: Platform, box: Path, tmp_path: Path
) -> None:
    fill(box, 2, to=None)
    done = run(worker_command, "--spool", box, "--config", settings(tmp_path, platform.url), "--once")
    assert done.exit_code == 0, done.output
    assert len(platform.ids) == 2


def test_hits_under_a_name_that_is_not_configured_are_left_and_said(
    platform: Platform, box: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fill(box, 2, to="shop")
    done = run(worker_command, "--spool", box, "--config", settings(tmp_path, platform.url), "--once")
    assert done.exit_code == 0, done.output
    assert "hits wait for shop, which the configuration does not name" in caplog.text
    assert platform.ids == []


def test_the_spool_may_be_the_configurations(platform: Platform, box: Path, tmp_path: Path) -> None:
    fill(box, 1)
    done = run(worker_command, "--config", settings(tmp_path, platform.url, spool=box), "--once", "--quiet")
    assert (done.exit_code, done.output) == (0, "")
    assert len(platform.ids) == 1


def test_a_broker_that_is_away_is_a_failure_of_the_world(platform: Platform, tmp_path: Path) -> None:
    where = settings(tmp_path, platform.url)
    done = run(worker_command, "--spool", "redis://:pw@127.0.0.1:9/0", "--config", where, "--once", "--timeout", "0.1")
    assert done.exit_code == 1
    assert "redis://127.0.0.1:9/0 cannot be reached" in done.output
    assert "pw" not in done.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--spool", "outbox.db"], "no provider is configured"),
        ([], "which spool?"),
        (["--spool", "memory://"], "each process's own"),
        (["--spool", "outbox.db", "--connections", "0"], "1<=x<=512"),
    ],
)
def test_wrong_usage_says_what_to_type(arguments: list[str], words: str) -> None:
    done = run(worker_command, *arguments)
    assert done.exit_code == 2
    assert words in done.output


def test_a_port_that_is_none_is_wrong_usage(platform: Platform, box: Path, tmp_path: Path) -> None:
    where = settings(tmp_path, platform.url)
    done = run(worker_command, "--spool", box, "--config", where, "--once", "--metrics", "here")
    assert done.exit_code == 2
    assert "expected PORT or HOST:PORT" in done.output


def test_a_port_that_is_taken_is_a_failure_of_the_world(platform: Platform, box: Path, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        where = settings(tmp_path, platform.url)
        line = [sys.executable, "-m", "analytical", "worker", "--spool", box, "--config", where, "--once"]
        done = subprocess.run([*line, "--metrics", str(port)], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert f"--metrics {port}: Address already in use" in done.stderr


@pytest.mark.parametrize(("pace", "look"), [(0.0, 0.0), (3600.0, 3600.0)])
def test_a_worker_without_a_terminal_says_from_time_to_time_how_things_stand(
    platform: Platform,
    box: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    pace: float,
    look: float,
) -> None:
    monkeypatch.setattr("analytical.cli.worker._PACE", pace)
    monkeypatch.setattr("analytical.cli.worker._LOOK", look)
    fill(box, 2)
    fill(box, 1, to="shop")
    platform.status = 503
    done = run(
        worker_command, "--spool", box, "--config", settings(tmp_path, platform.url), "--once", "--timeout", "1.5"
    )
    assert done.exit_code == 1
    said = [line for line in done.output.splitlines() if line.startswith("2 waiting · 0 delivered")]
    assert (len(said) >= 2) if not pace else (len(said) == 1)
    # What nobody here delivers is said once, however often it is seen.
    assert caplog.text.count("hits wait for shop") == 1


def test_a_configuration_with_two_spools_asks_which(tmp_path: Path) -> None:
    path = tmp_path / "analytical.toml"
    path.write_text(
        f'[providers.a]\nprovider = "segment"\nid = "k"\nspool = "{tmp_path}/a.db"\n'
        '[providers.b]\nprovider = "segment"\nid = "k"\nspool = "redis://:hunter2@10.0.0.1/0"\n'
    )
    for command in ([worker_command], [outbox_command, "status"]):
        done = run(command[0], *command[1:], "--config", path)
        assert done.exit_code == 2
        said = " ".join(done.output.split())
        assert f"names 2 spools; choose with --spool: {tmp_path}/a.db, redis://10.0.0.1/0" in said
        assert "hunter2" not in said


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs POSIX signals")
def test_sigterm_ends_a_worker_in_order_and_meanwhile_it_serves_metrics(
    platform: Platform, box: Path, tmp_path: Path
) -> None:
    fill(box, 40)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    where = settings(tmp_path, platform.url)
    worker = subprocess.Popen(
        [sys.executable, "-m", "analytical", "worker", "--spool", box, "--config", where, "--metrics", str(port)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        deadline = time.monotonic() + 60
        while len(platform.ids) < 40:
            assert time.monotonic() < deadline
            assert worker.poll() is None
            threading.Event().wait(0.05)
        wanted = 'analytical_hits_settled_total{state="unconfirmed",to="web"} 40.0'
        while True:
            with contextlib.suppress(OSError):  # not yet
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
                    if wanted in answer.read().decode():
                        break
            assert time.monotonic() < deadline
            threading.Event().wait(0.05)
        worker.send_signal(signal.SIGTERM)
        output, _ = worker.communicate(timeout=30)
    finally:
        worker.kill()
        worker.communicate()
    assert worker.returncode == 0, output
    assert "40 delivered" in output
    assert "Traceback" not in output


def test_the_status_line_says_what_is_going_on() -> None:
    ledger = analytical.Ledger()
    hit = analytical.Hit.from_dict({"id": "i", "kind": "pageview", "time": 1.0})
    for state in ("delivered", "unconfirmed", "rejected"):
        ledger.settled("web", hit, state)  # type: ignore[arg-type]  # one of the states
    ledger.noted("web", "retried", 4)

    class Driver:
        class spool:
            @staticmethod
            def waiting(to: str) -> int:
                return 1_234

    text = _Line(Driver(), {"web": ledger}).text()
    assert text == "1,234 waiting · 2 delivered (0/s) · 4 retries · 1 refused or expired"


# -- outbox -------------------------------------------------------------------------------------------------------


def test_status_counts_what_waits_and_what_became_of_the_rest(box: Path) -> None:
    fill(box, 5)
    kill_letters(box, 2)
    done = run(outbox_command, "status", "--spool", box)
    assert done.exit_code == 0, done.output
    heads, row = done.output.splitlines()
    assert heads.split()[:4] == ["to", "waiting", "oldest", "dead"]
    assert row.split()[:2] == ["web", "3"]
    (plain,) = map(json.loads, run(outbox_command, "status", "--spool", box, "--json").output.splitlines())
    assert (plain["to"], plain["pending"], plain["dead"], plain["rejected"]) == ("web", 3, 2, 2)
    assert run(outbox_command, "status", "--spool", box, "--to", "shop").output.endswith("put in here for shop\n")


def test_peek_shows_no_visitors_datum_unless_asked(box: Path) -> None:
    fill(box, 3)
    done = run(outbox_command, "peek", "--spool", box, "--limit", 2)
    assert done.exit_code == 0, done.output
    assert len(done.output.splitlines()) == 3
    assert "Secret plans" not in done.output
    rows = [json.loads(line) for line in run(outbox_command, "peek", "--spool", box, "--json").output.splitlines()]
    assert [row["hit"]["title"] for row in rows] == ["Secret plans"] * 3


def test_dead_letters_are_shown_with_their_reason_and_put_back(box: Path) -> None:
    fill(box, 3)
    kill_letters(box, 2)
    done = run(outbox_command, "dead", "--spool", box)
    assert done.exit_code == 0, done.output
    assert done.output.count("no such key") == 2
    row = json.loads(run(outbox_command, "dead", "--spool", box, "--json").output.splitlines()[0])
    assert (row["state"], row["reason"]) == ("rejected", "no such key")
    assert run(outbox_command, "replay", "--spool", box).output == "2 hits put back\n"
    assert "no dead letters" in run(outbox_command, "dead", "--spool", box).output
    (plain,) = map(json.loads, run(outbox_command, "status", "--spool", box, "--json").output.splitlines())
    assert (plain["pending"], plain["dead"]) == (3, 0)


def test_retry_makes_waiting_hits_due(box: Path) -> None:
    fill(box, 2)
    spool = open_spool(box)
    spool.attach("web")
    now = time.time()
    spool.settle(spool.take(2, now + 30, to="web"), [analytical.verdict.retry(50.0)] * 2, now)
    spool.close()
    assert run(outbox_command, "retry", "--spool", box).output == "2 hits made due now\n"


def test_purge_asks_first_and_counts_what_it_deletes(box: Path) -> None:
    fill(box, 4)
    kill_letters(box, 1)
    refused = run(outbox_command, "purge", "--spool", box)
    assert refused.exit_code == 2
    assert "deletes 3 waiting hits" in refused.output
    assert run(outbox_command, "purge", "--spool", box, "--dead", "--yes").output == "1 hit deleted\n"
    assert run(outbox_command, "purge", "--spool", box, "--yes").output == "3 hits deleted\n"
    (plain,) = map(json.loads, run(outbox_command, "status", "--spool", box, "--json").output.splitlines())
    assert (plain["pending"], plain["dropped"]) == (0, 3)


def test_the_group_takes_the_options_too(box: Path, tmp_path: Path) -> None:
    fill(box, 1)
    where = settings(tmp_path, "http://127.0.0.1:9", spool=box)
    assert "web" in run(outbox_command, "--config", where, "status").output


@pytest.mark.parametrize("verb", ["status", "peek", "dead", "retry", "replay", "purge"])
def test_no_outbox_is_wrong_usage_and_none_is_made(verb: str, box: Path) -> None:
    done = run(outbox_command, verb, "--spool", box)
    assert done.exit_code == 2
    assert "there is no outbox at" in done.output
    assert list(box.parent.iterdir()) == []


def test_a_spool_that_cannot_be_reached_fails_without_its_password() -> None:
    done = run(outbox_command, "status", "--spool", "redis://:hunter2@127.0.0.1:9/0")
    assert done.exit_code == 1
    assert "redis://127.0.0.1:9/0 cannot be reached" in done.output
    assert "hunter2" not in done.output


def test_both_are_commands_of_analytical(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("worker", "outbox"):
        monkeypatch.setattr(sys, "argv", ["analytical", name, "--help"])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code in (None, 0)
    assert "replay" in capsys.readouterr().out


def test_an_outbox_without_waiting_hits_says_so(box: Path) -> None:
    fill(box, 1)
    kill_letters(box, 1)
    assert run(outbox_command, "peek", "--spool", box).output == f"{box}: nothing waits\n"
    assert run(outbox_command, "peek", "--spool", box, "--to", "web").output == f"{box}: nothing waits for web\n"
    assert run(outbox_command, "dead", "--spool", box, "--to", "shop").output.endswith("no dead letters for shop\n")


def test_what_a_broker_cannot_do_is_left_to_its_own_tools() -> None:
    for verb in ("purge", "retry"):
        done = run(outbox_command, verb, "--spool", "kafka://127.0.0.1:9/hits")
        assert done.exit_code == 2
        assert f"a spool of the kind kafka:// cannot {verb}; use the tools of its broker" in done.output


def test_long_work_ends_where_another_process_was_quicker() -> None:
    left = [1_000, 200, 0]
    asked: list[int] = []

    def step(limit: int) -> int:
        asked.append(limit)
        return left.pop(0)

    assert _long("deleting", 5_000, step) == 1_200
    assert asked == [1_000, 1_000, 1_000]


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.4, "0 s"), (59, "59 s"), (60, "1 min"), (7_200, "2 h"), (200_000, "2 d")]
)
def test_ages_are_shown_as_people_say_them(seconds: float, shown: str) -> None:
    assert _span(seconds) == shown


# -- on a terminal ------------------------------------------------------------------------------------------------


def typed(*arguments: object, answer: str = "", timeout: float = 60.0) -> tuple[int, str]:
    """Run a command on a terminal of its own, and type an answer; return how it ended and what was shown."""
    pty = pytest.importorskip("pty")
    parent, child = pty.openpty()
    command = [sys.executable, "-m", "analytical", *map(str, arguments)]
    process = subprocess.Popen(command, stdin=child, stdout=child, stderr=child, env={**os.environ, "TERM": "xterm"})
    os.close(child)
    ends = threading.Timer(timeout, process.kill)
    ends.start()
    os.write(parent, answer.encode())
    shown = b""
    with contextlib.suppress(OSError):  # Linux says so when the other end is closed
        while piece := os.read(parent, 65_536):
            shown += piece
    ends.cancel()
    os.close(parent)
    return process.wait(), shown.decode()


def test_a_worker_shows_one_live_line(platform: Platform, box: Path, tmp_path: Path) -> None:
    fill(box, 30)
    where = settings(tmp_path, platform.url)
    code, shown = typed("worker", "--spool", box, "--config", where, "--once")
    assert code == 0, shown
    assert "\x1b[2K" in shown  # a line that is written anew
    assert "0 waiting · 30 delivered" in shown


def test_an_outbox_is_a_table_on_a_terminal(box: Path) -> None:
    fill(box, 2, to="[bold]")
    code, shown = typed("outbox", "status", "--spool", box)
    assert code == 0, shown
    assert "\x1b[1mwaiting" in shown
    assert "[bold]" in shown  # a name is no markup


def test_deleting_is_confirmed_on_a_terminal(box: Path) -> None:
    fill(box, 2)
    code, shown = typed("outbox", "purge", "--spool", box, answer="n\n")
    assert code == 1
    assert f"Delete 2 waiting hits in {box} for good?" in "".join(shown.split("\r\n"))
    assert "Aborted!" in shown
    code, shown = typed("outbox", "purge", "--spool", box, answer="y\n")
    assert code == 0
    assert "2 hits deleted" in shown


def test_long_work_shows_a_bar(box: Path) -> None:
    fill(box, 1_001)
    code, shown = typed("outbox", "purge", "--spool", box, "--yes")
    assert code == 0, shown
    assert "deleting" in shown
    assert "100%" in shown
    assert "1,001 hits deleted" in shown

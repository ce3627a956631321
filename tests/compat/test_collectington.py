"""``cton``: the old classes and both configurations as a process that is scraped, in good weather and bad."""

from __future__ import annotations

import json
import logging
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import pytest
from collecting import Answer, Side, bare_environment, serving
from prometheus_client import REGISTRY, CollectorRegistry, Gauge

from analytical.compat.collectington import install_aliases
from analytical.compat.collectington.api import (
    CollectingtonApi,
    MetricError,
    UnsupportedPrometheusInstance,
    enable_delta_metric,
    register_metric,
    register_metric_class,
)
from analytical.compat.collectington.config import LOGGER, setup_logging, validate
from analytical.compat.collectington.runner import Runner
from analytical.errors import ConfigurationError, SourceError

ROOT = Path(__file__).parent.parent.parent
SAMPLES = Path(__file__).parent / "samples"
RECORDED = {each["case"]: each for each in json.loads(SAMPLES.joinpath("collectington.json").read_text())}
COMMAND = (sys.executable, "-c", "import sys; from analytical.compat.collectington import main; sys.exit(main())")

HEAD = """
from collectington.config import *
from collectington.collectington_api import (
    CollectingtonApi, enable_delta_metric, register_metric_class, register_metric,
)

@register_metric_class
class Api(CollectingtonApi):
    def __init__(self):
        super(Api, self).__init__()
        self.config = get_config("config.json")
        self.service_name = "t"
        self.api_url = self.config["services"]["t"]["api_url"]
        self.name_of_datastore = "store"
        self.headers = {"X-Key": "s3cr3t-key"}
        self.data_store_expiration_sec = %s
"""

FOUR = """
    @register_metric("c")
    @enable_delta_metric
    def c(self):
        return self.get_data_from_store(self.name_of_datastore)["total"]

    @register_metric("g")
    def g(self):
        return self.get_data_from_store(self.name_of_datastore)["g"]

    @register_metric("h")
    def h(self):
        return self.get_data_from_store(self.name_of_datastore)["h"]

    @register_metric("s")
    def s(self):
        return self.get_data_from_store(self.name_of_datastore)["s"]
"""
MAPPING = {"counter": ["c"], "gauge": ["g"], "histogram": ["h"], "summary": ["s"]}


class Cton:
    """The running command."""

    def __init__(self, process: subprocess.Popen[str], port: int, log: Path) -> None:
        self.process = process
        self.port = port
        self.log = log

    def scrape(self) -> list[str]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=20) as answer:
            lines = answer.read().decode().splitlines()
        return [line for line in lines if line[0] != "#" and not re.match(r"python_|process_|\w+_created", line)]

    def value(self, name: str) -> float | None:
        for line in self.scrape():
            sample, _, value = line.rpartition(" ")
            if sample == name:
                return float(value)
        return None

    def until(self, true: Callable[[], Any], what: str) -> None:
        """Wait for something to come true; the command is another process, with a clock of its own."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.said()
            try:
                if true():
                    return
            except OSError:
                pass
            time.sleep(0.05)
        raise AssertionError(f"{what} did not come true: {self.said()}\n{self.scrape()}")

    def said(self) -> str:
        return self.log.read_text()


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def configuration(url: str, port: int, mapping: Mapping[str, Any] = MAPPING, **more: Any) -> dict[str, Any]:
    service = {
        "service_class": "Api",
        "service_module": "my_api",
        "api_url": url,
        "prometheus_metrics_mapping": mapping,
        "port": port,
        **more,
    }
    return {"api_call_intervals": 0, "log_level": "INFO", "services": {"t": service}}


@contextmanager
def cton(directory: Path, service: str = "t", port: int = 0) -> Iterator[Cton]:
    log = directory / "said.txt"
    with log.open("w") as out:
        process = subprocess.Popen(
            [*COMMAND, "-s", service, "-c", "./config.json"],
            cwd=directory,
            env=bare_environment(),
            stdout=out,
            stderr=subprocess.STDOUT,
            text=True,
        )
    try:
        yield Cton(process, port, log)
    finally:
        process.send_signal(signal.SIGINT)  # as Ctrl-C ends it, so that what it ran is counted as tested
        try:
            process.wait(10)
        finally:
            process.kill()
            process.wait()


@contextmanager
def running(
    directory: Path,
    side: Side,
    methods: str = FOUR,
    expiration: float = 60,
    mapping: Mapping[str, Any] = MAPPING,
    **more: Any,
) -> Iterator[Cton]:
    port = free_port()
    directory.joinpath("my_api.py").write_text(HEAD % expiration + methods)
    directory.joinpath("config.json").write_text(json.dumps(configuration(f"{side.url}/x", port, mapping, **more)))
    with cton(directory, port=port) as command:
        command.until(lambda: command.value('analytical_up{report="t"}') is not None, "the first reading")
        yield command


def fixed(value: Any) -> Any:
    return lambda _: (200, value)


def ticks(command: Cton, count: int) -> None:
    """Wait until the loop has gone round."""
    for _ in range(count):
        before = command.value('analytical_last_success_timestamp_seconds{report="t"}')
        name = 'analytical_last_success_timestamp_seconds{report="t"}'
        command.until(lambda name=name, before=before: command.value(name) != before, "another reading")  # type: ignore[misc]


def without_up(lines: list[str]) -> list[str]:
    return sorted(line for line in lines if not line.startswith("analytical_"))


# --- the recorded cases, with the differences that are meant ----------------------------------------------------------


def test_four_kinds_take_one_answer_once(tmp_path: Path) -> None:
    recorded = RECORDED["four types, cached (exp 60)"]["scrapes"][0]
    with serving() as side:
        side.plan["/x"] = fixed({"total": 1000, "g": 7, "h": 0.3, "s": 2})
        with running(tmp_path, side) as command:
            ticks(command, 2)
            # The original had observed the same answer twice by then, and four times two seconds later.
            once = [
                re.sub(r" .*", lambda found: f" {float(found[0]) / 2}", line) if line[0] in "hs" else line
                for line in recorded["metrics"]
            ]
            assert without_up(command.scrape()) == sorted(once)
            assert len(side.seen) == recorded["api_calls"] == 1
            assert side.seen[0].headers["x-key"] == "s3cr3t-key"
            assert command.value('analytical_up{report="t"}') == 1


def test_a_delta_counts_whole_first_and_then_what_is_new(tmp_path: Path) -> None:
    recorded = RECORDED["delta 1000->1100->1100 exp 1"]["scrapes"]
    totals = [1000, 1100, 1100, 10, 25]
    with serving() as side:
        side.plan["/x"] = lambda _: (200, {"total": totals[min(len(side.seen), len(totals)) - 1]})
        with running(tmp_path, side, expiration=0.3, mapping={"counter": ["c"]}) as command:
            seen = []
            command.until(lambda: seen.append(command.value("c_total")) or len(side.seen) > len(totals), "every answer")
            distinct = list(dict.fromkeys(seen))
            assert [f"c_total {value}" for value in distinct[:2]] == recorded[0]["metrics"] + recorded[1]["metrics"]
            # 1100, then a reset at the origin to 10, then 25: nothing is lost, and nothing goes backwards.
            assert distinct[2:] == [1110.0, 1125.0]


def test_a_counter_from_1000_to_10_reads_1010(tmp_path: Path) -> None:
    with serving() as side:
        side.plan["/x"] = lambda _: (200, {"total": 1000 if len(side.seen) == 1 else 10})
        with running(tmp_path, side, expiration=0.3, mapping={"counter": ["c"]}) as command:
            command.until(lambda: command.value("c_total") == 1010, "the reset")
            ticks(command, 2)
            assert command.value("c_total") == 1010


def test_what_an_answer_lacks_has_no_sample_and_up_is_0(tmp_path: Path) -> None:
    with serving() as side:
        side.plan["/x"] = fixed({"total": 5})
        with running(tmp_path, side) as command:
            assert without_up(command.scrape()) == ["c_total 5.0"]
            assert command.value('analytical_up{report="t"}') == 0
            assert command.value('analytical_errors_total{report="t"}') >= 3
            assert "metric \"g\" of t: the answer has no 'g'" in command.said()


def test_a_refused_connection_ends_nothing(tmp_path: Path) -> None:
    with serving() as side:
        gone = Side(url=f"http://127.0.0.1:{free_port()}")
        with running(tmp_path, gone) as command:
            assert command.value('analytical_up{report="t"}') == 0
            assert without_up(command.scrape()) == []
            assert command.process.poll() is None
            assert "s3cr3t-key" not in command.said()
        assert not side.seen


LABELS = """
    @register_metric("lg")
    def lg(self):
        return self.get_data_from_store(self.name_of_datastore)["rows"]
"""


def test_labels(tmp_path: Path) -> None:
    rows = [{"team": "a", "stack": "prd", "v": 123}, {"team": "a", "stack": "sbx", "v": 34}]
    with serving() as side:
        side.plan["/x"] = fixed({"rows": rows})
        labels = {"prometheus_metric_labels": {"lg": ["team", "stack"]}}
        with running(tmp_path, side, LABELS, mapping={"gauge": ["lg"]}, **labels) as command:
            assert without_up(command.scrape()) == RECORDED["labels"]["scrapes"][0]["metrics"]


INCIDENTS = {
    "total": 1000,
    "incidents": [
        {
            "transitions": [
                {"alertId": "1", "name": "triggered", "at": "2026-01-31T12:00:00Z"},
                {"alertId": "1", "name": "acknowledged", "at": "2026-01-31T12:05:00Z"},
                {"alertId": "1", "name": "acknowledged", "at": "2026-01-31T12:40:00Z"},
                {"alertId": "1", "name": "resolved", "at": "2026-01-31T12:30:00Z"},
                {"alertId": "2", "name": "triggered", "at": "2026-01-31T13:00:00Z"},
            ]
        }
    ],
}


def test_the_splunk_example_runs(tmp_path: Path) -> None:
    recorded = RECORDED["example splunk unchanged, 3 s"]
    example = tmp_path / "example"
    shutil.copytree(ROOT / "examples" / "collectington", example)
    config = json.loads(example.joinpath("config.json").read_text())
    port = free_port()
    with serving() as side:
        config["services"]["splunk"].update(api_url=f"{side.url}/inc", port=port)
        example.joinpath("config.json").write_text(json.dumps(config))
        example.joinpath("splunk").write_text('API_KEY="k"\nAPI_ID="i"\n')
        side.plan["/inc"] = fixed(INCIDENTS)
        with cton(example, "splunk", port) as command:
            command.until(lambda: command.value('analytical_up{report="splunk"}') == 1, "the first reading")
            assert without_up(command.scrape()) == [
                "number_of_incidents_total 1000.0",
                "time_taken_to_acknowledge_count 1.0",
                "time_taken_to_acknowledge_sum 5.0",
                "time_taken_to_resolve_count 1.0",
                "time_taken_to_resolve_sum 30.0",
            ]
            for name, value in recorded["requests"][0]["headers"].items():
                if name != "User-Agent":
                    assert side.seen[0].headers[name.lower()] == value
            assert "startedAfter" in side.seen[1].query


# --- weather ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "bad",
    [
        (500, {"total": 0, "g": 0, "h": 0, "s": 0}),
        (401, {"error": "no"}),
        (200, "<html>log in</html>"),
        (200, '{"total": 10'),
        (302, "", {"Location": "/login"}),
        (200, {"error": "in a 200"}),
        (200, []),
    ],
    ids=lambda bad: f"{bad[0]} {str(bad[1])[:12]}",
)
def test_a_failure_keeps_the_last_values_and_recovery_goes_on(bad: Answer, tmp_path: Path) -> None:
    good = (200, {"total": 1000, "g": 7, "h": 0.3, "s": 2})
    now = [good]
    with serving() as side:
        side.plan["/x"] = lambda _: now[0]
        with running(tmp_path, side, expiration=0.3) as command:
            command.until(lambda: command.value('analytical_up{report="t"}') == 1, "a good reading")
            now[0] = bad
            command.until(lambda: command.value('analytical_up{report="t"}') == 0, "a failed reading")
            assert command.value("g") == 7
            assert command.value("c_total") == 1000
            observed = command.value("s_count")
            failed = command.value('analytical_errors_total{report="t"}')
            command.until(lambda: command.value('analytical_errors_total{report="t"}') != failed, "another failure")
            assert command.value("s_count") == observed
            now[0] = (200, {"total": 1001, "g": 8, "h": 0.3, "s": 2})
            command.until(lambda: command.value('analytical_up{report="t"}') == 1, "recovery")
            assert command.value("g") == 8
            assert command.value("c_total") == 1001


def test_one_outage_is_met_once_in_a_reading_not_once_a_metric(tmp_path: Path) -> None:
    with serving() as side:
        side.plan["/x"] = lambda _: (500, {})
        with running(tmp_path, side) as command:
            failed = 'analytical_errors_total{report="t"}'
            command.until(lambda: (command.value(failed) or 0) >= 8, "two readings of four metrics")
            assert len(side.seen) <= command.value(failed) / 4 + 1


def test_retry_after_is_obeyed(tmp_path: Path) -> None:
    with serving() as side:
        side.plan["/x"] = lambda _: (429, {}, {"Retry-After": "3600"})
        with running(tmp_path, side) as command:
            command.until(lambda: (command.value('analytical_errors_total{report="t"}') or 0) >= 12, "three readings")
            assert len(side.seen) == 1


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([{"team": "a", "v": 1}], 'metric "lg": a row has no label "stack"'),
        ([{"team": "a", "stack": "b"}], 'metric "lg": a row has its labels (team, stack) and no value'),
        ([{"team": "a", "stack": "b", "v": "many"}], 'metric "lg" with team="a", stack="b": expected a number'),
        (5, 'metric "lg" has labels, so its method must return a list of objects, got 5'),
        ([5], 'metric "lg": expected objects with the labels team, stack'),
    ],
)
def test_errors_name_metric_and_label(rows: Any, says: str, tmp_path: Path) -> None:
    with serving() as side:
        side.plan["/x"] = fixed({"rows": rows})
        labels = {"prometheus_metric_labels": {"lg": ["team", "stack"]}}
        with running(tmp_path, side, LABELS, mapping={"gauge": ["lg"]}, **labels) as command:
            assert command.value('analytical_up{report="t"}') == 0
            assert says in command.said()


def test_a_number_that_a_counter_cannot_take_is_told_with_its_metric_and_labels(tmp_path: Path) -> None:
    methods = (
        LABELS
        + """
    @register_metric("d")
    def d(self):
        return -5
"""
    )
    with serving() as side:
        side.plan["/x"] = fixed({"rows": [{"team": "a", "v": -1}]})
        labels = {"prometheus_metric_labels": {"lg": ["team"]}}
        with running(tmp_path, side, methods, mapping={"counter": ["lg", "d"]}, **labels) as command:
            assert command.value('analytical_errors_total{report="t"}') is not None
            assert 'metric "lg" with team="a" cannot take -1' in command.said()
            assert 'metric "d" of t: ValueError' in command.said()
            assert without_up(command.scrape()) == []


def test_a_label_set_that_is_gone_is_shown_no_more(tmp_path: Path) -> None:
    rows = [[{"team": "a", "v": 1}, {"team": "b", "v": 2}], [{"team": "b", "v": 3}]]
    with serving() as side:
        side.plan["/x"] = lambda _: (200, {"rows": rows[min(len(side.seen), 2) - 1]})
        labels = {"prometheus_metric_labels": {"lg": ["team"]}}
        with running(tmp_path, side, LABELS, 0.3, mapping={"gauge": ["lg"]}, **labels) as command:
            command.until(lambda: without_up(command.scrape()) == ['lg{team="b"} 3.0'], "the second answer alone")


# --- classes of all kinds ---------------------------------------------------------------------------------------------


def test_what_may_be_overridden_is(tmp_path: Path) -> None:
    methods = """
        self.calls = 0

    def read_data(self, url, params, headers):
        self.calls += 1
        return {"total": 5}

    @staticmethod
    def _update_metric(p_instance, val):
        p_instance.inc(val * 2)

    @register_metric("c_total")
    def total(self):
        return self.get_data_from_store("any")["total"]
"""
    with serving() as side, running(tmp_path, side, methods, mapping={"counter": ["c_total"]}) as command:
        ticks(command, 2)
        assert without_up(command.scrape()) == ["c_total 10.0"]
        assert not side.seen


def test_a_counter_without_delta_adds_each_answer_once(tmp_path: Path) -> None:
    methods = """
    @register_metric("n")
    def n(self):
        return self.get_data_from_store("any")["new"]
"""
    with serving() as side:
        side.plan["/x"] = fixed({"new": 3})
        with running(tmp_path, side, methods, mapping={"counter": ["n"]}) as command:
            ticks(command, 2)
            assert command.value("n_total") == 3


def test_none_is_no_value_and_no_failure(tmp_path: Path) -> None:
    methods = """
    @register_metric("s")
    def s(self):
        return self.get_data_from_store("any").get("s")
"""
    with serving() as side:
        side.plan["/x"] = fixed({"other": 3})
        with running(tmp_path, side, methods, mapping={"summary": ["s"]}) as command:
            assert without_up(command.scrape()) == []
            assert command.value('analytical_up{report="t"}') == 1


def test_a_metric_without_a_method_is_named(tmp_path: Path) -> None:
    with serving() as side:
        side.plan["/x"] = fixed({"total": 5})
        with running(tmp_path, side, FOUR, mapping={"counter": ["c"], "gauge": ["mystery"]}) as command:
            assert command.value("c_total") == 5
            assert 'metric "mystery" of t has no method; mark one with @register_metric("mystery")' in command.said()


def test_abstract_api_is_the_same_class() -> None:
    from analytical.compat.collectington import install_aliases

    install_aliases()
    from collectington.collectington_api import AbstractApi, CollectingtonApi
    from collectington.exceptions.collection_exceptions import UnsupportedPrometheusInstance

    assert AbstractApi is CollectingtonApi
    assert issubclass(UnsupportedPrometheusInstance, Exception)


# --- configuration and command line -----------------------------------------------------------------------------------


def run(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = bare_environment()
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        timeout=110,
    )


@pytest.mark.parametrize("arguments", [[], ["-s", "t"], ["-c", "config.json"], ["-x"]])
def test_wrong_usage_is_exit_1_as_it_was(arguments: list[str], tmp_path: Path) -> None:
    found = run(tmp_path, *arguments)
    assert found.returncode == 1
    assert "usage: cton" in found.stderr


def test_an_unknown_service_names_those_there_are(tmp_path: Path) -> None:
    config = configuration("http://127.0.0.1:9/", 8000)
    config["services"]["other"] = config["services"]["t"]
    config["log_level"] = "CRITICAL"
    tmp_path.joinpath("config.json").write_text(json.dumps(config))
    found = run(tmp_path, "-s", "splunk", "-c", "config.json")
    assert found.returncode == 1
    assert 'unknown service "splunk"' in found.stderr
    assert "t, other" in found.stderr
    assert "Traceback" not in found.stderr


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda config: config.pop("api_call_intervals"), '"api_call_intervals" is missing'),
        (lambda config: config.update(api_call_intervals="2"), "expected whole seconds"),
        (lambda config: config.update(log_level="LOUD"), "LOUD"),
        (lambda config: config.update(services={}), '"services"'),
        (lambda config: config["services"]["t"].pop("port"), 'service "t" has no "port"'),
        (lambda config: config["services"]["t"].pop("api_url"), 'has no "api_url"'),
        (lambda config: config["services"]["t"].update(prometheus_metrics_mapping={"meter": ["m"]}), "'meter'"),
        (lambda config: config["services"]["t"].update(prometheus_metrics_mapping={"gauge": [1]}), "metric 1"),
        (lambda config: config["services"]["t"].update(prometheus_metric_labels={"g": "team"}), 'metric "g"'),
        (lambda config: config["services"]["t"].update(service_module="nowhere"), '"nowhere"'),
        (lambda config: config["services"]["t"].update(service_class="Apl"), 'no class "Apl"; it has Api'),
    ],
)
def test_a_configuration_that_cannot_be_used_is_exit_1(change: Any, says: str, tmp_path: Path) -> None:
    config = configuration("http://127.0.0.1:9/", 8000)
    change(config)
    tmp_path.joinpath("my_api.py").write_text(HEAD % 60 + FOUR)
    tmp_path.joinpath("config.json").write_text(json.dumps(config))
    found = run(tmp_path, "-s", "t", "-c", "config.json")
    assert found.returncode == 1
    assert says in found.stderr
    assert "Traceback" not in found.stderr


def test_files_and_ports_that_cannot_be_used_are_exit_1(tmp_path: Path) -> None:
    assert "nowhere.json" in run(tmp_path, "-s", "t", "-c", "nowhere.json").stderr
    tmp_path.joinpath("config.json").write_text("{")
    broken = run(tmp_path, "-s", "t", "-c", "config.json")
    assert broken.returncode == 1
    assert "Failed to parse config file config.json" in broken.stderr
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        config = configuration("http://127.0.0.1:9/", taken.getsockname()[1])
        tmp_path.joinpath("my_api.py").write_text(HEAD % 60 + FOUR)
        tmp_path.joinpath("config.json").write_text(json.dumps(config))
        found = run(tmp_path, "-s", "t", "-c", "config.json")
        assert found.returncode == 1
        assert "ddress already in use" in found.stderr


def test_both_dialects_in_any_order_with_keys_of_ones_own(tmp_path: Path) -> None:
    port = free_port()
    with serving() as side:
        side.plan["/x"] = fixed({"total": 5})
        service = configuration(f"{side.url}/x", port, {"counter": ["c"]})["services"]["t"]
        del service["port"]
        old = {
            "services": {"t": {**service, "secret_file_path": "./x"}},
            "owner": "us",
            "port": port,
            "log_level": "DEBUG",
            "api_call_intervals": 0,
        }
        tmp_path.joinpath("my_api.py").write_text(HEAD % 60 + FOUR)
        tmp_path.joinpath("config.json").write_text(json.dumps(old))
        with cton(tmp_path, port=port) as command:
            command.until(lambda: command.value("c_total") == 5, "a value")


def test_log_level_is_honoured_and_sigterm_ends_with_0(tmp_path: Path) -> None:
    with serving() as side:
        side.plan["/x"] = fixed({"total": 5})
        port = free_port()
        config = configuration(f"{side.url}/x", port)
        config["log_level"] = "CRITICAL"
        tmp_path.joinpath("my_api.py").write_text(HEAD % 60 + FOUR)
        tmp_path.joinpath("config.json").write_text(json.dumps(config))
        with cton(tmp_path, port=port) as command:
            command.until(lambda: command.value('analytical_up{report="t"}') == 0, "a reading")
            assert "ERROR" not in command.said()
            assert "Setting up HTTP Server" not in command.said()
            command.process.send_signal(signal.SIGTERM)
            assert command.process.wait(10) == 0


def test_a_scrape_never_calls_the_api(tmp_path: Path) -> None:
    with serving() as side:
        side.plan["/x"] = fixed({"total": 5, "g": 1, "h": 1, "s": 1})
        with running(tmp_path, side) as command:
            for _ in range(20):
                command.scrape()
            assert len(side.seen) == 1


@pytest.mark.parametrize(
    ("methods", "says"),
    [
        ("        raise RuntimeError('no secret file')\n", 'service "t" cannot be made: RuntimeError: no secret file'),
        ("        open('nowhere.txt')\n", "nowhere.txt: No such file or directory"),
        ("        pass\n\nimport nosuchmodule\n", "cannot be imported (No module named 'nosuchmodule')"),
        ("        pass\n\nfrom json import nosuch\n", 'service "t" cannot be made: ImportError: cannot import name'),
    ],
)
def test_a_class_that_cannot_be_made_is_exit_1(methods: str, says: str, tmp_path: Path) -> None:
    tmp_path.joinpath("my_api.py").write_text(HEAD % 60 + methods)
    tmp_path.joinpath("config.json").write_text(json.dumps(configuration("http://127.0.0.1:9/", 0)))
    found = run(tmp_path, "-s", "t", "-c", "config.json")
    assert found.returncode == 1
    assert says in found.stderr
    assert "Traceback" not in found.stderr


# --- in this process -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda config, service: [config], "expected an object, got list"),
        (lambda config, service: config["services"].update(t=5), 'service "t" must be an object'),
        (lambda config, service: service.update(api_url=5), '"api_url" is 5; expected a text'),
        (lambda config, service: service.update(port="8000"), "port is '8000'; expected a number from 0 to 65535"),
        (lambda config, service: service.update(port=65_536), "port is 65536"),
        (lambda config, service: service.update(port=True), "port is True"),
        (lambda config, service: config.update(port=-1), "port is -1"),
        (lambda config, service: service.update(prometheus_metrics_mapping=[]), "must be an object"),
        (lambda config, service: service.update(prometheus_metrics_mapping={"gauge": "g"}), "must be a list of names"),
        (
            lambda config, service: service.update(prometheus_metrics_mapping={"gauge": ["m"], "counter": ["m"]}),
            'metric "m" is a gauge and a counter; name it once',
        ),
        (lambda config, service: service.update(prometheus_metric_labels=["g"]), "must be an object"),
    ],
)
def test_a_configuration_that_makes_no_sense_says_where(change: Any, says: str) -> None:
    config = configuration("http://127.0.0.1:9/", 8000)
    changed = change(config, config["services"]["t"])
    with pytest.raises(ConfigurationError, match=re.escape(says)):
        validate(changed if isinstance(changed, list) else config)


def test_a_logger_that_was_set_up_keeps_its_level(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LOGGER, "propagate", LOGGER.propagate)
    level = LOGGER.level
    try:
        LOGGER.setLevel("ERROR")
        assert setup_logging().level == logging.ERROR
        LOGGER.setLevel("NOTSET")
        assert setup_logging().level == logging.INFO
        assert len(LOGGER.handlers) == 1
    finally:
        LOGGER.handlers.clear()
        LOGGER.setLevel(level)


class Service(CollectingtonApi):
    """A service whose answers are given, not asked for."""

    def __init__(self, mapping: dict[str, list[str]], answer: Any = None) -> None:
        super().__init__()
        self.service_name = "t"
        self.config = configuration("http://127.0.0.1:9/", 0, mapping)
        self.answer = answer
        self.asked = 0

    def read_data(self, url: str, params: Any, headers: Any) -> Any:
        self.asked += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def delta(value: Any) -> Any:
    @register_metric_class
    class Api(Service):
        @register_metric("c")
        @enable_delta_metric
        def c(self) -> Any:
            return value

    return Api({"counter": ["c"]})


def test_a_running_total_is_one_number_or_nothing() -> None:
    assert delta(None).get_metric("c") is None
    assert delta(5).get_metric("c") == 5
    for value in ([1], {"a": 1}):
        with pytest.raises(MetricError, match=f"c returns a {type(value).__name__}, and @enable_delta_metric works on"):
            delta(value).get_metric("c")


def test_answers_are_kept_until_they_expire_also_by_a_clock_of_the_users_own() -> None:
    service = Service({}, {"a": 1})
    assert service.is_data_store_expired()
    assert service.get_data_from_store("s") == {"a": 1}
    assert not service.is_data_store_expired()
    service.get_data_from_store("s")
    assert service.asked == 1
    service.data_store_expiration_sec = 0
    assert service.is_data_store_expired()
    service.get_data_from_store("s")
    assert service.asked == 2

    class Always(Service):
        def is_data_store_expired(self) -> bool:
            return True

    always = Always({}, {"a": 1})
    always.get_data_from_store("s")
    always.get_data_from_store("s")
    assert always.asked == 2


def test_without_a_loop_each_failure_is_met_anew() -> None:
    service = Service({}, SourceError("down"))
    for _ in range(2):
        with pytest.raises(SourceError, match="down"):
            service.get_data_from_store("s")
    assert service.asked == 2


def test_a_kind_of_metric_that_prometheus_has_not_is_refused() -> None:
    class Odd:
        _name = "odd"

    with pytest.raises(UnsupportedPrometheusInstance, match="Odd"):
        Service({}).call_prometheus_metrics({"odd": 5}, [Odd()])


def test_counters_with_labels_keep_what_is_gone() -> None:
    service = Service({"counter": ["lc"]})
    service.config["services"]["t"]["prometheus_metric_labels"] = {"lc": ["team"]}
    [instance] = service.generate_prometheus_metric_instances()
    try:
        service.call_prometheus_metrics({"lc": [{"team": "a", "v": 1}]}, [instance])
        service.call_prometheus_metrics({"lc": [{"team": "b", "v": 2}]}, [instance])
        values = {s.labels["team"]: s.value for s in instance.collect()[0].samples if s.name == "lc_total"}
        assert values == {"a": 1, "b": 2}
        with pytest.raises(MetricError, match='metric "lc" with team="a" cannot take -1'):
            service.call_prometheus_metrics({"lc": [{"team": "a", "v": -1}]}, [instance])
    finally:
        REGISTRY.unregister(instance)


def test_a_service_that_is_no_subclass_is_read_as_well(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = CollectorRegistry()

    class Duck:
        _metric_registry: ClassVar[dict[str, str]] = {}

        def generate_prometheus_metric_instances(self) -> list[Any]:
            return [Gauge("duck_g", "g", registry=None)]

        def get_metric(self, metric: str) -> Any:
            return 7

        def call_prometheus_metrics(self, values: Any, instances: Any) -> None:
            instances[0].set(values["duck_g"])

    monkeypatch.setattr(LOGGER, "propagate", True)
    caplog.set_level("DEBUG", logger=LOGGER.name)
    runner = Runner(Duck(), "duck", ["duck_g", "other"], registry=registry)
    assert "duck_g is in no default registry" in caplog.text
    for _ in range(2):
        assert not runner.tick()
    assert registry.get_sample_value("duck_g") == 7
    # A fault that lasts is said once.
    said = [record.message for record in caplog.records if record.levelname == "ERROR"]
    assert len(said) == 1
    assert 'returned nothing for metric "other"' in said[0]


def test_what_stands_for_collectington_is_installed_once() -> None:
    install_aliases()
    first = sys.modules["collectington"]
    install_aliases()
    assert sys.modules["collectington"] is first

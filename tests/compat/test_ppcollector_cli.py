"""The command itself: recorded runs, every flag, file key, variable and exit code, as processes against loopback."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from collecting import NOW, Answer, Run, Seen, Side, as_set, collect, run, serving

SAMPLES = Path(__file__).parent / "samples"
RUNS = json.loads(SAMPLES.joinpath("ppcollector-cli.json").read_text())
ANSWERS = json.loads(SAMPLES.joinpath("ppcollector-answers.json").read_text())
WEEKLY = ANSWERS["piwik_browser_count_weekly.json"]

QUERY: dict[str, Any] = {
    "data-set": {"data-group": "g", "data-type": "browser-count"},
    "entrypoint": "performanceplatform.collector.piwik.core",
    "query": {"site_id": "9", "api_method": "DevicesDetection.getBrowsers", "frequency": "weekly"},
    "options": {
        "mappings": {"label": "browser", "nb_visits": "sessions"},
        "idMapping": ["dataType", "_timestamp", "timeSpan", "browser"],
    },
    "token": "piwik",
}
TOKEN = "s3cr3t-source-token"


def ok(_: Seen) -> Answer:
    return 200, {"status": "ok"}


def always(status: int, value: Any) -> Any:
    return lambda _: (status, value)


def in_turn(*answers: Answer) -> Any:
    left = list(answers)
    return lambda _: left.pop(0) if len(left) > 1 else left[0]


def weekly(side: Side, query: Any = QUERY, *more: str, directory: Path, **options: Any) -> Run:
    side.plan.setdefault("/data", ok)
    side.plan.setdefault("/index.php", always(200, WEEKLY))
    credentials = {"url": f"{side.url}/index.php", "token_auth": TOKEN}
    return collect(directory, query, credentials, side.url, *more, **options)


@pytest.mark.parametrize("recorded", RUNS, ids=lambda each: each["case"])
def test_recorded_runs(recorded: dict[str, Any], tmp_path: Path) -> None:
    case = recorded["case"]
    with serving() as side:
        platform = {"stagecraft_url": side.url, "omniscient_api_token": "omni"}
        configured = {
            "query": QUERY["query"],
            "options": QUERY["options"],
            "data_set": {"data_group": "g", "data_type": "browser-count", "bearer_token": "unused"},
            "entry_point": QUERY["entrypoint"],
            "provider": {"slug": "piwik"},
        }
        side.plan["/collector/some-slug"] = always(200, configured)
        if case == "empty":
            side.plan["/index.php"] = always(200, {"2015-02-13": []})
        elif case == "source 404":
            side.plan["/index.php"] = always(404, "not here")
        elif case == "source 503 then ok":
            side.plan["/index.php"] = in_turn((503, "later"), (200, WEEKLY))
        elif case == "sink 401":
            side.plan["/data"] = always(401, {"status": "error", "message": "planned 401"})
        flags = [each for each in recorded["args"] if each.startswith("--") and each != "--console-logging"]
        slug = ["-l", "some-slug"] if "-l" in recorded["args"] else []
        found = weekly(side, None if slug else QUERY, *slug, *flags, directory=tmp_path, platform=platform)
        assert found.code == recorded["exit"], found.err
        compare(recorded["http"], side)
        assert TOKEN not in found.err + found.out
        assert "tok123" not in found.err + found.out
        if recorded["exit"]:
            assert "g/browser-count" in found.err
            assert "Traceback" not in found.err
        for line in recorded["stderr"].splitlines():
            message = line.rpartition(":")[2]
            if message in (
                "Running collection into g/browser-count",
                "Sending chunk 1",
                "Doing nothing - no data to push",
            ):
                assert message in found.err


def compare(expected: list[dict[str, Any]], side: Side) -> None:
    kinds = {"/index.php": "source", "/data": "sink", "/collector": "stagecraft"}
    seen = [(next(kind for start, kind in kinds.items() if each.path.startswith(start)), each) for each in side.seen]
    assert [kind for kind, _ in seen] == [each["kind"] for each in expected]
    for (kind, each), recorded in zip(seen, expected, strict=True):
        method, _, address = recorded["line"].partition(" ")
        assert each.path == urlsplit(address).path
        if kind == "source":
            asked = dict(parse_qsl(urlsplit(address).query))
            assert each.query == {name: value for name, value in asked.items() if name != "token_auth"}
            assert each.form == {"token_auth": TOKEN}
            continue
        assert each.method == method
        for name in ("Accept", "Authorization", "Content-Type", "Govuk-Request-Id", "User-Agent"):
            assert each.headers.get(name.lower()) == recorded["headers"].get(name)
        if kind == "sink":
            assert as_set(each.json) == as_set(recorded["body"])
            assert len(each.wire) == recorded["wire_bytes"]


# --- usage ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "required"),
        (["-q", "query.json"], "required"),
        (["-c", "creds.json", "-t", "token.json", "-b", "pp.json"], "-l/--collector"),
        (["-q", "query.json", "-l", "slug", "-c", "creds.json", "-t", "token.json", "-b", "pp.json"], "not allowed"),
        (["-q", "bad.json"], "invalid _load_json_file value"),
        (["-q", "list.json"], "invalid _load_json_file value"),
        (["-s", "sometime"], "invalid parse value"),
        (["-e", "2015-02-30"], "invalid parse value"),
        (["--no-such-flag"], "required"),
    ],
)
def test_wrong_usage_is_exit_2(arguments: list[str], says: str, tmp_path: Path) -> None:
    for name, text in {
        "query": "{}",
        "creds": "{}",
        "token": "{}",
        "pp": "{}",
        "bad": "{not json",
        "list": "[]",
    }.items():
        tmp_path.joinpath(f"{name}.json").write_text(text)
    found = run(tmp_path, arguments)
    assert found.code == 2
    assert says in found.err


def test_help_is_exit_0(tmp_path: Path) -> None:
    found = run(tmp_path, ["--help"])
    assert found.code == 0
    for flag in ("--credentials", "--collector", "--query", "--token", "--performanceplatform", "--start", "--end"):
        assert flag in found.out
    assert "--console-logging" in found.out
    assert "--dry-run" in found.out


def test_a_missing_file_is_exit_1_and_named(tmp_path: Path) -> None:
    found = run(tmp_path, ["-q", "nowhere.json"])
    assert found.code == 1
    assert "nowhere.json" in found.err
    assert "Traceback" not in found.err


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"entrypoint": None}, '"entrypoint"'),
        ({"options": None}, '"options"'),
        ({"query": None}, '"query"'),
        ({"data-set": None}, '"data-set"'),
        ({"data-set": {"data-group": "g", "data-set": "x"}}, '"data-type"'),
        ({"entrypoint": "no.such.module"}, "no.such.module"),
        ({"entrypoint": "json"}, "main(credentials"),
        ({"entrypoint": ""}, "entrypoint"),
        ({"entrypoint": "performanceplatform.collector.gcloud"}, "gcloud"),
        ({"options": {}}, '"mappings"'),
        ({"query": {"api_method": "Goals.get"}}, '"site_id"'),
        ({"query": {**QUERY["query"], "frequency": "yearly"}}, "yearly"),
    ],
)
def test_what_a_query_file_lacks_is_exit_1_and_named(change: dict[str, Any], says: str, tmp_path: Path) -> None:
    query = {name: value for name, value in {**QUERY, **change}.items() if value is not None}
    with serving() as side:
        found = weekly(side, query, directory=tmp_path)
        assert found.code == 1
        assert says in found.err
        assert "Traceback" not in found.err
        assert not side.seen


@pytest.mark.parametrize(("file", "says"), [("token", '"token"'), ("pp", '"backdrop_url"'), ("creds", '"token_auth"')])
def test_what_another_file_lacks_is_exit_1_and_named(file: str, says: str, tmp_path: Path) -> None:
    for name, value in {
        "query": QUERY,
        "creds": {"url": "http://127.0.0.1:9/", "token_auth": TOKEN},
        "token": {"token": "x"},
        "pp": {"backdrop_url": "http://127.0.0.1:9"},
    }.items():
        tmp_path.joinpath(f"{name}.json").write_text(
            json.dumps({"url": "http://127.0.0.1:9/"} if name == file else value)
        )
    files = [f"-{flag}{name}.json" for flag, name in zip("qctb", ("query", "creds", "token", "pp"), strict=True)]
    found = run(tmp_path, [*files, "--console-logging"])
    assert found.code == 1
    assert says in found.err
    assert "g/browser-count" in found.err


# --- switches ---------------------------------------------------------------------------------------------------------


def test_disable_collectors_asks_nobody_and_is_exit_0(tmp_path: Path) -> None:
    query = {**QUERY, "entrypoint": "not.installed.here"}
    with serving() as side:
        found = weekly(side, query, directory=tmp_path, env={"DISABLE_COLLECTORS": "true"})
        assert found.code == 0
        assert "Collector not.installed.here NOT run with the following" in found.err
        assert not side.seen


@pytest.mark.parametrize("value", ["false", "True", "1", ""])
def test_only_true_disables(value: str, tmp_path: Path) -> None:
    with serving() as side:
        assert weekly(side, directory=tmp_path, env={"DISABLE_COLLECTORS": value}).code == 0
        assert side.of("/data")


def test_a_dry_run_prints_records_and_sends_nothing(tmp_path: Path) -> None:
    query = {**QUERY, "options": {**QUERY["options"], "empty-data-set": True, "chunk-size": 3}}
    with serving() as side:
        found = weekly(side, query, "--dry-run", directory=tmp_path)
        assert found.code == 0
        assert not side.of("/data")
        expected = RUNS[0]["http"][1]["body"]
        assert as_set(found.records) == as_set(expected)
        assert f'HTTP PUT to "{side.url}/data/g/browser-count"' in found.err
        assert found.err.count(f'HTTP POST to "{side.url}/data/g/browser-count"') == 2
        assert "'Authorization': 'Bearer ***'" in found.err
        assert "tok123" not in found.err


def test_a_dry_run_shows_the_same_without_console_logging(tmp_path: Path) -> None:
    with serving() as side:
        found = weekly(side, QUERY, "--dry-run", directory=tmp_path, console=False)
        assert found.code == 0
        assert len(found.records) == 4
        assert "HTTP POST to" in found.err
        log = tmp_path.joinpath("log", "collector.log").read_text()
        assert "Running collection into g/browser-count" in log


def test_without_console_logging_the_log_is_a_file(tmp_path: Path) -> None:
    with serving() as side:
        found = weekly(side, directory=tmp_path, console=False)
        assert (found.code, found.out, found.err) == (0, "", "")
        log = tmp_path.joinpath("log", "collector.log").read_text()
        assert "[INFO] -> performanceplatform.collector.piwik.core logging started" in log
        assert "[INFO] -> Sending chunk 1" in log


def test_a_failure_is_in_the_file_and_on_standard_error(tmp_path: Path) -> None:
    with serving() as side:
        side.plan["/index.php"] = always(200, {"result": "error", "message": f"token {TOKEN} is no good"})
        found = weekly(side, directory=tmp_path, console=False)
        assert found.code == 1
        log = tmp_path.joinpath("log", "collector.log").read_text()
        for text in (found.err, log):
            assert "g/browser-count" in text
            assert "Matomo says: token *** is no good" in text
            assert "DevicesDetection.getBrowsers of site 9 for week previous1" in text
            assert TOKEN not in text


def test_loglevel_is_the_files_level(tmp_path: Path) -> None:
    with serving() as side:
        assert weekly(side, directory=tmp_path, console=False, env={"LOGLEVEL": "warning"}).code == 0
        assert tmp_path.joinpath("log", "collector.log").read_text() == ""
        found = weekly(side, directory=tmp_path, console=False, env={"LOGLEVEL": "loud"})
        assert found.code == 1
        assert "LOGLEVEL='loud'" in found.err


def test_a_slug_that_is_not_there_is_exit_1_and_named(tmp_path: Path) -> None:
    with serving() as side:
        platform = {"stagecraft_url": side.url, "omniscient_api_token": "omni-token"}
        found = weekly(side, None, "-l", "gone", directory=tmp_path, platform=platform)
        assert found.code == 1
        assert '"gone"' in found.err
        assert side.seen[0].headers["authorization"] == "Bearer omni-token"
        assert "omni-token" not in found.err


def test_a_slug_needs_an_address_to_ask(tmp_path: Path) -> None:
    with serving() as side:
        found = weekly(side, None, "-l", "slug", directory=tmp_path)
        assert found.code == 1
        assert '"stagecraft_url"' in found.err


def test_realtime_has_no_past(tmp_path: Path) -> None:
    query = {
        "data-set": {"data-group": "g", "data-type": "realtime"},
        "entrypoint": "performanceplatform.collector.piwik.realtime",
        "query": {"site_id": "7", "api_method": "Live.getCounters"},
        "options": {},
    }
    with serving() as side:
        for flag in ("--start=2015-02-01", "--end=2015-02-01"):
            found = weekly(side, query, flag, directory=tmp_path)
            assert found.code == 1
            assert found.out == "Cannot backfill realtime collectors\n"
        assert not side.seen
        side.plan["/index.php"] = always(200, [{"visitors": "12"}])
        assert weekly(side, query, directory=tmp_path, now=NOW).code == 0
        assert side.of("/index.php")[0].query["lastMinutes"] == "2"
        assert side.of("/data")[0].json == [
            {
                "_id": "2015-10-21T12:34:56+00:00",
                "_timestamp": "2015-10-21T12:34:56+00:00",
                "unique_visitors": 12,
                "for_url": "",
            }
        ]


# --- weather ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [403, 429, 500, 502, 503])
def test_a_source_that_is_busy_once_is_asked_again(status: int, tmp_path: Path) -> None:
    with serving() as side:
        side.plan["/index.php"] = in_turn((status, "busy"), (200, WEEKLY))
        assert weekly(side, directory=tmp_path).code == 0
        assert len(side.of("/data")) == 1


def test_a_compressed_body_is_sent_whole_again(tmp_path: Path) -> None:
    rows = [{"label": f"Browser {number}", "nb_visits": number} for number in range(90)]
    with serving() as side:
        side.plan["/index.php"] = always(200, {"2015-02-13": rows})
        side.plan["/data"] = in_turn((503, {}), (200, {"status": "ok"}))
        assert weekly(side, directory=tmp_path).code == 0
        first, second = side.of("/data")
        assert first.gzip
        assert first.wire == second.wire
        assert len(second.json) == 90


def test_a_sink_that_refuses_a_chunk_says_what_was_taken(tmp_path: Path) -> None:
    query = {**QUERY, "options": {**QUERY["options"], "chunk-size": 1}}
    with serving() as side:
        side.plan["/data"] = in_turn((200, {"status": "ok"}), (400, {"messages": ["no such key"]}))
        found = weekly(side, query, directory=tmp_path)
        assert found.code == 1
        assert "g/browser-count: chunk 2 (1 records) was refused; 1 records before it were taken" in found.err
        assert "no such key" in found.err


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ((200, "<html>log in</html>"), "HTML"),
        ((200, '{"2015-02-13": [{"label": "Chr'), "cut off"),
        ((302, "", {"Location": "/login"}), "redirect"),
        ((401, "no"), "401"),
        ((200, {"2015-02-13": [{"label": "Chrome"}]}), '"nb_visits"'),
        ((200, {"someday": [{"label": "Chrome", "nb_visits": 1}]}), "someday"),
        ((200, [1]), "expected"),
    ],
)
def test_an_answer_that_is_no_report_is_exit_1(answer: Answer, says: str, tmp_path: Path) -> None:
    with serving() as side:
        side.plan["/index.php"] = lambda _: answer
        found = weekly(side, directory=tmp_path)
        assert found.code == 1
        assert says in found.err
        assert "g/browser-count" in found.err
        assert not side.of("/data")
        assert TOKEN not in found.err


def test_a_data_set_that_answers_with_a_page_is_exit_1(tmp_path: Path) -> None:
    with serving() as side:
        side.plan["/data"] = always(200, "<html>log in</html>")
        assert weekly(side, directory=tmp_path).code == 1


def test_rows_beyond_matomos_default_are_asked_for(tmp_path: Path) -> None:
    rows = [{"label": f"Browser {number}", "nb_visits": number} for number in range(250)]

    def matomo(seen: Seen) -> Answer:
        return 200, {"2015-02-13": rows if seen.query.get("filter_limit") == "-1" else rows[:100]}

    with serving() as side:
        side.plan["/index.php"] = matomo
        assert weekly(side, directory=tmp_path).code == 0
        assert [len(each.json) for each in side.of("/data")] == [100, 100, 50]
        assert [each.gzip for each in side.of("/data")] == [True, True, True]


def test_a_report_that_matomo_renamed_is_asked_for_by_its_new_name(tmp_path: Path) -> None:
    def matomo(seen: Seen) -> Answer:
        if seen.query["method"].startswith("UserSettings"):
            return 200, {
                "result": "error",
                "message": "The method 'getBrowserVersion' does not exist or is not available",
            }
        return 200, WEEKLY

    query = {**QUERY, "query": {**QUERY["query"], "api_method": "UserSettings.getBrowserVersion"}}
    with serving() as side:
        side.plan["/index.php"] = matomo
        found = weekly(side, query, directory=tmp_path)
        assert found.code == 0, found.err
        assert "DevicesDetection.getBrowserVersions is asked for instead" in found.err


def test_a_server_that_takes_no_post_is_asked_by_get(tmp_path: Path) -> None:
    with serving() as side:
        side.plan["/index.php"] = lambda seen: (200, WEEKLY) if seen.method == "GET" else (501, "no POST here")
        found = weekly(side, directory=tmp_path)
        assert found.code == 0
        assert TOKEN not in found.err
        assert side.of("/index.php")[-1].query["token_auth"] == TOKEN


def test_repeated_ids_are_sent_and_said(tmp_path: Path) -> None:
    query = {**QUERY, "options": {"mappings": QUERY["options"]["mappings"]}}
    with serving() as side:
        found = weekly(side, query, directory=tmp_path)
        assert found.code == 0
        assert "2 of 4 records repeat the id of another" in found.err
        assert "browser-count_20150202000000_week" in found.err


def test_secrets_may_be_references(tmp_path: Path) -> None:
    with serving() as side:
        side.plan.update({"/data": ok, "/index.php": always(200, WEEKLY)})
        credentials = {"url": f"{side.url}/index.php", "token_auth": "env:MY_TOKEN"}
        found = collect(tmp_path, QUERY, credentials, side.url, env={"MY_TOKEN": "from-env"})
        assert found.code == 0, found.err
        assert side.of("/index.php")[0].form == {"token_auth": "from-env"}


# --- other people's collectors ----------------------------------------------------------------------------------------

THEIRS = '''
"""Written against performanceplatform-collector."""
import logging
from datetime import datetime
from performanceplatform.client import DataSet
from performanceplatform.collector.ga.plugins import ComputeRank
from performanceplatform.utils.data_parser import DataParser
from performanceplatform.utils.data_pusher import Pusher
from performanceplatform.utils.datetimeutil import period_range, to_datetime, to_utc
from performanceplatform.utils import requests_with_backoff, statsd


def main(credentials, data_set_config, query, options, start_at, end_at):
    logging.info("mine: %s to %s", start_at, end_at)
    assert credentials["path_to_json_file"] == "creds.json"
    assert sorted(data_set_config) == ["data-group", "data-type", "dry_run", "token", "url"]
    rows = [{"start_date": datetime(2015, 2, 13), "dimensions": {"place": place}} for place in query["places"]]
    got = requests_with_backoff.get(url=credentials["url"], params={"a": 1})
    got.raise_for_status()
    special = [{"count": got.json()["count"], "timeSpan": "day"} for _ in rows]
    Pusher(data_set_config, options).push(DataParser(rows, options, data_set_config["data-type"]).get_data(special))
'''


@pytest.mark.parametrize(
    ("place", "entrypoint", "where"),
    [
        ("mycollector.py", "mycollector", "PYTHONPATH"),
        ("mycollector.py", "mycollector", "working directory"),
        ("performanceplatform/collector/mine/__init__.py", "performanceplatform.collector.mine", "PYTHONPATH"),
        ("performanceplatform/collector/mine.py", "performanceplatform.collector.mine", "working directory"),
    ],
)
def test_a_collector_of_ones_own_loads_unchanged(place: str, entrypoint: str, where: str, tmp_path: Path) -> None:
    home = tmp_path / "theirs" if where == "PYTHONPATH" else tmp_path
    file = home / place
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(THEIRS)
    query = {
        "data-set": {"data-group": "g", "data-type": "t"},
        "entrypoint": entrypoint,
        "query": {"places": ["Oslo", "Rome"]},
        "options": {},
    }
    with serving() as side:
        side.plan.update({"/data": ok, "/api": always(200, {"count": 7})})
        found = collect(
            tmp_path,
            query,
            {"url": f"{side.url}/api"},
            side.url,
            "--start=2015-02-01",
            env={"PYTHONPATH": str(home)} if where == "PYTHONPATH" else {},
            # -P: as in a console script, the working directory is not on the import path by itself.
            command=("-P", "-c", "import sys; from analytical.compat.ppcollector import main; sys.exit(main())"),
        )
        assert found.code == 0, found.err
        assert "mine: 2015-02-01 00:00:00 to None" in found.err
        assert side.of("/api")[0].query == {"a": "1"}
        assert [record["humanId"] for record in side.of("/data")[0].json] == [
            "t_20150213000000_day_Oslo",
            "t_20150213000000_day_Rome",
        ]


def test_a_collector_of_ones_own_that_fails_is_exit_1(tmp_path: Path) -> None:
    tmp_path.joinpath("broken.py").write_text("def main(*six):\n    raise KeyError('tok123 is no key')\n")
    with serving() as side:
        found = weekly(side, {**QUERY, "entrypoint": "broken"}, directory=tmp_path)
        assert found.code == 1
        assert "g/browser-count: KeyError" in found.err
        assert "Traceback" in found.err
        assert "tok123" not in found.err


def test_a_collector_of_ones_own_that_cannot_import_says_what(tmp_path: Path) -> None:
    tmp_path.joinpath("broken.py").write_text("import not_installed_anywhere\n")
    with serving() as side:
        found = weekly(side, {**QUERY, "entrypoint": "broken"}, directory=tmp_path)
        assert found.code == 1
        assert "not_installed_anywhere" in found.err


def test_the_modules_command_line_is_installed() -> None:
    from importlib.metadata import entry_points

    scripts = {point.name: point.value for point in entry_points(group="console_scripts")}
    assert scripts["pp-collector"] == "analytical.compat.ppcollector:main"


def documented() -> list[dict[str, Any]]:
    import re

    page = Path(__file__).parent.parent.parent.joinpath("docs/howto/migrate-ppcollector.rst").read_text()
    blocks = re.findall(r"\.\. code-block:: json\n\n((?:    .*\n|\n)+)", page)
    return [found for found in map(json.loads, blocks) if "entrypoint" in found]


@pytest.mark.parametrize("query", documented(), ids=lambda each: each["entrypoint"])
def test_the_documented_examples_run(query: dict[str, Any], tmp_path: Path) -> None:
    hours = {
        "summary": {"hours": [dict.fromkeys(("avgresponse", "uptime", "downtime", "unmonitored", "starttime"), 3600)]}
    }
    with serving() as side:
        side.plan.update(
            {
                "/data": ok,
                "/api/checks": always(200, {"checks": [{"id": 5, "name": "govuk"}]}),
                "/api/summary": always(200, hours),
                "/index.php": always(200, ANSWERS["piwik_goal_completion_weekly.json"]),
            }
        )
        pingdom = "pingdom" in query["entrypoint"]
        credentials = {"url": f"{side.url}/{'api' if pingdom else 'index.php'}", "token_auth": TOKEN}
        credentials |= {"user": "me", "password": "hush-hush", "app_key": "a-key"} if pingdom else {}
        found = collect(tmp_path, query, credentials, side.url)
        assert found.code == 0, found.err
        assert side.of("/data")[0].json


def test_the_command_is_part_of_analytical_too(tmp_path: Path) -> None:
    whole = ("-c", "from analytical.cli import main; main()", "pp-collector")
    with serving() as side:
        found = weekly(side, QUERY, "--dry-run", directory=tmp_path, command=whole)
        assert found.code == 0, found.err
        assert len(found.records) == 4
        assert run(tmp_path, ["-q", "nowhere.json"], command=whole).code == 1
        assert run(tmp_path, [], command=whole).code == 2

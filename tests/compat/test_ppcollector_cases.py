"""The original's recorded cases: the same query file and the same answers give the same records."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from collecting import NOW, Seen, Side, as_set, collect, serving

SAMPLES = Path(__file__).parent / "samples"
CASES = [json.loads(line) for line in SAMPLES.joinpath("ppcollector-cases.jsonl").read_text().splitlines()]
ANSWERS = json.loads(SAMPLES.joinpath("ppcollector-answers.json").read_text())


def answer_of(case: dict[str, Any], call: dict[str, Any]) -> Any:
    if case["source_response"] is not None:
        return case["source_response"]
    return call["response"] if call["response"] != "fixture" else ANSWERS[case["source_fixture"]]


def without_ga() -> list[dict[str, Any]]:
    return [case for case in CASES if ".ga" not in case["config"]["entrypoint"]]


@pytest.mark.parametrize("case", without_ga(), ids=lambda case: case["case"])
def test_records_and_requests_are_the_originals(case: dict[str, Any], tmp_path: Path) -> None:
    with serving() as source, serving() as sink:
        sink.plan["/data"] = lambda _: (200, {"status": "ok"})
        run = collect(tmp_path, case["config"], credentials_of(case, source), sink.url, *dates(case), now=NOW)
        if case["error"]:
            assert run.code == 1
            assert "g/browser-count" in run.err
            assert "2015-02-13" in run.err
            assert not sink.seen
            return
        assert run.code == 0, run.err
        compare_sink(case, sink)
        compare_source(case, source)


def dates(case: dict[str, Any]) -> list[str]:
    return [f"--{name}={case[name]}" for name in ("start", "end") if case[name]]


def credentials_of(case: dict[str, Any], source: Side) -> dict[str, Any]:
    credentials = dict(case["credentials"])
    for call in case["source_calls"]:
        path = call["url"].split("?")[0].partition("://")[2].partition("/")[2]
        answer = answer_of(case, call)
        source.plan[f"/{path}"] = lambda _, answer=answer: (200, answer)
    for name in ("url", "reports_url", "keymetrics_url"):
        if name in credentials:
            credentials[name] = source.url + "/" + credentials[name].partition("://")[2].partition("/")[2]
    if "pingdom" in case["config"]["entrypoint"]:
        credentials["url"] = f"{source.url}/api/2.0/"
    return credentials


def compare_sink(case: dict[str, Any], sink: Side) -> None:
    expected = case["sink_calls"]
    assert [(call["method"], call["gzip"]) for call in expected] == [(each.method, each.gzip) for each in sink.seen]
    records: list[Any] = []
    for call, seen in zip(expected, sink.seen, strict=True):
        assert seen.path == "/data/" + call["url"].partition("/data/")[2]
        assert isinstance(seen.json, list) == isinstance(call["body"], list)
        assert len(seen.json) == len(call["body"])
        records += seen.json if isinstance(seen.json, list) else [seen.json]
    wanted = [
        record for call in expected for record in (call["body"] if isinstance(call["body"], list) else [call["body"]])
    ]
    assert as_set(records) == as_set(wanted)


def compare_source(case: dict[str, Any], source: Side) -> None:
    assert len(source.seen) == len(case["source_calls"])
    for call, seen in zip(case["source_calls"], source.seen, strict=True):
        asked = {**seen.query, **(seen.form if seen.method == "POST" else {})}
        asked.pop("module", None)
        assert asked == {name: str(value) for name, value in call["params"].items()}
        for name, value in (call["headers"] or {}).items():
            assert seen.headers[name.lower()] == value
        if call["auth"]:
            assert seen.headers["authorization"] == "Basic dTpw"
        assert "token_auth" not in seen.query


def test_a_token_of_pingdom_speaks_its_present_api(tmp_path: Path) -> None:
    case = next(case for case in CASES if case["case"] == "pingdom/start-only")
    with serving() as source, serving() as sink:
        sink.plan["/data"] = lambda _: (200, {"status": "ok"})

        def answer(seen: Seen) -> tuple[int, Any]:
            assert seen.headers["authorization"] == "Bearer ptoken"
            call = case["source_calls"]["summary" in seen.path]
            return 200, call["response"]

        source.plan["/api/3.1"] = answer
        credentials = {"token": "ptoken", "url": f"{source.url}/api/3.1"}
        run = collect(tmp_path, case["config"], credentials, sink.url, *dates(case), now=NOW)
        assert run.code == 0, run.err
        compare_sink(case, sink)
        assert source.seen[1].query["from"] == "1445299200"
        assert "ptoken" not in run.err

"""This library beside current releases of its peers: one run, one sink, interleaved repeats, medians and spread.

    python -m benchmarks peers [--hits 20000] [--repeats 3] [--write]

``--write`` puts the table and the plot where the documentation includes them.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from .sink import Sink, sink

ROOT = Path(__file__).parent.parent
PEERS = {
    "posthog": "posthog",
    "segment": "segment-analytics-python",
    "rudder": "rudder-sdk-python",
    "amplitude": "amplitude-analytics",
    "snowplow": "snowplow-tracker",
    "mixpanel": "mixpanel",
    "ga4mp": "ga4mp",
}
OURS = ("analytical", "analytical-durable")
#: What is measured at 50 ms round trip too, and with how many hits.
FAR = {
    "analytical": 20_000, "analytical-ga4": 1_500, "analytical-plausible": 1_500, "analytical-plausible-wide": 4_000,
    "segment": 4_000, "amplitude": 20_000,
}  # fmt: skip
SYNCHRONOUS = {"mixpanel", "ga4mp"}


def measure(name: str, mode: str, to: Sink, count: int, *, delay: float = 0.0, timeout: float = 600) -> dict[str, Any]:
    to.reset(delay=delay)
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.clients", name, mode, to.url, str(count)],
        capture_output=True, text=True, check=False, timeout=timeout, cwd=ROOT,
    )  # fmt: skip
    if done.returncode != 0:
        return {"name": name, "error": (done.stderr.strip().splitlines() or ["?"])[-1]}
    result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    arrived = to.counts()["marks"] - result["warm"]
    result |= {"arrived": arrived, "lost": max(count - arrived, 0), "process_s": time.perf_counter() - began}
    result["rate"] = arrived / result["whole_s"]
    result["cpu_per_1000"] = result["cpu_s"] / max(arrived, 1) * 1000
    return result


def middle(results: list[dict[str, Any]], key: str) -> str:
    values = sorted(item[key] for item in results if key in item)
    if not values:
        return "–"
    digits = 0 if values[-1] >= 1000 else 1 if values[-1] >= 10 else 3
    text = f"{statistics.median(values):,.{digits}f}"
    return text if len(values) == 1 else f"{text} ({values[0]:,.{digits}f}–{values[-1]:,.{digits}f})"


def table(rows: list[list[str]]) -> str:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    line = "  ".join("=" * width for width in widths)
    text = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([line, text[0], line, *text[1:], line])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hits", type=int, default=20_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=None, help="clients to measure")
    parser.add_argument("--write", action="store_true", help="write docs/_static/benchmarks.{rst,svg}")
    given = parser.parse_args()
    names = [name for name in (*OURS, *PEERS, "floor-session") if given.only is None or name in given.only]
    loop: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    paced: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    far: dict[str, list[dict[str, Any]]] = {}
    with sink() as to:
        for turn in range(given.repeats):
            for name in names:
                print(f"\r{turn + 1}/{given.repeats} {name:<24}", end="", file=sys.stderr, flush=True)
                hits = given.hits if name not in SYNCHRONOUS else min(given.hits, 2_000)
                loop[name].append(measure(name, "loop", to, hits))
                if name != "floor-session":
                    paced[name].append(measure(name, "paced", to, 400, delay=0.02))
        if given.only is None:
            for name, hits in FAR.items():
                far[name] = [measure(name, "loop", to, hits, delay=0.05)]
    print("\r" + " " * 40 + "\r", end="", file=sys.stderr)
    rows = [["client", "version", "caller µs p50", "mean", "paced 200/s p50", "hits/s", "CPU s/1000", "lost %"]]
    for name in names:
        results, slow = loop[name], paced[name]
        errors = [item["error"] for item in results if "error" in item]
        if errors:
            rows.append([name, "", errors[0][:40], "", "", "", "", ""])
            continue
        lost = [item["lost"] / max(item["arrived"] + item["lost"], 1) * 100 for item in results]
        rows.append(
            [name, _version(name), middle(results, "p50_us"), middle(results, "mean_us"), middle(slow, "p50_us"),
             middle(results, "rate"), middle(results, "cpu_per_1000"), f"{statistics.median(lost):.1f}"]
        )  # fmt: skip
    text = table(rows)
    about = (
        f"Python {platform.python_version()}, {platform.machine()}, {_cores()} cores, loopback, {given.hits:,} hits"
        f" ({min(given.hits, 2000):,} for clients that send in the caller's thread), {given.repeats} interleaved"
        " repeats: median (least–greatest). The gate is on for this library; no peer has one."
        " Queues are large enough for the run."
    )
    distant = [["client", "hits/s at 50 ms", "lost"]]
    distant += [[name, middle(r, "rate"), str(r[0].get("lost", r[0].get("error", "")))] for name, r in far.items()]
    print(f"{about}\n\n{text}\n")
    if far:
        print(table(distant))
    if given.write:
        target = ROOT / "docs" / "_static"
        target.mkdir(exist_ok=True)
        (target / "benchmarks.rst").write_text(f"{about}\n\n{text}\n\n{table(distant)}\n", encoding="utf-8")
        _plot(loop, paced, target / "benchmarks.svg")


def _plot(loop: dict[str, Any], paced: dict[str, Any], path: Path) -> None:
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 3, figsize=(11, 3.6), layout="constrained")
    for axis, results, key, title in (
        (axes[0], loop, "p50_us", "caller's cost, tight loop (µs)"),
        (axes[1], paced, "p50_us", "caller's cost, 200/s (µs)"),
        (axes[2], loop, "rate", "delivered per second"),
    ):
        names = [name for name, found in results.items() if found and key in found[0] and name != "floor-session"]
        values = [statistics.median(item[key] for item in results[name] if key in item) for name in names]
        colours = ["#3b6ea5" if name.startswith("analytical") else "#b8bfc7" for name in names]
        axis.barh(names[::-1], values[::-1], color=colours[::-1])
        axis.set_xscale("log")
        axis.set_title(title, fontsize=10)
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, metadata={"Date": None})


def _version(name: str) -> str:
    try:
        return version(PEERS.get(name, "requests" if name == "floor-session" else "analytical"))
    except PackageNotFoundError:
        return "?"


def _cores() -> int:
    import os

    return len(os.sched_getaffinity(0))


if __name__ == "__main__":
    main()

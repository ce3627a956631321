"""This library beside its peers, in one run: ``make bench``, or ``python -m benchmarks [--quick] [--write]``.

Every measurement is a process of its own against one local server, which is another process, and whose own limit is
printed. Repeats are interleaved, so that whatever else the machine does befalls all alike; printed are medians and the
least and greatest. ``--write`` puts the table and the plot where the documentation includes them.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

from .sink import Sink, limits, sink

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
#: Peers that send in the caller's thread.
SYNCHRONOUS = ("mixpanel", "ga4mp")
ASYNCHRONOUS = tuple(name for name in PEERS if name not in SYNCHRONOUS)
#: What is measured at 50 ms round trip too, and with how many hits.
FAR = {
    "analytical": 20_000, "analytical-ga4": 1_500, "analytical-plausible": 1_500, "analytical-plausible-wide": 6_000,
    "amplitude": 20_000, "segment": 2_000, "snowplow": 100,
}  # fmt: skip

Result = dict[str, Any]
Results = dict[str, list[Result]]


class Sizes(NamedTuple):
    """How much is measured."""

    hits: int = 20_000
    repeats: int = 3
    paced: int = 400
    fill: int = 20_000
    share: float = 1.0  #: of the hits of ``FAR``
    seconds: float = 900.0  #: after which nothing more is begun


QUICK = Sizes(hits=2_000, repeats=1, paced=100, fill=5_000, share=0.2, seconds=90.0)


class Run:
    """One run: what was measured so far, and the time that is left.

    Args:
        to: the server.
        sizes: how much is measured.
    """

    def __init__(self, to: Sink, sizes: Sizes) -> None:
        self.to = to
        self.sizes = sizes
        self.cut = False
        self.limits = limits(to)
        self.loop: Results = {}
        self.paced: Results = {}
        self.fill: Results = {}
        self.far: Results = {}
        self._ends = time.monotonic() + sizes.seconds

    def all(self, names: list[str], *, far: bool) -> None:
        """Measure everything, turn by turn."""
        sizes = self.sizes
        for turn in range(sizes.repeats):
            about = f"{turn + 1}/{sizes.repeats}"
            for name in names:
                hits = sizes.hits if name not in SYNCHRONOUS else min(sizes.hits, 2_000)
                self._measure(self.loop, about, name, "loop", hits)
                if name != "floor-session":
                    self._measure(self.paced, about, name, "paced", sizes.paced, delay=0.02)
            for name, hits in FAR.items() if far else ():
                self._measure(self.far, about, name, "loop", max(int(hits * sizes.share), 100), delay=0.05)
            for name in names if turn == 0 else ():
                if name in ("analytical", *ASYNCHRONOUS):
                    self._measure(self.fill, about, name, "fill", sizes.fill, delay=600.0)

    def _measure(self, into: Results, about: str, name: str, mode: str, count: int, *, delay: float = 0.0) -> None:
        left = self._ends - time.monotonic()
        if left <= 0:
            self.cut = True
            return
        print(f"\r{about} {name} {mode:<30}", end="", file=sys.stderr, flush=True)
        into.setdefault(name, []).append(self._result(name, mode, count, delay, min(max(left, 5.0), 180.0)))

    def _result(self, name: str, mode: str, count: int, delay: float, timeout: float) -> Result:
        self.to.reset(delay=delay)
        try:
            done = subprocess.run(
                [sys.executable, "-m", "benchmarks.clients", name, mode, self.to.url, str(count)],
                capture_output=True, text=True, check=False, timeout=timeout, cwd=ROOT,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return {"error": f"not done in {timeout:.0f} s"}
        if done.returncode != 0:
            return {"error": (done.stderr.strip().splitlines() or ["?"])[-1]}
        result: Result = json.loads(done.stdout.strip().splitlines()[-1])
        if mode == "fill":
            return result
        arrived = max(self.to.counts()["marks"] - result["warm"], 0)
        result["lost"] = max(count - arrived, 0) / count * 100
        result["rate"] = arrived / result["whole_s"]
        result["cpu"] = result["cpu_s"] / max(arrived, 1) * 1000
        return result


# -- what is said -----------------------------------------------------------------------------------------------------


def values(results: Results, name: str, key: str) -> list[float]:
    """Return a client's measurements of one kind, the least first."""
    return sorted(item[key] for item in results.get(name, ()) if key in item)


def median(results: Results, name: str, key: str) -> float | None:
    """Return the median, or ``None`` where nothing was measured."""
    found = values(results, name, key)
    return statistics.median(found) if found else None


def cell(results: Results, name: str, key: str) -> str:
    """Return ``median (least–greatest)``."""
    found = values(results, name, key)
    if not found:
        return next((item["error"][:60] for item in results.get(name, ()) if "error" in item), "–")
    digits = 0 if found[-1] >= 1000 else 1 if found[-1] >= 1 else 3
    text = f"{statistics.median(found):,.{digits}f}"
    return text if len(found) == 1 else f"{text} ({found[0]:,.{digits}f}–{found[-1]:,.{digits}f})"


def table(rows: list[list[str]]) -> str:
    """Return a table in reStructuredText's simple form; the first row names the columns."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    line = "  ".join("=" * width for width in widths)
    text = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([line, text[0], line, *text[1:], line])


def about(run: Run) -> str:
    """Return on what machine and how it was measured."""
    sizes = run.sizes
    return (
        f"Python {platform.python_version()}, {platform.machine()}, {cores()} cores, loopback; {sizes.hits:,} hits "
        f"({min(sizes.hits, 2000):,} for clients that send in the caller's thread), {sizes.repeats} interleaved "
        f"{'repeat' if sizes.repeats == 1 else 'repeats'}: median (least–greatest). The gate is on for this library; "
        "the peers have none. The server alone takes "
        f"{run.limits[0]:,.0f} hits/s in batches of 100, and {run.limits[1]:,.0f} requests/s of one hit."
        + (" The time was up before all repeats were done." if run.cut else "")
    )


def beside(run: Run, names: list[str]) -> list[list[str]]:
    """Return the table of all clients."""
    head = ["client", "version", "caller µs p50", "mean", "paced 200/s p50", "mean", "hits/s", "CPU s/1000", "lost %"]
    rows = [[*head, "bytes a waiting hit"]]
    for name in names:
        rows.append(
            [name, _version(name)]
            + [cell(run.loop, name, key) for key in ("p50_us", "mean_us")]
            + [cell(run.paced, name, key) for key in ("p50_us", "mean_us")]
            + [cell(run.loop, name, key) for key in ("rate", "cpu", "lost")]
            + [cell(run.fill, name, "bytes_per_hit")]
        )
    return rows


def distant(run: Run) -> list[list[str]]:
    """Return the table of a platform that is 50 ms away."""
    rows = [["client", "hits/s at 50 ms round trip", "lost %"]]
    return rows + [[name, cell(run.far, name, "rate"), cell(run.far, name, "lost")] for name in run.far]


def goals(run: Run) -> list[list[str]]:
    """Return what this project asks of itself beside what was measured; without peers there is nothing to compare."""
    rows = [["what", "asked", "measured", ""]]

    def best(results: Results, key: str, *, most: bool = False) -> float | None:
        found = [value for name in ASYNCHRONOUS if (value := median(results, name, key)) is not None]
        return (max(found) if most else min(found)) if found else None

    def half(results: Results, key: str) -> float | None:
        found = [value for name in ASYNCHRONOUS if (value := median(results, name, key)) is not None]
        return statistics.median(found) / 2 if found else None

    def row(what: str, bound: float | None, got: float | None, unit: str, *, least: bool = False, why: str) -> None:
        if bound is not None and got is not None:
            met = got >= bound if least else got <= bound
            digits = 0 if bound >= 1000 else 1 if bound >= 1 else 3
            asked = f"{'≥' if least else '≤'} {bound:,.{digits}f} {unit} ({why})"
            rows.append([what, asked, f"{got:,.{digits}f} {unit}", "met" if met else "not met"])

    for way, results in (("tight loop", run.loop), ("paced at 200/s", run.paced)):
        for key, kind in (("p50_us", "p50"), ("mean_us", "mean")):
            mine = median(results, "analytical", key)
            what = f"caller's cost, {way}, {kind}"
            row(what, best(results, key), mine, "µs", why="the best asynchronous peer")
            row(what, half(results, key), mine, "µs", why="half of those peers' median")
            durable = median(results, "analytical-durable", key)
            row(f"{what}, durable", best(results, key), durable, "µs", why="the best peer in memory")
    fastest = best(run.loop, "rate", most=True)
    row("end to end", fastest and fastest * 2.5, median(run.loop, "analytical", "rate"), "hits/s", least=True,
        why="2.5 × the best asynchronous peer")  # fmt: skip
    frugal = best(run.loop, "cpu")
    row("CPU for 1,000 delivered", frugal and frugal / 2, median(run.loop, "analytical", "cpu"), "s",
        why="half of the best peer's")  # fmt: skip
    for name, bound, what in (
        ("analytical", 10_000.0, "a batching protocol"),
        ("analytical-ga4", 500.0, "GA4, one hit a request"),
        ("analytical-plausible", 500.0, "Plausible, one hit a request"),
        ("analytical-plausible-wide", 1_500.0, "the same with connections=128"),
    ):
        row(f"50 ms round trip, {what}", bound, median(run.far, name, "rate"), "hits/s", least=True, why="fixed")
    row("memory of a waiting hit", 1_229.0, median(run.fill, "analytical", "bytes_per_hit"), "bytes", why="1.2 KiB")
    return rows


def write(run: Run, names: list[str], folder: Path) -> None:
    """Put the tables and the plot where the documentation includes them."""
    folder.mkdir(exist_ok=True)
    parts = [about(run), table(beside(run, names)), table(distant(run)), table(goals(run))]
    (folder / "benchmarks.rst").write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    plot(run, names, folder / "benchmarks.svg")


def plot(run: Run, names: list[str], path: Path) -> None:
    """Draw the medians, and the spread as lines."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "analytical"
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(2, 2, figsize=(9, 6), layout="constrained")
    for axis, results, key, title in (
        (axes[0][0], run.loop, "p50_us", "caller's cost, tight loop (µs, less is better)"),
        (axes[0][1], run.paced, "p50_us", "caller's cost, 200 calls a second (µs, less is better)"),
        (axes[1][0], run.loop, "rate", "delivered a second (more is better)"),
        (axes[1][1], run.loop, "cpu", "CPU seconds for 1,000 delivered (less is better)"),
    ):
        shown = [name for name in reversed(names) if values(results, name, key) and name != "floor-session"]
        middle = [statistics.median(values(results, name, key)) for name in shown]
        spread = [values(results, name, key) for name in shown]
        low = [at - found[0] for at, found in zip(middle, spread, strict=True)]
        high = [found[-1] - at for at, found in zip(middle, spread, strict=True)]
        colours = ["#3b6ea5" if name.startswith("analytical") else "#b8bfc7" for name in shown]
        axis.barh(shown, middle, color=colours, xerr=[low, high], error_kw={"ecolor": "#444", "lw": 1})
        axis.set_xscale("log")
        axis.set_title(title, fontsize=9)
        axis.tick_params(labelsize=8)
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, metadata={"Date": None})


def _version(name: str) -> str:
    try:
        return version(PEERS.get(name, "requests" if name == "floor-session" else "analytical"))
    except PackageNotFoundError:
        return "not installed"


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the hits, once: a minute")
    parser.add_argument("--hits", type=int, help=f"hits of one measurement; {Sizes().hits:,}")
    parser.add_argument("--repeats", type=int, help=f"how often each is measured; {Sizes().repeats}")
    parser.add_argument("--seconds", type=float, help=f"after which nothing more is begun; {Sizes().seconds:.0f}")
    parser.add_argument("--only", nargs="*", help="the clients to measure, without the distant platform")
    parser.add_argument("--write", action="store_true", help="write docs/_static/benchmarks.{rst,svg}")
    given = parser.parse_args()
    changes = {name: value for name in ("hits", "repeats", "seconds") if (value := getattr(given, name)) is not None}
    sizes = (QUICK if given.quick else Sizes())._replace(**changes)
    known = [*OURS, *PEERS, "floor-session"]
    names = [name for name in known if given.only is None or name in given.only]
    if not names:
        parser.error(f"--only: expected some of {', '.join(known)}")
    with sink() as to:
        run = Run(to, sizes)
        run.all(names, far=given.only is None)
    print("\r" + " " * 60 + "\r", end="", file=sys.stderr)
    print(f"{about(run)}\n\n{table(beside(run, names))}")
    for rows in (distant(run), goals(run)):
        if len(rows) > 1:
            print(f"\n{table(rows)}")
    if given.write:
        write(run, names, ROOT / "docs" / "_static")


if __name__ == "__main__":
    main()

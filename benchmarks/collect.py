"""A million rows from a loopback API into SQLite: this library beside dlt, in one run.

Run: ``python -m benchmarks.collect [--rows 1000000]``. Needs ``analytical[sql]`` and ``dlt[sqlalchemy]``.

Both read the same pages of the same server (a process of its own), and both leave a table with one row per record.
dlt runs twice: appending, which is the least it can do, and merging by key, which is what makes a repeat harmless
as it is here. This library runs first and last, and its mean counts, so that a machine that slows down favours nobody.
Printed: seconds, rows per second, the process's peak memory; then what each costs to install and import.
"""

from __future__ import annotations

import argparse
import http.server
import json
import multiprocessing
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

PAGE = 10_000
TARGET_MEMORY = 150
TARGET_RATIO = 3.0


def server(port: Any, rows_per_day: int) -> None:
    """Answer as Matomo does: pages of rows, cut by ``filter_limit`` and ``filter_offset``."""
    cache: dict[int, bytes] = {}

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            query = parse_qs(urlsplit(self.path).query)
            offset = int(query["filter_offset"][0])
            if offset not in cache:
                rows = [
                    {
                        "label": f"/products/item-{n:07d}",
                        "nb_visits": n % 97,
                        "nb_hits": n % 89,
                        "sum_time_spent": n / 7,
                    }
                    for n in range(offset, min(offset + PAGE, rows_per_day))
                ]
                cache[offset] = json.dumps(rows).encode()
            body = cache[offset]
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    port.put(made.server_port)
    made.serve_forever()


def with_analytical(url: str, days: int, place: Path) -> None:
    from analytical.collect import report_for

    report = report_for(
        "matomo",
        1,
        "Actions.getPageUrls",
        endpoint=f"{url}/matomo.php",
        by={"label": "page"},
        metrics={"nb_visits": "visits", "nb_hits": "hits", "sum_time_spent": "seconds"},
        title="pages",
    )
    report.between("2024-01-01", f"2024-01-{days:02d}").to(f"sqlite:///{place}/analytical.db")


def with_dlt(url: str, days: int, place: Path, disposition: str) -> None:
    import warnings

    warnings.simplefilter("ignore")
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    os.environ["RUNTIME__LOG_LEVEL"] = "CRITICAL"
    import dlt
    import requests

    @dlt.resource(name="pages", write_disposition=disposition, primary_key=["date", "page"])
    def pages() -> Any:
        session = requests.Session()
        for day in range(1, days + 1):
            offset = 0
            while True:
                params = {"date": f"2024-01-{day:02d}", "filter_limit": PAGE, "filter_offset": offset}
                rows = session.post(f"{url}/index.php", params=params).json()
                yield [
                    {
                        "date": f"2024-01-{day:02d}",
                        "page": row["label"],
                        "visits": row["nb_visits"],
                        "hits": row["nb_hits"],
                        "seconds": row["sum_time_spent"],
                    }
                    for row in rows
                ]
                offset += PAGE
                if len(rows) < PAGE:
                    break

    pipeline = dlt.pipeline(
        pipeline_name="bench",
        destination=dlt.destinations.sqlalchemy(f"sqlite:///{place}/dlt.db"),
        dataset_name="bench",
        pipelines_dir=str(place / "pipelines"),
    )
    pipeline.run(pages())


def child(which: str, url: str, days: int, place: Path) -> None:
    began = time.perf_counter()
    if which == "analytical":
        with_analytical(url, days, place)
    else:
        with_dlt(url, days, place, which.partition("-")[2])
    took = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": took, "cpu": time.process_time(), "peak": peak}))


def counted(place: Path) -> int:
    best = 0
    for path in place.glob("*.db"):
        if "staging" in path.name:
            continue
        connection = sqlite3.connect(path)
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        if "pages" in tables:
            best = max(best, connection.execute("SELECT count(*) FROM pages").fetchone()[0])
        connection.close()
    return best


def weighed(requirement: str, module: str) -> str:
    """Install into a fresh environment; print packages, megabytes and the time of an import."""
    with tempfile.TemporaryDirectory() as place:
        python = Path(place) / "bin" / "python"
        subprocess.run([sys.executable, "-m", "venv", place], check=True)

        def size() -> int:
            return sum(
                file.stat().st_size for file in Path(place).rglob("*") if file.is_file() and not file.is_symlink()
            )

        before = size()
        done = subprocess.run(
            [str(python), "-m", "pip", "install", "-q", "--no-compile", requirement], capture_output=True, check=False
        )
        if done.returncode:
            return "could not be installed here"
        added = (size() - before) / 1e6
        listed = subprocess.run([str(python), "-m", "pip", "list", "--format=json"], capture_output=True, check=True)
        packages = len([p for p in json.loads(listed.stdout) if p["name"] not in ("pip", "setuptools")])
        subprocess.run([str(python), "-W", "ignore", "-c", f"import {module}"], check=True)
        times = []
        for _ in range(5):
            began = time.perf_counter()
            subprocess.run([str(python), "-W", "ignore", "-c", f"import {module}"], check=True)
            whole = time.perf_counter() - began
            began = time.perf_counter()
            subprocess.run([str(python), "-c", "pass"], check=True)
            times.append(whole - (time.perf_counter() - began))
        return f"{packages} packages, {added:.0f} MB, import {min(times) * 1000:.0f} ms"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--days", type=int, default=2)
    parser.add_argument("--no-install", action="store_true", help="leave out install size and import time")
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        which, url, days, place = given.child
        child(which, url, int(days), Path(place))
        return 0
    port: Any = multiprocessing.Queue()
    process = multiprocessing.Process(target=server, args=(port, given.rows // given.days), daemon=True)
    process.start()
    url = f"http://127.0.0.1:{port.get()}"
    results: dict[str, dict[str, float]] = {}
    try:
        for which in ("analytical", "dlt-append", "dlt-merge", "analytical"):
            place = Path(tempfile.mkdtemp(prefix="bench-"))
            try:
                command = [
                    sys.executable,
                    "-m",
                    "benchmarks.collect",
                    "--child",
                    which,
                    url,
                    str(given.days),
                    str(place),
                ]
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                if done.returncode:
                    print(f"{which:<12} failed: {(done.stderr.strip().splitlines() or ['?'])[-1][:200]}")
                    continue
                found = json.loads(done.stdout.strip().splitlines()[-1])
                before = results.get(which, found)
                results[which] = {
                    "seconds": (before["seconds"] + found["seconds"]) / 2,
                    "cpu": (before["cpu"] + found["cpu"]) / 2,
                    "peak": max(before["peak"], found["peak"]),
                }
                rate = given.rows / found["seconds"]
                print(
                    f"{which:<12} {counted(place):>9,} rows  {found['seconds']:7.1f} s ({found['cpu']:.1f} s of CPU)  "
                    f"{rate:>9,.0f} rows/s  "
                    f"peak {found['peak']:6.0f} MiB",
                    flush=True,
                )
            finally:
                shutil.rmtree(place, ignore_errors=True)
    finally:
        process.terminate()
        process.join()
    ok = "analytical" in results and results["analytical"]["peak"] < TARGET_MEMORY
    for which in ("dlt-append", "dlt-merge"):
        if which in results and "analytical" in results:
            ratio = results[which]["seconds"] / results["analytical"]["seconds"]
            work = results[which]["cpu"] / results["analytical"]["cpu"]
            ok = ok and ratio >= TARGET_RATIO
            print(f"{ratio:.1f} times as fast as {which}, with {work:.1f} times less CPU")
    print(f"targets (under {TARGET_MEMORY} MiB, {TARGET_RATIO:g} times dlt): {'met' if ok else 'MISSED'}")
    if not given.no_install:
        root = Path(__file__).parent.parent
        print(f"analytical[sql]  {weighed(f'{root}[sql]', 'analytical.collect.report')}")
        print(f"dlt[sqlalchemy]  {weighed('dlt[sqlalchemy]', 'dlt')}")
    return 0 if ok else 1


if __name__ == "__main__":
    raise SystemExit(main())

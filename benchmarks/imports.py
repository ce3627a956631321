"""What importing and beginning costs, in fresh processes: ``python -m benchmarks imports``.

The interpreter's own start is measured too and not part of the other numbers. Printed are medians in milliseconds.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys

from .peers import ROOT, table

_TIMED = """
import time
began = time.perf_counter()
{what}
print((time.perf_counter() - began) * 1000)
"""
_PROVIDER = "import analytical; analytical.Provider({name!r}, {id!r}, delivery='background'{more})"
_NEEDS = {
    "ga4": ("G-XXXXXXX", ", api_secret='s'"),
    "matomo": ("1", ", endpoint='http://127.0.0.1:9'"),
    "umami": ("0b8f6d0e-5a0e-4a4e-9a0e-1d2c3b4a5f60", ", endpoint='http://127.0.0.1:9'"),
    "snowplow": ("app", ", endpoint='http://127.0.0.1:9'"),
    "posthog": ("phc_key", ""),
}


def cost(what: str, repeats: int) -> float:
    """Return the milliseconds that a statement takes in a fresh process: the median."""
    found = []
    for _ in range(repeats):
        done = subprocess.run(
            [sys.executable, "-c", _TIMED.format(what=what)], capture_output=True, text=True, check=True, cwd=ROOT
        )
        found.append(float(done.stdout))
    return statistics.median(found)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks imports", description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=9)
    repeats = parser.parse_args().repeats
    rows = [["what", "ms", "asked"]]
    rows.append(["import analytical", f"{cost('import analytical', repeats):.1f}", "≤ 60"])
    rows.append(["import requests, for comparison", f"{cost('import requests', repeats):.1f}", ""])
    for name, (identity, more) in _NEEDS.items():
        what = _PROVIDER.format(name=name, id=identity, more=more)
        rows.append([f"the same, and a provider: {name}", f"{cost(what, repeats):.1f}", ""])
    what = _PROVIDER.format(name="posthog", id="phc_key", more=", endpoint='http://127.0.0.1:9'")
    first = f"site = {what.partition('; ')[2]}; site.pageview(url='https://example.com/', client_id='1')"
    rows.append(["… and its first page view", f"{cost(f'import analytical; {first}', repeats):.1f}", ""])
    print(table(rows))


if __name__ == "__main__":
    main()

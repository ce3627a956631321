"""Write ``analytical/privacy/browsers.json`` anew: the newest majors of each browser, with the date they were true.

The numbers come from the npm package ``@mdn/browser-compat-data`` (CC0-1.0), fetched by its name with ``npm pack``
or read from a path::

    python scripts/update_browsers.py                     # needs npm
    python scripts/update_browsers.py --from data.json    # the package's data.json, already unpacked

Only whole numbers are taken over: five majors per browser, newest first; the fifth stands for every older one.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

PACKAGE = "@mdn/browser-compat-data"
TARGET = Path(__file__).resolve().parent.parent / "analytical" / "privacy" / "browsers.json"
#: our family and system class = the name in the package.
SOURCES = {
    "chrome": "chrome",
    "chrome_android": "chrome_android",
    "edge": "edge",
    "firefox": "firefox",
    "firefox_android": "firefox_android",
    "opera": "opera",
    "opera_android": "opera_android",
    "safari": "safari",
    "safari_ios": "safari_ios",
    "samsung": "samsunginternet_android",
    "webview_android": "webview_android",
}
RELEASED = {"current", "retired", "esr"}


def majors(releases: dict[str, dict[str, Any]], how_many: int = 5) -> list[int]:
    """Return the newest released majors, newest first."""
    numbers = {
        int(version.split(".")[0])
        for version, facts in releases.items()
        if facts["status"] in RELEASED and version[0].isdigit()
    }
    return sorted(numbers, reverse=True)[:how_many]


def engines(releases: dict[str, dict[str, Any]], wanted: list[int]) -> list[int]:
    """Return the engine's major for each wanted major: what such a browser says after ``Chrome/``."""
    found: dict[int, int] = {}
    for version, facts in releases.items():
        engine = facts.get("engine_version")
        if engine and facts["status"] in RELEASED and int(version.split(".")[0]) in wanted:
            major = int(version.split(".")[0])
            found[major] = max(found.get(major, 0), int(engine.split(".")[0]))
    return [found[major] for major in wanted]


def build(data: dict[str, Any]) -> dict[str, Any]:
    """Return the file's content from the package's data."""
    table: dict[str, Any] = {}
    for name, source in SOURCES.items():
        releases = data["browsers"][source]["releases"]
        newest = majors(releases)
        table[name] = {"majors": newest}
        if source in {"opera", "opera_android", "samsunginternet_android"}:
            table[name]["engines"] = engines(releases, newest)
    return {
        "dated": data["__meta"]["timestamp"][:10],
        "source": f"npm package {PACKAGE} {data['__meta']['version']} (CC0-1.0)",
        "note": "majors, newest first; the fifth stands for itself and every older one; engines: after Chrome/",
        "families": table,
    }


def fetch() -> dict[str, Any]:
    """Return the package's data, packed by npm."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["npm", "pack", PACKAGE], cwd=folder, check=True, capture_output=True)  # noqa: S603, S607 - fixed words; npm from PATH
        (packed,) = Path(folder).glob("*.tgz")
        with tarfile.open(packed) as archive:
            member = archive.extractfile("package/data.json")
            if member is None:
                raise SystemExit(f"{PACKAGE} holds no data.json any more; adapt this script")
            loaded: dict[str, Any] = json.load(member)
            return loaded


def main() -> None:
    """Regenerate the file and say what changed."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    options.add_argument("--from", dest="path", type=Path, help="the package's data.json")
    options.add_argument("--to", type=Path, default=TARGET)
    given = options.parse_args()
    data = json.loads(given.path.read_text(encoding="utf-8")) if given.path else fetch()
    content = build(data)
    text = json.dumps(content, indent=1)
    given.to.write_text(_one_line_lists(text) + "\n", encoding="utf-8")
    sys.stdout.write(f"{given.to.name}: {content['dated']}, chrome {content['families']['chrome']['majors'][0]}\n")


def _one_line_lists(text: str) -> str:
    """Put each list of numbers on one line, so that a diff shows one line per browser."""
    lines: list[str] = []
    inside = False
    for line in text.splitlines():
        if inside:
            lines[-1] += (
                " " if not line.strip().startswith("]") and not lines[-1].endswith("[") else ""
            ) + line.strip()
            inside = not line.strip().startswith("]")
        else:
            lines.append(line)
            inside = line.endswith("[")
    return "\n".join(lines)


if __name__ == "__main__":
    main()

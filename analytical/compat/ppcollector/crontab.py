"""Writes the collectors' lines of a crontab.

``python -m analytical.compat.ppcollector.crontab APP JOBS ID < old > new``

``JOBS`` has a line ``schedule,slug,credentials,token,performanceplatform`` for every job. Lines between
``# Begin performanceplatform.collector jobs for ID`` and ``# End …`` are replaced, all others kept. On hosts whose
names end in ``-1`` and ``-2`` each job runs on one of the two.
"""

from __future__ import annotations

import argparse
import os
import re
import socket
import sys
from collections.abc import Iterable, Sequence

__all__ = ["generate_crontab", "main"]

_HOSTS = 2


def generate_crontab(
    current_crontab: Iterable[str], path_to_jobs: str, path_to_app: str, unique_id: str, *, host: str | None = None
) -> list[str]:
    """Return the lines of the new crontab.

    Args:
        current_crontab: the lines of the old one.
        path_to_jobs: the file of jobs.
        path_to_app: the directory with ``venv``, ``config`` and ``log``.
        unique_id: what tells this application's lines from others'.
        host: this machine's name; its own unless given.

    Raises:
        ValueError: a line of the file is no job.
        OSError: the file cannot be read.
    """
    begin, end = (f"# {word} performanceplatform.collector jobs for {unique_id}" for word in ("Begin", "End"))
    kept, mine = [], False
    for line in (each.strip() for each in current_crontab):
        mine = mine or line == begin
        if not mine:
            kept.append(line)
        mine = mine and line != end
    number = re.search(r"(?:^|-)(\d+)$", socket.gethostname() if host is None else host)
    switch = "DISABLE_COLLECTORS=true " if os.environ.get("DISABLE_COLLECTORS") == "true" else ""
    jobs: list[str] = []
    counted = 0
    with open(path_to_jobs, encoding="utf-8") as file:
        for at, line in enumerate(file, start=1):
            if not line.strip() or line.startswith("#"):
                continue
            counted += 1
            if number and (counted + int(number[1]) - (_HOSTS - 1)) % _HOSTS:
                continue
            parts = line.strip().split(",")
            if len(parts) != 5:
                raise ValueError(
                    f"{path_to_jobs}, line {at}: expected schedule,slug,credentials,token,performanceplatform; "
                    f"got {len(parts)} parts"
                )
            schedule, slug, credentials, token, platform = parts
            jobs.append(
                f"{schedule} {switch}{path_to_app}/venv/bin/pp-collector -l {slug} "
                f"-c {path_to_app}/config/{credentials} -t {path_to_app}/config/{token} "
                f"-b {path_to_app}/config/{platform} "
                f">> {path_to_app}/log/out.log 2>> {path_to_app}/log/error.log"
            )
    return [*kept, begin, *jobs, end] if jobs else kept


def main(argv: Sequence[str] | None = None) -> int:
    """Read a crontab from standard input and write the new one; where that fails, the old one, with exit code 1."""
    parser = argparse.ArgumentParser(prog="python -m analytical.compat.ppcollector.crontab")
    parser.add_argument("path_to_app", help="the directory with venv, config and log")
    parser.add_argument("path_to_jobs", help="the file with a line for every job")
    parser.add_argument("app_unique_id", help="what tells this application's lines from others'")
    args = parser.parse_args(argv)
    current = sys.stdin.readlines()
    try:
        lines = generate_crontab(current, args.path_to_jobs, args.path_to_app, args.app_unique_id)
    except (ValueError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        sys.stdout.write("".join(current))
        return 1
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The command line of ``pp-collector``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import Any

from . import dates

__all__ = ["parse_args"]


def parse_args(name: str = "", args: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line, and the files that it names.

    Raises:
        SystemExit: with code 2 where an option is missing, a file is no JSON or a date is none.
        OSError: a file cannot be read.
    """
    parser = argparse.ArgumentParser(
        prog="pp-collector",
        description=f"{name} collector: reads a report of a platform by a query file, and sends it to a data set.",
    )
    parser.add_argument(
        "-c",
        "--credentials",
        type=_load_json_file,
        required=True,
        metavar="FILE",
        help="JSON: how to reach the platform",
    )
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument(
        "-l", "--collector", dest="collector_slug", metavar="SLUG", help="ask an HTTP API for the query, by its slug"
    )
    which.add_argument(
        "-q", "--query", type=_load_json_file, metavar="FILE", help="JSON: what to ask, and for which data set"
    )
    parser.add_argument(
        "-t", "--token", type=_load_json_file, required=True, metavar="FILE", help="JSON: the data set's token"
    )
    parser.add_argument(
        "-b",
        "--performanceplatform",
        type=_load_json_file,
        required=True,
        metavar="FILE",
        help="JSON: where the data sets are, and for -l where the queries are",
    )
    parser.add_argument(
        "-s",
        "--start",
        dest="start_at",
        type=_date,
        metavar="DATE",
        help="the first day to collect, such as 2014-08-03",
    )
    parser.add_argument("-e", "--end", dest="end_at", type=_date, metavar="DATE", help="the last day to collect")
    parser.add_argument(
        "--console-logging", action="store_true", help="log to standard error instead of log/collector.log"
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="send nothing: print the records to standard output, address and headers to standard error",
    )
    return parser.parse_args(args)


def _load_json_file(path: str) -> dict[str, Any]:
    with open(path, "rb") as file:
        text = file.read()
    try:
        found = json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"invalid _load_json_file value: {path!r} ({error})") from None
    if not isinstance(found, dict):
        raise argparse.ArgumentTypeError(f"invalid _load_json_file value: {path!r} (it holds no JSON object)")
    found["path_to_json_file"] = path
    return found


def _date(text: str) -> Any:
    try:
        return dates.parse(text)
    except (ValueError, OverflowError) as error:
        raise argparse.ArgumentTypeError(
            f"invalid parse value: {text!r} ({error}); expected a date such as 2014-08-03"
        ) from None

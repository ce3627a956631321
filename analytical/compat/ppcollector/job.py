"""What a collector is given: the six arguments of ``main``, which every entrypoint takes in this order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import wraps
from typing import Any

__all__ = ["Entrypoint", "Job", "collector"]

#: ``main(credentials, data_set_config, query, options, start_at, end_at)``.
Entrypoint = Callable[
    [
        Mapping[str, Any],
        Mapping[str, Any],
        Mapping[str, Any],
        Mapping[str, Any],
        datetime | None,
        datetime | None,
    ],
    None,
]


@dataclass(frozen=True, slots=True)
class Job:
    """One run of a collector.

    Args:
        credentials: the file of ``-c``.
        data_set_config: ``url``, ``token``, ``data-group``, ``data-type``, ``dry_run``.
        query: the query file's ``query``.
        options: its ``options``.
        start_at: ``--start``.
        end_at: ``--end``.
    """

    credentials: Mapping[str, Any]
    data_set_config: Mapping[str, Any]
    query: Mapping[str, Any]
    options: Mapping[str, Any]
    start_at: datetime | None
    end_at: datetime | None

    @property
    def data_type(self) -> str:
        """The data set's type."""
        name: str = self.data_set_config["data-type"]
        return name


def collector(work: Callable[[Job], None]) -> Entrypoint:
    """Make an entrypoint of a function that takes a job."""

    @wraps(work)
    def main(
        credentials: Mapping[str, Any],
        data_set_config: Mapping[str, Any],
        query: Mapping[str, Any],
        options: Mapping[str, Any],
        start_at: datetime | None,
        end_at: datetime | None,
    ) -> None:
        work(Job(credentials, data_set_config, query, options, start_at, end_at))

    return main

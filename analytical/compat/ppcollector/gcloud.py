"""``gcloud``: the one collector that has no successor."""

from __future__ import annotations

from typing import NoReturn

from .errors import CollectorError

__all__ = ["main"]


def main(*arguments: object) -> NoReturn:
    """Refuse.

    Raises:
        CollectorError: always; says why, and what to do.
    """
    raise CollectorError(
        "the collector performanceplatform.collector.gcloud read G-Cloud sales from a page that is gone, and is "
        "not part of this package; write a module with "
        "main(credentials, data_set_config, query, options, start_at, end_at) "
        'and name it as "entrypoint"'
    )

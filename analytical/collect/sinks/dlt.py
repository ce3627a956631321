"""``dlt:``: the destinations of dlt (https://dlthub.com): BigQuery, Snowflake, Redshift, Athena, DuckDB …"""

from __future__ import annotations

import re
from typing import Any

from ...errors import ConfigurationError, MissingExtra, SinkError
from ..period import Period
from ..records import RESERVED, Batch
from ..sink import Sink, Target, redacted

try:
    import dlt
except ImportError:
    raise MissingExtra("dlt:", "dlt") from None

__all__ = ["Dlt"]


class Dlt(Sink):
    """``dlt:duckdb/stats``: destination and data set; dlt's own configuration holds the credentials.

    Records are merged by ``_id`` and by period, so a repeat changes nothing, and a row that is gone at the platform
    vanishes, where others of its period are left. dlt spells names its own way (``timeSpan`` becomes ``time_span``).

    Args:
        url: ``dlt:DESTINATION/DATASET``.
        table: the table; the report's name unless given.
        options: handed to ``dlt.pipeline`` (``pipelines_dir``), but for ``destination``, handed to the destination.
    """

    def __init__(self, url: str, *, table: str | None = None, destination: Any = None, **options: Any) -> None:
        found = re.fullmatch(r"dlt:(?://)?([\w.]+)/([\w-]+)(?:\?table=(\w+))?", url)
        if found is None:
            raise ConfigurationError(
                f'to="{redacted(url)}": expected dlt:DESTINATION/DATASET, such as dlt:duckdb/stats'
            )
        self._destination, self._dataset = found[1], found[2]
        self._table = table or found[3]
        self._given = destination
        self._options = options
        self._pipeline: Any = None

    def open(self, target: Target) -> None:
        if self.dry:
            return
        self._pipeline = dlt.pipeline(
            pipeline_name=f"analytical_{self._dataset}",
            destination=self._given or self._destination,
            dataset_name=self._dataset,
            **self._options,
        )

    def write(self, records: Batch, replace: Period | None, target: Target) -> None:
        if not len(records):
            return
        columns: dict[str, Any] = {name: {"data_type": "text"} for name in (*RESERVED, *target.dimensions)}
        # One number type per column: dlt would split a column that is whole in one row and broken in the next.
        columns |= {name: {"data_type": "double"} for name in target.metrics}
        try:
            if self._pipeline.has_pending_data:
                # What a killed run left would be loaded instead of these records, which are newer.
                abort = getattr(self._pipeline, "abort_packages", None) or self._pipeline.drop_pending_packages
                abort()
            resource = dlt.resource(
                iter(records),
                name=self._table or target.name,
                write_disposition="merge",
                primary_key="_id",
                merge_key=["timeSpan", "_timestamp", *target.constants],
                columns=columns,
            )
            self._pipeline.run(resource)
        except Exception as error:
            raise SinkError(f"{self.describe()}: {type(error).__name__}: {str(error)[:300]}") from error

    def describe(self) -> str:
        return f"dlt:{self._destination}/{self._dataset}"

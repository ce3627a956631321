"""Parquet: text columns and double columns, for DuckDB, Spark, pandas, polars (https://parquet.apache.org)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from ...errors import MissingExtra, SinkError
from ..records import RESERVED, Record
from ..sink import Target
from .files import FileSink

try:
    import pyarrow as pa
    import pyarrow.parquet as pq
except ImportError:
    raise MissingExtra("a Parquet file", "parquet") from None

__all__ = ["Parquet"]

#: Records per row group.
GROUP = 20_000


class Parquet(FileSink):
    """``stats.parquet``: a period is replaced whole. Dimensions are strings, metrics doubles."""

    def parse(self) -> Iterator[Record]:
        try:
            with pq.ParquetFile(self.path) as file:
                for batch in file.iter_batches(batch_size=GROUP):
                    yield from batch.to_pylist()
        except pa.ArrowInvalid:
            raise self._strange() from None

    def render(self, records: Iterator[Record], out: Any, target: Target) -> None:
        kinds: dict[str, Any] = dict.fromkeys((*RESERVED, *target.dimensions), pa.string())
        if self.path.exists():
            try:
                stored = pq.read_schema(self.path)
            except pa.ArrowInvalid:
                raise self._strange() from None
            for field in stored:
                kinds.setdefault(field.name, field.type)
        kinds.update(dict.fromkeys(target.metrics, pa.float64()))
        if not target.declared:
            for record in self._new():
                for name, value in record.items():
                    if value is not None and name not in kinds:
                        kinds[name] = pa.float64() if isinstance(value, int | float) else pa.string()
        schema = pa.schema(list(kinds.items()))
        try:
            with pq.ParquetWriter(out, schema, compression="snappy") as writer:
                while chunk := list(islice(records, GROUP)):
                    columns = [
                        pa.array([_fit(record.get(name), kind) for record in chunk], kind)
                        for name, kind in kinds.items()
                    ]
                    writer.write_table(pa.Table.from_arrays(columns, schema=schema))
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise SinkError(f"{self.path}: a stored column has another type ({str(error)[:200]})") from None

    def _strange(self) -> SinkError:
        return SinkError(f"{self.path}: no Parquet file; move it away, or give another path")


def _fit(value: Any, kind: Any) -> Any:
    return float(value) if kind == pa.float64() and isinstance(value, int) else value

"""CSV: a header, a record a row, UTF-8, RFC 4180 quoting. An empty cell is nothing."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from ...errors import SinkError
from ..records import RESERVED, Record
from ..sink import Target
from .files import FileSink, columns_of

__all__ = ["Csv"]


class Csv(FileSink):
    """``stats.csv``: a period is replaced whole; rows of other periods stay as they are.

    Cells are written as the platform spells them. A spreadsheet may read a title that begins with ``=`` as a
    formula: import such a file as text.
    """

    def parse(self) -> Iterator[Record]:
        with self._reading() as file:
            reader = csv.DictReader(file)
            if "_timestamp" not in (reader.fieldnames or RESERVED):
                raise SinkError(
                    f"{self.path}: its first line has no column _timestamp, so it is not one of this sink's; "
                    "move it away, or give another path"
                )
            for row in reader:
                if None in row:
                    raise SinkError(f"{self.path}, line {reader.line_num}: more cells than the header has columns")
                yield {name: value or None for name, value in row.items()}

    def render(self, records: Iterator[Record], out: Any, target: Target) -> None:
        columns = dict.fromkeys(RESERVED)
        if self.path.exists():
            with self._reading() as file:
                columns.update(dict.fromkeys(next(csv.reader(file), ())))
        columns.update(dict.fromkeys(columns_of(() if target.declared else self._new(), target)))
        text = io.TextIOWrapper(out, encoding="utf-8", newline="", write_through=False)
        try:
            writer = csv.DictWriter(text, list(columns), lineterminator="\n")
            writer.writeheader()
            writer.writerows(records)
            text.flush()
        finally:
            text.detach()

    @contextmanager
    def _reading(self) -> Iterator[TextIO]:
        _wide_cells()
        try:
            with self.path.open(encoding="utf-8-sig", newline="") as file:
                yield file
        except (UnicodeDecodeError, csv.Error) as error:
            raise SinkError(
                f"{self.path}: no CSV in UTF-8 ({type(error).__name__}); move it away, or give another path"
            ) from None


def _wide_cells() -> None:
    if csv.field_size_limit() < 1 << 24:
        csv.field_size_limit(min(1 << 24, sys.maxsize))

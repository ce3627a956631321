"""``python -m benchmarks.privacy [section …]``: every target of the privacy rules, and what was measured."""

from __future__ import annotations

import sys
from importlib import import_module

SECTIONS = ("address", "url", "browsers", "bots", "visitors", "gate", "hostile")


def main(names: list[str]) -> int:
    """Print the table; data that cannot be shipped is read from paths that each section documents."""
    wanted = names or list(SECTIONS)
    unknown = [name for name in wanted if name not in SECTIONS]
    if unknown:
        print(f"no section is named {unknown[0]!r}; there are: {', '.join(SECTIONS)}", file=sys.stderr)
        return 2
    head = ("what", "today's best", "target", "measured")
    rows: list[tuple[str, str, str, str]] = []
    for name in wanted:
        rows += import_module(f"benchmarks.privacy.{name}").rows()
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(4)]
    for row in (head, tuple("-" * width for width in widths), *rows):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

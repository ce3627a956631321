"""``python -m analytical``: the same as the command ``analytical``."""

from __future__ import annotations

from .cli import main

__all__: list[str] = []

if __name__ == "__main__":
    main()

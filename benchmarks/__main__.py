"""``python -m benchmarks [NAME] …``: peers (without a name), engine, spools, scale, imports, privacy, snowplow …"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path


def main() -> None:
    known = {
        path.stem
        for path in Path(__file__).parent.iterdir()
        if not path.name.startswith("_") and (path.suffix == ".py" or (path / "__main__.py").exists())
    } - {"sink", "clients"}
    name = sys.argv[1] if len(sys.argv) > 1 and not sys.argv[1].startswith("-") else ""
    if name and name not in known:
        print(f"no benchmark is named {name!r}; there are: {', '.join(sorted(known))}", file=sys.stderr)
        sys.exit(2)
    sys.argv = [sys.argv[0], *sys.argv[2 if name else 1 :]]
    runpy.run_module(f"benchmarks.{name or 'peers'}", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()

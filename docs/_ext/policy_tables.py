"""``.. policy-table:: careful``: the table that a policy gives of itself."""

from __future__ import annotations

from typing import Any

from docutils import nodes
from docutils.parsers.rst import Directive

from analytical.privacy import Policy


class PolicyTable(Directive):
    """Render ``Policy.of(name).describe()`` as a table."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        rows = Policy.of(self.arguments[0]).rows()
        table = nodes.table()
        group = nodes.tgroup(cols=3)
        group += [nodes.colspec(colwidth=width) for width in (14, 18, 68)]
        head, body = nodes.thead(), nodes.tbody()
        for number, cells in enumerate(rows):
            row = nodes.row()
            for cell in cells:
                entry = nodes.entry()
                entry += nodes.paragraph(text=cell)
                row += entry
            (body if number else head).append(row)
        group += [head, body]
        table += group
        return [table]


def setup(app: Any) -> dict[str, Any]:
    """Register the directive."""
    app.add_directive("policy-table", PolicyTable)
    return {"parallel_read_safe": True}

"""``analytical explain pageview|event``: what would be sent, and what the privacy gate would do to each datum."""

from __future__ import annotations

import json
from typing import Any

import click

from ._call import Call, hit_options

__all__ = ["command"]


def _explain(call: Call) -> None:
    """Show what would leave the building, without sending it."""
    try:
        provider = call.provider(delivery="inline", spool=None)
    except TypeError as error:  # an option that the provider does not have
        raise click.UsageError(str(error)) from None
    with provider:
        explanation = provider.explain(call.kind, call.native, **call.fields)
    if click.get_current_context().obj["json"]:
        click.echo(json.dumps(_data(explanation), ensure_ascii=False, indent=2))
        return
    if explanation.withheld:
        click.echo(f"nothing: {explanation.withheld}")
    for request in explanation:
        click.echo(f"{request.method} {request.url}")
        for name, value in request.headers.items():
            click.echo(f"{name}: {value}")
        body = request.body.decode("utf-8", "replace")
        click.echo(f"\n{body}\n" if body else "")
    _table(explanation.receipts)


def _data(explanation: Any) -> dict[str, Any]:
    return {
        "requests": [
            {
                "method": request.method,
                "url": request.url,
                "headers": dict(request.headers),
                "body": request.body.decode("utf-8", "replace"),
            }
            for request in explanation
        ],
        "receipts": [
            {key: value if key != "sent" else _text(value) for key, value in receipt._asdict().items()}
            for receipt in explanation.receipts
        ],
        "withheld": explanation.withheld,
    }


def _table(receipts: Any) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title="What the privacy gate did", title_justify="left", box=None, pad_edge=False)
    for title in ("datum", "came in", "rule", "goes out"):
        table.add_column(title, overflow="fold")
    for receipt in receipts:
        outcome = "removed" if receipt.sent is None else _text(receipt.sent) if receipt.changed else "as it was"
        # Text, not markup: a value may hold [brackets].
        table.add_row(*(Text(str(cell)) for cell in (receipt.field, receipt.given, receipt.rule, outcome)))
    Console().print(table)


def _text(value: Any) -> Any:
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


command = hit_options(_explain)

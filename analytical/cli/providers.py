"""``analytical providers``: the providers and what each can say, from the classes' own facts."""

from __future__ import annotations

import json
from typing import Any

import click

from ..hit import DATA_FIELDS
from ..registry import PROVIDERS

__all__ = ["command"]


@click.command("providers")
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(name: str | None, as_json: bool) -> None:
    """List the providers, or show one with its fields and options."""
    found = [_facts(PROVIDERS.get(name), [name])] if name else _all()
    if as_json:
        click.echo(json.dumps(found[0] if name else found, ensure_ascii=False, indent=2, default=str))
    elif name:
        _one(found[0])
    else:
        _table(found)


def _all() -> list[dict[str, Any]]:
    names: dict[Any, list[str]] = {}
    found: list[dict[str, Any]] = []
    for name in PROVIDERS.names():
        try:
            names.setdefault(PROVIDERS.get(name), []).append(name)
        except Exception as error:  # noqa: BLE001 - a broken plug-in is shown beside the others
            found.append({"name": name, "trouble": f"cannot be loaded ({type(error).__name__})"})
    return sorted([*found, *(_facts(backend, aliases) for backend, aliases in names.items())], key=lambda f: f["name"])


def _facts(backend: Any, names: list[str]) -> dict[str, Any]:
    import dataclasses

    return {
        "name": backend.name,
        "aliases": [name for name in names if name != backend.name],
        "title": backend.title,
        "kinds": sorted(backend.kinds),
        "batch": backend.max_batch,
        "bytes": backend.max_bytes,
        "confirms": backend.confirms,
        "dedupes": backend.dedupes,
        "max_age": backend.max_age,
        "host": backend.host,
        "cannot": sorted(backend.cannot),
        "required": {kind: list(fields) for kind, fields in backend.required.items()},
        "fields": dict(backend.fields),
        "options": [
            {"name": f.name, "secret": bool(f.metadata.get("secret")), "doc": f.metadata.get("doc", "")}
            for f in dataclasses.fields(backend)
            if f.init and f.name not in ("id", "endpoint")
        ],
        "remark": backend.remark,
        "docs": backend.docs,
    }


def _table(found: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for title in ("provider", "platform", "batch", "a good answer", "repeats", "cannot say"):
        table.add_column(title, overflow="fold", no_wrap=title in ("provider", "batch", "a good answer"))
    for facts in found:
        if "trouble" in facts:
            table.add_row(facts["name"], facts["trouble"], "", "", "", "")
            continue
        table.add_row(
            " ".join([facts["name"], *(f"({alias})" for alias in facts["aliases"])]),
            facts["title"],
            str(facts["batch"]),
            "confirms" if facts["confirms"] else "says little",
            "count once" if facts["dedupes"] else "count again",
            ", ".join(facts["cannot"]) or "-",
        )
    Console().print(table)


def _one(facts: dict[str, Any]) -> None:
    click.echo(f"{facts['title']} ({', '.join([facts['name'], *facts['aliases']])})\n{facts['docs']}")
    if facts["remark"]:
        click.echo(facts["remark"])
    click.echo(f"\nkinds: {', '.join(facts['kinds'])}")
    for kind, fields in facts["required"].items():
        click.echo(f"a {kind} needs: {', '.join(fields) or 'nothing'}")
    click.echo("\noptions:")
    for option in facts["options"]:
        click.echo(f"  {option['name']}{' (secret)' if option['secret'] else ''}  {option['doc']}".rstrip())
    click.echo("\ncommon name = its own key:")
    for name in DATA_FIELDS:
        native = facts["fields"].get(name)
        if native or name in facts["cannot"]:
            click.echo(f"  {name} = {native or '(no place for it)'}")

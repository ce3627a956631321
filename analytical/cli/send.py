"""``analytical send pageview|event``: one hit, delivered before the command ends."""

from __future__ import annotations

import json

import click

from ..errors import DeliveryError, InvalidHit, UnknownName
from ._call import Call, hit_options

__all__ = ["command"]

_SAID = {
    "delivered": "delivered: the platform confirms it",
    "unconfirmed": "sent: the platform took it and cannot confirm more",
    "withheld": "withheld: the privacy gate let nothing out",
}


def _send(call: Call) -> None:
    """Send a page view or an event, and say what became of it."""
    try:
        provider = call.provider(delivery="inline", spool=None, fail_silently=False)
    except TypeError as error:  # an option that the provider does not have
        raise click.UsageError(str(error)) from None
    reason = ""
    with provider:
        try:
            provider.track_hit(call.kind, call.native, **call.fields)
        except (InvalidHit, UnknownName):
            raise
        except DeliveryError as error:
            reason = str(error)
        counts = provider.stats()
    state = next((name for name, count in counts.items() if count and name not in ("accepted", "pending")), "lost")
    if click.get_current_context().obj["json"]:
        click.echo(json.dumps({"to": provider.to, "state": state, "reason": reason}))
    elif state in _SAID:
        click.echo(_SAID[state])
    if state not in ("delivered", "unconfirmed"):
        if not click.get_current_context().obj["json"] and reason:
            raise click.ClickException(reason)
        click.get_current_context().exit(1)


command = hit_options(_send)

"""A provider from another package: all that a plug-in author writes."""

import json
from dataclasses import dataclass

from analytical.backend import Backend, Parcel
from analytical.fields import Fields
from analytical.http import Request


@dataclass(frozen=True, kw_only=True)
class Acme(Backend):
    """Acme Analytics: one JSON object a hit."""

    name = "acme"
    title = "Acme Analytics"
    docs = "https://acme.example/docs"
    host = "https://in.acme.example"
    paths = ("/hit",)
    fields = Fields(url="page", title="heading", name="what")

    def encode(self, hits, *, now):
        return [
            Parcel(
                Request(url=self.address(), body=json.dumps({"site": self.id, **self.fields.lower(hit)}).encode()), (i,)
            )
            for i, hit in enumerate(hits)
        ]

"""Web frameworks: one framework, one file. Each fills the request context, and sends the page view if asked.

Hits from a web request are delivered in the background and pass ``Policy.strict()``, unless the configuration says
otherwise.
"""

from __future__ import annotations

__all__: list[str] = []

"""Names to objects: ours as strings, others' by entry point, loaded when asked for."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

from .errors import UnknownName, did_you_mean

__all__ = ["PROVIDERS", "Registry"]


class Registry:
    """A table of names; a value is an object, or a string ``"package.module:attribute"`` that is imported on first use.

    Args:
        what: what the names stand for, in the singular, for errors.
        group: the entry-point group where other packages register theirs.
        known: the built-in names.

    Built-in names win over entry points, so that installing a package cannot take over a platform's name.
    """

    def __init__(self, what: str, group: str, known: dict[str, Any]) -> None:
        self.what = what
        self.group = group
        self._known = dict(known)

    def register(self, name: str, target: Any) -> None:
        """Add or replace a name for this process: an object, or a ``"package.module:attribute"`` string."""
        self._known[name.lower()] = target

    def names(self) -> list[str]:
        """Return every name that can be asked for, sorted: built-in, registered, installed."""
        return sorted({*self._known, *(name for name, _ in self._installed())})

    def get(self, name: str) -> Any:
        """Return the object behind a name.

        Raises:
            UnknownName: a ``ValueError`` that lists the names and suggests the nearest.
        """
        if not isinstance(name, str):
            raise UnknownName(f"a {self.what} is asked for by name, such as {self.names()[0]!r}; got {name!r}")
        wanted = name.strip().lower()
        if wanted in self._known:
            target = self._known[wanted]
            if isinstance(target, str):
                module, _, attribute = target.partition(":")
                target = self._known[wanted] = getattr(import_module(module), attribute)
            return target
        for installed, load in self._installed():
            if installed == wanted:
                target = self._known[wanted] = load()
                return target
        names = self.names()
        raise UnknownName(
            f'unknown {self.what} "{name}".{did_you_mean(wanted, names)} Known: {", ".join(names)}. '
            f'Others install themselves by the entry-point group "{self.group}".'
        )

    def _installed(self) -> Iterator[tuple[str, Callable[[], Any]]]:
        # Reading the metadata of every installed package takes milliseconds, so only a miss pays for it.
        from importlib.metadata import entry_points

        for point in entry_points(group=self.group):
            yield point.name.lower(), point.load

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self.names()

    def loaded(self, name: str) -> bool:
        """Tell whether the object behind a built-in name has been imported already."""
        target = self._known.get(name.lower())
        return target is not None and (not isinstance(target, str) or target.partition(":")[0] in sys.modules)


PROVIDERS = Registry(
    "provider",
    "analytical.providers",
    {
        "googleanalytics": "analytical.providers.googleanalytics:GoogleAnalytics",
        "ga4": "analytical.providers.ga4:Ga4",
        "matomo": "analytical.providers.matomo:Matomo",
        "piwik": "analytical.providers.matomo:Matomo",
        "snowplow": "analytical.providers.snowplow:Snowplow",
        "plausible": "analytical.providers.plausible:Plausible",
        "umami": "analytical.providers.umami:Umami",
        "file": "analytical.providers.file:File",
        "stdout": "analytical.providers.stdout:Stdout",
        "amplitude": "analytical.providers.amplitude:Amplitude",
        "mixpanel": "analytical.providers.mixpanel:Mixpanel",
        "posthog": "analytical.providers.posthog:PostHog",
        "segment": "analytical.providers.segment:Segment",
        "rudderstack": "analytical.providers.segment:RudderStack",
        "jitsu": "analytical.providers.segment:Jitsu",
        "goatcounter": "analytical.providers.goatcounter:GoatCounter",
        "pirsch": "analytical.providers.pirsch:Pirsch",
        "simpleanalytics": "analytical.providers.simpleanalytics:SimpleAnalytics",
        "rybbit": "analytical.providers.rybbit:Rybbit",
        "openpanel": "analytical.providers.openpanel:OpenPanel",
    },
)

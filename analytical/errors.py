"""The exceptions of this package, as one tree.

::

    AnalyticalError                     everything below
    ├── InvalidHit (ValueError)         a call whose values cannot become a hit
    │   └── UnknownField (TypeError)    a keyword that no provider knows; names the nearest one
    ├── UnknownName (ValueError)        a provider, source, sink … that is not registered; names the nearest one
    ├── ConfigurationError (ValueError) an option, a file or a secret that cannot be used
    ├── MissingExtra (ImportError)      an optional dependency is needed; says what to type
    ├── Unsupported (NotImplementedError)  the platform has no such thing; names those that have
    ├── DeliveryError                   the world's failures, raised only with ``fail_silently=False``
    │   ├── Unreachable (ConnectionError)  no answer: refused, reset, timed out, not resolved
    │   ├── Rejected                    the platform said no, and would say no again
    │   └── Lost                        a hit that expired or was dropped before it could be delivered
    └── ReportError                     the reading half: names the report and the period
        ├── SourceError                 the platform's answer is no report: refused, truncated, an error in a 200
        │   └── QuotaExhausted          asking again before ``reset`` is useless
        ├── SinkError                   the destination refused records
        └── DuplicateRecord             two rows of one batch have one id; names both

Programming mistakes always raise. The world's mistakes raise only where the caller asked for it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "AnalyticalError",
    "ConfigurationError",
    "DeliveryError",
    "DuplicateRecord",
    "InvalidHit",
    "Lost",
    "MissingExtra",
    "QuotaExhausted",
    "Rejected",
    "ReportError",
    "SinkError",
    "SourceError",
    "UnknownField",
    "UnknownName",
    "Unreachable",
    "Unsupported",
    "did_you_mean",
]


class AnalyticalError(Exception):
    """The base of every exception that this package raises on purpose."""


class InvalidHit(AnalyticalError, ValueError):
    """A call whose values cannot become a hit: names the field, what was given and what is expected."""


class UnknownField(InvalidHit, TypeError):
    """A keyword that is no common field."""


class UnknownName(AnalyticalError, ValueError):
    """A name that is in no registry."""


class ConfigurationError(AnalyticalError, ValueError):
    """An option, a configuration file or a secret reference that cannot be used."""


class MissingExtra(AnalyticalError, ImportError):
    """An optional dependency is needed.

    >>> str(MissingExtra("the Redis spool", "redis"))
    'the Redis spool needs an optional dependency; type: pip install "analytical[redis]"'
    """

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f'{what} needs an optional dependency; type: pip install "analytical[{extra}]"')
        self.extra = extra


class Unsupported(AnalyticalError, NotImplementedError):
    """The platform has no such thing."""


class DeliveryError(AnalyticalError):
    """A hit that the world did not take; raised only with ``fail_silently=False``, and given to ``on_failure``."""


class Unreachable(DeliveryError, ConnectionError):
    """No answer came, or one that asks to come back later."""


class Rejected(DeliveryError):
    """The platform refused the hit and would refuse it again."""


class Lost(DeliveryError):
    """The hit expired or was dropped before it could be delivered."""


class ReportError(AnalyticalError):
    """The reading half failed; the message names the report and the period."""


class SourceError(ReportError):
    """The platform's answer is no report."""


class QuotaExhausted(SourceError):
    """The platform's quota is used up.

    Args:
        message: which quota, of which report.
        reset: when asking again makes sense, in seconds since 1970, where the platform says so.
    """

    def __init__(self, message: str, *, reset: float | None = None) -> None:
        super().__init__(message)
        self.reset = reset


class SinkError(ReportError):
    """The destination refused records."""


class DuplicateRecord(ReportError):
    """Two rows of one batch have one id."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return the sentence that helps after a misspelling, or ``""``.

    >>> did_you_mean("mattomo", ["matomo", "plausible"])
    ' Did you mean "matomo"?'
    """
    near = difflib.get_close_matches(word.lower(), list(known), n=1, cutoff=0.6)
    return f' Did you mean "{near[0]}"?' if near else ""

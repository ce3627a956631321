"""What stops a collector: one sentence each, and exit code 1."""

from __future__ import annotations

from ...errors import ConfigurationError, ReportError

__all__ = ["BadFile", "CollectorError"]


class CollectorError(ReportError):
    """A collector cannot go on; the message says what was given, what was expected and what to do."""


class BadFile(CollectorError, ConfigurationError):
    """A file on the command line lacks something or holds something that cannot be used."""

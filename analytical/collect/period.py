"""Periods: the grid of hours, days, weeks and months that a report stands on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ..errors import ConfigurationError, did_you_mean

__all__ = ["NOW", "SPANS", "Moment", "Period", "grid", "moment", "period_at", "seconds", "stamp", "zone"]

#: What ``every`` may be. A week starts on Monday (ISO 8601).
SPANS = ("hour", "day", "week", "month")

#: The ``timeSpan`` of a reading that stands on no grid.
NOW = "now"

#: What a caller may give where a point in time is meant; text is ISO 8601.
Moment = date | datetime | str

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}


@dataclass(frozen=True, slots=True)
class Period:
    """One cell of the grid: from ``start`` up to, and without, ``end``.

    Args:
        start: the first instant, aware, in the report's time zone.
        end: the first instant after it, aware, in the same zone.
        span: ``hour``, ``day``, ``week``, ``month``, or ``now`` for a reading on no grid.
    """

    start: datetime
    end: datetime
    span: str

    @property
    def timestamp(self) -> str:
        """The start as records spell it: ISO 8601 in UTC, so that text order is time order."""
        return stamp(self.start)

    @property
    def first_day(self) -> date:
        """The calendar day of the first instant, in the report's zone."""
        return self.start.date()

    @property
    def last_day(self) -> date:
        """The calendar day of the last instant, in the report's zone: what ``endDate`` means on most platforms."""
        return (self.end.astimezone(UTC) - timedelta(microseconds=1)).astimezone(self.start.tzinfo).date()

    def next(self) -> Period:
        """Return the period that follows."""
        return period_at(self.end, self.span, self.start.tzinfo or UTC)

    def previous(self) -> Period:
        """Return the period before."""
        before = (self.start.astimezone(UTC) - timedelta(microseconds=1)).astimezone(self.start.tzinfo)
        return period_at(before, self.span, self.start.tzinfo or UTC)

    def __str__(self) -> str:
        if self.span == "hour":
            return f"hour {self.start:%Y-%m-%dT%H:%M%z}"
        if self.span == NOW:
            return f"now ({self.start:%Y-%m-%dT%H:%M:%S%z})"
        if self.span == "month":
            return f"month {self.start:%Y-%m}"
        return f"{self.span} {self.start:%Y-%m-%d}"


def stamp(when: datetime) -> str:
    """Spell an instant as records do.

    >>> stamp(datetime(2025, 1, 1, 1, tzinfo=ZoneInfo("Europe/Berlin")))
    '2025-01-01T00:00:00+00:00'
    """
    return when.astimezone(UTC).isoformat()


def zone(name: str | tzinfo) -> tzinfo:
    """Return a time zone by its IANA name.

    Raises:
        ConfigurationError: no such zone.
    """
    if isinstance(name, tzinfo):
        return name
    if name.upper() == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ConfigurationError(
            f'tz="{name}" is no time zone; expected an IANA name such as "Europe/Berlin"'
        ) from None


def seconds(text: str | float, *, what: str = "duration") -> float:
    """Read a duration: a number of seconds, or a number with ``ms s m h d w``.

    >>> seconds("5m"), seconds("1.5h"), seconds(30)
    (300.0, 5400.0, 30.0)
    """
    if isinstance(text, int | float) and not isinstance(text, bool):
        value = float(text)
    else:
        found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)?\s*", str(text))
        if found is None:
            raise ConfigurationError(f'{what}={text!r} is no duration; expected one such as "30s", "5m", "1h", "2d"')
        value = float(found[1]) * _UNITS[found[2] or "s"]
    if not 0 < value < float("inf"):
        raise ConfigurationError(f"{what}={text!r} must be greater than 0")
    return value


def moment(value: Moment, tz: tzinfo, *, what: str = "date") -> datetime:
    """Read a point in time, in UTC; one without an offset stands in ``tz``.

    UTC, because Python compares two times of one zone by the wall clock, which repeats an hour every autumn.

    Raises:
        ConfigurationError: the text is not ISO 8601.
    """
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError:
            raise ConfigurationError(
                f'{what}={value!r} is no date; expected ISO 8601, such as "2025-01-31" or "2025-01-31T13:00"'
            ) from None
    if not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)
    return (value.replace(tzinfo=tz) if value.tzinfo is None else value).astimezone(UTC)


def period_at(when: datetime, span: str, tz: tzinfo) -> Period:
    """Return the period that an instant falls into.

    Midnights are wall-clock midnights: a day on which the clocks change has 23 or 25 hours. Hours are
    true hours, so the repeated hour of autumn is two periods.
    """
    if span not in SPANS:
        raise ConfigurationError(
            f"every={span!r} is no period.{did_you_mean(str(span), SPANS)} Expected one of {', '.join(SPANS)}"
        )
    local = when.astimezone(tz)
    if span == "hour":
        # Cut in the zone's offset of that instant, so that half-hour zones keep their own full hours.
        offset = local.utcoffset() or timedelta()
        wall = (when.astimezone(UTC) + offset).replace(minute=0, second=0, microsecond=0)
        start = wall - offset
        return Period(start.astimezone(tz), (start + timedelta(hours=1)).astimezone(tz), span)
    day = local.date()
    if span == "day":
        first, after = day, day + timedelta(days=1)
    elif span == "week":
        first = day - timedelta(days=day.weekday())
        after = first + timedelta(days=7)
    else:
        first = day.replace(day=1)
        after = (first + timedelta(days=32)).replace(day=1)
    return Period(_midnight(first, tz), _midnight(after, tz), span)


def grid(first: datetime, last: datetime, span: str, tz: tzinfo) -> Iterator[Period]:
    """Give every period from the one that ``first`` falls into to the one that ``last`` falls into."""
    period, end = period_at(first, span, tz), last.astimezone(UTC)
    while period.start <= end:
        yield period
        period = period.next()


def _midnight(day: date, tz: tzinfo) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=tz)

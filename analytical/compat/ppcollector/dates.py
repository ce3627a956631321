"""Dates as the collector understood them: what ``--start`` may be, and which periods a query asks for."""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta, timezone

from .errors import CollectorError

__all__ = [
    "FREQUENCIES",
    "a_day_ago",
    "a_month_ago",
    "a_week_ago",
    "an_hour_ago",
    "parse",
    "period_range",
    "start_of_month",
    "start_of_week",
    "time_span",
    "to_date",
    "to_datetime",
    "to_utc",
]

#: The query file's ``frequency``, and what records call it.
FREQUENCIES = {"daily": "day", "weekly": "week", "monthly": "month"}

_MONTH_NAMES = (
    ("jan", "january"),
    ("feb", "february"),
    ("mar", "march"),
    ("apr", "april"),
    ("may",),
    ("jun", "june"),
    ("jul", "july"),
    ("aug", "august"),
    ("sep", "sept", "september"),
    ("oct", "october"),
    ("nov", "november"),
    ("dec", "december"),
)
_MONTHS = {name: number for number, names in enumerate(_MONTH_NAMES, start=1) for name in names}
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WEEKDAY = re.compile(r"(?:mon|tue|tues|wed|wednes|thu|thur|thurs|fri|sat|satur|sun)(?:day)?")
_FILLERS = frozenset(("of", "the", "and", "at", "on", "st", "nd", "rd", "th", "t"))
_CLOCK = re.compile(
    r"(?:(?<=\s)|(?<=[tT])|^)(\d{1,2})(?::(\d{2})(?::(\d{2})(?:[.,](\d{1,6})\d*)?)?|(?=\s*[aApP][mM]))\s*([aApP][mM])?"
    r"\s*(Z|z|UTC|GMT|[+-]\d{2}:?(?:\d{2})?)?\s*(?P<year>(?<=\s)\d{4})?$"
)
_DIGITS = re.compile(r"(\d{8})(\d{2})(\d{2})(\d{2})?")


def parse(text: str) -> datetime:
    """Read a date as people write it; the time is midnight, and the zone none, unless the text says otherwise.

    Numbers with slashes are month first, as the original had it, unless the first is greater than 12; a missing day
    is today's, a missing month this one.

    Raises:
        ValueError: this is no date.

    >>> parse("2014-08-03"), parse("03/08/2014"), parse("3 Aug 2014 14:05").hour
    (datetime.datetime(2014, 8, 3, 0, 0), datetime.datetime(2014, 3, 8, 0, 0), 14)
    """
    given = text.strip()
    if not given:
        raise ValueError("an empty text is no date")
    if re.fullmatch(r"\d{8}", given) or re.match(r"\d{4}-\d{2}-\d{2}(?:$|[T ]\d)|\d{8}T\d|\d{4}-W\d", given):
        with suppress(ValueError):
            return datetime.fromisoformat(given)
    if digits := _DIGITS.fullmatch(given):
        return datetime.strptime("".join(each or "00" for each in digits.groups()), "%Y%m%d%H%M%S")
    clock = _CLOCK.search(given)
    day = _day(f"{given[: clock.start()]} {clock['year'] or ''}".strip() if clock else given, text)
    if clock is None:
        return datetime.combine(day, time())
    hour, minute = int(clock[1]), int(clock[2] or 0)
    if clock[5]:
        if not 1 <= hour <= 12:
            raise ValueError(f"{text!r} has an hour that is not from 1 to 12")
        hour = hour % 12 + (12 if clock[5].lower() == "pm" else 0)
    fraction = int((clock[4] or "0").ljust(6, "0"))
    return datetime.combine(day, time(hour, minute, int(clock[3] or 0), fraction, tzinfo=_offset(clock[6])))


def _offset(text: str | None) -> timezone | None:
    if not text:
        return None
    if text.upper() in ("Z", "UTC", "GMT"):
        return UTC
    digits = text[1:].replace(":", "").ljust(4, "0")
    span = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return timezone(-span if text[0] == "-" else span)


def _day(text: str, whole: str) -> date:
    today = datetime.now()
    words = [word.lower() for word in re.findall(r"[A-Za-z]+|\d+", text)]
    if re.search(r"[^A-Za-z0-9\s,./'-]|[-/]\s*$|^\d+\.\d+$", text):
        raise ValueError(f"{whole!r} is no date")
    if len(words) == 1 and _WEEKDAY.fullmatch(words[0]):
        return (today + timedelta(days=(_WEEKDAYS.index(words[0][:3]) - today.weekday()) % 7)).date()
    words = [word for word in words if word not in _FILLERS and not _WEEKDAY.fullmatch(word)]
    named = [word for word in words if word in _MONTHS]
    numbers = [word for word in words if word.isdigit()]
    if len(named) > 1 or len(named) + len(numbers) != len(words) or len(words) > 3:
        raise ValueError(f"{whole!r} is no date")
    years = [word for word in numbers if len(word) == 4 or int(word) > 31]
    if len(years) > 1:
        raise ValueError(f"{whole!r} has two years")
    rest = [int(word) for word in numbers if not years or word is not years[0]]
    year = int(years[0]) if years else None
    if named:
        month: int | None = _MONTHS[named[0]]
        day = rest.pop(0) if rest else None
    else:
        year_first = bool(years) and numbers[0] is years[0]
        month = rest.pop(0) if rest else None
        day = rest.pop(0) if rest else None
        if day is None and year is None:
            month, day = None, month
        if month is not None and month > 12 and day is not None and not year_first:
            month, day = day, month
    if rest and year is None:
        year = rest.pop(0)
    if rest or (text and not words):
        raise ValueError(f"{whole!r} is no date")
    if year is not None and year < 100:
        year += 2000 if year < today.year % 100 + 50 else 1900
    year = today.year if year is None else year
    month = today.month if month is None else month
    if day is None:
        day = min(today.day, monthrange(year, month)[1]) if 1 <= month <= 12 else today.day
    return date(year, month, day)


def to_datetime(value: date) -> datetime:
    """Return the instant that a record's ``_timestamp`` is: whatever the zone, the same wall clock in UTC."""
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC)
    return datetime.combine(value, time(), tzinfo=UTC)


def to_utc(value: datetime) -> datetime:
    """Return an instant in UTC; one without a zone stands in UTC already."""
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def time_span(frequency: str) -> str:
    """Return what records call a frequency.

    Raises:
        CollectorError: it is none of the three.
    """
    if not isinstance(frequency, str) or frequency not in FREQUENCIES:
        raise CollectorError(f'"frequency": {frequency!r} is none of "daily", "weekly", "monthly"')
    return FREQUENCIES[frequency]


def period_range(start: date | None, end: date | None, frequency: str) -> Iterator[tuple[date, date]]:
    """Give the first and last day of every period to ask for.

    A period is asked for whole even where the range begins or ends inside it. Without dates it is the last whole day,
    the week of seven days ago, the month of a month ago; a start alone runs to there, an end alone is its own period.

    Raises:
        CollectorError: no such frequency, or the end lies before the start.
    """
    span = time_span(frequency)
    latest = {"day": a_day_ago, "week": a_week_ago, "month": a_month_ago}[span]()
    first, last = to_date(start), to_date(end)
    first = first or last or latest
    last = last or latest
    if first > last:
        raise CollectorError(f"the start {first} lies after the end {last}; give --start and --end in order")
    if span == "week":
        first = start_of_week(first)
    elif span == "month":
        first = start_of_month(first)
    return _periods(first, last, span)


def to_date(value: date | None) -> date | None:
    """Return the day of an instant."""
    return value.date() if isinstance(value, datetime) else value


def a_day_ago() -> date:
    """Return yesterday."""
    return date.today() - timedelta(days=1)


def a_week_ago() -> date:
    """Return the day seven days before today."""
    return date.today() - timedelta(days=7)


def a_month_ago() -> date:
    """Return this day of last month, or the last day of last month."""
    today = date.today()
    last = start_of_month(today) - timedelta(days=1)
    return last.replace(day=min(today.day, last.day))


def an_hour_ago() -> datetime:
    """Return the local time an hour before now."""
    return datetime.now() - timedelta(hours=1)


def start_of_month(day: date) -> date:
    """Return the first day of a month."""
    return day.replace(day=1)


def start_of_week(day: date) -> date:
    """Return the Monday of a week."""
    return day - timedelta(days=day.weekday())


def _periods(first: date, last: date, span: str) -> Iterator[tuple[date, date]]:
    while first <= last:
        if span == "month":
            after = start_of_month(first + timedelta(days=32))
        else:
            after = first + timedelta(days=1 if span == "day" else 7)
        yield first, after - timedelta(days=1)
        first = after

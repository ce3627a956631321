"""The grid: hours, days, weeks and months in a zone, also where clocks change."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytical.collect.period import SPANS, Period, grid, moment, period_at, seconds, zone
from analytical.errors import ConfigurationError

BERLIN = ZoneInfo("Europe/Berlin")
ZONES = [UTC, BERLIN, ZoneInfo("America/New_York"), ZoneInfo("Asia/Kolkata"), ZoneInfo("Australia/Lord_Howe"),
         ZoneInfo("America/St_Johns"), ZoneInfo("Pacific/Apia")]  # fmt: skip


@given(st.datetimes(datetime(2009, 1, 1), datetime(2037, 1, 1)), st.sampled_from(SPANS), st.sampled_from(ZONES))
def test_periods_tile_time_without_gap_or_overlap(when: datetime, span: str, tz: ZoneInfo) -> None:
    instant = when.replace(tzinfo=UTC)
    period = period_at(instant, span, tz)
    assert period.start <= instant < period.end
    assert period.next().start == period.end
    assert period.previous().end == period.start
    assert period_at(period.start, span, tz) == period


def test_a_day_on_which_the_clocks_change_is_shorter_or_longer() -> None:
    spring = period_at(datetime(2025, 3, 30, 12, tzinfo=BERLIN), "day", BERLIN)
    autumn = period_at(datetime(2025, 10, 26, 12, tzinfo=BERLIN), "day", BERLIN)
    assert spring.end.astimezone(UTC) - spring.start.astimezone(UTC) == timedelta(hours=23)
    assert autumn.end.astimezone(UTC) - autumn.start.astimezone(UTC) == timedelta(hours=25)
    assert len(list(grid(autumn.start, autumn.end - timedelta(seconds=1), "hour", BERLIN))) == 25


def test_weeks_begin_on_monday_and_months_on_the_first() -> None:
    when = datetime(2025, 1, 1, tzinfo=UTC)
    week = period_at(when, "week", UTC)
    assert (week.first_day, week.last_day) == (date(2024, 12, 30), date(2025, 1, 5))
    month = period_at(datetime(2024, 2, 10, tzinfo=UTC), "month", UTC)
    assert (month.first_day, month.last_day) == (date(2024, 2, 1), date(2024, 2, 29))


def test_a_timestamp_is_utc_so_that_text_order_is_time_order() -> None:
    period = period_at(datetime(2025, 6, 1, tzinfo=BERLIN), "day", BERLIN)
    assert period.timestamp == "2025-05-31T22:00:00+00:00"
    assert (period.first_day, period.last_day) == (date(2025, 6, 1), date(2025, 6, 1))


def test_periods_name_themselves() -> None:
    when = datetime(2025, 1, 15, 13, 5, tzinfo=UTC)
    assert [str(period_at(when, span, UTC)) for span in SPANS] == [
        "hour 2025-01-15T13:00+0000", "day 2025-01-15", "week 2025-01-13", "month 2025-01",
    ]  # fmt: skip
    assert isinstance(period_at(when, "day", UTC), Period)


@pytest.mark.parametrize("bad", ["fortnight", "Day ", "daily", ""])
def test_an_unknown_span_is_refused(bad: str) -> None:
    with pytest.raises(ConfigurationError, match="Expected one of hour, day, week, month"):
        period_at(datetime(2025, 1, 1, tzinfo=UTC), bad, UTC)


@pytest.mark.parametrize("bad", ["01/02/2025", "yesterday", "2025-13-01", ""])
def test_a_date_that_is_none_says_what_is_expected(bad: str) -> None:
    with pytest.raises(ConfigurationError, match="ISO 8601"):
        moment(bad, UTC)


def test_a_date_without_an_offset_stands_in_the_reports_zone() -> None:
    assert moment("2025-06-01", BERLIN) == datetime(2025, 5, 31, 22, tzinfo=UTC)
    assert moment(date(2025, 6, 1), BERLIN) == moment("2025-06-01", BERLIN)
    assert moment("2025-06-01T00:00:00Z", BERLIN) == datetime(2025, 6, 1, tzinfo=UTC)


@pytest.mark.parametrize("bad", ["soon", "5 parsecs", "-5m", "0", True, float("nan"), float("inf")])
def test_a_duration_that_is_none_is_refused(bad: object) -> None:
    with pytest.raises(ConfigurationError):
        seconds(bad)  # type: ignore[arg-type]


def test_an_unknown_zone_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="Europe/Berlin"):
        zone("Europe/Berlln")


def test_a_zone_is_given_by_name_or_as_it_is() -> None:
    assert zone(BERLIN) is BERLIN
    assert zone("utc") is UTC
    assert zone("Europe/Berlin") == BERLIN

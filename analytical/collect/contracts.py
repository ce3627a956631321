"""What every source and every sink must keep: suites that their tests inherit. Yours too.

.. code-block:: python

    from analytical.testing import SinkContract

    class TestMySink(SinkContract):
        def make(self): return MySink(self.place / "stats.db")
        def rows(self): return read_back(self.place / "stats.db")
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import pytest

from ..errors import DuplicateRecord, ReportError, SourceError, Unsupported
from ..http import Request, Response
from .period import Period, period_at
from .protocol import Query, Source
from .records import Batch, Record, Shape, unique
from .sink import Sink, Target

__all__ = ["SinkContract", "SourceContract"]

#: A Wednesday.
WHEN = datetime(2025, 1, 15, tzinfo=UTC)


class SourceContract:
    """Inherit, and set :attr:`source`, :attr:`query` and :attr:`samples`.

    Attributes:
        source: configured, with secrets that can be searched for.
        query: as ``source.completed`` takes it.
        samples: recorded answers: ``{"name", "status", "headers", "body", "rows"}``, or ``"refused"`` (a text that the
            reason holds) instead of ``rows``.
    """

    source: ClassVar[Source]
    query: ClassVar[Query]
    samples: ClassVar[Iterable[Mapping[str, Any]]] = ()

    def asked(self) -> tuple[Query, Period, Request]:
        """Return the completed query, a period that it may stand on, and the first request for it."""
        query = self.source.completed(self.query)
        period = period_at(WHEN, query.every or "day", UTC)
        return query, period, self.source.first(query, period)

    def test_a_question_makes_the_same_request_every_time(self) -> None:
        assert self.asked() == self.asked()

    def test_no_secret_stands_in_a_url_or_a_repr(self) -> None:
        _, _, request = self.asked()
        login = self.source.login(1.7e9)
        for secret in self.source.secrets:
            for one in (request, login) if login else (request,):
                assert secret not in one.url
                assert secret not in repr(one)
            assert secret not in repr(self.source)

    def test_every_secret_that_is_sent_can_be_masked(self) -> None:
        _, _, request = self.asked()
        masked = request.masked()
        shown = masked.url + repr(dict(masked.headers)) + masked.body.decode("latin-1")
        for secret in self.source.secrets:
            assert secret not in shown

    def test_recorded_answers_become_rows_or_refusals(self) -> None:
        query, period, request = self.asked()
        tried = 0
        for sample in self.samples:
            response = Response(
                status=sample.get("status", 200), headers=sample.get("headers", {}), body=sample["body"].encode()
            )
            refusal = self.source.refusal(response, 1.7e9)
            if "refused" in sample:
                assert refusal is not None, f"{sample['name']}: expected a refusal"
                assert sample["refused"] in refusal.reason, sample["name"]
            else:
                assert refusal is None, f"{sample['name']}: {refusal}"
                page = self.source.page(query, period, request, response)
                shape = Shape(
                    query.by,
                    query.metrics,
                    numeric_text=self.source.numeric_text,
                    text_names=self.source.text_names,
                )
                found = [
                    {key: value for key, value in record.items() if key not in ("_id", "_timestamp", "timeSpan")}
                    for record in shape.records(page.rows, period)
                ]
                assert found == sample["rows"], sample["name"]
            tried += 1
        assert tried, "give samples: recorded answers, and what they mean"

    @pytest.mark.parametrize(
        "body",
        [b"", b"<!DOCTYPE html><title>Sign in</title>", b'{"rows": [{"cut": '],
        ids=["empty", "login page", "cut"],
    )
    def test_an_answer_that_is_no_report_is_an_error(self, body: bytes) -> None:
        query, period, request = self.asked()
        response = Response(status=200, headers={"content-type": "text/html"}, body=body)
        if self.source.refusal(response, 1.7e9) is not None:
            return
        with pytest.raises(SourceError):
            list(self.source.page(query, period, request, response).rows)

    def test_a_redirect_is_refused_and_not_tried_again(self) -> None:
        response = Response(status=302, headers={"location": "https://login.example.com/?next=/"})
        refusal = self.source.refusal(response, 1.7e9)
        assert refusal is not None
        assert not refusal.retry
        assert "redirect" in refusal.reason

    @pytest.mark.parametrize("status", [401, 403, 404])
    def test_refused_credentials_are_not_tried_again(self, status: int) -> None:
        refusal = self.source.refusal(Response(status=status, body=b"{}"), 1.7e9)
        assert refusal is not None
        assert not refusal.retry

    @pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
    def test_trouble_that_passes_is_tried_again(self, status: int) -> None:
        refusal = self.source.refusal(Response(status=status, body=b""), 1.7e9)
        assert refusal is not None
        assert refusal.retry

    def test_an_unknown_grid_is_refused_before_anything_is_sent(self) -> None:
        query = self.source.completed(self.query)
        with pytest.raises(Unsupported, match="every="):
            self.source.check(Query(method=query.method, metrics=query.metrics, by=query.by, every="fortnight"))


_TEXTS = ("", " ", "Grüße", "日本", "😀", "a,b;c\"d'e", "line\nbreak\r\nand\ttab", "100%(x)s", ":a ?", "NULL", "=1+1")


class SinkContract:
    """Inherit, and write :meth:`make` and :meth:`rows`.

    Attributes:
        place: a directory of the test's own.
        replaces: whether a period is replaced whole; a sink that can only overwrite says ``False``.
        remembers: whether ``stored`` can tell which periods there are.
        text_only: whether what is read back has numbers as text.
    """

    place: Path
    replaces: ClassVar[bool] = True
    remembers: ClassVar[bool] = True
    text_only: ClassVar[bool] = False

    def make(self) -> Sink:
        """Return a new sink for the same place every time."""
        raise NotImplementedError

    def rows(self) -> list[Record]:
        """Return what is stored, in any order."""
        raise NotImplementedError

    @pytest.fixture(autouse=True)
    def _place(self, tmp_path: Path) -> None:
        self.place = tmp_path

    def records(self, day: int, *pages: tuple[str, float | None], span: str = "day") -> tuple[list[Record], Period]:
        """Return records of a day, as a report makes them."""
        period = period_at(datetime(2025, 1, day, tzinfo=UTC), span, UTC)
        shape = Shape({"p": "page"}, {"n": "views"})
        return list(shape.records([{"p": page, "n": views} for page, views in pages], period)), period

    def target(self, span: str = "day", **changes: Any) -> Target:
        """Return what the sink is told of the report."""
        given: dict[str, Any] = {
            "name": "contract",
            "span": span,
            "dimensions": ("page",),
            "metrics": ("views",),
            "declared": True,
            "tz": UTC,
        }
        return Target(**{**given, **changes})

    def store(self, *writes: tuple[list[Record], Period | None], target: Target | None = None) -> None:
        """Open a sink, write, close: one run."""
        sink, about = self.make(), target or self.target()
        sink.open(about)
        try:
            for records, period in writes:
                checked: Iterable[Record] = records if sink.finds_duplicates else unique(records)
                with Batch(checked) as batch:
                    sink.write(batch, period, about)
        finally:
            sink.close(about)

    def check(self, *expected: Record) -> None:
        """Compare what is stored with records."""

        def plain(record: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
            return tuple(sorted((key, value) for key, value in record.items() if value is not None))

        wanted = [
            {key: str(value) if self.text_only and value is not None else value for key, value in one.items()}
            for one in expected
        ]
        assert sorted(map(plain, self.rows())) == sorted(map(plain, wanted))

    def test_what_is_written_is_there(self) -> None:
        one, first = self.records(1, ("/", 5), ("/a", 2.5))
        self.store((one, first))
        self.check(*one)

    def test_a_repeat_changes_nothing(self) -> None:
        one, first = self.records(1, ("/", 5), ("/a", 2))
        two, second = self.records(2, ("/", 7))
        for _ in range(2):
            self.store((one, first), (two, second))
        self.check(*one, *two)

    def test_a_period_is_replaced_and_others_stay(self) -> None:
        one, first = self.records(1, ("/", 5))
        two, second = self.records(2, ("/", 7))
        again, _ = self.records(2, ("/", 8))
        self.store((one, first), (two, second))
        self.store((again, second))
        self.check(*one, *again)

    def test_a_row_that_is_gone_vanishes(self) -> None:
        if not self.replaces:
            pytest.skip("this destination can only overwrite")
        one, first = self.records(1, ("/", 5), ("/gone", 1))
        less, _ = self.records(1, ("/", 5))
        self.store((one, first))
        self.store((less, first))
        self.check(*less)
        self.store(([], first))
        self.check()

    def test_another_grid_in_the_same_place_stays(self) -> None:
        day, first = self.records(6, ("/", 5))
        week, monday = self.records(6, ("/", 50), span="week")
        self.store((day, first))
        self.store((week, monday), target=self.target("week"))
        self.store((day, first))
        self.check(*day, *week)

    def test_two_records_with_one_id_are_an_error_and_nothing_is_stored(self) -> None:
        one, first = self.records(1, ("/", 5))
        self.store((one, first))
        twice, _ = self.records(1, ("/a", 1), ("/a", 2))
        with pytest.raises(DuplicateRecord, match=r"views=1.*views=2"):
            self.store((twice, first))
        self.check(*one)

    def test_any_text_comes_back_as_it_was(self) -> None:
        texts = list(_TEXTS)
        texts = texts[1:] if self.text_only else texts
        one, first = self.records(1, *((text, number) for number, text in enumerate(texts)))
        self.store((one, first))
        self.check(*one)

    def test_capitals_tell_rows_apart(self) -> None:
        one, first = self.records(1, ("/Home", 1), ("/home", 2))
        self.store((one, first))
        self.store((one, first))
        self.check(*one)

    def test_a_missing_number_is_none_and_never_zero(self) -> None:
        one, first = self.records(1, ("/", None), ("/a", 0))
        self.store((one, first))
        self.check(*one)

    def test_it_knows_what_it_has_or_says_that_it_does_not(self) -> None:
        one, first = self.records(1, ("/", 5), ("/a", 1))
        three, third = self.records(3, ("/", 5))
        sink, about = self.make(), self.target()
        sink.open(about)
        try:
            before = sink.stored(about)
        finally:
            sink.close(about)
        assert not list(before or ())
        self.store((one, first), (three, third))
        sink = self.make()
        sink.open(about)
        try:
            stored = sink.stored(about)
            assert (stored is not None) == self.remembers
            if stored is not None:
                assert sorted(set(stored)) == [first.timestamp, third.timestamp]
        finally:
            sink.close(about)

    def test_a_column_that_comes_later_is_added(self) -> None:
        one, first = self.records(1, ("/", 5))
        self.store((one, first))
        two, second = self.records(2, ("/", 7))
        two[0] |= {"country": "FR", "visits": 1.5}
        self.store((two, second), target=self.target(declared=False))
        self.check(*one, *two)

    def test_where_it_goes_can_be_said(self) -> None:
        assert self.make().describe()

    def test_a_failure_is_an_error_of_ours(self) -> None:
        assert issubclass(DuplicateRecord, ReportError)

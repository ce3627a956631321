"""Functions that are frozen between calls: what waits has left when the answer is given."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import analytical
from analytical.delivery.serverless import flush_all, flushing
from analytical.delivery.thread import ThreadDelivery
from analytical.http import NoResponse
from analytical.testing import FakeTransport


class Site:
    """A provider that delivers in the background, with a driver of its own, and what has arrived."""

    def __init__(self) -> None:
        self.transport = FakeTransport()
        self.provider: Any = analytical.Provider(
            "plausible", "example.com", transport=self.transport, delivery=ThreadDelivery(), privacy="off"
        )

    def pageview(self) -> None:
        assert self.provider.pageview(url="https://example.com/", user_agent="x", client_ip="127.0.0.1")

    @property
    def arrived(self) -> int:
        return len(self.transport.requests)


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site()
    yield made
    made.provider.close(timeout=0.1)


def test_what_waits_is_delivered_at_the_end_of_a_block(site: Site) -> None:
    with flushing():
        site.pageview()
        site.pageview()
    assert site.arrived == 2


def test_what_waits_is_delivered_before_a_decorated_function_returns(site: Site) -> None:
    @flushing(timeout=5)
    def handler(event: str, *, context: int) -> str:
        """Answer."""
        site.pageview()
        return f"{event} {context}"

    assert handler("a", context=1) == "a 1"
    assert site.arrived == 1
    assert (handler.__name__, handler.__doc__) == ("handler", "Answer.")


def test_coroutine_functions_and_asynchronous_blocks_are_the_same(site: Site) -> None:
    @flushing()
    async def handler(event: str) -> str:
        site.pageview()
        return event

    async def block() -> int:
        async with flushing():
            site.pageview()
        return site.arrived

    assert asyncio.run(handler("a")) == "a"
    assert site.arrived == 1
    assert asyncio.run(block()) == 2


def test_what_a_function_raises_is_raised_after_the_delivery(site: Site) -> None:
    @flushing()
    def handler() -> None:
        site.pageview()
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        handler()
    assert site.arrived == 1


def test_a_generator_is_refused_in_words() -> None:
    def stream() -> Iterator[int]:
        yield 1

    async def astream() -> Any:
        yield 1

    for function in (stream, astream):
        with pytest.raises(TypeError, match=r"is a generator\. Write `with flushing"):
            flushing()(function)


def test_what_could_not_be_delivered_in_time_waits_on_and_is_said(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    site.transport._answers = [NoResponse(reason="refused")]
    with flushing(timeout=0.05):
        site.pageview()
    assert "some hits could not be delivered in 0.05 s; they wait on" in caplog.text
    assert not flush_all(0)
    site.transport._answers = [202]
    assert flush_all()
    assert site.provider.stats()["delivered"] == 1


def test_a_process_that_never_sent_in_the_background_has_nothing_to_wait_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "analytical.delivery.thread")
    assert flush_all(0)


def test_a_durable_spool_is_emptied_too(tmp_path: Path) -> None:
    path = tmp_path / "hits.ndjson"
    driver = ThreadDelivery(tmp_path / "outbox.db")
    with analytical.Provider("file", str(path), delivery=driver, privacy="off") as provider:
        with flushing(timeout=10):
            assert provider.pageview(url="https://example.com/")
        assert path.read_text().count("\n") == 1
    driver.close()

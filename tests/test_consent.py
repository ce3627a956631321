"""Consent: one fixed order, failing closed; and withdrawals that find what is queued."""

from __future__ import annotations

import multiprocessing
import os
import stat
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytical.errors import ConfigurationError
from analytical.hit import Hit
from analytical.privacy.consent import (
    Consent,
    FileTombstones,
    MemoryTombstones,
    Tombstones,
    decide,
    ga4_consent,
    subject_tag,
)


@dataclass
class Wish:
    opted_out: bool | None = None
    dnt: bool | None = None
    gpc: bool | None = None


def _hit(subject: str | None, time: float = 0.0) -> Hit:
    return Hit(id="1", kind="pageview", time=time, subject=subject)


@pytest.mark.parametrize(
    ("wish", "ask", "default", "reason"),
    [
        (Wish(opted_out=True, dnt=True, gpc=True), True, True, "optout"),
        (Wish(dnt=True, gpc=True), True, True, "dnt"),
        (Wish(gpc=True), True, True, "gpc"),
        (Wish(), False, True, "consent"),
        (Wish(), None, False, "consent"),
        (Wish(), None, True, None),
        (Wish(), True, False, None),
        (Wish(opted_out=False, dnt=False, gpc=False), None, True, None),
        (Wish(opted_out=False, dnt=True), True, True, "dnt"),
        (None, None, True, None),
        (None, None, False, "consent"),
    ],
)
def test_the_order_is_opt_out_then_signals_then_the_application_then_the_default(
    wish: Wish | None, ask: bool | None, default: bool, reason: str | None
) -> None:
    assert decide(wish, ask=lambda facts: ask, default=default) == reason
    assert Consent(ask=lambda facts: ask, default=default)(wish) == reason


@given(
    st.builds(Wish, *[st.sampled_from([True, False, None])] * 3),
    st.sampled_from([True, False, None]),
    st.booleans(),
)
def test_an_opt_out_is_final_and_no_signal_is_overruled(wish: Wish, answer: bool | None, default: bool) -> None:
    reason = decide(wish, ask=lambda facts: answer, default=default)
    if wish.opted_out or wish.dnt or wish.gpc:
        assert reason in ("optout", "dnt", "gpc")
    else:
        allowed = default if answer is None else answer
        assert reason == (None if allowed else "consent")


def test_the_application_may_choose_not_to_obey_a_signal() -> None:
    assert decide(Wish(dnt=True), dnt=False) is None
    assert decide(Wish(gpc=True), gpc=False) is None
    assert decide(Wish(opted_out=True), dnt=False, gpc=False) == "optout"


def test_a_callback_that_raises_is_a_no() -> None:
    def broken(facts: object) -> bool:
        raise KeyError("no session")

    assert decide(Wish(), ask=broken, default=True) == "consent"


def test_a_callback_is_not_asked_where_the_visitor_has_answered() -> None:
    asked: list[object] = []
    decide(Wish(dnt=True), ask=asked.append)  # type: ignore[arg-type]
    assert asked == []


@pytest.mark.parametrize(
    ("given_", "default", "reason"),
    [
        ({"analytics": False}, True, "consent"),
        ({"analytics": True}, False, None),
        ({"ad_user_data": True}, False, "consent"),
    ],
)
def test_the_calls_own_consent_is_the_applications_answer(
    given_: dict[str, bool], default: bool, reason: str | None
) -> None:
    assert decide(None, given=given_, default=default) == reason


def test_a_no_of_the_call_is_not_overruled_by_the_callback() -> None:
    assert decide(None, given={"analytics": False}, ask=lambda facts: True) == "consent"


def test_ga4_is_denied_unless_told() -> None:
    assert ga4_consent(None) == {"ad_user_data": "DENIED", "ad_personalization": "DENIED"}
    assert ga4_consent({"ad_personalization": True, "analytics": True})["ad_personalization"] == "GRANTED"


@given(st.text(min_size=1, max_size=30), st.text(min_size=1, max_size=30))
def test_a_subject_is_an_opaque_tag_of_one_person(one: str, two: str) -> None:
    tag = subject_tag(b"k" * 32, one)
    assert (tag == subject_tag(b"k" * 32, two)) == (one == two)
    assert tag != subject_tag(b"l" * 32, one)
    assert len(tag) == 32
    assert int(tag, 16) >= 0


@pytest.mark.parametrize("secret", ["", b"", "short", b"x" * 31])
def test_a_subject_needs_a_long_secret(secret: str | bytes) -> None:
    with pytest.raises(ConfigurationError):
        subject_tag(secret, "user-1")


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["memory", "file"])
def stones(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> MemoryTombstones | FileTombstones:
    if request.param == "memory":
        return MemoryTombstones(clock=clock, keep=500)
    return FileTombstones(tmp_path / "outbox.tombstones", clock=clock, keep=500)


def test_after_a_withdrawal_every_hit_of_the_subject_is_to_be_dropped(stones: Tombstones) -> None:
    assert isinstance(stones, Tombstones)
    assert not stones.withdrawn(_hit("ada"))
    stones.withdraw("ada")
    assert stones.withdrawn(_hit("ada", 900.0))
    assert stones.withdrawn(_hit("ada", 99999.0))  # whatever its clock said
    assert not stones.withdrawn(_hit("bob", 900.0))
    assert not stones.withdrawn(_hit(None, 900.0))


def test_a_new_yes_frees_what_comes_after_it_and_nothing_before(stones: Tombstones, clock: Clock) -> None:
    stones.withdraw("ada")
    clock.now = 1100.0
    stones.restore("ada")
    assert stones.withdrawn(_hit("ada", 1050.0))
    assert not stones.withdrawn(_hit("ada", 1150.0))
    clock.now = 1200.0
    stones.withdraw("ada")
    assert stones.withdrawn(_hit("ada", 1150.0))


def test_a_yes_without_a_withdrawal_changes_nothing(stones: Tombstones) -> None:
    stones.restore("ada")
    assert not stones.withdrawn(_hit("ada", 1.0))


def test_a_tombstone_is_forgotten_when_nothing_can_wait_that_long(stones: Tombstones, clock: Clock) -> None:
    stones.withdraw("ada")
    clock.now += 501
    assert not stones.withdrawn(_hit("ada"))
    stones.withdraw("bob")
    if isinstance(stones, MemoryTombstones):
        assert len(stones) == 1
    elif isinstance(stones, FileTombstones):
        assert stones.compact() == 1
        assert stones.withdrawn(_hit("bob"))


def test_another_process_sees_a_withdrawal(tmp_path: Path, clock: Clock) -> None:
    worker = FileTombstones(tmp_path / "stones", clock=clock)
    assert not worker.withdrawn(_hit("ada"))
    FileTombstones(tmp_path / "stones", clock=clock).withdraw("ada")
    assert worker.withdrawn(_hit("ada"))
    assert FileTombstones(tmp_path / "stones", clock=clock).withdrawn(_hit("ada"))


def _withdraw_many(arguments: tuple[str, int]) -> None:
    path, worker = arguments
    stones = FileTombstones(path)
    for number in range(20):
        stones.withdraw(f"w{worker}n{number}")
        if number == 10:
            stones.compact()


def test_processes_that_withdraw_at_once_lose_nothing(tmp_path: Path) -> None:
    path = str(tmp_path / "stones")
    with multiprocessing.get_context("fork").Pool(3) as pool:
        pool.map(_withdraw_many, [(path, worker) for worker in range(3)])
    stones = FileTombstones(path)
    assert all(stones.withdrawn(_hit(f"w{worker}n{number}")) for worker in range(3) for number in range(20))


def test_compacting_keeps_what_holds(tmp_path: Path, clock: Clock) -> None:
    stones = FileTombstones(tmp_path / "stones", clock=clock)
    stones.withdraw("ada")
    stones.withdraw("bob")
    stones.restore("bob")
    assert stones.compact() == 2
    again = FileTombstones(tmp_path / "stones", clock=clock)
    assert again.withdrawn(_hit("ada"))
    assert again.withdrawn(_hit("bob", 999.0))
    assert not again.withdrawn(_hit("bob", 1001.0))


def test_a_line_torn_by_a_crash_spoils_no_other(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "stones"
    stones = FileTombstones(path, clock=clock)
    stones.withdraw("ada")
    with path.open("a") as file:
        file.write("bob 10")
    stones.withdraw("cid")
    with path.open("ab") as file:
        file.write(b"\xff\xfe broken withdrawn\nx notatime withdrawn\n")
    assert [stones.withdrawn(_hit(who)) for who in ("ada", "bob", "cid")] == [True, False, True]


def test_a_removed_file_does_not_revive_what_is_known(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "stones"
    stones = FileTombstones(path, clock=clock)
    stones.withdraw("ada")
    assert stones.withdrawn(_hit("ada"))
    path.unlink()
    assert stones.withdrawn(_hit("ada"))


def test_a_file_that_cannot_be_read_fails_closed_for_hits_with_a_subject(tmp_path: Path) -> None:
    path = tmp_path / "stones"
    path.mkdir()
    stones = FileTombstones(path)
    assert stones.withdrawn(_hit("ada"))
    assert not stones.withdrawn(_hit(None))


@pytest.mark.parametrize("subject", ["", "two words", "line\nbreak", "\u00e9"])
def test_a_subject_that_is_no_tag_is_refused(tmp_path: Path, subject: str) -> None:
    with pytest.raises(ValueError, match="opaque tag"):
        FileTombstones(tmp_path / "stones").withdraw(subject)


def test_a_file_of_tombstones_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "stones"
    FileTombstones(path).withdraw("ada")
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert "ada" not in repr(FileTombstones(path)) + repr(MemoryTombstones())

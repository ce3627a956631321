"""Ids of visitors: the same everywhere for a period, and no link across days, sites or providers."""

from __future__ import annotations

import hashlib
import itertools
import multiprocessing
import os
import re
import stat
import threading
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from services import need_service

from analytical import utils
from analytical.errors import ConfigurationError
from analytical.privacy.visitor import (
    FileSalts,
    MemorySalts,
    MemorySessions,
    RedisSalts,
    RedisSessions,
    SaltUnavailable,
    SqlSalts,
    VisitorId,
    generate_client_id,
    salt_store,
    shape,
)

SECRET = "s3cret-" * 6
DAY = 86400.0
NOON = 20_000 * DAY + 43_200
WHO: dict[str, str] = {"client_ip": "192.0.2.7", "user_agent": "Firefox/125.0"}


def _id(
    visitors: VisitorId, *, now: float = NOON, site: str = "a.example", provider: str = "matomo", **who: str
) -> str:
    return visitors.id(site=site, provider=provider, now=now, **{**WHO, **who})


def _make(mode: str, **options: Any) -> VisitorId:
    if mode == "destroyed":
        options.setdefault("store", MemorySalts())
    if mode == "ratchet":
        options.setdefault("since", "2024-01-01")
    return VisitorId(SECRET, mode=mode, **options)  # type: ignore[arg-type]


MODES = pytest.mark.parametrize("mode", ["derived", "destroyed", "ratchet"])


@MODES
def test_a_visitor_is_one_all_day_and_another_the_next(mode: str) -> None:
    visitors = _make(mode)
    today = [_id(visitors, now=20_000 * DAY + second) for second in (0, 1, 86399)]
    assert len(set(today)) == 1
    assert _id(visitors, now=20_001 * DAY) not in today


@MODES
def test_no_pair_is_linkable_across_days_sites_and_providers(mode: str) -> None:
    visitors = _make(mode)
    ids = [
        shape_free
        for day in range(5)
        for site, provider in itertools.product(("a.example", "b.example"), ("snowplow", "umami", "posthog"))
        if (shape_free := _id(visitors, now=NOON + day * DAY, site=site, provider=provider))
    ]
    assert len(set(ids)) == len(ids) == 30


@pytest.mark.parametrize("mode", ["derived", "ratchet"])
def test_every_process_with_the_secret_makes_the_same_id(mode: str) -> None:
    late = _make(mode)
    early = _make(mode)
    _id(early, now=NOON - 30 * DAY)
    assert _id(early) == _id(late)
    assert _id(late) != VisitorId("t" * 32).id(site="a.example", provider="matomo", now=NOON, **WHO)


@given(st.text(max_size=20), st.text(max_size=20), st.text(max_size=20), st.text(max_size=20))
def test_fields_never_run_together(a: str, b: str, c: str, d: str) -> None:
    visitors = VisitorId(SECRET)
    one = visitors.id(site=a, client_ip=None, user_agent=b, provider="x", now=NOON)
    two = visitors.id(site=c, client_ip=None, user_agent=d, provider="x", now=NOON)
    assert (one == two) == ((a, b) == (c, d))


@pytest.mark.parametrize("secret", ["", "short", "x" * 31, b"y" * 31])
def test_it_refuses_to_start_with_a_missing_or_short_secret(secret: str | bytes) -> None:
    with pytest.raises(ConfigurationError) as caught:
        VisitorId(secret)
    assert "32" in str(caught.value)
    assert not secret or str(secret) not in str(caught.value)


def test_none_is_no_secret() -> None:
    with pytest.raises(ConfigurationError):
        VisitorId(None)  # type: ignore[arg-type]


def test_a_secret_may_be_a_reference(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VISITOR_SECRET", SECRET)
    (tmp_path / "secret").write_text(SECRET)
    same = {_id(VisitorId(where)) for where in (SECRET, "env:VISITOR_SECRET", f"file:{tmp_path / 'secret'}")}
    assert len(same) == 1


@pytest.mark.parametrize(
    ("provider", "form"),
    [
        ("ga4", r"[1-9]\d{0,9}\.1\d{9}"),
        ("googleanalytics", r"[1-9]\d{0,9}\.1\d{9}"),
        ("matomo", r"[0-9a-f]{16}"),
        ("piwik", r"[0-9a-f]{16}"),
        ("snowplow", r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
        ("umami", r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
    ],
)
@given(st.binary(min_size=32, max_size=32))
def test_an_id_has_the_form_that_the_provider_takes(provider: str, form: str, digest: bytes) -> None:
    assert re.fullmatch(form, shape(digest, provider))
    if "-" in form and provider in ("snowplow", "umami"):
        assert uuid.UUID(shape(digest, provider)).version == 4


def test_an_old_name_of_a_provider_is_the_same_provider() -> None:
    visitors = VisitorId(SECRET)
    assert _id(visitors, provider="piwik") == _id(visitors, provider="Matomo")


def test_spellings_of_an_address_are_one_visitor() -> None:
    visitors = VisitorId(SECRET)
    assert _id(visitors, client_ip="::ffff:192.0.2.7") == _id(visitors, client_ip=" 192.0.2.7 ")
    assert _id(visitors, client_ip="2001:DB8::1") == _id(visitors, client_ip="[2001:db8:0::1]")


def test_a_masked_address_hashes_only_what_the_mask_leaves() -> None:
    visitors = VisitorId(SECRET, address="masked")
    assert _id(visitors, client_ip="192.0.2.7") == _id(visitors, client_ip="192.0.99.1")
    assert _id(visitors, client_ip="192.0.2.7") != _id(visitors, client_ip="192.9.2.7")


def test_an_id_is_no_plain_hash_of_what_is_public() -> None:
    made = _id(VisitorId(SECRET))
    for text in ("192.0.2.7Firefox/125.0", "192.0.2.7", "a.example192.0.2.7Firefox/125.0"):
        for name in ("md5", "sha1", "sha256", "blake2b"):
            assert made not in hashlib.new(name, text.encode()).hexdigest()


@pytest.mark.parametrize(
    ("rotate", "same", "other"),
    [
        ("hour", 3599, 3600),
        ("week", 6 * DAY + DAY / 2, 7 * DAY),
        ("month", 30 * DAY, 31 * DAY),
    ],
)
def test_periods_turn_in_utc(rotate: Any, same: float, other: float) -> None:
    start = 1_767_571_200.0 if rotate == "week" else 1_767_225_600.0  # Monday 2026-01-05; 2026-01-01
    visitors = VisitorId(SECRET, rotate=rotate)
    assert _id(visitors, now=start) == _id(visitors, now=start + same)
    assert _id(visitors, now=start) != _id(visitors, now=start + other)


@pytest.mark.parametrize(
    "options",
    [
        {"rotate": "never"},
        {"mode": "secret"},
        {"address": "half"},
        {"mode": "destroyed"},
        {"mode": "derived", "store": "salts"},
        {"since": "2026-01-01"},
        {"mode": "ratchet", "since": "soon"},
    ],
)
def test_options_that_do_not_fit_together_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        VisitorId(SECRET, **options)


def test_nothing_secret_is_shown() -> None:
    visitors = _make("destroyed")
    assert SECRET not in repr(visitors) + repr(MemorySalts()) + repr(FileSalts("x")) + repr(MemorySessions())


# --- destroyed ---------------------------------------------------------------------------------------------------


@pytest.fixture(params=["memory", "file", "redis", "sqlite", "postgresql", "mariadb"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Any]]:
    """Make stores that share their salts, as two processes would."""
    name = f"t{uuid.uuid4().hex[:12]}"
    if request.param == "memory":
        memory = MemorySalts()
        yield lambda: memory
    elif request.param == "file":
        yield lambda: salt_store(tmp_path / "salts")
    elif request.param == "redis":
        url = need_service("redis")
        yield lambda: RedisSalts(url, prefix=f"{name}:")
        RedisSalts(url)._client.delete(f"{name}:all")
    elif request.param == "sqlite":
        yield lambda: salt_store(f"sqlite:///{tmp_path / 'salts.db'}")
    else:
        url = need_service(request.param)
        made: list[SqlSalts] = []

        def make() -> SqlSalts:
            made.append(SqlSalts(url, table=name))
            return made[-1]

        yield make
        made[0]._table.drop(made[0]._engine, checkfirst=True)
    if request.param in ("postgresql", "mariadb"):
        for one in made:
            one._engine.dispose()


def test_processes_that_share_a_store_make_the_same_id(store: Callable[[], Any]) -> None:
    one, two = _make("destroyed", store=store()), _make("destroyed", store=store())
    assert _id(one) == _id(two)
    assert _id(one, now=NOON + DAY) == _id(two, now=NOON + DAY)
    assert _id(one, now=NOON + DAY) != _id(_make("destroyed"), now=NOON + DAY)


def test_the_salt_of_a_day_that_is_over_is_gone_for_everybody(store: Callable[[], Any]) -> None:
    first = _make("destroyed", store=store())
    _id(first)
    _id(first, now=NOON + DAY)
    for visitors in (first, _make("destroyed", store=store())):
        with pytest.raises(SaltUnavailable):
            _id(visitors)


def test_threads_that_ask_at_once_agree(store: Callable[[], Any]) -> None:
    made: list[str] = []
    barrier = threading.Barrier(6)
    holders = [store() for _ in range(6)]

    def ask(held: Any) -> None:
        visitors = _make("destroyed", store=held)
        barrier.wait()
        made.append(_id(visitors))

    threads = [threading.Thread(target=ask, args=(held,)) for held in holders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(made) == 6
    assert len(set(made)) == 1


def _ask_in_a_process(path: str) -> str:
    return _id(_make("destroyed", store=FileSalts(path)))


def test_processes_that_ask_at_once_agree(tmp_path: Path) -> None:
    with multiprocessing.get_context("fork").Pool(4) as pool:
        assert len(set(pool.map(_ask_in_a_process, [str(tmp_path / "salts")] * 12))) == 1


def test_around_midnight_both_days_have_their_key_for_the_grace(store: Callable[[], Any]) -> None:
    visitors = _make("destroyed", store=store(), grace=300.0)
    midnight = 20_001 * DAY
    yesterday = _id(visitors, now=midnight - 1)
    today = _id(visitors, now=midnight + 1)
    assert _id(visitors, now=midnight - 1) == yesterday  # a host whose clock is behind
    assert _id(visitors, now=midnight + 301) == today
    with pytest.raises(SaltUnavailable):
        _id(visitors, now=midnight - 1)
    with pytest.raises(SaltUnavailable):
        _id(_make("destroyed", store=store()), now=midnight - 1)


def test_a_timer_can_destroy_where_no_hit_comes(tmp_path: Path) -> None:
    path = tmp_path / "salts"
    visitors = _make("destroyed", store=path)
    _id(visitors)
    before = path.read_text()
    visitors.purge(NOON + DAY)
    salts = {line.split(" ")[1] for line in before.splitlines() if not line.startswith("oldest")}
    assert salts
    assert not any(salt in path.read_text() for salt in salts)


def test_a_file_of_salts_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "salts"
    _id(_make("destroyed", store=path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


class _Down:
    def salt(self, period: int, fresh: bytes, oldest: int) -> bytes:
        raise ConnectionError("redis://user:password@host refused")


class _Short:
    def salt(self, period: int, fresh: bytes, oldest: int) -> bytes:
        return b""


@pytest.mark.parametrize("held", [_Down(), _Short()])
def test_without_its_store_it_makes_no_id(held: Any) -> None:
    with pytest.raises(SaltUnavailable) as caught:
        _id(_make("destroyed", store=held))
    assert "password" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_damaged_or_unreadable_file_makes_no_id(tmp_path: Path) -> None:
    (tmp_path / "salts").write_text("20000 zz\n")
    with pytest.raises(SaltUnavailable):
        _id(_make("destroyed", store=tmp_path / "salts"))
    with pytest.raises(SaltUnavailable):
        _id(_make("destroyed", store=tmp_path / "no" / "folder"))


def test_a_redis_that_is_away_makes_no_id() -> None:
    with pytest.raises(SaltUnavailable):
        _id(_make("destroyed", store="redis://127.0.0.1:1/0"))


def test_a_fork_shares_the_salt_it_had(tmp_path: Path) -> None:
    visitors = _make("destroyed", store=tmp_path / "salts")
    before = _id(visitors)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, _id(visitors).encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reader, 64).decode() == before
    os.close(reader)
    os.close(writer)


# --- ratchet -----------------------------------------------------------------------------------------------------


def test_a_ratchet_does_not_turn_back() -> None:
    visitors = _make("ratchet")
    _id(visitors)
    with pytest.raises(SaltUnavailable):
        _id(visitors, now=NOON - 2 * DAY)


def test_an_advanced_secret_makes_the_same_ids_from_then_on_and_none_before() -> None:
    old = _make("ratchet")
    today = _id(old)
    secret, since = old.advanced(NOON)
    new = VisitorId(secret, mode="ratchet", since=since)
    assert _id(new) == today
    assert _id(new, now=NOON + 9 * DAY) == _id(old, now=NOON + 9 * DAY)
    with pytest.raises(SaltUnavailable):
        _id(VisitorId(secret, mode="ratchet", since=since), now=NOON - DAY)


def test_only_a_ratchet_of_days_can_be_advanced() -> None:
    with pytest.raises(ConfigurationError):
        VisitorId(SECRET).advanced()


# --- visits ------------------------------------------------------------------------------------------------------


def _visit(visitors: VisitorId, now: float, provider: str = "snowplow", **who: str) -> str:
    return visitors.session(site="a.example", provider=provider, now=now, **{**WHO, **who})


@pytest.fixture(params=["memory", "redis"])
def sessions(request: pytest.FixtureRequest) -> Iterator[Any]:
    if request.param == "memory":
        yield MemorySessions()
        return
    held = RedisSessions(need_service("redis"), prefix=f"t{uuid.uuid4().hex[:12]}:")
    yield held
    held._client.close()


def test_a_visit_goes_on_while_hits_come(sessions: Any) -> None:
    visitors = VisitorId(SECRET, sessions=sessions)
    assert _visit(visitors, NOON) == _visit(visitors, NOON + 60) == _visit(visitors, NOON + 120)
    assert _visit(visitors, NOON) != _visit(visitors, NOON, client_ip="192.0.2.8")


def test_a_visit_ends_after_thirty_quiet_minutes() -> None:
    visitors = VisitorId(SECRET)
    visits = [_visit(visitors, NOON + second) for second in (0, 1799, 3598, 3598 + 1801)]
    assert visits[0] == visits[1] == visits[2] != visits[3]


def test_a_visit_in_redis_ends_when_redis_forgets_it() -> None:
    held = RedisSessions(need_service("redis"), prefix=f"t{uuid.uuid4().hex[:12]}:")
    assert held.began("v", 100.0, 1800.0) == 100.0
    assert held.began("v", 200.0, 1800.0) == 100.0
    assert 0 < held._client.pttl(held._prefix + "v") <= 1_800_000
    held._client.delete(held._prefix + "v")
    assert held.began("v", 5000.0, 1800.0) == 5000.0
    held._client.close()


def test_google_gets_the_second_in_which_the_visit_began() -> None:
    visitors = VisitorId(SECRET)
    assert _visit(visitors, NOON + 0.7, "ga4") == str(int(NOON))
    assert _visit(visitors, NOON + 60, "ga4") == str(int(NOON))


def test_running_visits_are_bounded() -> None:
    held = MemorySessions(capacity=10)
    for number in range(100):
        held.began(str(number), NOON, 1800)
    assert len(held._running) == 10


# --- generate_client_id ------------------------------------------------------------------------------------------


def test_a_client_id_is_stable_for_a_secret_and_unique_without_one() -> None:
    assert generate_client_id("ada") == generate_client_id("ada") == generate_client_id(b"ada")
    assert len({generate_client_id() for _ in range(100)}) == 100
    assert uuid.UUID(generate_client_id("ada")).version == 4


def test_a_site_key_separates_sites_and_is_no_prefix() -> None:
    ids = [
        generate_client_id("b", key="a"),
        generate_client_id("ab"),
        generate_client_id("a", key="b"),
        generate_client_id("b"),
    ]
    assert len(set(ids)) == 4


@given(st.text(max_size=50), st.text(max_size=50))
def test_two_secrets_are_two_clients(one: str, two: str) -> None:
    # HMAC pads its key with noughts to a block, so that only such an ending is the same key (RFC 2104 §2).
    same = one.rstrip("\x00") == two.rstrip("\x00")
    assert (generate_client_id(one) == generate_client_id(two)) == same


def test_utils_offers_it() -> None:
    assert utils.generate_client_id is generate_client_id


def test_a_time_may_be_a_datetime() -> None:
    visitors = VisitorId("0" * 64)
    who = {"site": "example.com", "client_ip": "192.0.2.7", "user_agent": "Firefox", "provider": "matomo"}
    noon = datetime(2026, 11, 1, 12, tzinfo=UTC)
    assert visitors.id(**who, now=noon) == visitors.id(**who, now=noon.timestamp())
    assert visitors.session(**who, now=noon) == visitors.session(**who, now=noon.timestamp())


# -- small things -------------------------------------------------------------------------------------------------


@MODES
def test_purging_leaves_today_s_key(mode: str) -> None:
    visitors = _make(mode)
    today = _id(visitors)
    visitors.purge(NOON + 60)
    assert _id(visitors) == today


def test_keys_of_many_days_do_not_pile_up() -> None:
    visitors = _make("derived")
    ids = [_id(visitors, now=NOON + day * DAY) for day in range(20)]
    assert len(visitors._keys) <= 9
    assert [_id(visitors, now=NOON + day * DAY) for day in range(20)] == ids


def test_a_number_is_no_secret_of_a_client() -> None:
    with pytest.raises(TypeError, match=r"got <int>; for a number type str\(number\)"):
        generate_client_id(17)  # type: ignore[arg-type]  # what the test is about


def test_stores_show_nothing_of_their_place() -> None:
    url = "redis://user:s3cret@127.0.0.1/9"
    for store in (RedisSalts(url), RedisSessions(url), SqlSalts("sqlite:///s3cret.db")):
        assert repr(store) == f"<{type(store).__name__}>"


def test_a_client_of_one_s_own_is_used_as_it_is() -> None:
    class Client:
        def eval(self, script: str, keys: int, *arguments: str) -> str:
            return "ab" * 32

    assert RedisSalts(Client()).salt(1, b"", 1) == b"\xab" * 32


def test_a_secret_of_64_characters_that_are_no_digits_is_text_and_a_longer_one_is_folded() -> None:
    for secret in ("z" * 64, "long-" * 40):
        assert _id(VisitorId(secret)) == _id(VisitorId(secret)) != _id(VisitorId(secret[::-1] + "!"))


def test_what_is_no_address_is_taken_as_it_stands() -> None:
    visitors = _make("derived")
    assert _id(visitors, client_ip="unknown") == _id(visitors, client_ip=" unknown ")
    assert _id(visitors, client_ip="unknown") != _id(visitors)


def test_a_ratchet_may_begin_at_a_date() -> None:
    dated, written = _make("ratchet", since=date(2024, 1, 1)), _make("ratchet", since="2024-01-01")
    assert _id(dated) == _id(written)


def test_a_salt_that_is_deleted_between_two_statements_makes_no_id(tmp_path: Path) -> None:
    import sqlalchemy

    class Late(SqlSalts):
        def _insert(self, period: int, value: str) -> None:
            super()._insert(period, value)
            with self._engine.begin() as connection:
                connection.execute(sqlalchemy.delete(self._table).where(self._table.c.period == 20_000))

    with pytest.raises(SaltUnavailable, match="destroyed by another process"):
        Late(f"sqlite:///{tmp_path}/salts.db").salt(20_000, b"x" * 32, 20_000)


def test_a_table_that_cannot_be_made_is_the_database_s_error(tmp_path: Path) -> None:
    import sqlalchemy

    salts = SqlSalts(f"sqlite:///{tmp_path}/missing/salts.db")
    with pytest.raises(sqlalchemy.exc.OperationalError):
        salts.salt(20_000, b"x" * 32, 20_000)
    with pytest.raises(SaltUnavailable, match="does not answer"):
        _id(_make("destroyed", store=salts))
    sqlalchemy.create_engine(f"sqlite:///{tmp_path}/empty.db").connect().close()
    with pytest.raises(sqlalchemy.exc.OperationalError, match="readonly"):
        SqlSalts(f"sqlite:///file:{tmp_path}/empty.db?mode=ro&uri=true").salt(20_000, b"x" * 32, 20_000)


def test_without_a_time_it_is_now() -> None:
    visitors = _make("derived", clock=lambda: NOON)
    assert visitors.id(site="a.example", provider="matomo", **WHO) == _id(visitors)

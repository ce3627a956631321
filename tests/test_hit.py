"""The sealed record, and the ids of hits."""

from __future__ import annotations

import os
import random
import time
import uuid

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytical.fields import Fields
from analytical.hit import COMMON, Hit, HitFields, key_id, new_id


def hit(**changes: object) -> Hit:
    return Hit.from_dict({"id": new_id(), "kind": "pageview", "time": 1e9, **changes})


def test_a_hit_survives_the_way_through_a_queue() -> None:
    before = hit(url="https://example.com/é", value=1.5, properties={"a": [1, {"b": None}]}, native={"dl": "x"})
    after = Hit.from_dict(msgspec.json.decode(msgspec.json.encode(before.to_dict())))
    assert after == before
    assert before.to_dict()["v"] == 1


def test_a_hit_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        hit().url = "https://elsewhere"  # type: ignore[misc]


def test_the_repr_shows_no_datum() -> None:
    secret = hit(url="https://example.com/secret", client_ip="12.34.56.78", properties={"mail": "a@b.example"})
    for text in (repr(secret), str(secret), f"{secret}", repr(secret.__rich_repr__())):
        assert "secret" not in text
        assert "12.34" not in text
        assert "a@b" not in text
        assert secret.id in text


def test_data_of_a_newer_version_is_refused_in_words() -> None:
    with pytest.raises(ValueError, match="newer version"):
        Hit.from_dict({"id": "x", "kind": "event", "time": 1.0, "v": 2})


def test_broken_data_is_refused_without_showing_it() -> None:
    with pytest.raises(ValueError, match="not a hit") as caught:
        Hit.from_dict({"id": "x", "kind": "event", "time": "planted@example.com"})
    assert "planted" not in str(caught.value)


def test_the_vocabulary_and_the_record_agree() -> None:
    recorded = set(Hit.__struct_fields__)
    assert set(COMMON) <= recorded
    assert set(COMMON) <= set(HitFields.__annotations__)


def test_new_ids_are_uuids_of_version_7() -> None:
    ids = {new_id() for _ in range(500)}
    assert len(ids) == 500
    assert all(uuid.UUID(item).version == 7 and str(uuid.UUID(item)) == item for item in ids)
    assert all(uuid.UUID(item).variant == uuid.RFC_4122 for item in ids)


@given(st.text(), st.text())
def test_a_key_is_one_id_within_one_destination(key: str, scope: str) -> None:
    key, scope = (text.encode("utf-8", "replace").decode() for text in (key, scope))
    made = key_id(key, scope)
    assert made == key_id(key, scope) == str(uuid.UUID(made))
    assert made != key_id(key + "x", scope)
    assert made != key_id(key, scope + "x")


def test_a_table_lifts_and_lowers() -> None:
    table = Fields(url="dl", title="dt", kinds={"ni": "plain"})
    native = {"dl": "https://example.com/", "dt": "T", "ni": 1, "zz": "free"}
    known, rest = table.lift(native)
    assert known == {"url": "https://example.com/", "title": "T"}
    assert table.lower(hit(**known, native=rest)) == native
    assert [table.kind(key) for key in ("dl", "ni", "zz")] == ["url", "plain", "text"]
    assert dict(table) == {"url": "dl", "title": "dt"}


def test_a_table_is_one_to_one_and_knows_its_names() -> None:
    with pytest.raises(TypeError, match="one-to-one"):
        Fields(url="x", title="x")
    with pytest.raises(TypeError, match="urk"):
        Fields(urk="x")


def test_ids_do_not_follow_the_applications_random_numbers() -> None:
    made = set()
    for _ in range(3):
        random.seed(42)
        made.update(new_id() for _ in range(100))
    assert len(made) == 300
    assert all(uuid.UUID(one).version == 7 and str(uuid.UUID(one)) == one for one in made)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_makes_ids_of_its_own() -> None:
    new_id()
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(theirs, "\n".join(new_id() for _ in range(100)).encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(theirs)
    with os.fdopen(ours) as file:
        made = file.read().split("\n")
    assert len(set(made)) == 100
    assert not set(made) & {new_id() for _ in range(100)}


def test_ids_grow_with_time() -> None:
    made = [new_id() for _ in range(2_000)]
    stamps = [int(one.replace("-", "")[:12], 16) / 1000 for one in made]
    assert stamps[100:] == sorted(stamps[100:])
    assert abs(time.time() - stamps[-1]) < 60

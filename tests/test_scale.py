"""The simulated day behind the documentation's page on scale."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from benchmarks.scale import Day, bill, plan, simulate

SMALL = Day(hits=1e9, worker=5_000)


def test_the_same_seed_gives_the_same_day() -> None:
    given = plan(SMALL)
    assert simulate(SMALL, given, seed=7, step=300) == simulate(SMALL, given, seed=7, step=300)
    assert simulate(SMALL, given, seed=7, step=300) != simulate(SMALL, given, seed=8, step=300)


def test_what_comes_is_delivered_or_waits() -> None:
    seen = simulate(SMALL, plan(SMALL), step=300)
    assert seen.arrived == pytest.approx(SMALL.hits, rel=0.02)
    assert seen.arrived == pytest.approx(seen.delivered + seen.waiting)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("hits", [1e8, 1e9, 2e10])
def test_the_plan_survives_an_outage_at_noon_and_a_dead_worker(hits: float, seed: int) -> None:
    day = replace(SMALL, hits=hits)
    seen = simulate(day, plan(day), seed=seed, step=300)
    assert seen.caught_up <= day.catch_up
    assert seen.hottest <= day.partition
    assert seen.waiting < seen.busiest * 300


def test_an_outage_leaves_as_much_waiting_as_came_in_it() -> None:
    day = replace(SMALL, crowd=1.0, hot=0.0)
    seen = simulate(day, plan(day), step=60)
    assert seen.most == pytest.approx(day.mean * day.peak * 3600, rel=0.05)
    assert 0.9 * 3600 < seen.oldest < 1.2 * 3600


def test_too_few_workers_are_found_out() -> None:
    given = plan(SMALL)
    short = given._replace(workers=2, partitions=4)
    seen = simulate(SMALL, short, step=300)
    assert math.isinf(seen.caught_up) or seen.caught_up > SMALL.catch_up


def test_one_visitor_above_a_partitions_measure_has_no_plan() -> None:
    with pytest.raises(ValueError, match="more than a partition takes"):
        plan(replace(SMALL, hits=1e11, hot=0.05))


def test_costs_grow_with_the_hits() -> None:
    costs = []
    for hits in (1e9, 1e10):
        day = replace(SMALL, hits=hits)
        costs.append(bill(day, plan(day), simulate(day, plan(day), step=600)))
    assert costs[0]["written"] == pytest.approx(1e9 * SMALL.octets / 2**30)
    assert 8 < costs[1]["total"] / costs[0]["total"] < 12

"""A day at a billion hits and more, simulated: partitions, workers, bytes, money. ``python -m benchmarks scale``.

Hits come in a daily curve with a sudden crowd; a broker holds them in partitions by visitor, one of which is hotter
than the others; a group of workers empties the partitions at a measured rate. One worker dies, the platform is down
for an hour, and then everything that waited is caught up with. Time goes in steps; the same seed gives the same day.
In every step the books must balance: what came is delivered or waits.

The inputs are measurements of one machine (``python -m benchmarks spools``, ``python -m benchmarks``) and prices that
you should replace by your own: every one is an option.
"""

from __future__ import annotations

import argparse
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import NamedTuple

__all__ = ["Day", "Plan", "Seen", "bill", "plan", "simulate"]

DAY = 86_400
GIB = 2**30


@dataclass(frozen=True)
class Day:
    """What comes, what each thing can do, and what it costs.

    Args:
        hits: in a day.
        peak: the busiest hour's rate over the day's mean.
        crowd: by how much the rate is multiplied for ten minutes once a day.
        hot: the share of all hits that one visitor (a robot, mostly) sends; all are in one partition.
        worker: hits a second that one worker process on one core delivers in batches.
        single: the same with one hit in a request.
        partition: hits a second that one partition should take at most: the broker's measure.
        request: hits in one request to the platform; 1 for GA4 or Plausible.
        round_trip: seconds of one request.
        octets: bytes of a queued hit in the broker.
        sent: bytes of a hit on the wire to the platform.
        replicas: copies that the broker keeps.
        kept: hours that the broker keeps what was delivered.
        outage: hours for which the platform is down.
        catch_up: hours after which nothing may wait any more.
        core_hour, disk_month, transfer: the price of a core for an hour, of a GiB of disk for a month, and of a GiB
            sent to the platform, in one currency.
        mishap: seconds until another worker has taken over what a dead one held.
    """

    hits: float = 1e9
    peak: float = 2.0
    crowd: float = 1.5
    hot: float = 0.0005
    worker: float = 10_000.0
    single: float = 1_500.0
    partition: float = 10_000.0
    request: int = 100
    round_trip: float = 0.05
    octets: float = 520.0
    sent: float = 450.0
    replicas: int = 3
    kept: float = 24.0
    outage: float = 1.0
    catch_up: float = 6.0
    core_hour: float = 0.04
    disk_month: float = 0.08
    transfer: float = 0.05
    mishap: float = 20.0

    @property
    def able(self) -> float:
        """Hits a second of one worker."""
        return self.single if self.request == 1 else self.worker

    @property
    def mean(self) -> float:
        """Hits a second over the day."""
        return self.hits / DAY


class Plan(NamedTuple):
    """What a day needs."""

    partitions: int
    workers: int
    connections: int  #: requests under way at once, of all workers together, in the busiest minute


class Seen(NamedTuple):
    """What a simulated day showed."""

    arrived: float
    delivered: float
    waiting: float  #: at the day's end
    busiest: float  #: hits a second that came in the busiest step
    most: float  #: hits that waited at most
    oldest: float  #: seconds that the oldest hit waited at most
    caught_up: float  #: hours from the outage's end until hardly anything waited; ``inf`` if never
    hottest: float  #: hits a second that the hottest partition got in the busiest step


def plan(day: Day) -> Plan:
    """Calculate partitions and workers on paper, before a simulation confirms or refutes it.

    Workers must take the busiest ten minutes with a fifth to spare, and catch up with an outage in time: its hits
    on top of what keeps coming at the curve's height. Partitions must be a multiple of the workers, or some idle.
    """
    top = day.mean * day.peak
    busiest = top * day.crowd * 1.2
    backlog = top * day.outage * 3600
    after = top + backlog / (day.catch_up * 3600)
    workers = math.ceil(max(busiest, after) / day.able) + 1  # one may die
    # The hottest visitor's hits are in one partition with its fair share of the others.
    each = day.partition - day.hot * top * day.crowd
    if each <= 0:
        raise ValueError(
            f"one visitor sends {day.hot:.2%} of all hits, more than a partition takes ({day.partition:,.0f}/s); "
            "drop it at the door (bots=) or key it by hit"
        )
    partitions = math.ceil(busiest / each)
    partitions = max(1, math.ceil(partitions / workers)) * workers
    return Plan(partitions, workers, math.ceil(busiest / day.request * day.round_trip))


def simulate(day: Day, given: Plan, *, seed: int = 1, step: float = 60.0) -> Seen:
    """Live through a day.

    Args:
        day: what comes and what can be done.
        given: how it is met.
        seed: of the crowd's moment, the partitions' shares, the worker that dies and when.
        step: seconds.
    """
    chance = random.Random(seed)
    shares = _shares(day, given.partitions, chance)
    # The group gives every worker as many partitions; what a worker has waiting is one queue.
    owner = [index % given.workers for index in range(given.partitions)]
    load = [0.0] * given.workers
    for share, worker in zip(shares, owner, strict=True):
        load[worker] += share
    crowd_at = chance.uniform(0.35, 0.75) * DAY
    dies_at, dead = chance.uniform(0.2, 0.9) * DAY, chance.randrange(given.workers)
    down_at = 0.5 * DAY - day.outage * 1800  # about the busiest hour, which is the worst
    down_until = down_at + day.outage * 3600
    curve = _curve(day.peak)
    waiting = [0.0] * given.workers
    arrived = delivered = busiest = most = oldest = 0.0
    caught_up = math.inf
    for turn in range(round(DAY / step)):
        at = turn * step
        rate = day.mean * curve(at / DAY) * (day.crowd if crowd_at <= at < crowd_at + 600 else 1.0)
        busiest = max(busiest, rate)
        down = min(max(min(at + step, down_until) - max(at, down_at), 0.0), step)
        for worker in range(given.workers):
            come = rate * step * load[worker]
            able = step - down
            if worker == dead and at <= dies_at < at + step:
                able = max(able - day.mishap, 0.0)
            gone = min(waiting[worker] + come, able * day.able)
            waiting[worker] += come - gone
            arrived += come
            delivered += gone
            if load[worker]:
                oldest = max(oldest, waiting[worker] / (rate * load[worker]))
        total = sum(waiting)
        most = max(most, total)
        if math.isinf(caught_up) and at >= down_until and total <= rate * step:
            caught_up = max(at + step - down_until, 0.0) / 3600
        if not math.isclose(arrived, delivered + total, rel_tol=1e-9):
            raise AssertionError(f"the books do not balance at {at:.0f} s")
    return Seen(arrived, delivered, sum(waiting), busiest, most, oldest, caught_up, max(shares) * busiest)


def _curve(peak: float) -> Callable[[float], float]:
    """Return the rate at a part of the day, over the day's mean: highest at noon, never zero (von Mises' curve)."""
    if peak <= 1.0:
        return lambda part: 1.0
    narrow, wide = 0.0, 50.0
    for _ in range(60):
        k = (narrow + wide) / 2
        narrow, wide = (k, wide) if 1.0 / _mean(k) < peak else (narrow, k)
    mean = _mean(k)
    return lambda part: math.exp(k * (-math.cos(2 * math.pi * part) - 1)) / mean


def _mean(k: float) -> float:
    return sum(math.exp(k * (-math.cos(2 * math.pi * index / 96) - 1)) for index in range(96)) / 96


def _shares(day: Day, partitions: int, chance: random.Random) -> list[float]:
    # Visitors are many; how many of them a partition gets varies by a few in a hundred.
    weights = [max(chance.gauss(1.0, 0.03), 0.5) for _ in range(partitions)]
    whole = sum(weights)
    shares = [weight / whole * (1 - day.hot) for weight in weights]
    shares[chance.randrange(partitions)] += day.hot
    return shares


def bill(day: Day, given: Plan, seen: Seen) -> dict[str, float]:
    """Return bytes and money of a day: GiB written, held and sent, megabytes a second at the peak; costs by part."""
    written = day.hits * day.octets / GIB
    # Delivered hits stay for ``kept`` hours; what waits in an outage stays in any case.
    held = max(day.hits * day.kept / 24, seen.most) * day.octets * day.replicas / GIB
    sent = day.hits * day.sent / GIB
    cores = given.workers * 24 * day.core_hour
    disk = held * day.disk_month / 30
    out = sent * day.transfer
    return {
        "written": written,
        "held": held,
        "sent": sent,
        "peak": seen.busiest * day.octets / 1e6,
        "cores": cores,
        "disk": disk,
        "transfer": out,
        "total": cores + disk + out,
    }


def _row(day: Day) -> list[str]:
    needed = plan(day)
    seen = simulate(day, needed)
    costs = bill(day, needed, seen)
    return [
        f"{day.hits / 1e9:,.0f} billion, {day.request} a request",
        f"{day.mean:,.0f}",
        f"{seen.busiest:,.0f}",
        f"{needed.partitions:,}",
        f"{needed.workers:,}",
        f"{needed.connections:,}",
        f"{costs['peak']:,.0f}",
        f"{costs['written']:,.0f}",
        f"{costs['held']:,.0f}",
        f"{seen.most / 1e6:,.0f}",
        f"{seen.caught_up:,.1f}",
        f"{costs['total']:,.0f}",
    ]


HEAD = [
    "a day", "mean hits/s", "busiest", "partitions", "workers", "connections", "MB/s", "GiB written", "GiB held",
    "most waiting, millions", "caught up, h", "cost a day",
]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks scale", description=__doc__.splitlines()[0])
    for field in fields(Day):
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=type(field.default), help=f"{field.default:g}")
    parser.add_argument("--write", action="store_true", help="write docs/_static/scale.rst")
    given = parser.parse_args()
    changes = {field.name: value for field in fields(Day) if (value := getattr(given, field.name)) is not None}
    day = replace(Day(), **changes)
    cases = [day] if "hits" in changes else [replace(day, hits=1e9), replace(day, hits=1e11)]
    if "request" not in changes:
        cases += [replace(case, request=1) for case in cases]
    rows = [HEAD, *map(_row, cases)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    for row in rows:
        print("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)))
    if given.write:
        lines = [".. list-table::", "   :header-rows: 1", "   :stub-columns: 1", ""]
        # Turned: twelve columns do not fit a page, twelve rows do.
        for column in range(len(HEAD)):
            for number, row in enumerate(rows):
                lines.append(f"   {'* -' if number == 0 else '  -'} {row[column]}")
        path = Path(__file__).parent.parent / "docs" / "_static" / "scale.rst"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""What became of one hit in one exchange."""

from __future__ import annotations

from typing import Literal, NamedTuple

__all__ = ["DELIVERED", "NOT_TRIED", "UNCONFIRMED", "State", "Verdict", "dropped", "expired", "rejected", "retry"]

State = Literal["delivered", "unconfirmed", "retry", "rejected", "expired", "dropped"]


class Verdict(NamedTuple):
    """A state, why, and for a retry how long the platform asked to wait.

    Args:
        state: ``delivered`` (the platform confirms), ``unconfirmed`` (it took the bytes and cannot say more),
            ``retry`` (not now), ``rejected`` (never). A backend says one of these; ``expired`` (too old for its
            platform) and ``dropped`` (given up) are a driver's to say.
        reason: a few words for a counter or a dead letter, without data of the hit.
        after: seconds the destination asked to be left alone, or ``None``.
        ambiguous: a retry that may make a duplicate: the body was sent and no answer came.
        attempts: a retry only up to so many attempts, where the platform's answer is untrustworthy.
        stop: the whole destination should pause: the credentials were refused, and trying on makes it worse.
        tried: whether a retry counts as an attempt; a driver says no where the failure was not the hit's.
    """

    state: State
    reason: str = ""
    after: float | None = None
    ambiguous: bool = False
    attempts: int | None = None
    stop: bool = False
    tried: bool = True

    @property
    def final(self) -> bool:
        """Whether the hit is done with."""
        return self.state != "retry"


#: The reason of a retry that says nothing of the hit: the exchange ended before its turn came, and no attempt was made.
NOT_TRIED = "not tried"

DELIVERED = Verdict("delivered")
UNCONFIRMED = Verdict("unconfirmed")


def retry(
    after: float | None = None,
    *,
    reason: str = "",
    ambiguous: bool = False,
    attempts: int | None = None,
    stop: bool = False,
) -> Verdict:
    """Return the verdict *not now*."""
    return Verdict("retry", reason, after, ambiguous, attempts, stop)


def rejected(reason: str) -> Verdict:
    """Return the verdict *never*, with its reason."""
    return Verdict("rejected", reason)


def expired(reason: str) -> Verdict:
    """Return the verdict *too late*: the platform would misdate the hit."""
    return Verdict("expired", reason)


def dropped(reason: str) -> Verdict:
    """Return the verdict *given up*, with its reason."""
    return Verdict("dropped", reason)

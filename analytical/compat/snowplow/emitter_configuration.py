"""The options of an emitter, gathered."""

from __future__ import annotations

from typing import Any

from .event_store import EventStore
from .typing import FailureCallback, SuccessCallback

__all__ = ["EmitterConfiguration"]


class EmitterConfiguration:
    """How an emitter sends; the arguments are those of :class:`~analytical.compat.snowplow.Emitter`."""

    def __init__(
        self,
        batch_size: int | None = None,
        on_success: SuccessCallback | None = None,
        on_failure: FailureCallback | None = None,
        byte_limit: int | None = None,
        request_timeout: float | tuple[float, float] | None = None,
        buffer_capacity: int | None = None,
        custom_retry_codes: dict[int, bool] | None = None,
        event_store: EventStore | None = None,
        session: Any = None,
    ) -> None:
        self.batch_size = batch_size
        self.on_success = on_success
        self.on_failure = on_failure
        self.byte_limit = byte_limit
        self.request_timeout = request_timeout
        self.buffer_capacity = buffer_capacity
        # A mapping of its own: 1.x shares one among all configurations.
        self.custom_retry_codes: dict[int, bool] = dict(custom_retry_codes or {})
        self.event_store = event_store
        self.session = session

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ("batch_size", "byte_limit", "buffer_capacity") and value is not None:
            if isinstance(value, bool) or not isinstance(value, int):
                raise ValueError(f"{name}: expected a whole number, got {type(value).__name__}")
            if value < 0:
                raise ValueError(f"{name}: expected a whole number above 0, got {value}")
        object.__setattr__(self, name, value)

    def set_retry_code(self, status_code: int, retry: bool = True) -> bool:
        """Say whether an answer with a status is tried again; returns whether the rule was taken.

        Args:
            status_code: no 2xx: those are never tried again.
            retry: whether to try again.
        """
        if isinstance(status_code, bool) or not isinstance(status_code, int) or not isinstance(retry, bool):
            return False
        if 200 <= status_code < 300:
            return False
        self.custom_retry_codes[status_code] = retry
        return True

"""For functions that are frozen or ended between calls: deliver what waits before the answer is given.

A platform that runs functions (AWS Lambda, Google Cloud Functions, Azure Functions) may stop a process the moment
its function returns; a background thread then delivers nothing until the next call, if there is one.
https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self, TypeVar

__all__ = ["flush_all", "flushing"]

log = logging.getLogger("analytical.delivery")

_Function = TypeVar("_Function", bound=Callable[..., Any])


class flushing:  # noqa: N801 - it is used as a word: ``with flushing():``
    """Deliver everything that waits in this process at the end of a block or of every call of a function.

    Args:
        timeout: seconds that all providers together may take. What is not delivered by then stays where it is:
            a durable spool keeps it, memory keeps it while the process lives.

    As a context manager, plain or asynchronous, and as a decorator of functions and of coroutine functions. What the
    block raises is raised, after the delivery.

    >>> @flushing(timeout=2)
    ... def handler(event, context):
    ...     return 200
    >>> handler({}, None)
    200
    """

    def __init__(self, timeout: float = 2.0) -> None:
        self.timeout = timeout

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._flush()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self._flush)

    def __call__(self, function: _Function, /) -> _Function:
        if inspect.isasyncgenfunction(function) or inspect.isgeneratorfunction(function):
            raise TypeError(
                f"flushing() decorates functions that return; {function.__qualname__} is a generator. "
                "Write `with flushing():` inside it"
            )
        wrapper: Any
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def wrapper(*args: Any, **kwargs: Any) -> Any:
                async with type(self)(self.timeout):
                    return await function(*args, **kwargs)

        else:

            @functools.wraps(function)
            def wrapper(*args: Any, **kwargs: Any) -> Any:
                with type(self)(self.timeout):
                    return function(*args, **kwargs)

        flushed: _Function = wrapper
        return flushed

    def _flush(self) -> None:
        if not flush_all(self.timeout):
            log.warning("some hits could not be delivered in %g s; they wait on", self.timeout)


def flush_all(timeout: float | None = None) -> bool:
    """Wait until nothing waits in any background driver of this process.

    Args:
        timeout: seconds for all of them together; ``None`` for as long as it takes.

    Returns:
        Whether nothing is left.
    """
    thread = sys.modules.get("analytical.delivery.thread")
    if thread is None:
        return True  # nothing was ever sent in the background
    deadline = None if timeout is None else time.monotonic() + timeout
    # One after the other, and all within one time: their threads work side by side meanwhile.
    empty = [
        driver.flush(None if deadline is None else max(0.0, deadline - time.monotonic())) for driver in thread._live()
    ]
    return all(empty)

"""``Provider``: a provider by name; ``Providers``: several at once."""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NoReturn, Self, Unpack

from .backend import Backend
from .bots import Bots
from .delivery import Delivery
from .errors import AnalyticalError, ConfigurationError, UnknownName, Unsupported, did_you_mean
from .hit import HitFields
from .observe import Observer
from .privacy.consent import FileTombstones, Tombstones
from .privacy.policy import Policy
from .providers.base import OnFailure, OnSuccess, Shell
from .registry import PROVIDERS
from .transports import Transport

if TYPE_CHECKING:
    import requests

    from .collect import Report
    from .spool import Spool

__all__ = ["Provider", "Providers"]

_numbers = itertools.count(1)
_DELIVERIES = ("inline", "background", "celery")
_DRIVES = ("attach", "submit", "flush", "close")


class Provider(Shell):
    """A provider by name.

    Args:
        name: a registered name: ``matomo``, ``googleanalytics``, ``plausible`` … (``analytical providers`` lists them).
        id: the platform's own id: a property, a site id, a domain, Snowplow's app id, a path for ``file``.
        endpoint: a base address without a path (the protocol's path is added), or a whole URL (used as given).
        timeout: seconds for a whole exchange with the platform: a deadline, not a time between bytes.
        fail_silently: whether the world's failures are only counted. Programming mistakes always raise.
        delivery: ``inline`` sends before the call returns; ``background`` hands over to a thread and returns at once;
            ``celery`` hands over to a worker; or an object with the methods of :class:`~analytical.delivery.Delivery`.
        spool: where hits wait: a path (a SQLite outbox that survives the process), a URL (``memory://?hits=50000``,
            ``redis://…``, ``kafka://…``) or a spool. It implies ``background``.
        privacy: ``careful`` (the default), ``strict``, ``off``, or a :class:`~analytical.Policy`.
        transport: what sends a request, instead of the default.
        session: a ``requests.Session`` of yours: its proxies, certificates and adapters are used as they are.
        observer: is told of every step.
        bots: what is done with visits that are not a person's: ``drop``, ``tag``, or a :class:`~analytical.Bots`;
            without it they are counted like people.
        tombstones: where withdrawals are kept (see ``withdraw``): a path, or an object; by default beside a spool
            that is a file, else in memory.
        ambiguous: what becomes of a hit whose request was sent and never answered: ``retry`` may count it twice where
            the platform does not recognise a repeated id, ``drop`` may not count it at all.
        connections: requests to the platform under way at once, in the background; 32 unless told.
        to: the destination's name in queues and logs.
        options: the provider's own options; a secret may be given as ``env:NAME`` or ``file:PATH``.

    Raises:
        UnknownName: a ``ValueError`` that lists the providers and suggests the nearest.
        ConfigurationError: a ``ValueError``: an option cannot be used.
        TypeError: an option that the provider does not have.
    """

    def __init__(
        self,
        name: str,
        id: Any = "",
        *,
        endpoint: str | None = None,
        timeout: float = 3.0,
        fail_silently: bool = True,
        delivery: str | Delivery | None = None,
        asynchronously: bool | None = None,
        spool: str | Path | Spool | None = None,
        privacy: str | Policy | None = None,
        transport: Transport | None = None,
        session: requests.Session | None = None,
        observer: Observer | None = None,
        bots: str | Bots | None = None,
        tombstones: str | Path | Tombstones | None = None,
        ambiguous: Literal["retry", "drop"] = "retry",
        connections: int | None = None,
        to: str | None = None,
        **options: Any,
    ) -> None:
        if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or not 0 < timeout <= 3600:
            raise ConfigurationError(f"timeout={timeout!r}: expected seconds, more than 0 and at most 3600")
        if ambiguous not in ("retry", "drop"):
            raise ConfigurationError(f"ambiguous={ambiguous!r}: expected 'retry' or 'drop'")
        if transport is not None and session is not None:
            raise ConfigurationError("give transport= or session=, not both: a session is for the default transport")
        for option, given in (("transport", transport), ("session", session)):
            if given is not None and not callable(getattr(given, "send", None)):
                raise ConfigurationError(f"{option}= takes an object with send(); got <{type(given).__name__}>")
        if connections is not None and (
            isinstance(connections, bool) or not isinstance(connections, int) or connections < 1
        ):
            raise ConfigurationError(f"connections={connections!r}: expected a whole number, 1 or more")
        if bots is not None and not isinstance(bots, (str, Bots)):
            raise ConfigurationError(f"bots= takes 'drop', 'tag' or an analytical.Bots; got <{type(bots).__name__}>")
        if observer is not None and not _observes(observer):
            raise ConfigurationError(
                f"observer= takes an object with settled(), retried(), noted() …, or with on_delivered, on_retry or "
                f"on_lost; got <{type(observer).__name__}>"
            )
        if asynchronously:
            if delivery not in (None, "celery"):
                raise ConfigurationError(f"asynchronously=True means delivery='celery'; got delivery={delivery!r} too")
            delivery = "celery"
        backend = _backend(name, id, endpoint, options)
        driver, background = _driver(delivery, spool)
        if to is None:
            # A durable spool and Celery are read by other processes, so the name must be the same there; memory is
            # ours alone.
            shared = spool is not None or delivery == "celery"
            to = f"{backend.name}:{backend.label}" if shared else f"{backend.name}:{backend.label}#{next(_numbers)}"
        self._build = {"name": name, "id": id, "endpoint": endpoint, "options": options}
        self._carrier = (transport, session)
        super().__init__(
            backend,
            to=to,
            policy=Policy.of(privacy),
            delivery=driver,
            transport=transport or _transport(backend, session, timeout, background=background),
            timeout=timeout,
            fail_silently=fail_silently,
            observer=observer,
            background=background,
            bots=Bots(action=bots) if isinstance(bots, str) else bots,  # type: ignore[arg-type]  # Bots refuses others
            tombstones=_tombstones(tombstones, spool),
            ambiguous=ambiguous,
            connections=connections,
        )

    def _elsewhere(self, to: str) -> Shell:
        from .config import get

        return get(to)

    def report(
        self,
        method: str | Iterable[str] = "",
        *,
        metrics: Mapping[str, str] | Iterable[str] | str | None = None,
        by: Mapping[str, str] | Iterable[str] | str | None = None,
        where: Any = None,
        every: str | None = "day",
        tz: str = "UTC",
        **more: Any,
    ) -> Report:
        """Return a report that the platform makes: a lazy iterable of records on a period grid.

        Args:
            method: the report's name as the platform spells it (``VisitsSummary.get``, ``runReport`` …); may be left
                out where the platform has one only.
            metrics: the platform's names, or a mapping of them to yours.
            by: the same for dimensions.
            where: the platform's filter.
            every: ``hour``, ``day``, ``week``, ``month``; ``None`` for a realtime reading.
            tz: the time zone of the grid: the platform's own setting for this site.
            more: ``settle``, ``since``, ``add``, ``then``, ``title``, ``retry_for``, ``timeout``: see
                :func:`analytical.collect.report_for`; anything else is a parameter of the platform, as it documents it.

        Raises:
            UnknownName: the platform has no reports here.
            ConfigurationError: the question makes no sense; nothing was sent.
        """
        from .collect import report_for

        transport, session = self._carrier
        if session is not None:
            from .collect.session import MAX_ANSWER
            from .transports.requests import RequestsTransport

            transport = RequestsTransport(session=session, max_answer=MAX_ANSWER)
        return report_for(
            self._build["name"],
            self._build["id"],
            method,
            metrics=metrics,
            by=by,
            where=where,
            every=every,
            tz=tz,
            endpoint=self._build["endpoint"],
            options=self._build["options"],
            transport=transport,
            **more,
        )


def _backend(name: str, id: Any, endpoint: str | None, options: Mapping[str, Any]) -> Backend:
    """Return the sending half of a provider; options that only its reports know stay with :meth:`Provider.report`."""
    try:
        made: type[Backend] = PROVIDERS.get(name)
    except UnknownName:
        from .collect.protocol import SOURCES, options_of

        if name not in SOURCES:
            raise
        takes = options_of(name)  # none for a function, which takes any
        for option in options if takes else ():
            if option not in takes:
                raise TypeError(
                    f"{name} has no option {option!r}.{did_you_mean(option, takes)} Options: {', '.join(sorted(takes))}"
                ) from None
        return _ReportsOnly(id=str(id), platform=name)
    known = {one.name for one in dataclasses.fields(made)}
    reading: frozenset[str] = frozenset()
    if not known.issuperset(options):
        from .collect.protocol import options_of

        reading = (options_of(name) - known).intersection(options)
        options = {option: value for option, value in options.items() if option not in reading}
    try:
        return made.create(id, endpoint=endpoint, **options)
    except ConfigurationError as error:
        if not reading:
            raise
        # Credentials of the reading half were given: what the sending half lacks is said when something is sent.
        return _ReportsOnly(id=str(id), platform=name, lack=str(error))
    except TypeError as error:
        # A misspelt keyword of Provider itself arrives here as an option that no platform has.
        near = "".join(did_you_mean(option, Provider.__init__.__kwdefaults__ or ()) for option in options)
        if "Did you mean" in str(error) or not near:
            raise
        raise TypeError(f"{error}.{near}") from None


@dataclasses.dataclass(frozen=True, kw_only=True)
class _ReportsOnly(Backend):
    """A platform, or a source of the user's, that is read and never sent to."""

    platform: str
    lack: str = ""

    name: ClassVar[str] = "reports"
    host: ClassVar[str | None] = "http://localhost"
    kinds: ClassVar[frozenset[str]] = frozenset()
    required: ClassVar[Mapping[str, tuple[str, ...]]] = {}

    def refuse(self, kind: str, draft: Mapping[str, Any]) -> NoReturn:
        if self.lack:
            raise ConfigurationError(self.lack)
        raise Unsupported(f"{self.platform} has reports and takes no hits; call report()")


def _observes(observer: object) -> bool:
    told = ("accepted", "settled", "settled_many", "retried", "noted", "on_delivered", "on_retry", "on_lost")
    return any(callable(getattr(observer, name, None)) for name in told)


def _driver(delivery: str | Delivery | None, spool: str | Path | Spool | None) -> tuple[Delivery, bool]:
    if delivery is None:
        delivery = "background" if spool is not None else "inline"
    if not isinstance(delivery, str):
        if spool is not None:
            raise ConfigurationError("spool= is for the background delivery; the delivery given has a spool of its own")
        lacking = [name for name in _DRIVES if not callable(getattr(delivery, name, None))]
        if lacking:
            raise ConfigurationError(
                f"delivery= takes {', '.join(_DELIVERIES)} or an object with {', '.join(_DRIVES)}; "
                f"<{type(delivery).__name__}> has no {lacking[0]}()"
            )
        return delivery, True
    if delivery == "inline":
        if spool is not None:
            raise ConfigurationError("spool= implies delivery='background'; leave delivery='inline' out")
        from .delivery.inline import InlineDelivery

        return InlineDelivery(), False
    if delivery == "background":
        from .delivery.thread import driver_for

        return driver_for(spool), True
    if delivery == "celery":
        from .delivery.celery import celery_driver

        return celery_driver(spool), True
    raise ConfigurationError(
        f"delivery={delivery!r}.{did_you_mean(delivery, _DELIVERIES)} Expected one of {', '.join(_DELIVERIES)}, "
        "or an object with attach, submit, flush and close"
    )


def _tombstones(given: str | Path | Tombstones | None, spool: object) -> Tombstones | None:
    if given is None and isinstance(spool, (str, Path)):
        text = str(spool)
        if "://" not in text or text.startswith("sqlite:///"):
            given = text.removeprefix("sqlite:///").partition("?")[0] + ".tombstones"
    return FileTombstones(given) if isinstance(given, (str, Path)) else given


def _transport(backend: Backend, session: requests.Session | None, timeout: float, *, background: bool) -> Transport:
    from .transports.default import default_transport

    return default_transport(timeout=timeout, session=session, background=background)


def _countdown(timeout: float | None) -> Callable[[], float | None]:
    deadline = None if timeout is None else time.monotonic() + timeout
    return lambda: None if deadline is None else max(0.0, deadline - time.monotonic())


class Providers:
    """Several providers behind one call: the same hit goes to each, and one that fails never touches the others.

    Args:
        providers: in the order of sending.

    >>> import analytical
    >>> both = analytical.Providers([
    ...     analytical.Provider("stdout", "a", delivery="background"),
    ...     analytical.Provider("stdout", "b", delivery="background"),
    ... ])
    >>> len(both)
    2
    """

    def __init__(self, providers: Iterable[Shell]) -> None:
        self._providers = tuple(providers)
        for provider in self._providers:
            if not isinstance(provider, Shell):
                raise ConfigurationError(f"Providers takes a list of providers; got <{type(provider).__name__}> in it")

    def pageview(
        self,
        *,
        on_success: OnSuccess | None = None,
        on_failure: OnFailure | None = None,
        **fields: Unpack[HitFields],
    ) -> bool:
        """Record a page view with each; returns whether every one took it. See :meth:`Provider.pageview`.

        ``on_success`` and ``on_failure`` are called once for each provider.
        """
        return self._each(lambda one: one.pageview(on_success=on_success, on_failure=on_failure, **fields))

    def event(
        self,
        name: str | None = None,
        /,
        *,
        on_success: OnSuccess | None = None,
        on_failure: OnFailure | None = None,
        **fields: Unpack[HitFields],
    ) -> bool:
        """Record an event with each; returns whether every one took it. See :meth:`Provider.event`.

        ``on_success`` and ``on_failure`` are called once for each provider.
        """
        return self._each(lambda one: one.event(name, on_success=on_success, on_failure=on_failure, **fields))

    def flush(self, timeout: float | None = 10.0) -> bool:
        """Wait until everything accepted has reached its end, everywhere, at most ``timeout`` seconds altogether."""
        left = _countdown(timeout)
        return self._each(lambda provider: provider.flush(left()))

    async def aflush(self, timeout: float | None = 10.0) -> bool:
        """Wait as :meth:`flush` does, without holding up the event loop."""
        import asyncio

        return all(await asyncio.gather(*(provider.aflush(timeout) for provider in self._providers)))

    def close(self, timeout: float | None = 2.0) -> None:
        """Close each, within ``timeout`` seconds altogether."""
        left = _countdown(timeout)
        for provider in self._providers:
            provider.close(left())

    def stats(self) -> Mapping[str, dict[str, int]]:
        """Return each provider's counts, by destination."""
        return {provider.to: provider.stats() for provider in self._providers}

    def _each(self, call: Callable[[Shell], bool]) -> bool:
        results: list[bool] = []
        errors: list[AnalyticalError] = []
        for provider in self._providers:
            try:
                results.append(call(provider))
            except AnalyticalError as error:
                error.add_note(f"from {provider.to}; the other providers were served")
                errors.append(error)
        if errors:
            raise errors[0]
        return all(results)

    def __iter__(self) -> Iterator[Shell]:
        return iter(self._providers)

    def __len__(self) -> int:
        return len(self._providers)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

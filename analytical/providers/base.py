"""The shell around a backend: a draft is lifted, sealed and handed to a delivery.

Everything that every provider does the same way stands here, once. It alone of the sending half knows transports.
"""

from __future__ import annotations

import logging
import time
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, Self, Unpack

from ..backend import Backend, exchange
from ..bots import Bots
from ..context import RequestFacts, current
from ..delivery import Delivery
from ..errors import DeliveryError, InvalidHit, Lost, Rejected, Unreachable
from ..hit import Hit, HitFields, key_id, new_id
from ..http import NoResponse, Request, Response
from ..observe import Hooks, Ledger, Observer, State
from ..privacy.consent import MemoryTombstones, Tombstones
from ..privacy.policy import Note, Policy, Receipt
from ..route import Route
from ..transports import Transport
from ..values import KEYWORDS, TEXTUAL, coerce, seconds, unknown_field
from ..verdict import Verdict
from .vocabulary import Entity, Moment, Vocabulary

__all__ = ["Explanation", "Shell", "alive"]

log = logging.getLogger("analytical")

#: Called with nothing when the hit has arrived, and with the exception when it never will.
OnSuccess = Callable[[], object]
OnFailure = Callable[[Exception], object]

#: How many different things one provider says of its gate: the names of native keys are the caller's.
_TOLD = 256
#: What is worth a line in the log besides a count, the first time that it befalls a field.
_WARNED = {
    "cut": "is longer than can be sent, and was cut",
    "nan": "is not a finite number, and was left out",
    "rule_error": "was left out, because a privacy rule failed on it",
    "withheld:needed": "is needed, and nothing of it passed the privacy rules, so the hit was withheld",
}
#: Stands for a kind that the platform does not have, or whose needs only the backend can tell: always missing.
_UNKNOWN = ("",)


class Explanation(list[Request]):
    """What a call would send: the requests, secrets masked, and a receipt for each datum.

    Args:
        requests: in the order of sending.
        receipts: what came in (its kind and length, never the value), which rule ran, what goes out.
        withheld: why nothing would be sent, or ``""``.
    """

    def __init__(self, requests: Sequence[Request], receipts: Sequence[Receipt], withheld: str = "") -> None:
        super().__init__(requests)
        self.receipts = list(receipts)
        self.withheld = withheld


#: The providers of this process, for who measures them. A list, because its append is one step.
_alive: list[weakref.ref[Shell]] = []


def alive() -> list[Shell]:
    """Return the providers that live in this process, in the order in which they were made."""
    return [shell for reference in list(_alive) if (shell := reference()) is not None]


class Shell(Vocabulary):
    """A destination: a backend, a gate before it and a delivery behind it.

    Args:
        backend: the platform's protocol and its configuration.
        to: the destination's name in this process, and in every queue.
        policy: the gate.
        delivery: who carries hits, and when.
        transport: what sends a request.
        timeout: seconds for one exchange with the platform.
        fail_silently: whether the world's failures are only counted.
        observer: is told of every step, beside the ledger.
        background: whether ``True`` from a call means *accepted* rather than *sent*.
        bots: what is done with visits that are not a person's; asked with the user agent as it came, before the gate.
        tombstones: the withdrawals, asked again just before a hit is sent.
        ambiguous: what becomes of a hit whose request was sent and not answered, where the platform counts a repeated
            one twice.
        connections: requests under way at once; ``None`` for the driver's own number.
    """

    def __init__(
        self,
        backend: Backend,
        *,
        to: str,
        policy: Policy,
        delivery: Delivery,
        transport: Transport,
        timeout: float = 3.0,
        fail_silently: bool = True,
        observer: Observer | None = None,
        background: bool = False,
        bots: Bots | None = None,
        tombstones: Tombstones | None = None,
        ambiguous: Literal["retry", "drop"] = "retry",
        connections: int | None = None,
    ) -> None:
        self.backend = backend
        self.policy = policy
        self.to = to
        self.fail_silently = fail_silently
        self.ledger = Ledger()
        self._observer: Observer = _Both(self.ledger, observer) if observer else self.ledger
        self._delivery = delivery
        self._transport = transport
        self._timeout = timeout
        self._background = background
        self._scope = f"{backend.name}:{backend.id}"
        self._told: set[Note] = set()
        # Only a backend that was told validate=True has requests to make; asking it for none costs nothing later.
        self._validates = type(backend).validate_requests is not Backend.validate_requests and bool(
            getattr(backend, "validate", False)
        )
        self._shortens = bool(
            backend.longest_property or backend.most_properties or type(backend).shortens is not Backend.shortens
        )
        self._keeps = type(backend).keeps is not Backend.keeps
        # Where a backend says itself what is missing, it is asked for every hit; else its table is read here, quickly.
        plain = type(backend).missing is Backend.missing and type(backend).refuse is Backend.refuse
        self._required = {kind: backend.required.get(kind, ()) for kind in backend.kinds} if plain else {}
        # What the gate must leave of a hit, or the platform could only refuse it.
        self._needed = self._required or {
            "event": tuple(name for name in backend.required.get("event", ()) if name == "name")
        }
        self._bots = bots
        # The kinds of which the gate may recall what it has seen, because nothing else looks at them; see _hit().
        alone = policy.recalls and bots is None and not self._validates and type(backend).refuse is Backend.refuse
        self._recalls = {
            kind: self._needed.get(kind, ())
            for kind in (backend.kinds if alone else ())
            if not (self._keeps and kind == "event")
        }
        self._asks = not plain or type(backend).shortens is not Backend.shortens
        self._tombstones: Tombstones = tombstones or MemoryTombstones()
        self.route = Route(
            to=to,
            send=self._send_hits,
            observer=self._observer,
            lane=None if type(backend).lane is Backend.lane else backend.lane,
            max_batch=backend.max_batch,
            max_age=backend.max_age,
            withdrawn=self._tombstones.withdrawn,
            dedupes=backend.dedupes is not None,
            ambiguous=ambiguous,
            connections=connections,
        )
        delivery.attach(self.route)
        _alive.append(weakref.ref(self, _alive.remove))

    # -- what a user calls ----------------------------------------------------------------------------------------

    def pageview(
        self,
        params: Mapping[str, Any] | None = None,
        /,
        *,
        entities: Iterable[Entity] | None = None,
        true_time: Moment | None = None,
        on_success: OnSuccess | None = None,
        on_failure: OnFailure | None = None,
        **fields: Unpack[HitFields],
    ) -> bool:
        """Record a page view.

        Args:
            params: the provider's own keys, as its documentation spells them.
            entities: what it was about, where the platform knows such a thing (Snowplow): pairs
                ``{"schema": "iglu:…", "data": {…}}``.
            true_time: the exact moment, from a better clock than this machine's, where the platform knows such a thing.
            on_success: called once with nothing when the platform has taken it.
            on_failure: called once with the exception when it never will.
            fields: the common names, the same for every provider; they win over ``params``.

        Returns:
            In the background, whether the hit was accepted; inline, whether it was delivered. ``False`` means that
            it was withheld, refused or lost, and is counted.

        Raises:
            InvalidHit: a ``ValueError``: something required is missing, or a value is of no kind that can be sent.
            UnknownField: a keyword that no provider knows.
            Unsupported: ``entities`` or ``true_time`` on a platform that has no place for them.
            DeliveryError: with ``fail_silently=False`` only.
        """
        if entities is not None or true_time is not None:
            params = self._about(params, entities, true_time)
        return self._hit("pageview", params, fields, on_success, on_failure)

    def event(
        self,
        name_or_params: str | Mapping[str, Any] | None = None,
        /,
        *,
        entities: Iterable[Entity] | None = None,
        true_time: Moment | None = None,
        on_success: OnSuccess | None = None,
        on_failure: OnFailure | None = None,
        **fields: Unpack[HitFields],
    ) -> bool:
        """Record an event: its name as text (the same for every provider), or the provider's own keys as a mapping.

        Arguments, result and errors are those of :meth:`pageview`.
        """
        params: Mapping[str, Any] | None = None
        if isinstance(name_or_params, Mapping):
            params = name_or_params
        elif name_or_params is not None:
            if fields.get("name") is not None:
                raise InvalidHit("event() was given its name twice: as the first argument and as name=")
            fields["name"] = name_or_params
        if entities is not None or true_time is not None:
            params = self._about(params, entities, true_time)
        return self._hit("event", params, fields, on_success, on_failure)

    def track_hit(
        self,
        hit_type: str,
        params: Mapping[str, Any] | None = None,
        *,
        entities: Iterable[Entity] | None = None,
        true_time: Moment | None = None,
        on_success: OnSuccess | None = None,
        on_failure: OnFailure | None = None,
        **fields: Unpack[HitFields],
    ) -> bool:
        """Record a hit of any type that the platform has (``screenview``, ``transaction`` …).

        Arguments, result and errors are those of :meth:`pageview`.
        """
        if entities is not None or true_time is not None:
            params = self._about(params, entities, true_time)
        return self._hit(hit_type, params, fields, on_success, on_failure)

    def explain(
        self,
        hit_type: str | Mapping[str, Any] = "pageview",
        params: Mapping[str, Any] | str | None = None,
        /,
        **fields: Unpack[HitFields],
    ) -> Explanation:
        """Return what a call would send, without sending, counting or storing anything.

        Args:
            hit_type: ``pageview``, ``event`` …; left out, a mapping of the provider's own keys is a page view's.
            params: the provider's own keys; for an event, its name will do.
            fields: the common names.
        """
        if isinstance(hit_type, Mapping):
            if params is not None:
                raise InvalidHit("explain() takes the hit type first, then the provider's own keys")
            hit_type, params = "pageview", hit_type
        if isinstance(params, str):
            fields["name"] = params
            params = None
        notes: list[Note] = []
        facts = current.get()
        draft = self._draft(hit_type, params, fields, facts, notes)
        if self._bots is not None:
            decision = self._bots(draft.get("user_agent"), facts.hints if facts is not None else None)
            if decision.action == "drop":
                return Explanation([], [], "withheld:bot")
            if decision.action == "tag":
                draft["bot"] = decision.agent.kind
            elif decision.action == "route" and decision.to is not None:
                return self._elsewhere(decision.to)._explained(_moved(draft), facts, [])
        return self._explained(draft, facts, notes)

    def _explained(self, draft: dict[str, Any], facts: RequestFacts | None, notes: list[Note]) -> Explanation:
        receipts = self.policy.receipts(dict(draft), self.backend.fields)
        needed = self._needed.get(draft["kind"], ())
        hit = self.policy.seal(draft, self.backend.fields, facts=facts, notes=notes, needed=needed)
        if hit is None:
            why = next((note.what for note in notes if note.what.startswith("withheld")), "withheld")
            return Explanation([], receipts, why)
        parcels = self.backend.encode([hit], now=time.time())
        return Explanation([parcel.request.masked() for parcel in parcels], receipts)

    def withdraw(self, subject: str) -> None:
        """Take back a visitor's consent: hits that carry this ``subject`` and still wait end as *dropped*.

        A hit that was queued without ``subject=`` cannot be found; make the tag with
        :func:`analytical.privacy.consent.subject_tag`. With a durable spool the withdrawal is kept beside it, for
        every process that reads it.
        """
        self._tombstones.withdraw(subject)

    def stats(self) -> dict[str, int]:
        """Return one snapshot of counts.

        The keys: ``accepted delivered unconfirmed rejected expired dropped pending``, where the first is always the
        sum of the others, and ``withheld`` for what the gate refused before that.
        """
        counts = self._delivery.stats(self.to)
        return self.ledger.stats() if counts is None else {**counts, "withheld": self.ledger.stats()["withheld"]}

    def flush(self, timeout: float | None = 10.0) -> bool:
        """Wait until everything accepted has reached its end.

        Args:
            timeout: seconds to wait at most; ``None`` for as long as it takes.

        Returns:
            Whether nothing is left.
        """
        return self._delivery.flush(timeout, to=self.to)

    async def aflush(self, timeout: float | None = 10.0) -> bool:
        """Wait as :meth:`flush` does, without holding up the event loop."""
        import asyncio

        return await asyncio.to_thread(self.flush, timeout)

    def close(self, timeout: float | None = 2.0) -> None:
        """Send what is left within ``timeout`` seconds and let go of threads, files and connections."""
        self._delivery.detach(self.to, timeout)
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        import asyncio

        await asyncio.to_thread(self.close)

    def __repr__(self) -> str:
        return f"<Provider {self.to} ({self.backend.title or self.backend.name})>"

    # -- the walk of one hit --------------------------------------------------------------------------------------

    def _hit(
        self,
        kind: str,
        params: Mapping[str, Any] | None,
        fields: Mapping[str, Any],
        on_success: OnSuccess | None = None,
        on_failure: OnFailure | None = None,
    ) -> bool:
        facts = current.get()
        needed = self._recalls.get(kind)
        if params is None and needed is not None:
            given = fields if facts is None else {**facts.fills(), **fields}
            hit = self.policy.recall(kind, given, self.backend.fields, facts=facts, told=self._told, needed=needed)
            if hit is not None and not (self._asks and self._objects(hit, given)):
                return self.submit(hit, on_success, on_failure)
        notes: list[Note] = []
        draft = self._draft(kind, params, fields, facts, notes)
        if self._bots is not None:
            decision = self._bots(draft.get("user_agent"), facts.hints if facts is not None else None)
            if decision.action == "drop":
                self._observer.noted(self.to, "withheld:bot")
                return False
            if decision.action == "tag":
                draft["bot"] = decision.agent.kind
            elif decision.action == "route" and decision.to is not None:
                return self._elsewhere(decision.to).forward(draft, on_success, on_failure)
        return self._sealed(draft, facts, notes, on_success, on_failure)

    def _objects(self, hit: Hit, given: Mapping[str, Any]) -> bool:
        """Tell whether the backend has something to say about a hit of texts alone."""
        return self.backend.missing(hit.kind, given) is not None or self.backend.shortens(hit)

    def forward(self, draft: dict[str, Any], on_success: OnSuccess | None, on_failure: OnFailure | None) -> bool:
        """Send here what was meant for another destination; its platform's own keys do not come along."""
        return self._sealed(_moved(draft), current.get(), [], on_success, on_failure)

    def _elsewhere(self, to: str) -> Shell:
        raise InvalidHit(f"{self.to} knows no destination named {to!r}")

    def _sealed(
        self,
        draft: dict[str, Any],
        facts: RequestFacts | None,
        notes: list[Note],
        on_success: OnSuccess | None,
        on_failure: OnFailure | None,
    ) -> bool:
        hit = self.policy.seal(
            draft, self.backend.fields, facts=facts, notes=notes, needed=self._needed.get(draft["kind"], ())
        )
        if self._shortens and hit is not None and self.backend.shortens(hit):
            notes.append(Note("cut", "properties", "limit"))
        if notes:
            self._tell(notes)
        if hit is None:
            return False
        if self._validates:
            self._validate(hit)
        return self.submit(hit, on_success, on_failure)

    def _validate(self, hit: Hit) -> None:
        found: list[str] = []
        for request in self.backend.validate_requests([hit], now=time.time()):
            answer = self._transport.send(request, timeout=self._timeout)
            if isinstance(answer, Response):
                found += self.backend.findings(answer)
            else:
                # Not asking the validation server is no verdict on the hit; it is sent, and the failure counted.
                self._observer.noted(self.to, "validation_unreachable")
        if found:
            raise InvalidHit(f"{self.backend.title} finds: {'; '.join(found)}")

    def submit(self, hit: Hit, on_success: OnSuccess | None = None, on_failure: OnFailure | None = None) -> bool:
        """Hand over a sealed hit; the result and the errors are those of :meth:`pageview`."""
        if not isinstance(hit, Hit):
            raise InvalidHit(
                f"only a sealed Hit can be submitted; got <{type(hit).__name__}>. Call pageview() or event()"
            )
        if on_success is None and on_failure is None and self.fail_silently:
            return self._delivery.submit(self.to, hit)
        outcome: list[tuple[str, str]] = []

        def done(state: str, reason: str) -> None:
            outcome.append((state, reason))
            self._call_back(state, reason, on_success, on_failure)

        accepted = self._delivery.submit(self.to, hit, done=done)
        if not self.fail_silently and not accepted:
            raise _error(self.to, *(outcome[0] if outcome else ("dropped", "the spool did not take it")))
        return accepted

    def _call_back(self, state: str, reason: str, on_success: OnSuccess | None, on_failure: OnFailure | None) -> None:
        try:
            if state in ("delivered", "unconfirmed"):
                if on_success is not None:
                    on_success()
            elif on_failure is not None:
                on_failure(_error(self.to, state, reason))
        except Exception as error:  # noqa: BLE001 - a caller's callback must not stop the delivery of others' hits
            self._observer.noted(self.to, "callback_error")
            log.warning("%s: a callback raised %s", self.to, type(error).__name__)

    def _draft(
        self,
        kind: str,
        params: Mapping[str, Any] | None,
        fields: Mapping[str, Any],
        facts: RequestFacts | None,
        notes: list[Note],
    ) -> dict[str, Any]:
        draft: dict[str, Any] = {"kind": kind, "time": time.time(), "id": ""}
        if facts is not None:
            draft.update(facts.fills())
            if facts.route:
                draft["route"] = facts.route
        if params is not None:
            self._lift(params, draft, notes)
        for name, value in fields.items():
            # Nearly everything is short plain text under a common name: that way is kept short.
            if type(value) is str and name in TEXTUAL and len(value) < 4096 and value.isascii():
                if value:
                    draft[name] = value
                else:  # frameworks say "" for a header that is not there
                    draft.pop(name, None)
            elif value is not None:
                self._take(name, value, draft, notes)
        for name in self._required.get(kind, _UNKNOWN):
            if not draft.get(name):
                self.backend.refuse(kind, draft)
                break
        if self._keeps and kind == "event" and self.backend.keeps(str(draft.get("name", ""))):
            self.backend.refuse(kind, draft)
        if not draft["id"]:
            draft["id"] = new_id()
        return draft

    def _lift(self, params: Mapping[str, Any], draft: dict[str, Any], notes: list[Note]) -> None:
        if not isinstance(params, Mapping):
            raise InvalidHit(
                f"the first argument is a mapping of {self.backend.name}'s own keys; got <{type(params).__name__}>"
            )
        lifted, rest = self.backend.lift(params)
        for name, value in lifted.items():
            plain = None if value is None or value == "" else coerce(name, value, _noter(notes, name))
            if plain is not None:
                draft[name] = plain
        native: dict[str, Any] = {}
        for key, value in rest.items():
            name = str(key)
            # A native key may be spelled like a common name and mean something else; it is checked as a native one.
            checked = name if name not in KEYWORDS else f"{name} (native)"
            plain = coerce(checked, value, _noter(notes, name))
            if plain is not None:
                native[name] = plain
        if native:
            draft["native"] = native

    def _take(self, name: str, value: Any, draft: dict[str, Any], notes: list[Note]) -> None:
        if name not in KEYWORDS:
            raise unknown_field(name)
        if type(value) is str and not value and name != "time":
            draft.pop(name, None)
        elif name == "time":
            draft["time"] = seconds(value)
        elif name == "key":
            draft["id"] = key_id(str(coerce("key", value, _noter(notes, name))), self._scope)
            draft["keyed"] = True
        elif name == "priority":
            if not isinstance(value, int):
                raise InvalidHit(f"priority={value!r}: expected a whole number; 0 is what may be dropped first")
            draft[name] = value
        else:
            plain = coerce(name, value, _noter(notes, name))
            if plain is not None:
                draft[name] = plain

    def _tell(self, notes: Sequence[Note]) -> None:
        for note in notes:
            what, field, rule = note
            gated = what in ("changed", "removed")
            if not gated:
                self._observer.noted(self.to, what)
            if note in self._told or len(self._told) >= _TOLD:
                continue
            self._told.add(note)
            if gated:
                # Once per provider and rule, so that nobody wonders where a query parameter went.
                log.info(
                    "%s: the privacy rule %r %s %s; choose with privacy=%r, privacy='off' or Policy.careful(…)",
                    self.to,
                    rule,
                    "reduced" if what == "changed" else "removed",
                    field,
                    self.policy.name,
                )
            elif what in _WARNED:
                log.warning("%s: %s %s; counted, and said once", self.to, field, _WARNED[what])

    def _send_hits(self, hits: Sequence[Hit], *, timeout: float | None = None) -> list[Verdict]:
        deadline = None if timeout is None else time.monotonic() + timeout
        talk = exchange(self.backend, hits, now=time.time)
        try:
            request = next(talk)
            while True:
                left = self._timeout if deadline is None else min(self._timeout, deadline - time.monotonic())
                answer = self._transport.send(request, timeout=left) if left > 0 else NoResponse(reason="not tried")
                request = talk.send(answer)
        except StopIteration as finished:
            verdicts: list[Verdict] = finished.value
            return verdicts


def _moved(draft: Mapping[str, Any]) -> dict[str, Any]:
    return {**{name: value for name, value in draft.items() if name != "native"}, "id": new_id()}


def _noter(notes: list[Note], name: str) -> Callable[[str], None]:
    return lambda what: notes.append(Note(what, name, "value"))


def _error(to: str, state: str, reason: str) -> DeliveryError:
    if state == "rejected":
        return Rejected(f"{to} refused the hit: {reason}")
    if state == "expired":
        return Lost(f"the hit for {to} expired: {reason}")
    if reason.startswith(("withdrawn", "consent", "full", "closed", "exit", "the spool")):
        return Lost(f"the hit for {to} was dropped: {reason}")
    if reason.startswith("http "):
        return Unreachable(f"{to} answered and did not take the hit: {reason}")
    return Unreachable(f"{to} could not be reached: {reason or 'no answer'}")


class _Both:
    """Tells two observers; the second is a guest, whose exceptions stop nothing."""

    def __init__(self, ledger: Ledger, guest: Any) -> None:
        self._ledger = ledger
        self._guest = Hooks.of(guest) or guest

    def accepted(self, to: str, count: int = 1) -> None:
        self._ledger.accepted(to, count)
        self._ask("accepted", to, count)

    def settled(self, to: str, hit: Hit, state: State, reason: str = "") -> None:
        self._ledger.settled(to, hit, state, reason)
        self._ask("settled", to, hit, state, reason)

    def settled_many(self, to: str, hits: Sequence[Hit], state: State) -> None:
        self._ledger.settled_many(to, hits, state)
        if hasattr(self._guest, "settled_many"):
            self._ask("settled_many", to, hits, state)
        else:
            for hit in hits:
                self._ask("settled", to, hit, state)

    def retried(self, to: str, hit: Hit, verdict: Verdict) -> None:
        self._ledger.retried(to, hit, verdict)
        self._ask("retried", to, hit, verdict)

    def noted(self, to: str, what: str, count: int = 1) -> None:
        self._ledger.noted(to, what, count)
        self._ask("noted", to, what, count)

    def _ask(self, method: str, *args: Any) -> None:
        told = getattr(self._guest, method, None)
        if told is not None:
            try:
                told(*args)
            except Exception as error:  # noqa: BLE001 - an observer watches; it must not change what it sees
                self._ledger.noted(args[0], "observer_error")
                log.warning("%s: the observer raised %s", args[0], type(error).__name__)

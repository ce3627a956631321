"""The gate: every datum of a draft passes the rule of its kind, once, and what comes out is a sealed hit.

A :class:`Policy` is a rule per kind of datum. Two are ready: :meth:`Policy.careful` takes out direct identifiers and
credentials and leaves reports usable; :meth:`Policy.strict` also takes out what is contextual or pseudonymous.
:meth:`Policy.off` sends what it is given. A rule that raises removes the datum: the gate fails closed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Mapping, Sequence, Sized
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, cast, get_args

from ..errors import ConfigurationError, did_you_mean
from ..fields import Fields
from ..hit import COMMON, Hit, Kind, new_id
from ..values import TEXTUAL
from . import levels
from .address import keep_bits
from .consent import Facts, decide
from .look import LONGEST, shorten
from .rule import Rule
from .url import with_route
from .words import denied_key

__all__ = ["Facts", "Note", "Policy", "Receipt", "Rule"]

#: What a user may say of a kind: keep it as it is given, remove it, or a function of the value.
Choice = Callable[[Any], Any] | Literal["keep", "drop", "off"] | None


class Note(NamedTuple):
    """Something that the gate did. It never holds a value."""

    what: str  #: ``changed``, ``removed``, ``cut``, ``rule_error`` or ``withheld:<reason>``
    field: str  #: the common name, or the provider's own key where that key is declared; ``native`` where it is not
    rule: str  #: the name of the rule, or ``limit``


class Receipt(NamedTuple):
    """What became of one datum. What came in is described, never stored."""

    field: str
    kind: str
    given: str  #: such as ``text, 34 characters``
    rule: str
    sent: Any  #: what goes out; ``None`` where the datum was removed
    changed: bool


Withhold = Callable[[Mapping[str, Any], Facts | None], str | None]
#: Returns a reason to end a hit, or ``None``.

_KINDS: tuple[Kind, ...] = get_args(Kind)
_KEPT_PLANS = 64
_KEPT_KEYS = 512
#: Longer than any text: the room of a field for which the platform has no limit.
_ROOM = 1 << 60
# A step of a compiled plan: what to call, what it is known to leave unchanged, the characters that fit in any case, the
# platform's limits of characters and bytes, the rule, the note of a change.
_Step = tuple[Callable[[Any], Any] | None, "dict[Any, Any]", int, int, int, Rule | None, Note]


class _Plan:
    """What to do with each name of one table of fields."""

    __slots__ = ("fields", "keys", "steps", "texts")

    def __init__(self, fields: Fields, rules: Mapping[Kind, Rule | None]) -> None:
        self.fields = fields
        self.steps: dict[str, _Step] = {name: self.step(fields, rules, name, kind) for name, kind in COMMON.items()}
        # A call takes any text for these; for the others it is refused, or must have a form.
        self.texts = {name: step for name, step in self.steps.items() if name in TEXTUAL}
        self.keys: dict[str, _Step] = {}

    @staticmethod
    def step(fields: Fields, rules: Mapping[Kind, Rule | None], name: str, kind: Kind) -> _Step:
        rule = rules[kind]
        native = fields.common.get(name, name)
        chars = fields.limits.get(name, fields.limits.get(native, 0))
        octets = fields.byte_limits.get(name, fields.byte_limits.get(native, 0))
        # A character has at most 4 bytes, so most texts need no encoding to be known to fit.
        room = min(chars or _ROOM, octets // 4 if octets else _ROOM)
        if rule is None:
            return (None, _NOTHING, room, chars, octets, None, _UNCHANGED)
        label = name if name in COMMON or name in fields.kinds else "native"
        return (rule.quick, rule.same, room, chars, octets, rule, Note("changed", label, rule.name))


_NOTHING: dict[Any, Any] = {}
_UNCHANGED = Note("", "", "")


@dataclass(frozen=True)
class Policy:
    """A rule per kind of datum, and the reasons to send nothing at all.

    Use :meth:`careful`, :meth:`strict` or :meth:`off`; their keywords change single rules.

    Args:
        name: how people call it.
        rules: kind of datum = rule; a kind that is missing passes as it is.
        withhold: functions of the draft and of what is known of the visitor's will; a reason ends the hit.
        routes: whether the path of a page's address becomes the route template, where the framework knows one.
        deny_keys: whether a pair whose key names something personal is removed.
    """

    name: str
    rules: Mapping[Kind, Callable[[Any], Any]] = field(default_factory=dict)
    withhold: tuple[Withhold, ...] = ()
    routes: bool = False
    deny_keys: Callable[[str], bool] | None = None
    _rules: Mapping[Kind, Rule | None] = field(init=False, repr=False, compare=False)
    _opaque: Rule | None = field(init=False, repr=False, compare=False)
    _plans: dict[int, _Plan] = field(init=False, repr=False, compare=False, default_factory=dict)
    #: Whether :meth:`recall` can answer: nothing that this policy asks needs a whole draft.
    recalls: bool = field(init=False, repr=False, compare=False, default=False)

    def __post_init__(self) -> None:
        strangers = [kind for kind in self.rules if kind not in _KINDS]
        if strangers:
            raise ConfigurationError(
                f"unknown kind of datum {strangers[0]!r}.{did_you_mean(str(strangers[0]), _KINDS)} "
                f"Known: {', '.join(_KINDS)}"
            )
        object.__setattr__(self, "rules", MappingProxyType(dict(self.rules)))
        named: dict[Kind, Rule | None] = {kind: _named(kind, self.rules.get(kind)) for kind in _KINDS}
        object.__setattr__(self, "_rules", MappingProxyType(named))
        object.__setattr__(self, "_opaque", named["client_id"])
        of_facts = all(getattr(predicate, "of_facts", False) for predicate in self.withhold)
        plain = type(self).seal is Policy.seal and not self.routes
        object.__setattr__(self, "recalls", of_facts and bool(self.rules) and plain)

    # -- the ready ones

    @classmethod
    def of(cls, value: Policy | str | None) -> Policy:
        """Return the policy that a ``privacy=`` option means: a policy, ``careful``, ``strict``, ``off``, or ``None``.

        Raises:
            ConfigurationError: it means none.
        """
        if isinstance(value, Policy):
            return value
        if value is None:
            return cls.careful()
        known: dict[str, Callable[[], Policy]] = {"careful": cls.careful, "strict": cls.strict, "off": cls.off}
        if isinstance(value, str):
            name = value.strip().lower()
            if name in known:
                return known[name]()
            raise ConfigurationError(
                f'unknown privacy "{value}".{did_you_mean(name, known)} Known: careful, strict, off, '
                "or a Policy such as Policy.careful(ip=None)"
            )
        raise ConfigurationError(
            f"privacy= takes careful, strict, off or a Policy, got {type(value).__name__}; "
            "to change single rules type: Policy.careful(ip=None)"
        )

    @classmethod
    def careful(cls, **changes: Any) -> Policy:
        """Take out direct identifiers and credentials, and leave reports usable. The default of a bare provider.

        Args:
            changes: see :meth:`strict`.
        """
        return _build("careful", strict=False, changes=changes)

    @classmethod
    def strict(cls, **changes: Any) -> Policy:
        """Take out also what is contextual or pseudonymous: record ids, handles, browser detail, referrer paths.

        Args:
            changes: a kind (``ip user_agent url referrer text properties client_id user_id session_id language
                screen number plain``) = a function of the value, ``"keep"`` or ``"drop"`` (or ``None``). ``ip`` also
                takes the bits to keep, of an IPv4 or of both (``24``, ``(24, 48)``). Further keywords:
                ``query_allow``, names of query parameters to keep; ``deny_keys``, further property keys whose pairs
                are removed; ``withhold``, further reasons to send nothing; ``consent``, a function of the facts
                that is asked where the visitor said nothing; ``dnt=False``, ``gpc=False`` to ignore a signal.

        Raises:
            ConfigurationError: an unknown keyword, or a value that it does not take.
        """
        return _build("strict", strict=True, changes=changes)

    @classmethod
    def off(cls) -> Policy:
        """Send what is given. Only the platform's limits are applied."""
        return cls("off")

    # -- the gate

    def seal(
        self,
        draft: dict[str, Any],
        fields: Fields,
        *,
        facts: Facts | None = None,
        notes: list[Note],
        needed: Sequence[str] = (),
    ) -> Hit | None:
        """Pass a draft through the gate.

        Args:
            draft: common names, ``id kind time``, ``route subject priority keyed``, and ``native``: the provider's own
                keys. Values are JSON-safe; ``None`` means absent.
            fields: the provider's table: the kind of each native key, and the platform's limits.
            facts: what is known of the visitor's will.
            notes: is appended what was done, without values.
            needed: names of which something must be left, or the platform could only refuse the hit.

        Returns:
            The sealed hit, or ``None`` where there is a reason to send nothing; the note says which.
        """
        for predicate in self.withhold:
            try:
                reason = predicate(draft, facts)
            except Exception:  # noqa: BLE001 - a predicate that cannot answer has not said yes
                reason = "rule_error"
            if reason is not None:
                notes.append(Note(f"withheld:{reason}", "", "withhold"))
                return None
        plan = self._plan(fields)
        steps = plan.steps
        out: dict[str, Any] = {}
        for name, value in draft.items():
            if value is None:
                continue
            step = steps.get(name)
            if step is None:
                continue
            apply, same, room, chars, octets, _, changed = step
            if type(value) is str and value in same and len(value) <= room:
                out[name] = value
                continue
            sealed = value
            if apply is not None:
                try:
                    sealed = apply(value)
                except Exception:  # noqa: BLE001 - fails closed, whatever a rule raises; its text could hold the value
                    notes.append(Note("rule_error", name, changed.rule))
                    continue
                if sealed is None:
                    notes.append(Note("removed", name, changed.rule))
                    continue
                if sealed is not value and sealed != value:
                    notes.append(changed)
                    if type(value) is str and len(value) * 4 > LONGEST and shorten(value) is not value:
                        notes.append(Note("cut", name, "limit"))
            if type(sealed) is str and len(sealed) > room:
                sealed = _fit(name, sealed, chars, octets, notes)
            out[name] = sealed
        if self.routes and "url" in out:
            route = draft.get("route")
            if route is not None:
                out["url"] = _apply_route(out["url"], route, notes)
        for name in needed:
            if not out.get(name):
                notes.append(Note("withheld:needed", name, "gate"))
                return None
        native = draft.get("native")
        if native:
            passed = self._native(plan, native, notes)
            if passed:
                out["native"] = passed
        subject = draft.get("subject")
        if subject is not None:
            if self._opaque is not None:
                subject = _apply(self._opaque, "subject", subject, notes)
            if subject is not None:
                out["subject"] = subject
        priority = draft.get("priority")
        if priority:
            out["priority"] = priority
        if draft.get("keyed"):
            out["keyed"] = True
        if draft.get("bot"):
            out["bot"] = draft["bot"]
        return Hit(id=draft["id"], kind=draft["kind"], time=draft["time"], **out)

    def recall(
        self,
        kind: str,
        given: Mapping[str, Any],
        fields: Fields,
        *,
        facts: Facts | None = None,
        told: Container[Note],
        needed: Sequence[str],
    ) -> Hit | None:
        """Seal a hit of texts that have passed before, as they are: nearly every page view of a site that runs.

        It is what :meth:`seal` would make, without a draft and without notes, because there is nothing new to say. A
        policy that does not ``recalls`` answers ``None``.

        Args:
            kind: of the hit.
            given: common names and values, as the caller gave them.
            fields: the provider's table.
            facts: what is known of the visitor's will.
            told: the notes that were told before.
            needed: names without which there is no hit.

        Returns:
            The hit, which happened now; ``None`` where anything is new, is no text or would be withheld: then a draft
            is made, and :meth:`seal` has the word.
        """
        if not self.recalls:
            return None
        texts = self._plan(fields).texts
        out: dict[str, Any] = {}
        try:
            for name, value in given.items():
                step = texts.get(name)
                if step is None or type(value) is not str or not value:  # an empty one means absent
                    return None
                apply, same, room, _, _, rule, changed = step
                if value in same:
                    sealed = value
                elif apply is None or apply is rule or changed not in told:
                    return None
                else:  # a rule that is quick and remembers nothing
                    sealed = apply(value)
                if sealed is None or len(sealed) > room:
                    return None
                out[name] = sealed
            for name in needed:
                if name not in out:
                    return None
            for predicate in self.withhold:
                if predicate(given, facts) is not None:
                    return None
        except Exception:  # noqa: BLE001 - what raises here raises again in seal(), where it is noted
            return None
        return Hit(id=new_id(), kind=kind, time=time.time(), **out)

    def _native(self, plan: _Plan, native: Mapping[str, Any], notes: list[Note]) -> dict[str, Any]:
        fields, keys, rules = plan.fields, plan.keys, self._rules
        out: dict[str, Any] = {}
        for key, value in native.items():
            if value is None:
                continue
            step = keys.get(key)
            if step is None:
                declared = key in fields.kinds or key in fields._by_native
                if not declared and self.deny_keys is not None and self._denied(key):
                    notes.append(Note("removed", "native", "deny-key"))
                    continue
                step = plan.step(fields, rules, key, fields.kind(key))
                if len(keys) >= _KEPT_KEYS:
                    keys.clear()
                keys[key] = step
            _, same, room, chars, octets, rule, _ = step
            if type(value) is str and value in same and len(value) <= room:
                out[key] = value
                continue
            label = key if key in fields.kinds else "native"
            if type(value) in (dict, list) and rule is not None and rule.name == "scrub-text":
                rule = rules["properties"]
            sealed = value if rule is None else _apply(rule, label, value, notes)
            if sealed is None:
                continue
            if type(sealed) is str and len(sealed) > room:
                sealed = _fit(label, sealed, chars, octets, notes)
            out[key] = sealed
        return out

    def _denied(self, key: str) -> bool:
        # The names of keys come from the caller as well: one that holds an identifier is one.
        assert self.deny_keys is not None
        text = self._rules["text"]
        try:
            return self.deny_keys(key) or (text is not None and text(key) != key)
        except Exception:  # noqa: BLE001 - fails closed, whatever a user's rule raises
            return True

    def _plan(self, fields: Fields) -> _Plan:
        plan = self._plans.get(id(fields))
        if plan is None or plan.fields is not fields:
            if len(self._plans) >= _KEPT_PLANS:
                self._plans.clear()
            plan = self._plans[id(fields)] = _Plan(fields, self._rules)
        return plan

    # -- for people

    def receipts(self, draft: Mapping[str, Any], fields: Fields) -> list[Receipt]:
        """Return what would become of each datum, in the order of the draft. What came in is described, not stored."""
        notes: list[Note] = []
        out: list[Receipt] = []
        plain = {name: value for name, value in draft.items() if name in COMMON and value is not None}
        base = {"id": draft.get("id") or "", "kind": draft.get("kind") or "pageview", "time": draft.get("time") or 0.0}
        for name, value in plain.items():
            alone = {**base, name: value, "route": draft.get("route")}
            hit = Policy(self.name, self.rules, (), self.routes, self.deny_keys).seal(alone, fields, notes=notes)
            out.append(self._receipt(name, COMMON[cast(Any, name)], value, getattr(hit, name)))
        for key, value in (draft.get("native") or {}).items():
            if value is None:
                continue
            passed = self._native(self._plan(fields), {key: value}, notes)
            label = key if key in fields.kinds or key in passed else "(a key that names something personal)"
            out.append(self._receipt(label, fields.kind(key), value, passed.get(key)))
        return out

    def _receipt(self, name: str, kind: Kind, given: Any, sent: Any) -> Receipt:
        rule = self._rules[kind]
        return Receipt(name, kind, _shape(given), rule.name if rule else "keep", sent, sent != given)

    def rows(self) -> list[tuple[str, str, str]]:
        """Return the policy as rows: kind of datum, name of the rule, what it does; the first names the columns."""
        out = [("kind", "rule", "what it does")]
        for kind in _KINDS:
            rule = self._rules[kind]
            out.append((kind, rule.name, rule.says) if rule else (kind, "keep", "Sent as it is given."))
        return out

    def describe(self) -> str:
        """Return the policy as a table for a data-protection officer."""
        rows = self.rows()
        widths = [max(len(row[column]) for row in rows) for column in range(2)]
        lines = [f"Policy {self.name}"]
        for number, (of, name, says) in enumerate(rows):
            lines.append(f"{of:<{widths[0]}}  {name:<{widths[1]}}  {says}")
            if number == 0:
                lines.append(f"{'-' * widths[0]}  {'-' * widths[1]}  {'-' * 60}")
        lines.append(_says_withhold(self.withhold))
        return "\n".join(lines)


def _apply(rule: Rule, name: str, value: Any, notes: list[Note]) -> Any:
    try:
        sealed = rule(value)
    except Exception:  # noqa: BLE001 - fails closed, whatever a user's rule raises; its text could hold the value
        notes.append(Note("rule_error", name, rule.name))
        return None
    if sealed is None:
        notes.append(Note("removed", name, rule.name))
    elif sealed is not value and sealed != value:
        notes.append(Note("changed", name, rule.name))
    return sealed


def _apply_route(url: str, route: Any, notes: list[Note]) -> str:
    templated = with_route(url, route) if isinstance(route, str) else url
    if templated != url:
        notes.append(Note("changed", "url", "route"))
    return templated


def _fit(name: str, text: str, chars: int, octets: int, notes: list[Note]) -> str:
    cut = text[:chars] if chars and len(text) > chars else text
    if octets and len(cut) * 4 > octets:
        encoded = cut.encode("utf-8", "surrogatepass")
        if len(encoded) > octets:
            cut = encoded[:octets].decode("utf-8", "ignore")
    if cut is not text:
        notes.append(Note("cut", name, "limit"))
    return cut


def _shape(value: Any) -> str:
    if isinstance(value, str):
        return f"text, {_counted(value, 'character')}"
    if isinstance(value, bool):
        return "yes or no"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, Mapping):
        return f"mapping, {_counted(value, 'pair')}"
    return f"list, {_counted(value, 'item')}" if isinstance(value, list) else type(value).__name__


def _counted(value: Sized, what: str) -> str:
    return f"{len(value)} {what}" + ("s" if len(value) != 1 else "")


def _named(kind: Kind, rule: Callable[[Any], Any] | None) -> Rule | None:
    if rule is None or isinstance(rule, Rule):
        return rule
    if not callable(rule):
        raise ConfigurationError(f"the rule for {kind} is no function: {type(rule).__name__}")
    name = getattr(rule, "__name__", "") or type(rule).__name__
    return Rule(name, rule, "A rule of this application's own.")


def _says_withhold(withhold: tuple[Withhold, ...]) -> str:
    if not withhold:
        return "Nothing is withheld: every hit is sent."
    return f"Withheld: {'; '.join(getattr(one, '__doc__', None) or 'a rule of this application' for one in withhold)}"


_OPTIONS = ("query_allow", "deny_keys", "withhold", "consent", "dnt", "gpc")


def _build(name: str, *, strict: bool, changes: Mapping[str, Any]) -> Policy:
    for key in changes:
        if key not in _KINDS and key not in _OPTIONS:
            raise ConfigurationError(
                f"Policy.{name}() has no keyword {key!r}.{did_you_mean(key, [*_KINDS, *_OPTIONS])} "
                f"Known: {', '.join([*_KINDS, *_OPTIONS])}"
            )
    allow = _names("query_allow", changes.get("query_allow", ()))
    deny = frozenset(key.lower() for key in _names("deny_keys", changes.get("deny_keys", ())))

    def denied(key: str) -> bool:
        return key.lower() in deny or denied_key(key, strict=strict)

    rules: dict[Kind, Callable[[Any], Any]] = dict(levels.rules(strict=strict, query_allow=allow, denied=denied))
    for kind in _KINDS:
        if kind in changes:
            rule = _chosen(kind, changes[kind])
            if rule is None:
                rules.pop(kind, None)
            else:
                rules[kind] = rule
    extra = changes.get("withhold", ())
    withhold = (extra,) if callable(extra) else tuple(extra)
    consent = changes.get("consent")
    if consent is not None and not callable(consent):
        raise ConfigurationError("consent= takes a function of the request's facts that answers yes, no or None")
    decide = _consent(consent, dnt=changes.get("dnt", True), gpc=changes.get("gpc", True))
    return Policy(name, rules, (decide, *withhold), strict, denied)


def _names(option: str, value: Any) -> frozenset[str]:
    if isinstance(value, str) or not all(isinstance(name, str) for name in value):
        raise ConfigurationError(f'{option}= takes names, such as {{"page"}}')
    return frozenset(value)


def _chosen(kind: Kind, choice: Any) -> Rule | None:
    if choice in ("keep", "off"):
        return None
    if choice is None or choice == "drop":
        return Rule("drop", _drop, "Removed.")
    if callable(choice):
        return _named(kind, choice)
    if kind == "ip" and not isinstance(choice, bool):
        bits = (choice, 2 * choice) if isinstance(choice, int) else choice
        if (
            isinstance(bits, tuple)
            and len(bits) == 2
            and all(
                isinstance(number, int) and 0 <= number <= most for number, most in zip(bits, (32, 128), strict=True)
            )
        ):
            v4, v6 = bits
            return Rule(
                "mask-address", lambda value: keep_bits(value, v4, v6), f"Keeps {v4} bits of an IPv4, {v6} of an IPv6."
            )
    takes = "a function, keep, drop" + (" or bits such as 24 or (24, 48)" if kind == "ip" else "")
    raise ConfigurationError(f"{kind}= takes {takes}; got {choice!r}")


def _drop(value: Any) -> None:
    return None


def _consent(ask: Callable[[Any], bool | None] | None, *, dnt: bool, gpc: bool) -> Withhold:
    def withheld(draft: Mapping[str, Any], facts: Facts | None) -> str | None:
        if facts is None and ask is None:
            given = draft.get("consent")
            return None if given is None else decide(None, given=given)
        return decide(facts, ask=ask, dnt=dnt, gpc=gpc, given=draft.get("consent"))

    signals = [name for name, wanted in (("DNT: 1", dnt), ("Sec-GPC: 1", gpc)) if wanted]
    says = ["the visitor opted out", *(f"the browser sent {name}" for name in signals), "the application says no"]
    withheld.__doc__ = "; ".join(says)
    withheld.of_facts = True  # type: ignore[attr-defined]  # of the draft it looks at the consent alone
    return withheld

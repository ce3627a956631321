"""Who or what an event is about: the user, and the machine in the user's hands."""

from __future__ import annotations

import re
from typing import Any, Self

from . import contracts
from ._scope import Scoped

__all__ = ["DEFAULT_PLATFORM", "Subject", "Subjective", "get_domain_user_id"]

DEFAULT_PLATFORM = "pc"


class Subjective:
    """The setters, which a subject has and a tracker forwards. Each returns its object, to be chained."""

    __slots__ = ()

    def _set(self, name: str, value: Any) -> Self:
        raise NotImplementedError

    def set_platform(self, value: str) -> Self:
        """Set the platform: one of ``web mob pc srv app tv cnsl iot headset``."""
        contracts.platform("value", value)
        return self._set("p", value)

    def set_user_id(self, user_id: str) -> Self:
        """Set the user's id, any text."""
        contracts.text("user_id", user_id)
        return self._set("uid", user_id)

    def set_screen_resolution(self, width: int, height: int) -> Self:
        """Set the size of the screen, in pixels."""
        contracts.whole("width", width, least=1)
        contracts.whole("height", height, least=1)
        return self._set("res", f"{width}x{height}")

    def set_viewport(self, width: int, height: int) -> Self:
        """Set the size of the window's inside, in pixels."""
        contracts.whole("width", width, least=1)
        contracts.whole("height", height, least=1)
        return self._set("vp", f"{width}x{height}")

    def set_color_depth(self, depth: int) -> Self:
        """Set the depth of the screen's colours, in bits a pixel."""
        contracts.whole("depth", depth, least=1)
        return self._set("cd", depth)

    def set_timezone(self, timezone: str) -> Self:
        """Set the time zone by its name, such as ``Europe/London``."""
        contracts.text("timezone", timezone)
        return self._set("tz", timezone)

    def timezone(self, timezone: str) -> Self:
        """Do as :meth:`set_timezone`; the old documentation calls it by this name."""
        return self.set_timezone(timezone)

    def set_lang(self, lang: str) -> Self:
        """Set the language, such as ``en``."""
        contracts.text("lang", lang)
        return self._set("lang", lang)

    def set_domain_user_id(self, duid: str) -> Self:
        """Set the id that the browser's first-party cookie holds; :func:`get_domain_user_id` reads it."""
        contracts.text("duid", duid)
        return self._set("duid", duid)

    def set_domain_session_id(self, sid: str) -> Self:
        """Set the id of the visit, a UUID."""
        contracts.text("sid", sid)
        return self._set("sid", sid)

    def set_domain_session_index(self, vid: int) -> Self:
        """Set the number of the visit."""
        contracts.whole("vid", vid, least=0)
        return self._set("vid", vid)

    def set_ip_address(self, ip: str) -> Self:
        """Set the visitor's address."""
        contracts.text("ip", ip)
        return self._set("ip", ip)

    def set_useragent(self, ua: str) -> Self:
        """Set the visitor's ``User-Agent``."""
        contracts.text("ua", ua)
        return self._set("ua", ua)

    def set_network_user_id(self, nuid: str) -> Self:
        """Set the id that the collector's own cookie holds."""
        contracts.text("nuid", nuid)
        return self._set("tnuid", nuid)


class Subject(Subjective):
    """A user and a device. What a thread sets on a subject that another thread made, only that thread sees."""

    __slots__ = ("_pairs",)

    def __init__(self) -> None:
        self._pairs: Scoped[dict[str, Any]] = Scoped({"p": DEFAULT_PLATFORM})

    @property
    def standard_nv_pairs(self) -> dict[str, Any]:
        """The names and values that every event gets."""
        return self._pairs.get()

    @standard_nv_pairs.setter
    def standard_nv_pairs(self, pairs: dict[str, Any]) -> None:
        self._pairs.set(pairs)

    def _set(self, name: str, value: Any) -> Self:
        self._pairs.set({**self._pairs.get(), name: value})
        return self

    def combine_subject(self, subject: Subject | None) -> dict[str, Any]:
        """Return another subject's values with this one's over them."""
        if subject is None:
            return self.standard_nv_pairs
        return {**subject.standard_nv_pairs, **self.standard_nv_pairs}

    def __repr__(self) -> str:
        return f"<Subject {' '.join(self.standard_nv_pairs)}>"


def get_domain_user_id(request: Any, cookie_name: str = "_sp_id") -> str | None:
    """Return the domain user id out of a request's cookies, or ``None``.

    Args:
        request: has ``COOKIES`` (Django) or ``cookies`` (Flask, Starlette, FastAPI): a mapping of names to text.
        cookie_name: how the cookie's name begins; the JavaScript tracker adds a dot and a hash of the domain.
    """
    cookies = getattr(request, "COOKIES", None)
    if cookies is None:
        cookies = getattr(request, "cookies", None) or {}
    for name in cookies:
        if re.match(rf"{re.escape(cookie_name)}(\.|\Z)", name):
            found = str(cookies[name]).split(".")[0]
            return found or None
    return None

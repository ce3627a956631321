"""How many planted secrets survive in addresses and titles, and how much of what a report needs is kept."""

from __future__ import annotations

from collections import Counter
from urllib.parse import unquote

from analytical.privacy.text import scrub_text
from analytical.privacy.url import scrub_url

from . import corpus

__all__ = ["misses", "rows"]

_CAREFUL = "direct identifiers, careful"
_ALL = "all, strict"


def survives(secret: str, out: str | None) -> bool:
    """Tell whether a secret can be read in what is left."""
    if out is None:
        return False
    plain = unquote(unquote(unquote(secret)))
    return secret in out or plain in unquote(unquote(unquote(out)))


def misses(*, held_out: bool, strict: bool) -> tuple[Counter[str], Counter[str], list[str]]:
    """Return how many were planted and how many survived by kind, and some of the survivors."""
    planted: Counter[str] = Counter()
    missed: Counter[str] = Counter()
    examples = []
    for kind, secret, url in corpus.planted(held_out=held_out, strict=strict):
        planted[kind] += 1
        if survives(secret, scrub_url(url, strict=strict)):
            missed[kind] += 1
            examples.append(f"{kind}: {url}")
    return planted, missed, examples


def title_misses(*, held_out: bool) -> tuple[int, int, list[str]]:
    """Return how many were planted in titles, how many survived, and some of them."""
    count, examples = 0, []
    for kind, secret, title in corpus.planted_titles(held_out=held_out):
        count += 1
        if secret in scrub_text(title):
            examples.append(f"{kind}: {title}")
    return count, len(examples), examples


def rows() -> list[tuple[str, str, str, str]]:
    """Return what, today's best, target, measured."""
    out = []
    for strict, what in ((False, _CAREFUL), (True, _ALL)):
        planted, missed, _ = misses(held_out=True, strict=strict)
        rate = sum(missed.values()) / sum(planted.values())
        out.append((f"planted URL secrets surviving, held out ({what})", "22.6 %", "≤ 2 %", f"{rate:.2%}"))
        segments = list(corpus.benign(held_out=True))
        kept = sum(scrub_url(f"/x/{segment}/y", strict=strict) == f"/x/{segment}/y" for segment in segments)
        out.append((f"benign path segments kept, held out ({what})", "—", "≥ 97 %", f"{kept / len(segments):.2%}"))
    count, survived, _ = title_misses(held_out=True)
    out.append(("personal data surviving in titles, held out (careful)", "—", "≤ 2 %", f"{survived / count:.2%}"))
    titles = corpus.titles(held_out=True)
    kept = sum(scrub_text(title) == title for title in titles)
    out.append(("benign titles kept, held out (careful)", "—", "≥ 97 %", f"{kept / len(titles):.2%}"))
    return out

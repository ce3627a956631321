"""People's names beside a word that announces one: a greeting, a title, an account word; and what people searched "
"for."""

from __future__ import annotations

import re
from collections.abc import Iterator

from .lazy import lazy
from .look import Look, Span
from .words import HEALTH, NOT_NAMES, first_names, fold, words

__all__ = ["ANNOUNCING", "crowded", "find", "mentions_health", "searches"]

#: In one text; a page of prose has fewer.
_MOST_ANNOUNCED = 96
_LETTER = r"[^\W\d_]"
# Looked at and not consumed: of "student record: …" the second word announces, too.
_WORDS3 = rf"(?=({_LETTER}[\w'’]*+(?:[ .-]{_LETTER}[\w'’]*+\.?){{0,3}}))"
_GREETING = lazy(
    r"(?<![^\W_])(hello|hi|hey|dear|welcome back|welcome|greetings|good (?:morning|afternoon|evening)|thanks|thank "
    r"you|congratulations|"
    r"happy birthday|bonjour|salut|bonsoir|bienvenue|cher|chère|hallo|guten (?:tag|morgen|abend)|liebe[rs]?|sehr "
    r"geehrte[rs]?|"
    r"willkommen zurück|willkommen|servus|moin|grüezi|grüß gott|hola|buen[oa]s (?:días|tardes|noches)|estimad[oa]"
    r"|querid[oa]|"
    r"bienvenid[oa](?: de nuevo)?|ciao|buongiorno|buonasera|gentile|car[oa]|benvenut[oa]|ol[áa]"
    r"|bom dia|boa (?:tarde|noite)|hoi|dag|prezad[oa]"
    r"|bem-vind[oa]|"
    r"hej|hei|välkommen|velkommen|welkom(?: terug)?|beste|geachte|cześć|witaj|dzień dobry|drog[ia]|ahoj|merhaba"
    r"|sayın|"
    rf"привет|здравствуйте|уважаем(?:ый|ая))(,|!|:)?[ \u00a0]{_WORDS3}",
)
_WEAK_GREETING = (
    frozenset(["good morning", "good afternoon", "good evening"])
    | words(
        "dag hoi welcome thanks congratulations bienvenue willkommen cher chère caro cara hei beste liebe "
        "lieber liebes moin "
        "hello hallo car"
    )
    | {"thank you"}
)
_TITLE = lazy(
    r"(?<![^\W_])(mr|m(?=\.)|mrs|ms|miss|mx|dr|prof|professor|herrn?|frau|fräulein|mme|mlle|monsieur|madame"
    r"|mademoiselle|sr"
    r"|sra|srta|señora?|señorita|"
    r"don|doña|dona|sig|signora?|sig\.ra|dott|dottoressa|dott\.ssa|avv|ing|senhora?|pan|pani|pana|mevrouw|meneer|heer"
    r"|dhr|mevr|mw|doctor|sir|lady|lord|"
    rf"rev|reverend|capt|captain|господин|госпожа)(\.?)[ \u00a0](?:(?:dr|prof|med|von|van|de|der|den|del|la)"
    rf"\.?[ \u00a0-]){{0,3}}{_WORDS3}",
)
_WEAK_TITLE = words(
    "miss don dona pan pani pana sir lady lord sr ing professor doctor captain capt rev reverend sig avv ms"
)
_ACCOUNT_WORD = (
    r"(?:account|profile|user ?name|user|customer|patient|client|member|employee|student|passenger|traveller|guest"
    r"|recipient|"
    r"contact|beneficiary|card ?holder|tenant|candidate|applicant|subscriber|holder|owner|name|full name|first name"
    r"|last name|surname|signed in|logged in|"
    r"konto|profil|benutzer|nutzer|kunde|kundin|patientin|mitglied|vorname|nachname|compte|utilisateur|cuenta"
    r"|perfil|usuario|cliente|conta|utente|"
    r"paziente|paciente|gebruiker|klant|nom|prénom|nombre|nome|naam|imię|nazwisko|użytkownik|angemeldet|connecté"
    r"|attn|c/o|mr|"
    r"profiel|profilo|usuário|usuária|usuaria|utilizador|utilizadora|réservation|reservation|reservering|bestelling|prenotazione"
    r"|appuntamento|rendez-vous|cita|zamówienie|membre|adhérent|élève|étudiant|étudiante|estudiante|alumno|alumna|aluno"
    r"|aluna|studente|studentessa|student|schüler|schülerin|mitarbeiter|mitarbeiterin|empleado|empleada|funcionário"
    r"|employé|employée|dipendente|werknemer|medewerker|pracownik|pacjent|pacjentka|klient|klientka|gast|hóspede"
    r"|huésped|ospite|kandidat|kandidatin|candidat|candidato|candidata|inhaber|inhaberin|titulaire|titular|titolare"
    r"|empfänger|empfängerin|absender|destinataire|destinatario|destinatário|sender|payee|payer|donor|rider|host|"
    r"order|invoice|receipt|booking|reservation|appointment|prescription|quote|statement|bill|ticket|bestellung"
    r"|rechnung|termin|buchung|commande|facture|"
    r"pedido|factura|reserva|ordine|fattura|fatura|edit|delete|impersonate|message|chat|call|conversation|inbox"
    r"|dashboard|orders|medical record|record|cart|wishlist|settings|"
    r"invited|shared|sent|resume|cv|lebenslauf|curriculum vitae|application|bewerbung)"
)
_ACCOUNT = lazy(
    rf"(?<![^\W_])({_ACCOUNT_WORD})(\s?(?::|–|—|\||#|=|-)\s?|\s(?:of|for|von|vom|für|de|di|da|do|del|du|van|voor"
    rf"|dla|as|als|with|mit|by|from|to|avec|con|pour|para|per|is)\s|\s)"
    rf"{_WORDS3}",
)
_GREETERS = words(
    "hello hi hey dear welcome greetings good thanks thank congratulations happy bonjour salut bonsoir bienvenue "
    "cher chère hallo guten liebe lieber liebes sehr willkommen servus moin grüezi grüß hola buenos buenas "
    "estimado estimada querido querida bienvenido bienvenida ciao buongiorno buonasera gentile caro cara "
    "benvenuto benvenuta olá ola bom boa hoi dag prezado prezada bem hej hei välkommen velkommen welkom "
    "beste geachte cześć witaj "
    "dzień drogi droga ahoj merhaba sayın привет здравствуйте уважаемый уважаемая"
)
_TITLES = words(
    "m mr mrs ms miss mx dr prof professor herr herrn frau fräulein mme mlle monsieur madame mademoiselle sr sra "
    "srta señor señora señorita don doña dona sig signor signora dott dottoressa avv ing senhor senhora pan pani "
    "pana mevrouw meneer heer dhr mevr mw doctor sir lady lord rev reverend capt captain господин госпожа"
)
_ACCOUNTS = frozenset(re.findall(r"[^\W\d_]+", _ACCOUNT_WORD)) | {"signed", "logged", "card", "cardholder", "username"}
# What belongs to somebody, after a possessive or a plural s.
_OWNED = lazy(
    r"['’sxz][ \u00a0](?:account|profile|orders?|cart|basket|wish ?list|dashboard|inbox|konto|profil|settings"
    r"|photos|timeline|subscription|invoices?|"
    r"bookings?|reservations?|medical|health|results|calendar|address|phone|email|birthday|appointments?"
    r"|prescriptions?|page|resume|cv|messages|payment|"
    r"tickets?|bestellung(?:en)?)(?!\w)"
)
_THEIRS = words(
    "account profile order orders cart basket wish wishlist dashboard inbox konto profil settings photos timeline "
    "subscription invoice invoices booking bookings reservation reservations medical health results calendar "
    "address phone email birthday appointment appointments prescription prescriptions page resume cv messages "
    "payment ticket tickets bestellung bestellungen"
)
# A name, a dash or the like, then what the page is.
_PAGE_OF = lazy(
    r"\s?[|–—·»>:,(-]\s?(?:my |mein |your |user |customer |public |edit |patient |mon |mi )?(?:account|profile"
    r"|profil|konto|compte|cuenta|perfil|dashboard|"
    r"patient|customer|member|user|medical record|resume|cv|lebenslauf)(?!\w)"
)
_PAGES = words(
    "account profile profil konto compte cuenta perfil dashboard patient customer member user medical resume cv "
    "lebenslauf"
)
_HEAD = lazy(r"[^\W\d_][\w'’-]*\.?\Z")
_PARTICLES = words("von van de der den di da del della du la le bin ibn al el dos das zu zum ter ten y e mac o'")
_SEARCH = lazy(
    r"(?<![^\W_])(?:search(?:ed|ing)?(?: results?)?|results?|you searched|suche|suchergebnisse?|ergebnisse"
    r"|recherche|résultats?|búsqueda|resultados?|risultati|ricerca|"
    r"pesquisa|zoekresultaten|wyniki|sök|query)\s{0,2}(?:(?:for|nach|für|pour|de|del|para|per|voor|dla)\b|:|=|–"
    r"|-)\s{0,2}"
)
_SEARCH_END = lazy(r"\s[-|–—]\s|[|–—\n]")
_SIGNED = frozenset(
    (
        "signed in",
        "logged in",
        "username",
        "user name",
        "first name",
        "last name",
        "surname",
        "full name",
        "vorname",
        "nachname",
        "prénom",
        "angemeldet",
        "connecté",
        "patient",
        "passenger",
    )
)
#: Words for a person, and signs behind which a name follows whoever it is.
_PERSONS = _SIGNED | words(
    "customer client employee user member guest traveller beneficiary tenant candidate applicant subscriber holder "
    "owner student recipient contact attn name nom nombre nome naam kunde kundin benutzer nutzer mitglied patientin "
    "utilisateur "
    "usuario usuário usuária cliente utente paziente paciente gebruiker klant użytkownik mitarbeiter mitarbeiterin"
)
_SAYS = frozenset([":", "=", "is", "as", "als"])
_SEARCHED = words(
    "search searched searching result results suche suchergebnis suchergebnisse ergebnisse recherche résultat "
    "résultats búsqueda resultado resultados risultati ricerca pesquisa zoekresultaten wyniki sök query"
)

#: Without one of these, no name is looked for.
ANNOUNCING = _GREETERS | _TITLES | _ACCOUNTS | _THEIRS | _PAGES | _SEARCHED


def find(look: Look, *, slug: bool) -> Iterator[Span]:
    """Find names; ``slug`` where the words are those of a path segment, whose capitals tell nothing."""
    text, low, present = look.text, look.low, look.words
    if not _GREETERS.isdisjoint(present):
        for match in _GREETING.finditer(low):
            greeting, words = match.group(1), text[match.start(3) : match.end(3)]
            sure = not slug and (
                greeting not in _WEAK_GREETING or bool(match.group(2)) or greeting in ("hello", "hallo")
            )
            # "Welcome Summer Vibes" is no welcome of anybody.
            known = slug or (greeting in _WEAK_GREETING and not match.group(2))
            size = _people(words, sure=sure, lower=slug, known=known)
            if size:
                yield match.start(3), match.start(3) + size, "name"
    if not _TITLES.isdisjoint(present):
        yield from _titled(look, slug)
    if not _ACCOUNTS.isdisjoint(present):
        for match in _ACCOUNT.finditer(low):
            words = text[match.start(3) : match.end(3)]
            # In English titles every word has a capital, in German ones every noun: "Student Loan Calculator".
            says = match.group(1) in _PERSONS and match.group(2).strip() in _SAYS
            size = _people(words, sure=False, lower=slug, known=not says)
            if not size and match.group(1) in _SIGNED and match.group(2).strip() and not slug:
                first = words.split(" ")[0].strip(".,-")
                size = len(first) if len(first) > 1 and fold(first) not in NOT_NAMES else 0
            if size:
                yield match.start(3), match.start(3) + size, "name"
    if not _THEIRS.isdisjoint(present):
        for match in _OWNED.finditer(low):
            yield from _last_names(text, match.start() + 1, owned=True)
    if not _PAGES.isdisjoint(present):
        for match in _PAGE_OF.finditer(low):
            yield from _last_names(text, match.start(), owned=False)


def crowded(look: Look) -> bool:
    """Tell whether a text announces more names than anybody reads."""
    asked = re.findall(r"[^\W\d_]{2,}", look.low)
    return (
        sum(word in _GREETERS or word in _TITLES or word in _ACCOUNTS or word in _THEIRS for word in asked)
        > _MOST_ANNOUNCED
    )


def _titled(look: Look, slug: bool) -> Iterator[Span]:
    text = look.text
    for match in _TITLE.finditer(look.low):
        title, dot, words = match.group(1), match.group(2), text[match.start(3) : match.end(3)]
        if not slug and not text[match.start(1)].isupper() and words[:1].islower():
            continue
        sure = not slug and (title not in _WEAK_TITLE or bool(dot)) and words[:1].isupper()
        size = _people(words, sure=sure, lower=slug)
        if not size and slug and title in ("mr", "mrs", "dr", "herr", "frau", "mme", "prof") and words.islower():
            first = re.split("[ -]", words)[0]
            size = len(first) if len(first) > 2 and first not in NOT_NAMES and first.isalpha() else 0
        if size:
            yield match.start(3), match.start(3) + size, "name"


def searches(look: Look) -> Iterator[Span]:
    """Find what somebody searched for."""
    if not _SEARCHED.isdisjoint(look.words):
        end = 0
        for match in _SEARCH.finditer(look.low):
            start = match.end()
            if start < end or look.low[start : start + 1] in ("[", ""):
                continue
            stop = _SEARCH_END.search(look.low, start)
            end = stop.start() if stop else len(look.low)
            if end - start > 1:
                yield start, end, "search"


def _last_names(text: str, end: int, *, owned: bool) -> Iterator[Span]:
    """Read a name backwards from where it ends; the words before may be more than the name."""
    start, at, named, count, apart = end, end, False, 0, False
    for piece in reversed(text[max(0, end - 64) : end].rsplit(" ", 3)[-3:]):
        head = _HEAD.search(piece)
        if head is None:
            break
        word = head.group().rstrip("'’")
        plain = fold(word)
        if count == 0 and owned:
            apart = plain.endswith(("'s", "’s")) or word != head.group()
        for ending in ("'s", "’s"):
            plain = plain.removesuffix(ending)
        known = plain in first_names() or (owned and plain.endswith("s") and plain[:-1] in first_names())
        if not known and (plain in NOT_NAMES or plain.removesuffix("s") in NOT_NAMES or not word[:1].isupper()):
            break
        named = named or known
        start = at - len(head.group())
        at -= len(piece) + 1
        count += 1
        if head.start():
            break
    if not count:
        return
    # Two capitalised words that begin a title, before "| Profile", are a name; further on only a known one is.
    alone = not owned and count == 2 and start == 0 and all(word[:1].isupper() for word in text[:end].split())
    if (named or alone) if not owned else apart or (named and count > 1):
        yield start, end, "name"


def _people(words: str, *, sure: bool, lower: bool = False, known: bool = False) -> int:
    """Return how many characters at the start are somebody's name, or 0.

    Args:
        sure: whether what stands before announces a name and little else.
        lower: whether the text tells nothing by its capitals, as a slug does.
        known: whether one of the words must be a given name that is known.
    """
    names = first_names()
    end, capitals, named = 0, 0, False
    for match in re.finditer(r"[^\s-]+", words):
        word = match.group().strip(".,")
        plain = fold(word.rstrip("'’"))
        if plain.endswith(("'s", "’s")):
            plain = plain[:-2]
        if end and plain in _PARTICLES:
            continue
        if plain in NOT_NAMES and plain not in names:
            break
        parts = plain.split(".")
        if plain in names or (len(parts) > 1 and parts[0] in names):
            named = True
        elif (not (word[:1].isupper() and (len(word) > 1 or end)) and not (lower and named and end)) or (
            not sure and not named and any(character.isdigit() for character in word)
        ):
            break
        capitals += 1
        end = match.end()
        if capitals == 3:
            break
    if not end:
        return 0
    if named or sure:
        return end
    return end if capitals >= 2 and not known else 0


def mentions_health(text: str) -> bool:
    """Tell whether a search asks about somebody's health, or for somebody by name."""
    words = [fold(word) for word in re.findall(r"[^\W\d_]+", text)]
    return any(word in HEALTH for word in words) or any(word in first_names() for word in words)

"""Where somebody lives or stands: postal addresses and coordinates; and when somebody was born."""

from __future__ import annotations

import re
from collections.abc import Iterator

from .lazy import lazy
from .look import BEFORE, Look, Span
from .words import words

__all__ = ["ANNOUNCING", "STREET_END", "announced", "find", "streets", "three_words"]

_I = re.IGNORECASE
_MONTH = (
    r"(?:jan|feb|m[aä]r|apr|ma[iyj]|jun|jul|aug|ago|sep|o[ck]t|nov|de[czs]|janv|f[eé]v|mars|avr|juin|juil|ao[uû]t"
    r"|ene|abr|gen|mag|giu|lug|set|ott|dic)"
    r"[^\W\d_]{0,7}\.?"
)
_DATE = (
    rf"(?:\d{{4}}[-./ _]\d{{1,2}}[-./ _]\d{{1,2}}|\d{{1,2}}[-./ _]\d{{1,2}}[-./ _]\d{{2,4}}|\d{{8}}"
    rf"|\d{{1,2}}(?:st|nd|rd|th|\.|er)?[ _-](?:de |of )?{_MONTH}[ _,-]{{0,2}}(?:de )?\d{{4}}|{_MONTH}[ "
    rf"_-]\d{{1,2}}(?:st|nd|rd|th)?,?[ _-]\d{{4}})"
)
_BIRTH = lazy(
    r"(?<![^\W_])(?:born|birth ?(?:day|date)?|d\.?o\.?b\.?|date[ _-]?of[ _-]?birth|bday|geb\.?|geboren"
    r"|geburts(?:tag|datum)|"
    r"née?|naissance|nacid[oa]|nacimiento|cumplea[nñ]os|nat[oa]|nascita|nascid[oa]|nascimento|geboortedatum"
    r"|urodzon[ya]|"
    r"urodzenia|född|født|syntynyt)(?:[\s:=(_*–/-]{1,4}(?:on|am|the|le|el|il|em|op|den|dnia|is|was|date|de|del|di"
    r"|datum|at)?){1,3}?[\s:=(_*–/-]{0,3}"
    rf"({_DATE})(?!\d)",
)
_NUM_WORD = r"\d{1,5}[A-Za-z]?"
_NAME_WORD = r"[^\W\d_][\w'’.]{0,30}"
_STREET_EN = lazy(
    rf"(?<![\w.,-])(?:(?:apt|apartment|unit|flat|suite)[ .#]{{1,2}}\w{{1,5}},? )?{_NUM_WORD}(?:[-/]\d{{1,4}})? "
    rf"(?:[nsew]\.? |north |south |east |west )?"
    rf"((?:(?:{_NAME_WORD}|\d{{1,3}}(?:st|nd|rd|th)) ){{1,4}}?)"
    r"(?:street|st|avenue|ave|road|rd|boulevard|blvd|lane|ln|drive|dr|court|ct|place|pl|square|sq|way|terrace"
    r"|crescent|close|"
    r"parkway|pkwy|circle|cir|highway|hwy|gardens|grove|mews|row|hill|walk|alley|quay|wharf|loop|trail|pike"
    r"|plaza)\b\.?(?: (?:[ns][ew]?|[ew])\b)?"
    r"(?:,? (?:apt|apartment|unit|suite|ste|flat|floor|#)\.? ?#?\w{1,6})?"
    r"(?:,? [^\W\d_][\w .]{1,30}?,? [a-z]{2} \d{5}(?:-\d{4})?)?"
    r"(?! (?!in |apt|unit|flat|suite|and |near |at |is )[^\W\d_])",
)
_NO_STREET = words(
    "best top way ways easy hour hours day days minute minutes min things reasons tips steps step great new good "
    "free simple people years year months weeks items results products ideas more most of the to for on your a "
    "percent off km mile miles gb tb inch mm cm kg wheel door speed hp pack piece on-the vs per from by with "
    "best-of stars star"
)
_BORN = words(
    "born birth birthday birthdate d dob bday geb geboren geburtstag geburtsdatum née né naissance nacido nacida "
    "nacimiento cumpleaños cumpleanos nato nata nascita nascido nascida nascimento geboortedatum urodzony "
    "urodzona urodzenia född født syntynyt date"
)
_WAYS = words(
    "street st avenue ave road rd boulevard blvd lane ln drive dr court ct place pl square sq way terrace "
    "crescent close parkway pkwy circle cir highway hwy gardens grove mews row hill walk alley quay wharf loop "
    "trail pike plaza"
)
_VIAS = words(
    "rue avenue av boulevard bd bld place chemin impasse allée allee quai cours route faubourg square passage "
    "calle c avenida avda plaza paseo camino carrer ronda viale piazza piazzale corso vicolo largo rua travessa "
    "praça alameda estrada rodovia ulica ul aleja al os улица ул via"
)
# The end of the street's word, then the number: what stands before is read backwards from there.
STREET_END = lazy(
    r"(?:stra(?:ß|ss)e|str\.|weg|platz|allee|gasse|damm|ufer|chaussee|steig|stieg|straat|laan|plein|gracht|kade"
    r"|dijk|singel|gatan|vägen|gränd|torget|"
    r"gade|vej|katu|(?<=am )(?:markt|ring|wall|park|bach|berg|see|hof|tor|bahnhof|hang|wald|rain|graben|anger|brunnen"
    r"|schloss|rathaus|dom|sportplatz))((?: des| der| am)?(?: [^\W\d_]\w{2,20}){0,2} )?\s?(?<= )\d{1,4}(?: "
    r"?[a-z])?(?![\w%])(?:[-/]\d{1,4})?"
    r"(?:,? (?:[a-z]-)?\d{4,5} [^\W\d_][\w.-]{2,30})?"
)
_STREET_HEAD = lazy(r"(?:[^\W\d_][\w.]{1,20} ){0,2}[\w-]{0,40}\Z")
_STREET_ROMANCE = lazy(
    r"(?<![\w.])(?:\d{1,4}(?: ?(?:bis|ter|quater))?,? (?:rue|avenue|av\.|boulevard|bd|bld|place|chemin|impasse"
    r"|all[ée]e|quai|cours|route|faubourg|square|"
    rf"passage) (?:(?:de|du|des|la|le|les|l|d)[ '’]){{0,3}}{_NAME_WORD}(?:[ -]{_NAME_WORD}){{0,3}}(?:,? \d{{5}} "
    rf"{_NAME_WORD})?"
    r"|(?:calle|c/|avenida|avda\.?|plaza|paseo|camino|carrer|ronda|viale|piazza|piazzale|corso|vicolo|largo|rua"
    r"|travessa|praça|alameda|estrada|rodovia|"
    rf"ulica|ul\.|aleja|al\.|os\.|улица|ул\.|via) ?(?:{_NAME_WORD} ){{0,4}}{_NAME_WORD},? (?:n[º°o.]{{0,2}} ?|д\.? "
    rf"?)?\d{{1,4}}"
    r"(?:[a-z]|/\d{1,3})?(?!\w))"
)
_POSTCODE = lazy(
    r"(?<![A-Za-z0-9])(?:GIR ?0AA|[A-PR-UWYZ](?:\d{1,2}|[A-HK-Y]\d{1,2}|\d[A-HJKS-UW]|[A-HK-Y]\d[ABEHMNPRV-Y]) "
    r"\d[ABD-HJLNP-UW-Z]{2}"
    r"|[ABCEGHJ-NPRSTVXY]\d[ABCEGHJ-NPRSTV-Z] \d[ABCEGHJ-NPRSTV-Z]\d"
    r"|(?:A[KLRZ]|C[AOT]|D[CE]|FL|GA|HI|I[ADLN]|K[SY]|LA|M[ADEINOST]|N[CDEHJMVY]|O[HKR]|PA|RI|S[CD]|T[NX]|UT|V[AT]"
    r"|W[AIVY]) \d{5}(?:-\d{4})?)(?![A-Za-z0-9])"
)
_PO_BOX = lazy(
    r"(?<!\w)(?:p\.? ?o\.? ?box|postfach|bo[iî]te postale|apartado(?: de correos)?|casella postale|caixa postal"
    r"|postbus)[ :#]{1,2}\d{1,7}",
)
_DECIMAL = r"[-+]?\d{1,3}\.\d{3,}"
_COORDINATES = lazy(
    rf"(?:(?<![\w.+-])|{BEFORE})(?:geo:|@|ll=|q=|loc:)?({_DECIMAL})°?\s?[NS]?\s?[,;/_ "
    rf"|]\s{{0,2}}({_DECIMAL})°?\s?[EW]?(?![\w.]\d|\d)",
    _I,
)
_DEGREES = lazy(
    r"(?:[NSEWO] ?)?(?<![\w.])\d{1,3}(?:\.\d+)? ?(?:°|º|deg)(?: ?\d{1,2}(?:\.\d+)? ?['′’m](?: ?\d{1,2}(?:\.\d+)? "
    r"?(?:\"|″|''|”|s))?)? ?[NSEWO](?!\w)"
    r"|(?<!\w)[NS] ?\d{1,2}\.\d{2,},? ?[EW] ?\d{1,3}\.\d{2,}",
    _I,
)
_COORDINATE_WORD = lazy(
    r"(?<![^\W_])(?:lat(?:itude)?|l(?:on|ng)(?:gitude)?|longitude)[\s:=/_\"'-]{1,4}([-+]?\d{1,3}\.\d{2,})"
)
_PLUS_CODE = lazy(
    r"(?<![\w+])(?:[23456789CFGHJMPQRVWX]{8}|[23456789CFGHJMPQRVWX]{4,6})\+[23456789CFGHJMPQRVWX]{2,3}(?![\w+])"
)
_THREE_WORDS = lazy(r"(?<![\w/:])///[^\W\d_]{3,}\.[^\W\d_]{3,}\.[^\W\d_]{3,}")
_NS = lazy(r"[NSns] ?\d{1,2}\.\d")
_LATITUDES = frozenset(["lat", "latitude", "lon", "lng", "long", "longitude"])
_BOXES = words("box pobox postfach boite boîte apartado casella caixa postbus")
#: Without one of these, only a street's ending, an angle or a code can tell of a place.
ANNOUNCING = _BORN | _WAYS | _VIAS | _LATITUDES | _BOXES


def find(look: Look) -> Iterator[Span]:
    """Find postal addresses, coordinates and dates of birth in a text that has digits."""
    text, low = look.text, look.low
    if "." in text and look.digits > 7:
        for match in _COORDINATES.finditer(text):
            one, two, whole = match.group(1), match.group(2), match.group()
            marked = whole.lstrip()[0] in "gGlLqQ@" or "°" in whole or any(c in "NSEW" for c in whole)
            precise = max(len(one.partition(".")[2]), len(two.partition(".")[2])) > 3
            if (
                abs(float(one)) <= 180
                and abs(float(two)) <= 180
                and (marked or precise or ("," in whole and ", " not in whole))
            ):
                yield *match.span(), "place"
        if not _LATITUDES.isdisjoint(look.words):
            for match in _COORDINATE_WORD.finditer(low):
                yield *match.span(1), "place"
    if "°" in text or "º" in text or "deg" in text or _NS.search(low):
        for match in _DEGREES.finditer(text):
            yield *match.span(), "place"
    if "+" in text:
        for match in _PLUS_CODE.finditer(text):
            yield *match.span(), "place"
    yield from announced(look)
    yield from streets(look, slug=False)
    for match in _POSTCODE.finditer(text):
        yield *match.span(), "place"
    if not _BOXES.isdisjoint(look.words):
        for match in _PO_BOX.finditer(low):
            yield *match.span(), "place"


def announced(look: Look) -> Iterator[Span]:
    """Find dates of birth."""
    if not _BORN.isdisjoint(look.words):
        for match in _BIRTH.finditer(look.low):
            yield *match.span(1), "birth"


def streets(look: Look, *, slug: bool) -> Iterator[Span]:
    """Find a street with its number; ``slug`` where the words are those of a path segment."""
    low = look.low
    if not _WAYS.isdisjoint(look.words):
        for match in _STREET_EN.finditer(low):
            words = match.group(1).split()
            if not _NO_STREET.intersection(words) and (not slug or len(words) <= 3):
                yield *match.span(), "place"
    for match in STREET_END.finditer(low) if " " in low else ():
        head = _STREET_HEAD.search(low, max(0, match.start() - 64), match.start())
        start = head.start() if head else match.start()
        named = match.start() > start and low[match.start() - 1].isalpha()
        if (
            (named and not (match.group(1) or "").strip())
            or (match.start() > start and low[match.start() - 1] in " -")
            or (match.group(1) or "").strip()
        ):
            yield start, match.end(), "place"
    if not _VIAS.isdisjoint(look.words):
        for match in _STREET_ROMANCE.finditer(low):
            if match.group().startswith("via") and not look.text[match.start() + 4 : match.start() + 5].isupper():
                continue
            yield *match.span(), "place"


def three_words(look: Look) -> Iterator[Span]:
    """Find places spelled by three words (https://what3words.com)."""
    for match in _THREE_WORDS.finditer(look.text):
        yield *match.span(), "place"

"""Addresses of pages with one secret planted in each, and addresses with none.

Everything is drawn from a seeded generator, so that two runs agree. The held-out half uses other templates, other
names, other hosts and other spellings than the half that rules were developed on.
"""

from __future__ import annotations

import base64
import json
import random
import string
import uuid
from collections.abc import Callable, Iterator
from urllib.parse import quote

__all__ = ["benign", "planted", "planted_titles", "titles"]

_FIRST = {
    False: ["alice", "bob", "carol", "david", "emma", "frank", "grace", "henry", "julia", "kevin", "laura", "marie"],
    True: [
        "sophie",
        "lukas",
        "giulia",
        "mateusz",
        "ingrid",
        "pedro",
        "amelie",
        "yusuf",
        "priya",
        "hannah",
        "oliver",
        "katarzyna",
    ],
}
_LAST = {
    False: ["smith", "miller", "jones", "garcia", "muller", "dupont", "rossi", "novak"],
    True: ["johansson", "kowalska", "fernandes", "schneider", "okafor", "yamamoto", "lefebvre", "bianchi"],
}
_HOSTS = {
    False: ["example.com", "example.org", "mail.example.net"],
    True: ["gmail.com", "web.de", "uni-ulm.de", "correo.es", "firma.co.uk"],
}
_STREETS = {
    False: ["Baker Street", "Park Avenue", "Mill Road"],
    True: ["Elm Drive", "Queens Road", "Station Lane"],
}
_B62 = string.ascii_letters + string.digits


class _Draw:
    def __init__(self, seed: int, held_out: bool) -> None:
        self.r = random.Random(seed)
        self.held_out = held_out

    def digits(self, count: int) -> str:
        return "".join(self.r.choice(string.digits) for _ in range(count))

    def of(self, alphabet: str, count: int) -> str:
        return "".join(self.r.choice(alphabet) for _ in range(count))

    def first(self) -> str:
        return self.r.choice(_FIRST[self.held_out])

    def last(self) -> str:
        return self.r.choice(_LAST[self.held_out])

    def email(self) -> str:
        form = self.r.choice(["{f}.{l}", "{f}{n}", "{f}_{l}", "{f}", "{f}.{l}+news", "{i}{l}"])
        local = form.format(f=self.first(), l=self.last(), n=self.digits(2), i=self.first()[0])
        return f"{local}@{self.r.choice(_HOSTS[self.held_out])}"

    def luhn(self, prefix: str, size: int) -> str:
        body = prefix + self.digits(size - len(prefix) - 1)
        total = 0
        for index, digit in enumerate(reversed(body)):
            number = int(digit) * (2 if index % 2 == 0 else 1)
            total += number - 9 if number > 9 else number
        return body + str(-total % 10)

    def card(self) -> str:
        number = self.luhn(
            self.r.choice(["4", "51", "55", "4539"] if not self.held_out else ["4916", "52", "2221", "6011"]), 16
        )
        if self.r.random() < 0.2:
            return self.luhn(self.r.choice(["34", "37"]), 15)
        mark = self.r.choice(["", "", "-", "%20"])
        return mark.join(number[start : start + 4] for start in range(0, 16, 4))

    def iban(self) -> str:
        country, size = self.r.choice(
            [("DE", 18), ("AT", 16), ("DK", 14)]
            if not self.held_out
            else [("ES", 20), ("PL", 24), ("BE", 12), ("PT", 21)]
        )
        body = self.digits(size)
        check = 98 - int("".join(str(int(c, 36)) for c in body + country + "00")) % 97
        return f"{country}{check:02d}{body}"

    def phone(self) -> str:
        forms = [
            "%2B49-30-{7}",
            "+1-415-{3}-{4}",
            "415-{3}-{4}",
            "%2B49%2030%20{7}",
            "+44{10}",
            "0171-{7}",
            "(212)%20{3}-{4}",
        ]
        if self.held_out:
            forms = [
                "%2B33{9}",
                "+34-91-{3}-{2}-{2}",
                "+48{9}",
                "0033-1-{2}-{2}-{2}-{2}",
                "06-{2}-{2}-{2}-{2}",
                "%2B55%2011%20{5}-{4}",
                "020-79{2}-{4}",
                "312.{3}.{4}",
            ]
        out = self.r.choice(forms)
        for size in range(2, 11):
            while f"{{{size}}}" in out:
                out = out.replace(f"{{{size}}}", str(self.r.randrange(2, 9)) + self.digits(size - 1), 1)
        return out

    def jwt(self) -> str:
        def part(data: object) -> str:
            return base64.urlsafe_b64encode(json.dumps(data).encode()).decode().rstrip("=")

        claims = part({"sub": self.digits(6), "email": self.email()})
        return f"{part({'alg': 'HS256'})}.{claims}.{self.of(_B62 + '-_', 43)}"

    def key(self) -> str:
        forms: list[Callable[[], str]] = [
            lambda: "AKIA" + self.of(string.ascii_uppercase + "234567", 16),
            lambda: "ghp_" + self.of(_B62, 36),
            lambda: "sk_live_" + self.of(_B62, 24),
            lambda: "xoxb-" + self.digits(12) + "-" + self.of(_B62, 24),
            lambda: "AIza" + self.of(_B62 + "-_", 35),
        ]
        if self.held_out:
            forms = [
                lambda: "ASIA" + self.of(string.ascii_uppercase + "234567", 16),
                lambda: "glpat-" + self.of(_B62 + "-_", 20),
                lambda: "rk_test_" + self.of(_B62, 24),
                lambda: "npm_" + self.of(_B62, 36),
                lambda: "SG." + self.of(_B62, 22) + "." + self.of(_B62, 43),
                lambda: "sk-proj-" + self.of(_B62, 40),
                lambda: "hf_" + self.of(_B62, 34),
                lambda: "dop_v1_" + self.of("0123456789abcdef", 64),
            ]
        return self.r.choice(forms)()

    def token(self) -> str:
        forms: list[Callable[[], str]] = [
            lambda: self.of("0123456789abcdef", 40),
            lambda: self.of(_B62, 32),
            lambda: base64.urlsafe_b64encode(self.r.randbytes(24)).decode(),
        ]
        if self.held_out:
            forms = [
                lambda: self.of("0123456789ABCDEF", 32),
                lambda: self.of(_B62, 22),
                lambda: base64.urlsafe_b64encode(self.r.randbytes(32)).decode().rstrip("="),
                lambda: self.of(string.ascii_lowercase + string.digits, 26),
                lambda: quote(base64.b64encode(self.r.randbytes(30)).decode(), safe=""),
            ]
        return self.r.choice(forms)()

    def ip(self) -> str:
        if self.r.random() < 0.3:
            return f"2001:db8:{self.of('0123456789abcdef', 4)}::{self.of('123456789abcdef', 4)}"
        return ".".join(str(self.r.randrange(11, 240)) for _ in range(4))

    def mac(self) -> str:
        return self.r.choice([":", "-"]).join(self.of("0123456789abcdef", 2) for _ in range(6))

    def place(self) -> str:
        return f"{self.r.uniform(-80, 80):.5f},{self.r.uniform(-170, 170):.5f}"

    def street(self) -> str:
        names = ["baker-street", "park-avenue", "mill-road", "king-street"]
        if self.held_out:
            return self.r.choice(
                [
                    f"hauptstrasse-{self.r.randrange(1, 99)}",
                    f"{self.r.randrange(1, 99)}-rue-de-la-paix",
                    f"{self.r.randrange(1, 999)}-oak-lane",
                ]
            )
        return f"{self.r.randrange(1, 400)}-{self.r.choice(names)}"

    def national(self) -> str:
        def cpf() -> str:
            body = [self.r.randrange(10) for _ in range(9)]
            for start in (10, 11):
                body.append(sum(d * w for d, w in zip(body, range(start, 1, -1), strict=False)) * 10 % 11 % 10)
            d = "".join(map(str, body))
            return f"{d[:3]}.{d[3:6]}.{d[6:9]}-{d[9:]}"

        def nir() -> str:
            born = f"{self.r.choice('12')}{self.digits(2)}{self.r.randrange(1, 13):02d}"
            body = f"{born}75{self.r.randrange(1, 990):03d}{self.r.randrange(1, 990):03d}"
            return f"{body}{97 - int(body) % 97:02d}"

        def dni() -> str:
            number = self.digits(8)
            return number + "TRWAGMYFPDXBNJZSQVHLCKE"[int(number) % 23]

        def ssn() -> str:
            return f"{self.r.randrange(1, 665):03d}-{self.r.randrange(1, 99):02d}-{self.r.randrange(1, 9999):04d}"

        def nino() -> str:
            return "AB" + self.digits(6) + "C"

        def pesel() -> str:
            body = (
                f"{self.r.randrange(50, 99)}{self.r.randrange(1, 13):02d}{self.r.randrange(1, 29):02d}{self.digits(4)}"
            )
            return body + str(-sum(int(d) * w for d, w in zip(body, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3), strict=True)) % 10)

        return self.r.choice([ssn, nino, cpf] if not self.held_out else [nir, dni, pesel, cpf, ssn])()

    def person(self) -> str:
        return self.r.choice(["{f}-{l}", "{f}.{l}", "{f}%20{l}"]).format(f=self.first(), l=self.last())


def _twice(text: str) -> str:
    return quote(quote(text, safe=""), safe="")


_FRAMES = {
    False: [
        "/account/{}/settings",
        "/files/{}",
        "/p/{}/view",
        "/search/{}/page/2",
        "/track/{};v=1",
        "/export/{}.csv",
        "/app/a/b/{}",
        "/page;jsessionid={}",
        "/list?id={}&page=2",
        "/reset?token={}",
        "/#access_token={}",
        "//{}@example.com/x",
        "/confirm/{}/done",
    ],
    True: [
        "/v2/lookup/{}/history",
        "/share/{}/",
        "/de/kunden/{}/rechnungen",
        "/dl/{}.pdf",
        "/redirect/{}?x=1",
        "/hook/{}/ping",
        "/shop;sid={}/cart",
        "/find?q={}",
        "/cb?code=1&state={}",
        "/docs#{}",
        "/w/{}/e",
        "/export/2024/{}/raw",
        "/x?utm_content={}&utm_source=news",
    ],
}


def planted(*, held_out: bool, strict: bool, count: int = 4000, seed: int = 20261122) -> Iterator[tuple[str, str, str]]:
    """Yield what kind of secret, the secret as it reads, and the address that holds it."""
    draw = _Draw(seed + held_out, held_out)
    kinds: dict[str, Callable[[], str]] = {
        "email": lambda: draw.r.choice([str, lambda t: quote(t, safe=""), _twice])(draw.email()),
        "phone": draw.phone,
        "card": draw.card,
        "iban": draw.iban,
        "jwt": draw.jwt,
        "key": draw.key,
        "token": draw.token,
        "ip": draw.ip,
        "mac": draw.mac,
        "coordinates": draw.place,
        "street": draw.street,
        "national id": draw.national,
    }
    if strict:
        kinds["uuid"] = lambda: str(uuid.UUID(int=draw.r.getrandbits(128), version=4))
        kinds["ulid"] = lambda: "01" + draw.of("0123456789ABCDEFGHJKMNPQRSTVWXYZ", 24)
        kinds["hex"] = lambda: draw.of("0123456789abcdef", 24)
        kinds["user name"] = lambda: "\0" + draw.person()
    names = list(kinds)
    for index in range(count):
        kind = names[index % len(names)]
        secret = kinds[kind]()
        frame = draw.r.choice(_FRAMES[held_out])
        if secret.startswith("\0"):
            secret = secret[1:]
            frame = draw.r.choice(
                ["/users/{}", "/u/{}/posts", "/@{}", "/members/{}/"]
                if not held_out
                else ["/profile/{}", "/people/{}/photos", "/@{}", "/user/{}"]
            )
        yield (
            kind,
            secret,
            f"https://shop.example{frame.format(secret)}"
            if not frame.startswith("//")
            else f"https:{frame.format(secret)}",
        )


_WORDS = {
    False: [
        "pricing",
        "about",
        "blog",
        "products",
        "shoes",
        "summer",
        "sale",
        "news",
        "contact",
        "team",
        "careers",
        "features",
        "docs",
        "guide",
        "install",
        "windows",
        "linux",
    ],
    True: [
        "angebote",
        "kinder",
        "fahrrad",
        "zubehoer",
        "reise",
        "hotels",
        "barcelona",
        "chaussures",
        "femme",
        "recettes",
        "noticias",
        "deportes",
        "ofertas",
        "scarpe",
        "uomo",
    ],
}


def benign(*, held_out: bool, count: int = 4000, seed: int = 7) -> Iterator[str]:
    """Yield path segments that a report needs."""
    r = random.Random(seed + held_out)
    words = _WORDS[held_out]

    def slug(least: int = 2, most: int = 7) -> str:
        return "-".join(r.choice(words) for _ in range(r.randrange(least, most)))

    forms: list[Callable[[], str]] = [
        lambda: r.choice(words),
        slug,
        slug,
        slug,
        lambda: f"{slug()}-{r.randrange(1, 99999)}",
        lambda: str(r.randrange(1, 10**8)),
        lambda: str(r.randrange(1990, 2027)),
        lambda: f"{r.randrange(2000, 2027)}-{r.randrange(1, 13):02d}-{r.randrange(1, 29):02d}",
        lambda: f"v{r.randrange(1, 9)}.{r.randrange(20)}.{r.randrange(20)}",
        lambda: r.choice(["en-US", "de", "pt-BR", "zh-Hans", "fr-ca"]),
        lambda: f"{slug(1, 3)}.{r.choice(['html', 'php', 'pdf', 'jpg', 'png'])}",
        lambda: f"app.{r.getrandbits(32):08x}.js",
        lambda: r.choice(
            ["SM-G998B", "WH-1000XM4", "MX-5", "A4-80G", "DSC-RX100M7", "iphone-15-pro-256gb", "rtx-4090", "B08N5WRWNW"]
        ),
        lambda: f"{r.randrange(1, 50)}-{slug(2, 5)}",
        lambda: (
            f"IMG_{r.randrange(2015, 2026)}{r.randrange(1, 13):02d}{r.randrange(1, 29):02d}"
            f"_{r.randrange(100000, 235959)}.jpg"
        ),
        lambda: f"{slug(1, 3)}-under-{r.randrange(10, 900)}-eur",
        lambda: f"{r.randrange(1, 900)}x{r.randrange(1, 900)}",
        lambda: r.choice(
            [
                "Donaudampfschifffahrtsgesellschaft",
                "Rechtsschutzversicherungsgesellschaften",
                "internationalization",
                "@babel",
                "c%2B%2B",
                "AT%26T",
                "r%C3%A9sum%C3%A9-tips",
                "node.js",
                "jquery-3.7.1.min.js",
                "index.html",
            ]
        ),
        lambda: f"978-{r.randrange(0, 9)}-{r.randrange(10, 99)}-{r.randrange(100000, 999999)}-{r.randrange(0, 9)}",
    ]
    for _ in range(count):
        yield r.choice(forms)()


def planted_titles(*, held_out: bool, count: int = 2000, seed: int = 11) -> Iterator[tuple[str, str, str]]:
    """Yield what kind of datum, the datum as it reads, and the title that holds it."""
    draw = _Draw(seed + held_out, held_out)
    born = lambda: f"{draw.r.randrange(1940, 2010)}-{draw.r.randrange(1, 13):02d}-{draw.r.randrange(1, 29):02d}"  # noqa: E731
    whole = lambda: f"{draw.first().title()} {draw.last().title()}"  # noqa: E731
    kinds: dict[str, tuple[Callable[[], str], list[str]]] = {
        "email": (draw.email, ["Signed in: {}", "Invoice for {} | Shop", "{} – Inbox"]),
        "phone": (
            lambda: draw.phone().replace("%20", " ").replace("%2B", "+"),
            ["Call {} now", "Contact: {}", "{} | Directory"],
        ),
        "name": (
            whole,
            ["Hello {}", "Welcome back, {}!", "Profile of {} | Club", "Mr {}", "Account: {}", "{}'s account"]
            if not held_out
            else [
                "Hi {},",
                "Bonjour {}",
                "Frau {}",
                "Order for {}",
                "Logged in as {}",
                "{} | Profile",
                "Patient: {}",
                "Dear {}",
            ],
        ),
        "card": (lambda: draw.card().replace("%20", " "), ["Pay with {}", "Card {} saved"]),
        "iban": (draw.iban, ["Transfer to {}", "IBAN {}"]),
        "born": (born, ["Born {}", "DOB: {}"] if not held_out else ["Date of birth {}", "geboren am {}", "née le {}"]),
        "national id": (draw.national, ["Form for {}", "Record {} opened"]),
        "ip": (draw.ip, ["Login from {}", "Blocked {}"]),
        "key": (draw.key, ["Key {} created", "Token {}"]),
        "coordinates": (lambda: draw.place().replace(",", ", "), ["Map at {}", "Pin {}"]),
        "street": (
            lambda: f"{draw.r.randrange(1, 99)} {draw.r.choice(_STREETS[held_out])}",
            ["Delivery to {}", "{} – Order"],
        ),
    }
    names = list(kinds)
    for index in range(count):
        kind = names[index % len(names)]
        make, frames = kinds[kind]
        secret = make()
        yield kind, secret, draw.r.choice(frames).format(secret)


def titles(*, held_out: bool) -> list[str]:
    """Return titles that name nobody."""
    if held_out:
        return [
            "Angebote der Woche – Fahrradladen",
            "Die 10 besten Hotels in Barcelona (2026)",
            "Chaussures femme : soldes -50 %",
            "Hello World – C++ Tutorial",
            "Willkommen in unserem Shop",
            "Order Confirmation",
            "User Settings | Acme",
            "Version 3.11.7 Release Notes",
            "Windows 11 24H2 (Build 26100.2033)",
            "Dr. Martens 1460 Boots",
            "Customer Support Center",
            "404 Not Found",
            "Top 100 Songs of 1999",
            "ISO/IEC 27001:2022 explained",
            "Monthly Report 2026-10",
            "Recettes de cuisine faciles",
            "iPhone 15 Pro Max 256 GB – 1.199,00 €",
            "Profile Settings",
            "Contact Us",
            "Thank you for your order",
            "Account Overview",
            "12:34 Uhr: Tagesschau",
            "Rua Augusta Shopping Guide",
            "Member Benefits",
            "Guest Checkout",
            "Search Engine Optimization Guide",
            "Hi-Fi Speakers 2x50 W",
            "USB 3.2 Gen 2x2 Hub, 10 Gbit/s",
            "EN 60601-1-2:2015",
            "Message Board",
            "Welcome Guide",
            "Dear Customer",
            "Page 3 of 27",
            "Patient Information Leaflet",
        ]
    return [
        "Pricing – Example",
        "Hello World",
        "Welcome to Acme",
        "User Guide",
        "Account Settings",
        "10 Best Road Bikes of 2024",
        "Order 12345678 confirmed",
        "React 18.2.0 vs Vue 3.4.1",
        "Top 10 things to do in New York",
        "Windows 11 Build 22631.3007",
        "Learn Python in 24 Hours",
        "50% off – 3 for 2",
        "COVID-19 update",
        "Beethoven Symphony No. 9 Op. 125",
        "My Account | Acme Store",
        "Contact Form",
        "Order Summary",
        "Guest Post Guidelines",
        "Sale: 12,345.67 EUR from 2024-01-15",
        "EAN 4006381333931",
        "ISBN 978-3-16-148410-0",
        "Women's shoes",
        "Today's deals",
        "A4 paper 80 g/m2, 500 sheets",
    ]

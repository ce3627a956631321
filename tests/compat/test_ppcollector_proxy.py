"""The platforms' own addresses, reached through a proxy with a certificate authority of its own, as in many offices."""

from __future__ import annotations

import datetime
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from collecting import NOW, Seen, Side, as_set, collect

SAMPLES = Path(__file__).parent / "samples"
CASES = {
    case["case"]: case for case in map(json.loads, SAMPLES.joinpath("ppcollector-cases.jsonl").read_text().splitlines())
}
HOSTS = ["api.pingdom.com", "analyticsdata.googleapis.com", "oauth2.googleapis.com", "backdrop.example"]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    home = tmp_path_factory.mktemp("authority")
    now = datetime.datetime.now(datetime.UTC)

    def key() -> rsa.RSAPrivateKey:
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def named(name: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])

    def certificate(subject: str, public: Any, issuer: str) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(named(subject))
            .issuer_name(named(issuer))
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
        )

    root, leaf = key(), key()
    ski = x509.SubjectKeyIdentifier.from_public_key(root.public_key())
    signing = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    ca = (
        certificate("office", root.public_key(), "office")
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(signing, critical=True)
        .add_extension(ski, critical=False)
        .sign(root, hashes.SHA256())
    )
    site = (
        certificate("proxy", leaf.public_key(), "office")
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host) for host in HOSTS]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(ski), critical=False)
        .sign(root, hashes.SHA256())
    )
    pem = leaf.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    home.joinpath("ca.pem").write_bytes(ca.public_bytes(Encoding.PEM))
    home.joinpath("site.pem").write_bytes(pem + site.public_bytes(Encoding.PEM))
    return {"ca": str(home / "ca.pem"), "site": str(home / "site.pem"), "key": pem.decode()}


@contextmanager
def proxy(authority: dict[str, Any]) -> Iterator[Side]:
    """Play every host behind CONNECT; ``plan`` is by ``host/path``."""
    side = Side()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority["site"])
    listener = socket.create_server(("127.0.0.1", 0))
    side.url = f"http://127.0.0.1:{listener.getsockname()[1]}"

    def one(raw: socket.socket) -> None:
        with raw:
            host = read_head(raw)[0].split(" ")[1].partition(":")[0]
            raw.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            try:
                secure = context.wrap_socket(raw, server_side=True)
            except ssl.SSLError:
                return  # a client that does not know the authority hangs up
            with secure:
                line, headers, body = read_whole(secure)
                method, target, _ = line.split(" ")
                path, _, query = target.partition("?")
                asked = dict(pair.split("=") for pair in query.split("&") if pair)
                seen = Seen(method, f"{host}{path}", asked, headers, body)
                side.seen.append(seen)
                found = [answer for start, answer in side.plan.items() if seen.path.startswith(start)]
                status, value = found[0](seen) if found else (404, {})
                text = json.dumps(value).encode()
                secure.sendall(
                    b"HTTP/1.1 %d x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % (status, len(text))
                )
                secure.sendall(text)

    def accept() -> None:
        while True:
            try:
                raw, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=one, args=(raw,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield side
    finally:
        listener.close()


def read_head(stream: socket.socket) -> list[str]:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += stream.recv(1)
    return head.decode().split("\r\n")


def read_whole(stream: socket.socket) -> tuple[str, dict[str, str], bytes]:
    line, *rest = read_head(stream)
    headers = {name.lower(): value for name, _, value in (each.partition(": ") for each in rest if each)}
    body = b""
    while len(body) < int(headers.get("content-length", 0)):
        body += stream.recv(65_536)
    return line, headers, body


def through(side: Side, authority: dict[str, Any]) -> dict[str, str]:
    return {"HTTPS_PROXY": side.url, "REQUESTS_CA_BUNDLE": authority["ca"]}


def test_pingdoms_own_address(tmp_path: Path, authority: dict[str, Any]) -> None:
    case = CASES["pingdom/last-24h"]
    checks, hours = case["source_calls"]
    with proxy(authority) as side:
        side.plan["api.pingdom.com/api/2.0/checks"] = lambda _: (200, checks["response"])
        side.plan["api.pingdom.com/api/2.0/summary.performance/12345"] = lambda _: (200, hours["response"])
        side.plan["backdrop.example/data/g/monitoring"] = lambda _: (200, {"status": "ok"})
        found = collect(
            tmp_path,
            case["config"],
            case["credentials"],
            "https://backdrop.example",
            env=through(side, authority),
            now=NOW,
        )
        assert found.code == 0, found.err
        assert side.seen[1].query == {name: str(value) for name, value in hours["params"].items()}
        assert as_set(side.seen[-1].json) == as_set(case["sink_calls"][0]["body"])


def test_googles_own_addresses(tmp_path: Path, authority: dict[str, Any]) -> None:
    case = CASES["ga/no-dims"]
    key = {"client_email": "reader@example.iam.gserviceaccount.com", "private_key": authority["key"]}
    tmp_path.joinpath("key.json").write_text(json.dumps(key))
    row = {"metricValues": [{"value": value} for value in case["source_calls"][0]["response_rows"][0]]}
    with proxy(authority) as side:
        side.plan["oauth2.googleapis.com/token"] = lambda _: (200, {"access_token": "ya29", "expires_in": 3599})
        report = "analyticsdata.googleapis.com/v1beta/properties/123:runReport"
        side.plan[report] = lambda _: (200, {"rows": [row], "rowCount": 1})
        side.plan["backdrop.example/data/g/t"] = lambda _: (200, {"status": "ok"})
        found = collect(
            tmp_path,
            case["config"],
            {"properties": {"ga:1": "properties/123"}, "service_account": "key.json"},
            "https://backdrop.example",
            env=through(side, authority),
            now=NOW,
        )
        assert found.code == 0, found.err
        assert as_set(side.seen[-1].json) == as_set(case["sink_calls"][0]["body"])


def test_an_authority_that_nobody_named_is_refused(tmp_path: Path, authority: dict[str, Any]) -> None:
    case = CASES["pingdom/last-24h"]
    with proxy(authority) as side:
        found = collect(
            tmp_path, case["config"], case["credentials"], "https://backdrop.example", env={"HTTPS_PROXY": side.url}
        )
        assert found.code == 1
        assert "g/monitoring" in found.err
        assert not side.seen

"""Checks that need no token: TLS, health, times, headers, and what is open."""

from __future__ import annotations

import contextlib
import socket
import ssl
import statistics
import time

from antiphon.doctor.deployment.client import DeployClient, NoAnswer
from antiphon.doctor.deployment.findings import DeployFinding, failure, skip, success

HEALTH = "/api/health"
REQUESTS = 11
"""Of which the median time is taken."""
SLOW_SECONDS = 1.0
"""A median above this fails: a page that asks several times would take seconds."""
CERTIFICATE_DAYS = 14
"""Days before a certificate's end from which on that fails."""
HEADERS = {
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}
"""What the server itself sends with every answer, and a proxy may lose."""
WRONG_TOKEN = "0" * 32
READS = ("/", "/api/status", "/api/files", "/api/jobs", "/api/surfaces", "/api/plugins", "/node")
STRAY = ("/.env", "/.git/config", "/metrics", "/server-status", "/debug", "/docs", "/data/config/token")
"""What other programs, or a proxy that serves a folder, would answer."""
PORTS = {4400: "OSC", 1883: "MQTT", 8786: "Dask's scheduler", 8787: "Dask's dashboard", 57120: "SuperDirt's clients"}
PORT_SECONDS = 2.0


def check_tls(client: DeployClient) -> DeployFinding:
    """Checks TLS: encryption, and a trusted certificate that does not expire soon."""
    if client.tls is None:
        if client.address.local:
            return success("TLS", "http on this machine's own loopback, which no other machine can read")
        return failure(
            "TLS",
            "http: everyone on the way reads what is sent, so the token is not",
            "put a proxy with a certificate in front of it, and check https://…",
        )
    try:
        version, certificate = client.certificate()
    except NoAnswer as error:
        return failure(
            "TLS",
            str(error),
            "renew the certificate, or name the server as it does; --certificate FILE trusts one of your own",
        )
    days = (ssl.cert_time_to_seconds(certificate["notAfter"]) - time.time()) / 86400
    if days < CERTIFICATE_DAYS:
        return failure("TLS", f"{version}, but the certificate ends in {days:.0f} days", "have it renewed")
    return success("TLS", f"{version}, the certificate lasts {days:.0f} days more")


def check_health(client: DeployClient) -> DeployFinding:
    """Checks that the health route answers that the server plays."""
    answer = client.ask("GET", HEALTH, token="")
    if 300 <= answer.status < 400:
        return failure(
            "health",
            f"it answers {answer.status}, a redirect, which is not followed",
            "name the address that it leads to",
        )
    if answer.status == 404:
        return failure("health", f"there is no {HEALTH}", "deploy this version of Antiphon, or route /api to it")
    if answer.status != 200:
        return failure(
            "health", f"it answers {answer.status}: {answer.reason or 'without a reason'}", "look at the server's log"
        )
    if answer.json() != {"health": "ok"}:
        return failure("health", "the answer is not Antiphon's", "look at what answers at this address")
    return success("health", "the server plays")


def check_times(client: DeployClient) -> DeployFinding:
    """Measures response times, each on a connection of its own."""
    times = [client.ask("GET", HEALTH, token="").seconds for _ in range(REQUESTS)]
    median = statistics.median(times)
    text = f"p50 {median * 1000:.0f} ms, at most {max(times) * 1000:.0f} ms, of {REQUESTS} new connections"
    if median > SLOW_SECONDS:
        return failure("times", text, "give it more of a processor, or look at the proxy")
    return success("times", text)


def check_headers(client: DeployClient) -> DeployFinding:
    """Checks that the security headers for browsers reach the client."""
    answer = client.ask("GET", HEALTH, token="")
    missing = [name for name, value in HEADERS.items() if value not in answer.headers.get(name, "")]
    if missing:
        return failure("headers", f"answers lack {', '.join(missing)}", "have the proxy pass the server's headers on")
    text = f"{', '.join(HEADERS)} are there"
    if client.tls is not None and "strict-transport-security" not in answer.headers:
        return success("headers", f"{text}; the proxy could add strict-transport-security")
    return success("headers", text)


def check_refused(client: DeployClient) -> DeployFinding:
    """Checks that requests that change something are refused without the token and with a wrong one."""
    for token, expected in (("", 401), (WRONG_TOKEN, 403)):
        whose = "a wrong token" if token else "no token"
        for method, path, body in (
            ("POST", "/api/osc", b'{"address": "/ping"}'),
            ("POST", "/api/files?name=check.wav", b"RIFF"),
            ("DELETE", "/api/jobs/check", b""),
        ):
            answer = client.ask(method, path, body, token=token)
            # too many wrong tokens are a refusal as well
            if answer.status not in (expected, 429):
                return failure(
                    "refusals",
                    f"{method} {path.partition('?')[0]} with {whose} is answered {answer.status}, not {expected}",
                    "take it off the network, and start it with --proxy and a token",
                )
    return success("refusals", "changes without the token, and with a wrong one, are refused")


def check_open(client: DeployClient) -> list[DeployFinding]:
    """Checks that only the health route answers without the token, and that other ports are closed."""
    reads = [path for path in READS if client.ask("GET", path, token="").status == 200]
    stray = [path for path in STRAY if client.ask("GET", path, token="").status == 200]
    if stray:
        found = [
            failure("open", f"without the token, {', '.join(stray)} are answered", "have the proxy forward /api alone")
        ]
    elif reads and not client.address.local:
        advice = "start it with --proxy, with which every address but the health needs the token"
        found = [failure("open", f"without the token, {', '.join(reads)} are answered", advice)]
    elif reads:
        found = [success("open", "this machine may read without the token, as with any `antiphon serve`")]
    else:
        found = [success("open", f"without the token only {HEALTH} is answered")]
    return [*found, check_ports(client)]


def check_ports(client: DeployClient) -> DeployFinding:
    """Checks that internal ports are closed."""
    if client.address.local:
        return skip("ports", "on this machine's own loopback its other ports are open by right")
    others = [port for port in PORTS if port != client.address.port]
    names = [f"{port} ({PORTS[port]})" for port in others if _connects(client.address.host, port)]
    if names:
        return failure("ports", f"TCP {', '.join(names)} can be reached", "publish the port of HTTP alone")
    return success("ports", f"TCP {', '.join(map(str, others))} cannot be reached")


def _connects(host: str, port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((host, port), PORT_SECONDS):
        return True
    return False

"""All checks of a running server, in order."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

from antiphon.doctor.deployment import reachable, working
from antiphon.doctor.deployment.address import ServerAddress
from antiphon.doctor.deployment.client import SECONDS, DeployClient, NoAnswer
from antiphon.doctor.deployment.findings import DeployFinding, failure, skip
from antiphon.kernel.errors import FileError

Check = Callable[[DeployClient], DeployFinding | list[DeployFinding]]
OPEN_CHECKS: tuple[tuple[str, Check], ...] = (
    ("times", reachable.check_times),
    ("headers", reachable.check_headers),
    ("refusals", reachable.check_refused),
    ("open", reachable.check_open),
)
"""Those that need no token."""
TOKEN_CHECKS: tuple[tuple[str, Check], ...] = (
    ("version", working.check_version),
    ("work", working.check_work),
    ("genre", working.check_genre),
)
NAMES = tuple(name for name, _ in (*OPEN_CHECKS, *TOKEN_CHECKS))


def client_of(address: ServerAddress, token: str, certificate: Path | None, seconds: float = SECONDS) -> DeployClient:
    """Makes the client of a check. `certificate`: the one to trust, as PEM; None for those of the system's authorities.

    Raises:
        FileError: The certificate cannot be read.
    """
    tls = None
    if address.scheme == "https":
        tls = ssl.create_default_context() if certificate is None else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if certificate is not None:
            try:
                tls.load_verify_locations(certificate)
            except (OSError, ssl.SSLError) as error:
                raise FileError(f"--certificate {certificate} is no certificate in PEM ({error})") from None
    return DeployClient(address, token if address.private else "", tls, seconds)


def check_server(client: DeployClient, *, has_token: bool) -> Iterator[DeployFinding]:
    """Yields the findings of each check.

    Without a token, or where the client may not send it, its checks are skipped.
    """
    tls = reachable.check_tls(client)
    yield tls
    if client.tls is not None and tls.state == "failed" and "ends in" not in tls.text:
        yield from (skip(name, "without TLS nothing is sent") for name in ("health", *NAMES))
        return
    health = _made("health", reachable.check_health, client)
    yield from health
    if health[0].text.startswith(("no answer", "no connection", "the connection")):
        yield from (skip(name, "the server does not answer") for name in NAMES)
        return
    for name, check in OPEN_CHECKS:
        yield from _made(name, check, client)
    if not client.token:
        reason = "the token is not sent without TLS" if has_token else "no token was given"
        yield from (skip(name, reason, "" if has_token else "--token-file FILE") for name, _ in TOKEN_CHECKS)
        return
    for name, check in TOKEN_CHECKS:
        yield from _made(name, check, client)


def _made(name: str, check: Check, client: DeployClient) -> list[DeployFinding]:
    try:
        found = check(client)
    except NoAnswer as error:  # the check has failed
        return [failure(name, str(error), "look at the server's log, and at the proxy's")]
    return found if isinstance(found, list) else [found]

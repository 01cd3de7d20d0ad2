"""Checks the tokens of requests, with a limit on wrong tokens."""

import hmac
import ipaddress
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from antiphon.kernel.wire.senders import is_loopback
from antiphon.web.http_message import HttpRefusal, HttpRequest

log = logging.getLogger("antiphon.lan")

KEY_FILE = "certificate.key"
WRONG_GUESSES, GUESS_SECONDS, GUESSERS = 10, 60.0, 1024
"""Rate limit of wrong tokens: number per address, period in seconds, and addresses remembered. Beyond it: 429."""
PROTOCOL = "antiphon"
"""The subprotocol of pages' WebSockets. Browsers cannot send an Authorization header with a WebSocket, so a page offers
two subprotocols, this one and `token.` with the token, and gets this one."""
CHALLENGE = (("WWW-Authenticate", 'Bearer realm="antiphon"'),)
"""Header fields of a refusal for a missing token, so that a page asks for the token only then."""
LIVE_REQUIRED = "nothing is evaluated: start the server with `antiphon serve --live`"


@dataclass(frozen=True, slots=True)
class CodeGuard:
    """Decides which requests may, besides the token check, store a script here or have a stored one evaluated.

    A script is a program. It is accepted from programs of this machine, and evaluated only with `--live`.
    """

    live: bool = False  # whether the server evaluates (`--live`)
    proxied: bool = False  # whether a proxy asks (`--proxy`): then every request has the address of the proxy

    @property
    def evaluates(self) -> bool:
        """True if any request may have a script evaluated."""
        return self.live and not self.proxied

    def reason(self, request: HttpRequest, *, evaluate: bool = True) -> str:
        """Reason why a request may not; "" if it may. `evaluate`: the script is to be evaluated, not only stored."""
        if evaluate and not self.live:
            return LIVE_REQUIRED
        if self.proxied:
            return "with --proxy no script is taken by HTTP; use `antiphon live` on the server's machine"
        if not is_loopback(request.peer):
            return "scripts are taken from the server's own machine alone; open the page there, on 127.0.0.1"
        return ""

    def check(self, request: HttpRequest, *, evaluate: bool = True) -> None:
        """Raises `HttpRefusal` if there is a `reason`."""
        if reason := self.reason(request, evaluate=evaluate):
            raise HttpRefusal(403, reason)


@dataclass(slots=True)
class TokenGuard:
    """Admits requests with the token, and counts wrong tokens per address.

    `token`: the token, or a function that returns it; None without a token: then every request that needs one is
    refused. `page_key`: accepted as the token while this server runs. The owner's browser gets it for the secret in the
    address that it opened; "" for none.
    """

    token: str | Callable[[], str] | None
    everything: bool = False  # whether every request needs it (`--lan`), not only those that change something
    page_key: str = ""
    clock: Callable[[], float] = time.monotonic  # seconds
    _wrong: dict[str, deque[float]] = field(default_factory=dict)

    def check(self, request: HttpRequest, needed: bool) -> None:
        """Checks a request's token, if the route needs it.

        A correct token is accepted even after many wrong ones: otherwise any process of this machine could lock the
        owner out by guessing. The limit only bounds the load, since 128 bits cannot be guessed. Raises HttpRefusal: 401
        without the token, 403 with a wrong one, 429 after `WRONG_GUESSES` of those.
        """
        if not needed and not self.everything:
            return
        if self.token is None:
            raise HttpRefusal(403, "the server has no token, as its configuration folder cannot be written")
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not given.strip():
            raise HttpRefusal(
                401,
                "this needs the token: Authorization: Bearer TOKEN (the file `token` in the configuration folder)",
                CHALLENGE,
            )
        token = self.token if isinstance(self.token, str) else self.token()
        accepted = [token, self.page_key] if self.page_key else [token]
        if not any(hmac.compare_digest(given.strip().encode("latin-1", "replace"), one.encode()) for one in accepted):
            self.wrong(request.peer)
            raise HttpRefusal(403, "this is not the token", CHALLENGE)

    def wrong(self, peer: str) -> None:
        """Counts a wrong token of an address; `HttpRefusal` 429 beyond the limit."""
        self._slow_down(peer)
        self._count(peer)

    def _slow_down(self, peer: str) -> None:
        wrong = self._wrong.get(peer)
        if wrong is None:
            return
        now = self.clock()
        while wrong and now - wrong[0] >= GUESS_SECONDS:
            wrong.popleft()
        if not wrong:
            del self._wrong[peer]
        elif len(wrong) >= WRONG_GUESSES:
            pause = max(1, round(GUESS_SECONDS - (now - wrong[0])))
            reason = f"too many wrong tokens; try again in {pause} s"
            raise HttpRefusal(429, reason, (*CHALLENGE, ("Retry-After", str(pause))))

    def _count(self, peer: str) -> None:
        wrong = self._wrong.pop(peer, None) or deque(maxlen=WRONG_GUESSES)
        wrong.append(self.clock())
        self._wrong[peer] = wrong  # moved to the end, so that the oldest address is dropped first
        while len(self._wrong) > GUESSERS:
            del self._wrong[next(iter(self._wrong))]


def add_offered_token(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Returns the header fields of a WebSocket request, with the token of its subprotocols as Authorization."""
    fields = list(headers)
    if not any(name == b"authorization" for name, _ in fields):
        for name, value in fields:
            if name == b"sec-websocket-protocol":
                offers = (offer.strip() for offer in value.split(b","))
                tokens = [offer.removeprefix(b"token.") for offer in offers if offer.startswith(b"token.")]
                return fields + [(b"authorization", b"Bearer " + token) for token in tokens[:1]]
    return fields


def plain_ip(text: str) -> str:
    """Unicast address in canonical form, mapped IPv4 as IPv4; `ValueError` for others."""
    address = ipaddress.ip_address(text.strip())
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if address.is_unspecified or address.is_multicast:
        raise ValueError(f"{text} is not the address of a single machine")
    return str(address)

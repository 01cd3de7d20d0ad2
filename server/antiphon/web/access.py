"""What `--lan` needs: a token, a certificate of our own making, and who was let in.

All of it lives in the configuration folder, readable by its owner only. Nothing here listens.
"""

from __future__ import annotations

import hmac
import ipaddress
import json
import logging
import os
import re
import secrets
import socket
import stat
import struct
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from antiphon.control.osc.clients import APPROVAL_SECONDS, MAX_APPROVED
from antiphon.errors import FileError
from antiphon.io.http_message import HttpRequest
from antiphon.runtime import paths
from antiphon.web.guard import Refusal

log = logging.getLogger("antiphon.lan")

TOKEN_FILE = "token"
CERTIFICATE_FILE = "certificate.pem"
KEY_FILE = "certificate.key"
APPROVED_FILE = "approved.json"
TOKEN = re.compile(r"[0-9a-f]{32}")
WRONG_GUESSES, GUESS_SECONDS, GUESSERS = 10, 60.0, 1024
_SIOCGIFADDR = 0x8915


def load_token(folder: Path) -> str:
    """The token, 32 hexadecimal digits; made if there is none that only its owner could have read."""
    path = folder / TOKEN_FILE
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    except FileNotFoundError:
        descriptor = -1
    except OSError as error:
        raise FileError(f"the token {path} cannot be read ({error.strerror}); remove it, a new one is made") from None
    if descriptor >= 0:
        with os.fdopen(descriptor, "rb") as file:
            private = stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077 == 0
            token = file.read(64).decode("latin-1").strip()
        if private and TOKEN.fullmatch(token):
            return token
        log.warning("the token in %s was damaged or could be read by others: a new one was made", folder)
    token = secrets.token_hex(16)
    paths.write_atomic(path, token.encode() + b"\n", 0o600)
    return token


@dataclass(slots=True)
class TokenGuard:
    """Lets requests with the token in, and counts wrong guesses per address.

    token: None where there is none to be had; then what needs it is refused.  everything: every
    request needs it (`--lan`), not only those that change something.
    """

    token: str | None
    everything: bool = False
    clock: Callable[[], float] = time.monotonic
    _wrong: dict[str, deque[float]] = field(default_factory=dict)

    def check(self, request: HttpRequest, needed: bool) -> None:
        """Raises `Refusal`: 401 without the token, 403 with a wrong one, 429 after too many of those.

        The right one is never refused: else any process of this machine could keep its owner out by guessing. Guesses
        at 128 bits need no slowing down to fail; it keeps them from being a load.
        """
        if not needed and not self.everything:
            return
        if self.token is None:
            raise Refusal(403, "the server has no token, as its configuration folder cannot be written")
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not given.strip():
            raise Refusal(
                401,
                "this needs the token: Authorization: Bearer TOKEN (the file `token` in the configuration folder)",
                (("WWW-Authenticate", 'Bearer realm="antiphon"'),),
            )
        if not hmac.compare_digest(given.strip().encode("latin-1", "replace"), self.token.encode()):
            self._slow_down(request.peer)
            self._count(request.peer)
            raise Refusal(403, "this is not the token")

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
            raise Refusal(429, f"too many wrong tokens; try again in {pause} s", (("Retry-After", str(pause)),))

    def _count(self, peer: str) -> None:
        wrong = self._wrong.pop(peer, None) or deque(maxlen=WRONG_GUESSES)
        wrong.append(self.clock())
        self._wrong[peer] = wrong  # last: the one that guessed longest ago is forgotten first
        while len(self._wrong) > GUESSERS:
            del self._wrong[next(iter(self._wrong))]


@dataclass(slots=True)
class Approvals:
    """Addresses let in, kept for twelve hours: through a restart, not into the next venue.

    An address of another network's stranger may be the same tomorrow.
    """

    folder: Path
    clock: Callable[[], float] = time.time

    def load(self) -> dict[str, float]:
        """Addresses still let in, oldest first, with the seconds left to each. A damaged file lets nobody in."""
        now = self.clock()
        return {ip: when + APPROVAL_SECONDS - now for ip, when in self._read().items()}

    def add(self, ip: str) -> None:
        """Keeps an approval; raises `FileError`."""
        kept = self._read()
        kept.pop(ip, None)
        self._write({**kept, ip: self.clock()})

    def remove(self, ip: str) -> None:
        """Keeps an approval no longer; raises `FileError`."""
        kept = self._read()
        if kept.pop(ip, None) is not None:
            self._write(kept)

    def _write(self, kept: dict[str, float]) -> None:
        newest = dict(list(kept.items())[-MAX_APPROVED:])
        paths.write_atomic(self.folder / APPROVED_FILE, json.dumps(newest).encode(), 0o600)

    def _read(self) -> dict[str, float]:
        now = self.clock()
        try:
            data = json.loads((self.folder / APPROVED_FILE).read_bytes())
            found = {plain_ip(ip): float(when) for ip, when in data.items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
            log.warning("the approvals in %s cannot be read (%s): nobody is let in", self.folder, type(error).__name__)
            return {}
        return {ip: when for ip, when in found.items() if 0 <= now - when < APPROVAL_SECONDS}


def plain_ip(text: str) -> str:
    """An address in its usual form; raises ValueError for what is none, or names many."""
    address = ipaddress.ip_address(text.strip())
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if address.is_unspecified or address.is_multicast:
        raise ValueError(f"{text} is no single machine's address")
    return str(address)


def local_addresses() -> tuple[str, ...]:
    """This machine's IPv4 addresses, loopback included, sorted."""
    found = {"127.0.0.1"}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            address = _interface_address(probe, name)
            if address is not None:
                found.add(address)
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing: asks which address would be used
            found.add(probe.getsockname()[0])
        except OSError:
            pass  # no route out: loopback is what there is
    return tuple(sorted(found))


def _interface_address(probe: socket.socket, name: str) -> str | None:
    try:
        import fcntl

        request = struct.pack("256s", name.encode()[:15])
        return socket.inet_ntoa(fcntl.ioctl(probe.fileno(), _SIOCGIFADDR, request)[20:24])
    except (ImportError, OSError):
        return None  # an interface without an address, or a system that asks otherwise

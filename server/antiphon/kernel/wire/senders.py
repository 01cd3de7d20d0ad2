"""Senders of messages: their IP addresses as text, and mutual proof of the owner's token, without sending it.

A program sends `/live/join NONCE`. The server answers `/live/challenge NONCE PROOF`, which requires the token, and the
program's next message proves the same. Each proof covers both nonces, so that it is invalid on another connection, the
port, so that it cannot be relayed by a program that listens on another one, and its purpose.
"""

import hmac
import ipaddress
import secrets
from dataclasses import dataclass
from typing import Literal


def own_machine(host: str) -> bool:
    """True for a loopback address; the kernel drops packets with such a source that arrive from outside."""
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


def plain_ip(text: str) -> str:
    """Unicast address in canonical form, mapped IPv4 as IPv4; `ValueError` for others."""
    address = ipaddress.ip_address(text.strip())
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if address.is_unspecified or address.is_multicast:
        raise ValueError(f"{text} is not the address of a single machine")
    return str(address)


Purpose = Literal["server", "performer", "hand over", "perform"]
"""Statement proved: server has the token; performer has it; a script is handed over; a script is to be performed."""


def nonce() -> str:
    """Random number for one use, as 32 hexadecimal digits."""
    return secrets.token_hex(16)


@dataclass(frozen=True, slots=True)
class TokenProof:
    """Creates and checks the proofs of one connection."""

    token: str
    port: int
    asked: str
    given: str

    def make(self, purpose: Purpose, *parts: str) -> str:
        """Proof for texts, 64 hexadecimal digits; `UnicodeEncodeError` for text without UTF-8."""
        code = hmac.new(self.token.encode(), digestmod="sha256")
        for part in ("antiphon", purpose, str(self.port), self.asked, self.given, *parts):
            data = part.encode()
            code.update(len(data).to_bytes(8, "big") + data)
        return code.hexdigest()

    def check(self, proof: object, purpose: Purpose, *parts: str) -> bool:
        """True if `proof` is valid for these texts, compared in constant time."""
        try:
            return isinstance(proof, str) and hmac.compare_digest(proof.encode(), self.make(purpose, *parts).encode())
        except UnicodeEncodeError:
            return False

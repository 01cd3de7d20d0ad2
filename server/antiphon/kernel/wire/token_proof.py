"""How a server and a program of its owner prove the owner's token to each other, without sending it.

A program sends `/live/join NONCE`. The server answers `/live/challenge NONCE PROOF`, which only one with the token can
make, and the program proves the same by what it sends next. Each proof holds both nonces, so that none counts on
another connection, the port, so that none can be passed on by a program that listens on another one, and for what it
is given.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass
from typing import Literal

Purpose = Literal["server", "performer", "hand over", "perform"]
"""The server has the token; the performer has it; a script is handed to the server; a script is to be performed."""


def nonce() -> str:
    """A number that is used once, as 32 hexadecimal digits."""
    return secrets.token_hex(16)


@dataclass(frozen=True, slots=True)
class TokenProof:
    """Makes and checks the proofs of one connection.

    Attributes:
        token: The owner's.
        port: The server's OSC port.
        asked: The program's nonce.
        given: The server's nonce.
    """

    token: str
    port: int
    asked: str
    given: str

    def make(self, purpose: Purpose, *parts: str) -> str:
        """The proof for texts, 64 hexadecimal digits; `UnicodeEncodeError` for what UTF-8 cannot hold."""
        code = hmac.new(self.token.encode(), digestmod="sha256")
        for part in ("antiphon", purpose, str(self.port), self.asked, self.given, *parts):
            data = part.encode()
            code.update(len(data).to_bytes(8, "big") + data)
        return code.hexdigest()

    def check(self, proof: object, purpose: Purpose, *parts: str) -> bool:
        """Whether something is the proof for these texts; it takes as long wherever it differs."""
        try:
            return isinstance(proof, str) and hmac.compare_digest(proof.encode(), self.make(purpose, *parts).encode())
        except UnicodeEncodeError:
            return False

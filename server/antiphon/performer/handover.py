"""Which scripts that come by OSC are performed: those that prove the owner's token on this connection."""

from __future__ import annotations

import contextlib
from pathlib import Path

from antiphon.kernel.runtime.token import find_token
from antiphon.kernel.wire.token_proof import TokenProof, nonce


class Handover:
    """A performing program's end of `antiphon.kernel.control.osc.script_gate`."""

    def __init__(self, folder: Path) -> None:
        """Takes nothing before `begin`. folder: the configuration folder, with the token."""
        self._folder = folder
        self._token = self._asked = ""
        self._proof: TokenProof | None = None
        self._number = 0

    def begin(self) -> str:
        """The nonce for a new connection; "" where this user has no token."""
        self._token, self._proof, self._number = "", None, 0
        with contextlib.suppress(OSError):
            self._token = find_token(self._folder)
        self._asked = nonce() if self._token else ""
        return self._asked

    def answer(self, port: int, given: str, proof: object) -> str:
        """Takes a server's challenge.

        What proves the token to the server; "" where it has not proved its own, or was not asked now.
        """
        asked, self._asked = self._asked, ""  # one answer to each question
        found = TokenProof(self._token, port, asked, given)
        if not asked or not found.check(proof, "server"):
            return ""
        self._proof, self._number = found, 0
        return found.make("performer")

    def takes(self, script: str, number: int, proof: object) -> bool:
        """Whether a script is to be performed: it is proved, and came after all that were taken before."""
        found = self._proof
        if found is None or number <= self._number or not found.check(proof, "perform", str(number), script):
            return False
        self._number = number
        return True
